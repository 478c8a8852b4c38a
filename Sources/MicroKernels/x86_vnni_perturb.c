// Signs of zeroth-order directions with AVX-512: perturbed weights, dot products with them, sums of signs.
#include "x86_vnni.h"
#include "x86_vnni_philox.h"

#if TALLY_X86

// 64 depths of 1…4 rows of A and one row of B.
VNNI_INLINE void perturbed_step(
    const int rows, __mmask64 present, const int8_t *A, ptrdiff_t lda, const int8_t *b,
    int32_t sigma, __mmask64 negative, __m512i sums[4]) {
  const __m512i up = _mm512_set1_epi8((char)sigma), down = _mm512_set1_epi8((char)-sigma);
  const __m512i reach = _mm512_set1_epi8((char)(127 - (sigma < 0 ? -sigma : sigma)));
  const __m512i step = _mm512_mask_blend_epi8(negative, up, down);
  __m512i w = _mm512_maskz_loadu_epi8(present, b);
  // |−128| is 128 as an unsigned byte, so it is out of reach as it should be.
  const __mmask64 moves = _mm512_cmple_epu8_mask(_mm512_abs_epi8(w), reach);
  w = _mm512_mask_add_epi8(w, moves, w, step);
  w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
  UNROLLED for (int i = 0; i < rows; i++)
    sums[i] = _mm512_dpbusd_epi32(sums[i], w, _mm512_maskz_loadu_epi8(present, A + i * lda));
}

// One row of B, whose first element is e.
VNNI_INLINE void perturbed_row(
    const int rows, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *b, int32_t sigma,
    uint32_t e, struct signs *signs, __m512i sums[4]) {
  uint32_t offset;
  int32_t k = 0;
  while (k + 64 <= K) {
    const int32_t end = k + 64 * smaller(available(signs, e, &offset), (K - k) / 64);
    const uint8_t *bytes = signs->bits + offset / 8;
    e += (uint32_t)(end - k);
    // Every step begins at the same bit; most often it is bit 0, which needs no shift.
    if (offset % 8 == 0)
      for (; k < end; k += 64, bytes += 8)
        perturbed_step(rows, ~0ull, A + k, lda, b + k, sigma, signs64(bytes, 0), sums);
    else
      for (; k < end; k += 64, bytes += 8)
        perturbed_step(rows, ~0ull, A + k, lda, b + k, sigma, signs64(bytes, offset % 8), sums);
  }
  if (k < K) {
    available(signs, e, &offset);
    perturbed_step(
        rows, first64(K - k), A + k, lda, b + k, sigma,
        signs64(signs->bits + offset / 8, offset % 8), sums);
  }
}

// 1…4 rows of A against all rows of B. Four rows of B at a time share the last additions.
VNNI_INLINE void perturbed_rows(
    const int rows, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    struct signs *signs, int32_t *C, ptrdiff_t ldc) {
  int32_t corrections[4];
  for (int i = 0; i < rows; i++) corrections[i] = sum_times_128(K, A + i * lda);
  for (int32_t n = 0; n < N; n += 4) {
    const int32_t columns = smaller(N - n, 4);
    __m512i sums[4][4];
    UNROLLED for (int i = 0; i < rows; i++)
      UNROLLED for (int j = 0; j < 4; j++) sums[i][j] = _mm512_setzero_si512();
    for (int32_t j = 0; j < columns; j++) {
      const uint32_t e = first_element + (uint32_t)(n + j) * row_elements;
      __m512i s[4];
      UNROLLED for (int i = 0; i < rows; i++) s[i] = _mm512_setzero_si512();
      perturbed_row(rows, K, A, lda, B + (n + j) * ldb, sigma, e, signs, s);
      UNROLLED for (int i = 0; i < rows; i++) sums[i][j] = s[i];
    }
    UNROLLED for (int i = 0; i < rows; i++) {
      const __m128i four = _mm_sub_epi32(
          sum_of_groups(four_sums(sums[i][0], sums[i][1], sums[i][2], sums[i][3])),
          _mm_set1_epi32(corrections[i]));
      _mm_mask_storeu_epi32(C + i * ldc + n, (__mmask8)((1 << columns) - 1), four);
    }
  }
}

VNNI void tally_vnni_perturb_dot_s8(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    const uint32_t key[2], const uint32_t counter[3], int32_t *C, ptrdiff_t ldc) {
  struct signs signs = {philox_stream(key, counter), 0, 0, {0}};
  for (int32_t m = 0; m < M; m += 4) {
#define ROWS(rows)                                                                              \
  perturbed_rows(                                                                               \
      rows, N, K, A + m * lda, lda, B, ldb, sigma, first_element, row_elements, &signs,         \
      C + m * ldc, ldc)
    switch (M - m) {
      case 1: ROWS(1); break;
      case 2: ROWS(2); break;
      case 3: ROWS(3); break;
      default: ROWS(4);
    }
  }
}

