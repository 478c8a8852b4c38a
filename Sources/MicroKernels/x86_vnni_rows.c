// Weighted sums of rows with AVX-512 VNNI: four rows per instruction, u8 × s8.
#include "x86_vnni.h"

#if TALLY_X86

enum { batch = 64 };

// n rows, n a multiple of 4. Flipping the top bit makes x + 128 of x, for which 128·Σ by is taken off.
VNNI_INLINE void add_batch(
    int n, const int8_t *const from[batch], const int8_t by[batch], int32_t sum, int32_t count,
    int32_t *y) {
  const __m512i top = _mm512_set1_epi8(-128);
  const __m512i correction = _mm512_set1_epi32((int32_t)((uint32_t)sum * (uint32_t)-128));
  for (int32_t i = 0; i < count; i += 64) {
    const __mmask64 columns = first64(count - i);
    __m512i sums[4] = {correction, correction, correction, correction};
    for (int q = 0; q < n; q += 4) {
      __m512i v[4];
      UNROLLED for (int j = 0; j < 4; j++)
        v[j] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(columns, from[q + j] + i), top);
      interleave4(v);
      int32_t quad;
      __builtin_memcpy(&quad, by + q, 4);
      const __m512i s = _mm512_set1_epi32(quad);
      UNROLLED for (int j = 0; j < 4; j++) sums[j] = _mm512_dpbusd_epi32(sums[j], v[j], s);
    }
    UNROLLED for (int j = 0; j < 4; j++) {
      if (count - i <= 16 * j) break;
      const __mmask16 mask = first16(count - i - 16 * j);
      int32_t *out = y + i + 16 * j;
      _mm512_mask_storeu_epi32(
          out, mask, _mm512_add_epi32(_mm512_maskz_loadu_epi32(mask, out), sums[j]));
    }
  }
}

VNNI void tally_vnni_add_rows_s8(
    int32_t rows, int32_t count, const int8_t *scalars, ptrdiff_t step, const int8_t *x,
    ptrdiff_t ldx, int32_t *y) {
  const int8_t *from[batch];
  int8_t by[batch];
  for (int32_t r = 0; r < rows;) {
    int n = 0;
    int32_t sum = 0;
    for (; r < rows && n < batch; r++) {
      const int8_t scalar = scalars[r * step];
      if (scalar == 0) continue;
      from[n] = x + r * ldx;
      by[n++] = scalar;
      sum += scalar;
    }
    for (; n % 4 != 0; n++) {
      from[n] = from[n - 1];
      by[n] = 0;
    }
    add_batch(n, from, by, sum, count, y);
  }
}

#endif
