// Dot products with weights that are perturbed as they are loaded, with AVX2.
#include "x86_avx2.h"
#include "x86_avx2_philox.h"

#if TALLY_X86

// The signs of 1024 consecutive elements, beginning at a multiple of 128.
struct signs {
  const uint32_t *key, *counter;
  uint32_t first;
  int filled;
  uint8_t bits[128 + 8];
};

__attribute__((noinline)) AVX2 static void refill(struct signs *s, uint32_t element) {
  __m256i out[4];
  s->first = element / 128 * 128;
  s->filled = 1;
  philox8(element / 128, s->counter, s->key, out);
  for (int j = 0; j < 4; j++) _mm256_storeu_si256((__m256i *)(s->bits + 32 * j), out[j]);
}

// Bit i is the sign bit of `element` + i.
AVX2_INLINE uint32_t signs32(struct signs *s, uint32_t element) {
  if (!s->filled || element - s->first > 1024 - 32) refill(s, element);
  const uint32_t offset = element - s->first;
  uint64_t word;
  __builtin_memcpy(&word, s->bits + offset / 8, 8);
  return (uint32_t)(word >> offset % 8);
}

// Byte i is all ones where bit i is 1.
AVX2_INLINE __m256i bytes_of_bits(uint32_t bits) {
  const __m256i source = _mm256_setr_epi8(
      0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3,
      3);
  const __m256i each = _mm256_set1_epi64x((int64_t)0x8040201008040201);
  const __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), source);
  return _mm256_cmpeq_epi8(_mm256_and_si256(v, each), each);
}

// Up to 32 bytes; past `count` zeros.
AVX2_INLINE __m256i load_up_to_32(const int8_t *p, int32_t count) {
  if (count >= 32) return _mm256_loadu_si256((const __m256i *)p);
  int8_t bytes[32] = {0};
  for (int32_t i = 0; i < count; i++) bytes[i] = p[i];
  return _mm256_loadu_si256((const __m256i *)bytes);
}

AVX2_INLINE __m256i dot32(__m256i a, __m256i b) {
  const __m256i first = _mm256_madd_epi16(
      _mm256_cvtepi8_epi16(_mm256_castsi256_si128(a)),
      _mm256_cvtepi8_epi16(_mm256_castsi256_si128(b)));
  const __m256i second = _mm256_madd_epi16(
      _mm256_cvtepi8_epi16(_mm256_extracti128_si256(a, 1)),
      _mm256_cvtepi8_epi16(_mm256_extracti128_si256(b, 1)));
  return _mm256_add_epi32(first, second);
}

// 1…4 rows of A against one perturbed row of B whose first element is e.
AVX2_INLINE void perturbed_dots(
    const int rows, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *b, int32_t sigma,
    uint32_t e, struct signs *signs, int32_t *C, ptrdiff_t ldc) {
  const __m256i step = _mm256_set1_epi8((char)sigma);
  const __m256i reach = _mm256_set1_epi8((char)(127 - (sigma < 0 ? -sigma : sigma)));
  __m256i sums[4];
  UNROLLED for (int i = 0; i < rows; i++) sums[i] = _mm256_setzero_si256();
  for (int32_t k = 0; k < K; k += 32) {
    const __m256i negative = bytes_of_bits(signs32(signs, e + (uint32_t)k));
    const __m256i w = load_up_to_32(b + k, K - k), magnitude = _mm256_abs_epi8(w);
    // |−128| is 128 as an unsigned byte, so it is out of reach as it should be.
    const __m256i moves = _mm256_cmpeq_epi8(_mm256_min_epu8(magnitude, reach), magnitude);
    const __m256i add = _mm256_sub_epi8(_mm256_xor_si256(step, negative), negative);
    const __m256i p = _mm256_add_epi8(w, _mm256_and_si256(add, moves));
    UNROLLED for (int i = 0; i < rows; i++)
      sums[i] = _mm256_add_epi32(sums[i], dot32(load_up_to_32(A + i * lda + k, K - k), p));
  }
  UNROLLED for (int i = 0; i < rows; i++) {
    const __m128i half = _mm_add_epi32(
        _mm256_castsi256_si128(sums[i]), _mm256_extracti128_si256(sums[i], 1));
    const __m128i pair = _mm_hadd_epi32(half, half);
    C[i * ldc] = _mm_cvtsi128_si32(_mm_hadd_epi32(pair, pair));
  }
}

AVX2 void tally_avx2_perturb_dot_s8(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    const uint32_t key[2], const uint32_t counter[3], int32_t *C, ptrdiff_t ldc) {
  struct signs signs = {key, counter, 0, 0, {0}};
  for (int32_t m = 0; m < M; m += 4)
    for (int32_t n = 0; n < N; n++) {
      const uint32_t e = first_element + (uint32_t)n * row_elements;
      const int8_t *a = A + m * lda, *b = B + n * ldb;
      int32_t *c = C + m * ldc + n;
      switch (M - m) {
        case 1: perturbed_dots(1, K, a, lda, b, sigma, e, &signs, c, ldc); break;
        case 2: perturbed_dots(2, K, a, lda, b, sigma, e, &signs, c, ldc); break;
        case 3: perturbed_dots(3, K, a, lda, b, sigma, e, &signs, c, ldc); break;
        default: perturbed_dots(4, K, a, lda, b, sigma, e, &signs, c, ldc);
      }
    }
}

#endif
