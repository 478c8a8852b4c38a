// Packing and transposing with AVX-512. See tally_pack_s8 for the packed layout.
#include "x86_vnni.h"

#if TALLY_X86

// 16 vectors of 16 dwords, transposed in place.
VNNI_INLINE void transpose_dwords(__m512i v[16]) {
  __m512i t[16];
  UNROLLED for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  UNROLLED for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  UNROLLED for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
  }
  UNROLLED for (int i = 0; i < 8; i++) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

VNNI_INLINE void store_correction(void *packed, int32_t n, __m512i sum) {
  const __m512i correction = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, 7));
  _mm512_storeu_si512((int32_t *)packed + n, correction);
}

// A quad of depths of one column is one dword, so packing transposes dwords.
VNNI void tally_vnni_pack_s8(
    int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed) {
  const __m512i one = _mm512_set1_epi8(1);
  for (int32_t n = 0; n < N; n += 16) {
    const int32_t first = n / 64 * 64, columns = smaller(N - n, 16);
    const ptrdiff_t row = (ptrdiff_t)panel_columns(N - first) * 4;  // bytes of a quad of depths
    uint8_t *out = (uint8_t *)packed_panel(packed, N, K, first) + (n - first) * 4;
    __m512i sum = _mm512_setzero_si512();
    for (int32_t k = 0; k < K; k += 64) {
      const __mmask64 depths = first64(K - k);
      const int32_t quads = smaller((K - k + 3) / 4, 16);
      __m512i v[16];
      UNROLLED for (int j = 0; j < 16; j++)
        v[j] = j < columns ? _mm512_maskz_loadu_epi8(depths, B + (n + j) * ldb + k)
                           : _mm512_setzero_si512();
      transpose_dwords(v);
      UNROLLED for (int q = 0; q < 16; q++) {
        sum = _mm512_dpbusd_epi32(sum, one, v[q]);
        if (q < quads) _mm512_storeu_si512(out + q * row, v[q]);
      }
      out += 16 * row;
    }
    store_correction(packed, n, sum);
  }
}

VNNI void tally_vnni_pack_s8_transposed(
    int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed) {
  const __m512i one = _mm512_set1_epi8(1);
  for (int32_t n = 0; n < N; n += 64) {
    const __mmask64 columns = first64(N - n);
    const int vectors = panel_columns(N - n) / 16;
    uint8_t *out = (uint8_t *)packed_panel(packed, N, K, n);
    __m512i sums[4];
    UNROLLED for (int j = 0; j < 4; j++) sums[j] = _mm512_setzero_si512();
    for (int32_t k = 0; k < K; k += 4) {
      __m512i v[4];
      UNROLLED for (int q = 0; q < 4; q++)
        v[q] = k + q < K ? _mm512_maskz_loadu_epi8(columns, B + (k + q) * ldb + n)
                         : _mm512_setzero_si512();
      interleave4(v);
      UNROLLED for (int j = 0; j < 4; j++) {
        sums[j] = _mm512_dpbusd_epi32(sums[j], one, v[j]);
        if (j < vectors) _mm512_storeu_si512(out + 64 * j, v[j]);
      }
      out += 64 * vectors;
    }
    UNROLLED for (int j = 0; j < 4; j++)
      if (j < vectors) store_correction(packed, n + 16 * j, sums[j]);
  }
}

// Four rounds of byte unpacks transpose the 16 × 16 bytes of each lane: 16 rows × 64 columns
// leave column 16l + j in lane l of vector j.
VNNI_INLINE void transpose_bytes(__m512i v[16]) {
  __m512i t[16];
  UNROLLED for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_epi8(v[i], v[i + 8]);
    t[2 * i + 1] = _mm512_unpackhi_epi8(v[i], v[i + 8]);
  }
  UNROLLED for (int i = 0; i < 8; i++) {
    v[2 * i] = _mm512_unpacklo_epi8(t[i], t[i + 8]);
    v[2 * i + 1] = _mm512_unpackhi_epi8(t[i], t[i + 8]);
  }
  UNROLLED for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_epi8(v[i], v[i + 8]);
    t[2 * i + 1] = _mm512_unpackhi_epi8(v[i], v[i + 8]);
  }
  UNROLLED for (int i = 0; i < 8; i++) {
    v[2 * i] = _mm512_unpacklo_epi8(t[i], t[i + 8]);
    v[2 * i + 1] = _mm512_unpackhi_epi8(t[i], t[i + 8]);
  }
}

VNNI_INLINE void store16(int8_t *out, int32_t count, __m128i bytes) {
  if (count >= 16)
    _mm_storeu_si128((__m128i *)out, bytes);
  else
    _mm_mask_storeu_epi8(out, first16(count), bytes);
}