VNNI int32_t tally_vnni_perturb_s8(
    int32_t count, const int8_t *w, int32_t sigma, uint32_t first_element, const uint32_t key[2],
    const uint32_t counter[3], int8_t *target) {
  const __m512i up = _mm512_set1_epi8((char)sigma), down = _mm512_set1_epi8((char)-sigma);
  const __m512i reach = _mm512_set1_epi8((char)(127 - (sigma < 0 ? -sigma : sigma)));
  const __m512i one = _mm512_set1_epi8(1);
  struct signs signs = {philox_stream(key, counter), 0, 0, {0}};
  __m512i sum = _mm512_setzero_si512();
  for (int32_t i = 0; i < count; i += 64) {
    uint32_t offset;
    available(&signs, first_element + (uint32_t)i, &offset);
    const __mmask64 present = first64(count - i);
    const __mmask64 negative = signs64(signs.bits + offset / 8, offset % 8);
    const __m512i v = _mm512_maskz_loadu_epi8(present, w + i);
    // |−128| is 128 as an unsigned byte, so it is out of reach as it should be.
    const __mmask64 moves = _mm512_mask_cmple_epu8_mask(present, _mm512_abs_epi8(v), reach);
    const __m512i moved =
        _mm512_mask_add_epi8(v, moves, v, _mm512_mask_blend_epi8(negative, up, down));
    sum = _mm512_dpbusd_epi32(sum, one, moved);
    // Masked stores are slow.
    if (count - i >= 64)
      _mm512_storeu_si512(target + i, moved);
    else
      _mm512_mask_storeu_epi8(target + i, present, moved);
  }
  return _mm512_reduce_add_epi32(sum);
}

VNNI_INLINE void store_some(int32_t *out, __mmask16 present, __m512i v) {
  // Masked stores are slow.
  if (present == 0xffff)
    _mm512_storeu_si512(out, v);
  else
    _mm512_mask_storeu_epi32(out, present, v);
}

// Of up to 2048 elements, whose signs begin at bit `bit` of `bytes`: a −1 takes twice the difference from
// what the sum is without it.
VNNI_INLINE void take_negatives(
    int32_t count, const uint8_t *bytes, uint32_t bit, int32_t difference, int32_t *sums) {
  const __m512i twice = _mm512_set1_epi32((int32_t)(2u * (uint32_t)difference));
  for (int32_t i = 0; i < count; i += 64, bytes += 8) {
    const uint64_t negative = signs64(bytes, bit);
    UNROLLED for (int j = 0; j < 64; j += 16) {
      if (i + j >= count) break;
      const __mmask16 present = first16(count - i - j);
      const __m512i s = _mm512_maskz_loadu_epi32(present, sums + i + j);
      store_some(
          sums + i + j, present,
          _mm512_mask_sub_epi32(s, (__mmask16)(negative >> j), s, twice));
    }
  }
}

VNNI void tally_vnni_signed_sums_s32(
    int32_t count, uint32_t first_element, int32_t entries, const int32_t *differences,
    const uint32_t key[2], const uint32_t counter[3], const int8_t *w, int32_t reach,
    int32_t *sums) {
  int64_t all = 0, sizes = 0;
  for (int32_t entry = 0; entry < entries; entry++) {
    all += differences[entry];
    sizes += differences[entry] < 0 ? -(int64_t)differences[entry] : differences[entry];
  }
  // Sums that fit may wrap on their way.
  if (sizes > INT32_MAX) {
    tally_avx2_signed_sums_s32(
        count, first_element, entries, differences, key, counter, w, reach, sums);
    return;
  }
  const __m512i limit = _mm512_set1_epi32(reach);
  for (int32_t i = 0; i < count; i++) sums[i] = (int32_t)all;
  // As many elements as one refill has signs for stay in the cache while all entries pass over them.
  for (int32_t i = 0; i < count;) {
    const uint32_t element = first_element + (uint32_t)i, bit = element % 128;
    const int32_t n = smaller(count - i, 2048 - (int32_t)bit);
    for (int32_t entry = 0; entry < entries; entry++) {
      if (differences[entry] == 0) continue;
      const uint32_t last[3] = {counter[0], counter[1], counter[2] + (uint32_t)entry};
      struct signs signs = {philox_stream(key, last), 0, 0, {0}};
      refill(&signs, element);
      take_negatives(n, signs.bits + bit / 8, bit % 8, differences[entry], sums + i);
    }
    i += n;
  }
  if (!w) return;
  for (int32_t i = 0; i < count; i += 16) {
    const __mmask16 present = first16(count - i);
    const __m512i values = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(present, w + i));
    const __mmask16 moved = _mm512_cmple_epi32_mask(_mm512_abs_epi32(values), limit);
    store_some(sums + i, present, _mm512_maskz_loadu_epi32(present & moved, sums + i));
  }
}

#endif
