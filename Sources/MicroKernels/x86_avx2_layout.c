// Packing and transposing with AVX2. See tally_pack_s8 for the packed layout.
#include "x86_avx2.h"

#if TALLY_X86

// A quad of depths is one dword, copied as such; the sums run beside the copy.
AVX2 void tally_avx2_pack_s8(
    int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed) {
  const int32_t columns = (int32_t)packed_columns(N);
  for (int32_t n = 0; n < columns; n++) {
    const int32_t first = n / 64 * 64, depth = n < N ? K : 0;
    const ptrdiff_t row = (ptrdiff_t)panel_columns(N - first) * 4;
    uint8_t *out = (uint8_t *)packed_panel(packed, N, K, first) + (n - first) * 4;
    const int8_t *b = B + n * ldb;
    uint32_t sum = 0;
    for (int32_t k = 0; k < depth; k++) sum += (uint32_t)b[k];
    int32_t k = 0;
    for (; k + 4 <= depth; k += 4, out += row) __builtin_memcpy(out, b + k, 4);
    for (; k < K; k += 4, out += row)
      for (int32_t q = 0; q < 4; q++) out[q] = k + q < depth ? (uint8_t)b[k + q] : 0;
    sum *= (uint32_t)-128;
    __builtin_memcpy((uint8_t *)packed + (size_t)n * 4, &sum, 4);
  }
}

AVX2_INLINE __m128i load_up_to_16(const int8_t *p, int32_t count) {
  if (count >= 16) return _mm_loadu_si128((const __m128i *)p);
  int8_t bytes[16] = {0};
  for (int32_t i = 0; i < count; i++) bytes[i] = p[i];
  return _mm_loadu_si128((const __m128i *)bytes);
}

// 4 rows × 16 columns of bytes become 16 quads.
AVX2 void tally_avx2_pack_s8_transposed(
    int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed) {
  const __m256i one8 = _mm256_set1_epi8(1), one16 = _mm256_set1_epi16(1);
  for (int32_t n = 0; n < N; n += 16) {
    const int32_t first = n / 64 * 64;
    const ptrdiff_t row = (ptrdiff_t)panel_columns(N - first) * 4;
    uint8_t *out = (uint8_t *)packed_panel(packed, N, K, first) + (n - first) * 4;
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int32_t k = 0; k < K; k += 4, out += row) {
      __m128i v[4];
      UNROLLED for (int q = 0; q < 4; q++)
        v[q] = k + q < K ? load_up_to_16(B + (k + q) * ldb + n, N - n) : _mm_setzero_si128();
      const __m128i low01 = _mm_unpacklo_epi8(v[0], v[1]), high01 = _mm_unpackhi_epi8(v[0], v[1]);
      const __m128i low23 = _mm_unpacklo_epi8(v[2], v[3]), high23 = _mm_unpackhi_epi8(v[2], v[3]);
      const __m256i quads[2] = {
          _mm256_set_m128i(_mm_unpackhi_epi16(low01, low23), _mm_unpacklo_epi16(low01, low23)),
          _mm256_set_m128i(_mm_unpackhi_epi16(high01, high23), _mm_unpacklo_epi16(high01, high23))};
      UNROLLED for (int j = 0; j < 2; j++) {
        const __m256i pairs = _mm256_maddubs_epi16(one8, quads[j]);
        sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(pairs, one16));
        _mm256_storeu_si256((__m256i *)(out + 32 * j), quads[j]);
      }
    }
    UNROLLED for (int j = 0; j < 2; j++)
      _mm256_storeu_si256(
          (__m256i *)((uint8_t *)packed + (size_t)(n + 8 * j) * 4),
          _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(sums[j], 7)));
  }
}

// One round of the unpacks that transpose 16 × 16 bytes; four rounds do it.
AVX2_INLINE void unpack_round(const __m128i in[16], __m128i out[16]) {
  UNROLLED for (int i = 0; i < 8; i++) {
    out[2 * i] = _mm_unpacklo_epi8(in[i], in[i + 8]);
    out[2 * i + 1] = _mm_unpackhi_epi8(in[i], in[i + 8]);
  }
}

AVX2 void tally_avx2_transpose_s8(
    int32_t rows, int32_t columns, const int8_t *src, ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd) {
  const int32_t whole_rows = rows & ~15, whole_columns = columns & ~15;
  for (int32_t c = 0; c < whole_columns; c += 16)
    for (int32_t r = 0; r < whole_rows; r += 16) {
      __m128i v[16], t[16];
      UNROLLED for (int i = 0; i < 16; i++)
        v[i] = _mm_loadu_si128((const __m128i *)(src + (r + i) * lds + c));
      unpack_round(v, t);
      unpack_round(t, v);
      unpack_round(v, t);
      unpack_round(t, v);
      UNROLLED for (int j = 0; j < 16; j++)
        _mm_storeu_si128((__m128i *)(dst + (c + j) * ldd + r), v[j]);
    }
  tally_plain_transpose_s8(
      rows - whole_rows, whole_columns, src + whole_rows * lds, lds, dst + whole_rows, ldd);
  tally_plain_transpose_s8(
      rows, columns - whole_columns, src + whole_columns, lds, dst + whole_columns * ldd, ldd);
}

#endif
