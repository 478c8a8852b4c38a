// Weighted sums of rows with AVX2: two rows per instruction, s16 × s16.
#include "x86_avx2.h"

#if TALLY_X86

enum { batch = 64 };

// n rows, n even.
AVX2_INLINE void add_batch(
    int n, const int8_t *const from[batch], const int16_t by[batch], int32_t count, int32_t *y) {
  int32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m256i low = _mm256_setzero_si256(), high = low;
    for (int q = 0; q < n; q += 2) {
      const __m256i a = load_s16(from[q] + i), b = load_s16(from[q + 1] + i);
      int32_t pair;
      __builtin_memcpy(&pair, by + q, 4);
      const __m256i s = _mm256_set1_epi32(pair);
      low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), s));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), s));
    }
    // The unpacks work in 128-bit lanes: low holds columns 0…3 and 8…11.
    __m256i *out = (__m256i *)(y + i);
    const __m256i first = _mm256_permute2x128_si256(low, high, 0x20);
    const __m256i second = _mm256_permute2x128_si256(low, high, 0x31);
    _mm256_storeu_si256(out, _mm256_add_epi32(_mm256_loadu_si256(out), first));
    _mm256_storeu_si256(out + 1, _mm256_add_epi32(_mm256_loadu_si256(out + 1), second));
  }
  for (; i < count; i++)
    for (int q = 0; q < n; q++) y[i] = wrapping_add(y[i], by[q] * from[q][i]);
}

AVX2 void tally_avx2_add_rows_s8(
    int32_t rows, int32_t count, const int8_t *scalars, ptrdiff_t step, const int8_t *x,
    ptrdiff_t ldx, int32_t *y) {
  const int8_t *from[batch];
  int16_t by[batch];
  for (int32_t r = 0; r < rows;) {
    int n = 0;
    for (; r < rows && n < batch; r++) {
      if (scalars[r * step] == 0) continue;
      from[n] = x + r * ldx;
      by[n++] = scalars[r * step];
    }
    if (n % 2 != 0) {
      from[n] = from[n - 1];
      by[n++] = 0;
    }
    add_batch(n, from, by, count, y);
  }
}

#endif
