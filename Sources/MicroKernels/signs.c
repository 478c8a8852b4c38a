// Signs of zeroth-order directions, put to work where they are drawn (SPEC §8.14, §8.16).
#include "internal.h"

#if TALLY_X86
#include "x86_avx2.h"
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

// sums[i] += ±value
TALLY_INLINE void add_signed_run(int32_t n, int64_t value, uint64_t bits, int64_t *sums) {
  for (int32_t i = 0; i < n; i++) {
    const int64_t negative = -(int64_t)(bits >> i & 1);
    sums[i] += (value ^ negative) - negative;
  }
}

// The sums of elements e…e + n − 1, all in one block of signs.
TALLY_INLINE void signed_sums_run(
    int32_t n, uint32_t e, int32_t entries, const int32_t *differences, const uint32_t key[2],
    const uint32_t counter[3], int32_t *sums) {
  const int32_t low = smaller(n, 64);
  int64_t wide[128] = {0};
  for (int32_t entry = 0; entry < entries; entry++) {
    const uint32_t own[3] = {counter[0], counter[1], counter[2] + (uint32_t)entry};
    if (differences[entry] == 0) continue;
    const struct signs s = signs_from(e, key, own);
    add_signed_run(low, differences[entry], s.low, wide);
    if (n > 64) add_signed_run(n - 64, differences[entry], s.high, wide + 64);
  }
  for (int32_t i = 0; i < n; i++) sums[i] = saturate(wide[i]);
}

TALLY_INLINE void clear_unmoved(int32_t n, const int8_t *w, int32_t reach, int32_t *sums) {
  for (int32_t i = 0; i < n; i++) sums[i] = -reach <= w[i] && w[i] <= reach ? sums[i] : 0;
}

#define LEVEL(level, TARGET)                                                                    \
  TARGET int32_t tally_##level##_perturb_s8(                                                    \
      int32_t count, const int8_t *w, int32_t sigma, uint32_t first_element,                    \
      const uint32_t key[2], const uint32_t counter[3], int8_t *target) {                       \
    const int32_t reach = 127 - (sigma < 0 ? -sigma : sigma);                                   \
    int32_t sum = 0;                                                                            \
    for (int32_t i = 0; i < count;) {                                                           \
      const struct signs s = signs_from(first_element + (uint32_t)i, key, counter);             \
      const int32_t n = smaller(s.count, count - i), low = smaller(n, 64);                      \
      sum += perturb_run(low, w + i, sigma, reach, s.low, target + i);                          \
      if (n > 64) sum += perturb_run(n - 64, w + i + 64, sigma, reach, s.high, target + i + 64); \
      i += n;                                                                                   \
    }                                                                                           \
    return sum;                                                                                 \
  }                                                                                             \
  TARGET void tally_##level##_signed_sums_s32(                                                  \
      int32_t count, uint32_t first_element, int32_t entries, const int32_t *differences,       \
      const uint32_t key[2], const uint32_t counter[3], const int8_t *w, int32_t reach,         \
      int32_t *sums) {                                                                          \
    for (int32_t i = 0; i < count;) {                                                           \
      const uint32_t e = first_element + (uint32_t)i;                                           \
      const int32_t n = smaller((int32_t)(128 - e % 128), count - i);                           \
      signed_sums_run(n, e, entries, differences, key, counter, sums + i);                      \
      if (w) clear_unmoved(n, w + i, reach, sums + i);                                          \
      i += n;                                                                                   \
    }                                                                                           \
  }

LEVEL(plain, )

int32_t tally_plain_contribute_signs_q16(
    int32_t count, int32_t difference, int32_t mantissa, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t signs[3], const uint32_t counter[3], int32_t reach,
    int32_t clip, int32_t *master, int8_t *weights) {
  struct signs own = {0, 0, 0};
  uint32_t block[4];
  int32_t clipped = 0;
  for (int32_t i = 0; i < count; i++) {
    const uint32_t e = first_element + (uint32_t)i;
    if (i == 0 || e % 128 == 0) own = signs_from(e, key, signs);
    if (i == 0 || e % 8 == 0) philox(e / 8, counter, key, block);
    const int32_t v = own.low & 1 ? -difference : difference;
    own.low = own.low >> 1 | own.high << 63;
    own.high >>= 1;
    if (weights[i] < -reach || weights[i] > reach) continue;
    const int32_t d = requantize_stochastic(v, mantissa, shift, lane16(block, e));
    const int32_t bounded = clamp(d, -clip, clip);
    clipped += bounded != d;
    master[i] = wrapping_subtract(master[i], bounded);
    tally_plain_refresh_s8(1, master + i, weights + i);
  }
  return clipped;
}

#if TALLY_X86
LEVEL(avx2, AVX2)

AVX2 int32_t tally_avx2_contribute_signs_q16(
    int32_t count, int32_t difference, int32_t mantissa, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t signs[3], const uint32_t counter[3], int32_t reach,
    int32_t clip, int32_t *master, int8_t *weights) {
  enum { piece = 1024 };
  int32_t sums[piece], clipped = 0;
  for (int32_t i = 0; i < count; i += piece) {
    const int32_t n = smaller(piece, count - i);
    const uint32_t e = first_element + (uint32_t)i;
    tally_avx2_signed_sums_s32(n, e, 1, &difference, key, signs, weights + i, reach, sums);
    clipped += tally_avx2_contribute_q16(
        n, sums, mantissa, shift, e, key, counter, clip, 1, master + i, weights + i);
  }
  return clipped;
}
#endif