// Up to 16 columns: a lane for each 16 of 64 rows, so that a column is one vector. (With more columns
// gathering the lanes costs more than it saves.)
VNNI_INLINE __m512i four_rows(__m128i r0, __m128i r1, __m128i r2, __m128i r3) {
  return _mm512_inserti64x4(
      _mm512_castsi256_si512(_mm256_set_m128i(r1, r0)), _mm256_set_m128i(r3, r2), 1);
}

// Masked stores are slow.
VNNI_INLINE void store_columns(
    int32_t count, int32_t columns, const __m512i v[16], int8_t *dst, ptrdiff_t ldd) {
  if (count >= 64) {
    UNROLLED for (int j = 0; j < 16; j++)
      if (j < columns) _mm512_storeu_si512(dst + j * ldd, v[j]);
  } else {
    UNROLLED for (int j = 0; j < 16; j++)
      if (j < columns) _mm512_mask_storeu_epi8(dst + j * ldd, first64(count), v[j]);
  }
}

VNNI_INLINE void transpose_narrow(
    int32_t rows, int32_t columns, const int8_t *src, ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd) {
  const __mmask16 load = first16(columns);
  int32_t r = 0;
  for (; r + 64 <= rows; r += 64) {
    const int8_t *from = src + r * lds;
    __m512i v[16];
    UNROLLED for (int i = 0; i < 16; i++, from += lds)
      v[i] = four_rows(
          _mm_maskz_loadu_epi8(load, from), _mm_maskz_loadu_epi8(load, from + 16 * lds),
          _mm_maskz_loadu_epi8(load, from + 32 * lds),
          _mm_maskz_loadu_epi8(load, from + 48 * lds));
    transpose_bytes(v);
    store_columns(64, columns, v, dst + r, ldd);
  }
  if (r == rows) return;
  __m512i v[16];
  UNROLLED for (int i = 0; i < 16; i++) {
    __m128i lanes[4];
    UNROLLED for (int l = 0; l < 4; l++)
      lanes[l] = r + 16 * l + i < rows
                     ? _mm_maskz_loadu_epi8(load, src + (r + 16 * l + i) * lds)
                     : _mm_setzero_si128();
    v[i] = four_rows(lanes[0], lanes[1], lanes[2], lanes[3]);
  }
  transpose_bytes(v);
  store_columns(rows - r, columns, v, dst + r, ldd);
}

// 16 columns at a time are copied to where rows are as long as they become.
VNNI void tally_vnni_transpose_rows_s8(
    int32_t rows, int32_t width, int32_t filled, int32_t columns, const int8_t *src,
    ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd) {
  enum { most = 256 };
  if (filled > most) {
    tally_plain_transpose_rows_s8(rows, width, filled, columns, src, lds, dst, ldd);
    return;
  }
  for (int32_t c = 0; c < columns; c += 16) {
    const __mmask16 load = first16(columns - c);
    const int32_t at_once = most / filled;
    for (int32_t r = 0; r < rows; r += at_once) {
      const int32_t count = smaller(at_once, rows - r);
      __m128i copy[most];
      __m128i *to = copy;
      const int8_t *from = src + (ptrdiff_t)r * width * lds + c;
      for (int32_t i = 0; i < count; i++) {
        for (int32_t w = 0; w < width; w++, from += lds) *to++ = _mm_maskz_loadu_epi8(load, from);
        for (int32_t w = width; w < filled; w++) *to++ = _mm_setzero_si128();
      }
      transpose_narrow(
          count * filled, smaller(columns - c, 16), (const int8_t *)copy, 16,
          dst + c * ldd + (ptrdiff_t)r * filled, ldd);
    }
  }
}

VNNI void tally_vnni_transpose_s8(
    int32_t rows, int32_t columns, const int8_t *src, ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd) {
  if (columns == 1 && lds == 1) {
    __builtin_memcpy(dst, src, (size_t)rows);
    return;
  }
  if (columns <= 16 && rows > 16) {
    transpose_narrow(rows, columns, src, lds, dst, ldd);
    return;
  }
  for (int32_t c = 0; c < columns; c += 64) {
    const __mmask64 load = first64(columns - c);
    for (int32_t r = 0; r < rows; r += 16) {
      __m512i v[16];
      UNROLLED for (int i = 0; i < 16; i++)
        v[i] = r + i < rows ? _mm512_maskz_loadu_epi8(load, src + (r + i) * lds + c)
                            : _mm512_setzero_si512();
      transpose_bytes(v);
#define STORE_LANE(l)                                                         \
  UNROLLED for (int j = 0; j < 16; j++)                                       \
    if (c + 16 * l + j < columns)                                             \
      store16(dst + (c + 16 * l + j) * ldd + r, rows - r, _mm512_extracti32x4_epi32(v[j], l))
      STORE_LANE(0);
      STORE_LANE(1);
      STORE_LANE(2);
      STORE_LANE(3);
#undef STORE_LANE
    }
  }
}

#endif
