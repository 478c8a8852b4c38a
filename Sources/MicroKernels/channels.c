// Some channels of every position, laid out without the others.
#include "internal.h"

#if TALLY_X86
#include "x86_avx2.h"
#endif

void tally_plain_gather_channels_s8(
    int32_t positions, int32_t stride, const int32_t *channels, int32_t count,
    const int8_t *source, int8_t *target) {
  for (int32_t p = 0; p < positions; p++, source += stride, target += count)
    for (int32_t j = 0; j < count; j++) target[j] = source[channels[j]];
}

#if TALLY_X86
// Channels that lie within 16 bytes are brought together by one shuffle.
struct shuffle {
  __m128i order;
  int32_t from, to;  // channel and place of the first
};

enum { most_shuffles = 32 };

// How many are needed; 0 if too many.
AVX2_INLINE int32_t shuffles(
    const int32_t *channels, int32_t count, struct shuffle list[most_shuffles]) {
  int32_t used = 0;
  for (int32_t j = 0; j < count; used++) {
    if (used == most_shuffles) return 0;
    int8_t order[16] = {0};
    const int32_t from = channels[j], to = j;
    for (; j < count && channels[j] >= from && channels[j] < from + 16 && j < to + 16; j++)
      order[j - to] = (int8_t)(channels[j] - from);
    list[used] = (struct shuffle){_mm_loadu_si128((const __m128i *)order), from, to};
  }
  return used;
}

// 16 bytes are read and written for each; what lies behind the channels is written after it.
AVX2_INLINE void gather_position(
    int32_t used, const struct shuffle *list, const int8_t *source, int8_t *target) {
  for (int32_t i = 0; i < used; i++)
    _mm_storeu_si128(
        (__m128i *)(target + list[i].to),
        _mm_shuffle_epi8(
            _mm_loadu_si128((const __m128i *)(source + list[i].from)), list[i].order));
}

// Positions before the last that `beyond` more bytes reach behind.
TALLY_INLINE int32_t positions_before(int32_t positions, int32_t size, int32_t beyond) {
  const int32_t last = (beyond + size - 1) / size;
  return last < positions ? positions - last : 0;
}

AVX2 void tally_avx2_gather_channels_s8(
    int32_t positions, int32_t stride, const int32_t *channels, int32_t count,
    const int8_t *source, int8_t *target) {
  struct shuffle list[most_shuffles];
  if (count == 0) return;
  const int32_t used = shuffles(channels, count, list);
  int32_t whole = 0;
  if (used > 0) {
    int32_t most = 0;
    for (int32_t i = 0; i < used; i++) most = list[i].from > most ? list[i].from : most;
    whole = smaller(
        positions_before(positions, stride, most + 16),
        positions_before(positions, count, list[used - 1].to + 16));
  }
  const int8_t *from = source;
  int8_t *to = target;
  if (used == 1)
    for (int32_t p = 0; p < whole; p++, from += stride, to += count)
      gather_position(1, list, from, to);
  else
    for (int32_t p = 0; p < whole; p++, from += stride, to += count)
      gather_position(used, list, from, to);
  tally_plain_gather_channels_s8(positions - whole, stride, channels, count, from, to);
}
#endif
