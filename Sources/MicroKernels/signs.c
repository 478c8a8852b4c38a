// Signs of zeroth-order directions, put to work where they are drawn (SPEC §8.14, §8.16).
#include "internal.h"

#if TALLY_X86
#include "x86_avx2.h"
#undef UNROLLED
#include "x86_vnni.h"
#endif

// The signs of elements e…e + 127 of one block, from the one of e on: bit 1 is −1.
struct signs {
  uint64_t low, high;
  int32_t count;  // up to the end of the block
};

TALLY_INLINE struct signs signs_from(
    uint32_t e, const uint32_t key[2], const uint32_t counter[3]) {
  uint32_t block[4];
  philox(e / 128, counter, key, block);
  uint64_t low = block[0] | (uint64_t)block[1] << 32, high = block[2] | (uint64_t)block[3] << 32;
  const uint32_t skip = e % 128;
  if (skip >= 64) {
    low = high >> (skip - 64);
    high = 0;
  } else if (skip > 0) {
    low = low >> skip | high << (64 - skip);
    high >>= skip;
  }
  return (struct signs){low, high, (int32_t)(128 - skip)};
}

TALLY_INLINE int32_t perturb_run(
    int32_t n, const int8_t *w, int32_t sigma, int32_t reach, uint64_t bits, int8_t *target) {
  int32_t sum = 0;
  for (int32_t i = 0; i < n; i++) {
    const int32_t step = bits >> i & 1 ? -sigma : sigma, value = w[i];
    const int32_t moved = -reach <= value && value <= reach ? value + step : value;
    target[i] = (int8_t)moved;
    sum += moved;
  }
  return sum;
}

#if TALLY_X86
VNNI_INLINE int32_t perturb_run_vnni(
    int32_t n, const int8_t *w, int32_t sigma, int32_t reach, uint64_t bits, int8_t *target) {
  const __mmask64 present = first64(n);
  const __m512i v = _mm512_maskz_loadu_epi8(present, w), s = _mm512_set1_epi8((char)sigma);
  const __mmask64 moves =
      _mm512_mask_cmple_epu8_mask(present, _mm512_abs_epi8(v), _mm512_set1_epi8((char)reach));
  __m512i moved = _mm512_mask_add_epi8(v, moves & ~bits, v, s);
  moved = _mm512_mask_sub_epi8(moved, moves & bits, v, s);
  _mm512_mask_storeu_epi8(target, present, moved);
  return _mm512_reduce_add_epi32(
      _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), moved));
}
#endif

// sums[i] += ±value
TALLY_INLINE void add_signed_run(int32_t n, int64_t value, uint64_t bits, int64_t *sums) {
  for (int32_t i = 0; i < n; i++) {
    const int64_t negative = -(int64_t)(bits >> i & 1);
    sums[i] += (value ^ negative) - negative;
  }
}

#define LEVEL(level, TARGET, run)                                                               \
  TARGET int32_t tally_##level##_perturb_s8(                                                    \
      int32_t count, const int8_t *w, int32_t sigma, uint32_t first_element,                    \
      const uint32_t key[2], const uint32_t counter[3], int8_t *target) {                       \
    const int32_t reach = 127 - (sigma < 0 ? -sigma : sigma);                                   \
    int32_t sum = 0;                                                                            \
    for (int32_t i = 0; i < count;) {                                                           \
      const struct signs s = signs_from(first_element + (uint32_t)i, key, counter);             \
      const int32_t n = smaller(s.count, count - i), low = smaller(n, 64);                      \
      sum += run(low, w + i, sigma, reach, s.low, target + i);                                  \
      if (n > 64) sum += run(n - 64, w + i + 64, sigma, reach, s.high, target + i + 64);        \
      i += n;                                                                                   \
    }                                                                                           \
    return sum;                                                                                 \
  }                                                                                             \
  TARGET void tally_##level##_add_signed_s64(                                                   \
      int32_t count, int32_t value, uint32_t first_element, const uint32_t key[2],              \
      const uint32_t counter[3], int64_t *sums) {                                               \
    for (int32_t i = 0; i < count;) {                                                           \
      const struct signs s = signs_from(first_element + (uint32_t)i, key, counter);             \
      const int32_t n = smaller(s.count, count - i), low = smaller(n, 64);                      \
      add_signed_run(low, value, s.low, sums + i);                                              \
      if (n > 64) add_signed_run(n - 64, value, s.high, sums + i + 64);                         \
      i += n;                                                                                   \
    }                                                                                           \
  }

LEVEL(plain, , perturb_run)
#if TALLY_X86
LEVEL(avx2, AVX2, perturb_run)
LEVEL(vnni, VNNI __attribute__((min_vector_width(512))), perturb_run_vnni)
#endif
