// The update of a fully connected operation: its weight gradient is made piece by piece and rounded at
// once, so that it never goes to memory as a whole. The same text for every level.
#include "internal.h"

#if TALLY_X86
#include "x86_avx2.h"
#undef UNROLLED
#include "x86_vnni.h"
#endif

enum { piece = 512 };  // a multiple of 8: pieces begin at whole blocks of lanes when rows do

// sums[k] = Σ_b g[b·ldg]·(x[b·ldx + k] − zero_point). Each product stays within 16 bits: 255·128.
TALLY_INLINE void products(
    int32_t count, int32_t samples, const int8_t *g, ptrdiff_t ldg, const int8_t *x, ptrdiff_t ldx,
    int32_t zero_point, int32_t *sums) {
  int started = 0;
  for (int32_t b = 0; b < samples; b++) {
    const int16_t by = g[b * ldg], zero = (int16_t)zero_point;
    const int8_t *from = x + b * ldx;
    if (by == 0) continue;
    if (started)
      for (int32_t k = 0; k < count; k++) sums[k] += (int16_t)((int16_t)(from[k] - zero) * by);
    else
      for (int32_t k = 0; k < count; k++) sums[k] = (int16_t)((int16_t)(from[k] - zero) * by);
    started = 1;
  }
}

TALLY_INLINE int any(int32_t samples, const int8_t *g, ptrdiff_t ldg) {
  for (int32_t b = 0; b < samples; b++)
    if (g[b * ldg] != 0) return 1;
  return 0;
}

#define LEVEL(level, TARGET, SHORTER_WAY)                                                       \
  TARGET int32_t tally_##level##_contribute_product_q16(                                        \
      int32_t rows, int32_t count, int32_t samples, const int8_t *g, ptrdiff_t ldg,             \
      const int8_t *x, ptrdiff_t ldx, int32_t zero_point, int32_t mantissa, int32_t shift,      \
      const uint32_t key[2], const uint32_t counter[3], int32_t clip, int subtract,             \
      int32_t *target, int8_t *weights) {                                                       \
    SHORTER_WAY                                                                                 \
    int32_t sums[piece], clipped = 0;                                                           \
    for (int32_t r = 0; r < rows; r++) {                                                        \
      if (!any(samples, g + r, ldg)) continue;                                                  \
      const ptrdiff_t row = (ptrdiff_t)r * count;                                               \
      for (int32_t k = 0; k < count; k += piece) {                                              \
        const int32_t n = smaller(count - k, piece);                                            \
        products(n, samples, g + r, ldg, x + k, ldx, zero_point, sums);                         \
        clipped += tally_##level##_contribute_q16(                                              \
            n, sums, mantissa, shift, (uint32_t)(row + k), key, counter, clip, subtract,        \
            target + row + k, weights ? weights + row + k : weights);                           \
      }                                                                                         \
    }                                                                                           \
    return clipped;                                                                             \
  }

LEVEL(plain, , )
#if TALLY_X86
LEVEL(avx2, AVX2, )
LEVEL(
    vnni, VNNI __attribute__((min_vector_width(512))),
    if (samples == 1 && shift >= 16 && shift <= 62) return tally_vnni_contribute_outer_q16(
        rows, count, g, x, zero_point, mantissa, shift, key, counter, clip, subtract, target,
        weights);
    if (samples <= TALLY_FEW_SAMPLES && shift >= 1 && shift <= 62)
      return tally_vnni_contribute_few_q16(
          rows, count, samples, g, ldg, x, ldx, zero_point, mantissa, shift, key, counter, clip,
          subtract, target, weights);)
#endif
