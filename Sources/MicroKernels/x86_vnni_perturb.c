// Dot products with weights that are perturbed as they are loaded, with AVX-512.
#include "x86_vnni.h"
#include "x86_vnni_philox.h"

#if TALLY_X86

// The signs of 2048 consecutive elements, beginning at a multiple of 128.
struct signs {
  struct philox_stream stream;
  uint32_t first;
  int filled;
  uint8_t bits[256 + 8];
};

// Not inlined: it would take the registers of the loops that call it once in 30 rounds.
__attribute__((noinline)) VNNI static void refill(struct signs *s, uint32_t element) {
  __m512i out[4];
  s->first = element / 128 * 128;
  s->filled = 1;
  philox16(&s->stream, element / 128, out);
  for (int j = 0; j < 4; j++) _mm512_storeu_si512(s->bits + 64 * j, out[j]);
}

// Bit i is the sign bit of `element` + i.
VNNI_INLINE __mmask64 signs64(struct signs *s, uint32_t element) {
  if (!s->filled || element - s->first > 2048 - 64) refill(s, element);
  const uint32_t offset = element - s->first, bit = offset % 8;
  uint64_t word;
  __builtin_memcpy(&word, s->bits + offset / 8, 8);
  return bit == 0 ? word : word >> bit | (uint64_t)s->bits[offset / 8 + 8] << (64 - bit);
}

// 64 depths of 1…4 rows of A and one row of B whose first element here is e.
VNNI_INLINE void perturbed_step(
    const int rows, __mmask64 present, const int8_t *A, ptrdiff_t lda, const int8_t *b,
    __m512i sigma, __m512i reach, uint32_t e, struct signs *signs, __m512i sums[4]) {
  const __mmask64 negative = signs64(signs, e);
  __m512i w = _mm512_maskz_loadu_epi8(present, b);
  // |−128| is 128 as an unsigned byte, so it is out of reach as it should be.
  const __mmask64 moves = _mm512_cmple_epu8_mask(_mm512_abs_epi8(w), reach);
  w = _mm512_mask_add_epi8(w, moves & ~negative, w, sigma);
  w = _mm512_mask_sub_epi8(w, moves & negative, w, sigma);
  w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
  UNROLLED for (int i = 0; i < rows; i++)
    sums[i] = _mm512_dpbusd_epi32(sums[i], w, _mm512_maskz_loadu_epi8(present, A + i * lda));
}

VNNI_INLINE void perturbed_dots(
    const int rows, int32_t K, const int8_t *A, ptrdiff_t lda, const int32_t corrections[4],
    const int8_t *b, int32_t sigma, uint32_t e, struct signs *signs, int32_t *C, ptrdiff_t ldc) {
  const __m512i step = _mm512_set1_epi8((char)sigma);
  const __m512i reach = _mm512_set1_epi8((char)(127 - (sigma < 0 ? -sigma : sigma)));
  __m512i sums[4];
  UNROLLED for (int i = 0; i < rows; i++) sums[i] = _mm512_setzero_si512();
  int32_t k = 0;
  for (; k + 64 <= K; k += 64, e += 64)
    perturbed_step(rows, ~0ull, A + k, lda, b + k, step, reach, e, signs, sums);
  if (k < K)
    perturbed_step(rows, first64(K - k), A + k, lda, b + k, step, reach, e, signs, sums);
  UNROLLED for (int i = 0; i < rows; i++)
    C[i * ldc] = wrapping_subtract(_mm512_reduce_add_epi32(sums[i]), corrections[i]);
}

VNNI void tally_vnni_perturb_dot_s8(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    const uint32_t key[2], const uint32_t counter[3], int32_t *C, ptrdiff_t ldc) {
  struct signs signs = {philox_stream(key, counter), 0, 0, {0}};
  for (int32_t m = 0; m < M; m += 4) {
    const int8_t *a = A + m * lda;
    const int32_t rows = smaller(M - m, 4);
    int32_t corrections[4];
    for (int32_t i = 0; i < rows; i++) corrections[i] = sum_times_128(K, a + i * lda);
    for (int32_t n = 0; n < N; n++) {
      const uint32_t e = first_element + (uint32_t)n * row_elements;
      const int8_t *b = B + n * ldb;
      int32_t *c = C + m * ldc + n;
      switch (rows) {
        case 1: perturbed_dots(1, K, a, lda, corrections, b, sigma, e, &signs, c, ldc); break;
        case 2: perturbed_dots(2, K, a, lda, corrections, b, sigma, e, &signs, c, ldc); break;
        case 3: perturbed_dots(3, K, a, lda, corrections, b, sigma, e, &signs, c, ldc); break;
        default: perturbed_dots(4, K, a, lda, corrections, b, sigma, e, &signs, c, ldc);
      }
    }
  }
}

#endif
