// Requantisation, stochastic rounding and updates with AVX2: 8 values as 4 even and 4 odd ones.
//
// Remainders of fewer than 8 go through the scalar functions of internal.h.
#include "x86_avx2.h"
#include "x86_avx2_philox.h"

#if TALLY_X86

AVX2_INLINE __m256i join(__m256i even, __m256i odd) {
  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
AVX2_INLINE __m256i even64(__m256i v) {
  return _mm256_and_si256(v, _mm256_set1_epi64x(0xffffffff));
}
AVX2_INLINE __m256i odd64(__m256i v) { return _mm256_srli_epi64(v, 32); }

// AVX2 has no arithmetic 64-bit shift: move to unsigned, shift, move back.
AVX2_INLINE __m256i shift_right64(__m256i v, __m256i distance) {
  const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
  return _mm256_sub_epi64(
      _mm256_srlv_epi64(_mm256_xor_si256(v, sign), distance), _mm256_srlv_epi64(sign, distance));
}
AVX2_INLINE __m256i clamp64(__m256i v, __m256i low, __m256i high) {
  v = _mm256_blendv_epi8(v, high, _mm256_cmpgt_epi64(v, high));
  return _mm256_blendv_epi8(v, low, _mm256_cmpgt_epi64(low, v));
}
AVX2_INLINE __m256i clamp32(__m256i v, __m256i low, __m256i high) {
  return _mm256_max_epi32(_mm256_min_epi32(v, high), low);
}
AVX2_INLINE __m256i load32(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }

// Eight int32 in −128…127 as bytes.
AVX2_INLINE void store_bytes(int8_t *out, __m256i v) {
  const __m256i words = _mm256_packs_epi32(v, v);
  const __m128i bytes = _mm_packs_epi16(
      _mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  // Lanes 0 and 2 of four dwords hold the two halves.
  const int64_t eight = _mm_cvtsi128_si64(_mm_shuffle_epi32(bytes, 0x08));
  __builtin_memcpy(out, &eight, 8);
}

// ---- Requantisation

struct multipliers {
  __m256i even_mantissa, odd_mantissa, even_shift, odd_shift, even_half, odd_half;
};

AVX2_INLINE struct multipliers prepared(__m256i mantissas, __m256i shifts) {
  const __m256i one = _mm256_set1_epi64x(1);
  struct multipliers m;
  m.even_mantissa = mantissas;
  m.odd_mantissa = odd64(mantissas);
  m.even_shift = even64(shifts);
  m.odd_shift = odd64(shifts);
  m.even_half = _mm256_sllv_epi64(one, _mm256_sub_epi64(m.even_shift, one));
  m.odd_half = _mm256_sllv_epi64(one, _mm256_sub_epi64(m.odd_shift, one));
  return m;
}

// `wide`: some shift is below 31, so the result may need saturation.
AVX2_INLINE __m256i requantize8(const int wide, __m256i v, const struct multipliers *m) {
  __m256i even = _mm256_mul_epi32(v, m->even_mantissa);
  __m256i odd = _mm256_mul_epi32(odd64(v), m->odd_mantissa);
  even = shift_right64(_mm256_add_epi64(even, m->even_half), m->even_shift);
  odd = shift_right64(_mm256_add_epi64(odd, m->odd_half), m->odd_shift);
  if (wide) {
    const __m256i low = _mm256_set1_epi64x(INT32_MIN), high = _mm256_set1_epi64x(INT32_MAX);
    even = clamp64(even, low, high);
    odd = clamp64(odd, low, high);
  }
  return join(even, odd);
}

// Rows are walked as one run of elements; where eight of them cross the end of a row, the
// parameters are copied one by one.
AVX2_INLINE __m256i at_channels(const int32_t *table, int32_t c, int32_t channels) {
  if (c + 8 <= channels) return load32(table + c);
  int32_t wrapped[8];
  for (int i = 0; i < 8; i++) {
    wrapped[i] = table[c];
    if (++c == channels) c = 0;
  }
  return load32(wrapped);
}

AVX2_INLINE void requantize_rows(
    const int per_channel, const int wide, int32_t rows, int32_t channels, const int32_t *acc,
    const int32_t *bias, const int32_t *mantissas, const int32_t *shifts, int32_t zero_point,
    int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  const __m256i lowest = _mm256_set1_epi32(low - zero_point);
  const __m256i highest = _mm256_set1_epi32(high - zero_point);
  const __m256i zero = _mm256_set1_epi32(zero_point);
  const ptrdiff_t total = (ptrdiff_t)rows * channels;
  struct multipliers m;
  if (!per_channel) m = prepared(_mm256_set1_epi32(*mantissas), _mm256_set1_epi32(*shifts));
  int32_t c = 0;
  ptrdiff_t i = 0;
  for (; i + 8 <= total; i += 8) {
    __m256i v = load32(acc + i);
    if (bias) v = _mm256_add_epi32(v, at_channels(bias, c, channels));
    if (per_channel)
      m = prepared(at_channels(mantissas, c, channels), at_channels(shifts, c, channels));
    c += 8;
    if (c >= channels) c %= channels;
    v = requantize8(wide, v, &m);
    const __m256i y = clamp32(v, lowest, highest);
    store_bytes(out + i, _mm256_add_epi32(y, zero));
    if (mask)
      mask[i / 8] =
          (uint8_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(v, y)));
  }
  uint32_t bits = 0;
  for (ptrdiff_t j = i; j < total; j++) {
    const int32_t v = wrapping_add(acc[j], bias ? bias[c] : 0);
    const int32_t at = per_channel ? c : 0;
    int inside;
    out[j] = place(requantize(v, mantissas[at], shifts[at]), zero_point, low, high, &inside);
    bits |= (uint32_t)inside << (j - i);
    if (++c == channels) c = 0;
  }
  if (mask && i < total) mask[i / 8] = (uint8_t)bits;
}

AVX2 void tally_avx2_requantize_bias_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias, int32_t mantissa,
    int32_t shift, int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  if (shift < 1 || shift > 62)
    tally_plain_requantize_bias_s8(
        rows, channels, acc, bias, mantissa, shift, zero_point, low, high, out, mask);
  else if (shift < 31)
    requantize_rows(
        0, 1, rows, channels, acc, bias, &mantissa, &shift, zero_point, low, high, out, mask);
  else
    requantize_rows(
        0, 0, rows, channels, acc, bias, &mantissa, &shift, zero_point, low, high, out, mask);
}

AVX2 void tally_avx2_requantize_channels_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t zero_point, int32_t low,
    int32_t high, int8_t *out, uint8_t *mask) {
  int32_t least = 62, most = 1;
  for (int32_t c = 0; c < channels; c++) {
    if (shifts[c] < least) least = shifts[c];
    if (shifts[c] > most) most = shifts[c];
  }
  if (least < 1 || most > 62)
    tally_plain_requantize_channels_s8(
        rows, channels, acc, bias, mantissas, shifts, zero_point, low, high, out, mask);
  else
    requantize_rows(
        1, 1, rows, channels, acc, bias, mantissas, shifts, zero_point, low, high, out, mask);
}

// ---- Stochastic rounding: shift by `before`, add r & bits, shift by `after`

// 64 lanes; a run of elements ends inside them (see lane_run of the AVX-512 version).
AVX2_INLINE const uint16_t *philox_lanes(
    uint32_t element, const uint32_t counter[3], const uint32_t key[2], uint16_t lanes[64]) {
  __m256i out[4];
  philox8(element / 8, counter, key, out);
  for (int j = 0; j < 4; j++) _mm256_storeu_si256((__m256i *)(lanes + 16 * j), out[j]);
  return lanes + element % 8;
}
AVX2_INLINE __m256i random8(const uint16_t *lanes) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)lanes));
}

AVX2 void tally_avx2_shift_stochastic_s8(
    int32_t count, const int32_t *acc, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t counter[3], int8_t *out, const uint8_t *mask) {
  const int32_t before = shift <= 16 ? 0 : shift - 16, after = shift <= 16 ? shift : 16;
  const __m128i before_count = _mm_cvtsi32_si128(before), after_count = _mm_cvtsi32_si128(after);
  const __m256i bits = _mm256_set1_epi32((1 << after) - 1);
  const __m256i low = _mm256_set1_epi32(-127), high = _mm256_set1_epi32(127);
  const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const int32_t run = first_element % 8 ? 56 : 64;
  uint16_t lanes[64];
  for (int32_t i = 0; i < count; i += run) {
    const uint16_t *r = philox_lanes(first_element + (uint32_t)i, counter, key, lanes);
    const int32_t end = smaller(run, count - i);
    int32_t j = 0;
    for (; j + 8 <= end; j += 8) {
      __m256i v = _mm256_sra_epi32(load32(acc + i + j), before_count);
      v = _mm256_add_epi32(v, _mm256_and_si256(random8(r + j), bits));
      v = clamp32(_mm256_sra_epi32(v, after_count), low, high);
      if (mask) {
        const __m256i byte = _mm256_set1_epi32(mask[(i + j) / 8]);
        v = _mm256_and_si256(v, _mm256_cmpeq_epi32(_mm256_and_si256(byte, each), each));
      }
      store_bytes(out + i + j, v);
    }
    for (; j < end; j++) {
      const int32_t g = clamp(shift_stochastic(acc[i + j], shift, r[j]), -127, 127);
      out[i + j] = (int8_t)(mask && !mask_bit(mask, (size_t)(i + j)) ? 0 : g);
    }
  }
}

// How many of 4 values lie outside low…high.
AVX2_INLINE int32_t outside64(__m256i v, __m256i low, __m256i high) {
  const __m256i out =
      _mm256_or_si256(_mm256_cmpgt_epi64(v, high), _mm256_cmpgt_epi64(low, v));
  return __builtin_popcount((unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(out)));
}

AVX2 int32_t tally_avx2_contribute_q16(
    int32_t count, const int32_t *gradient, int32_t mantissa, int32_t shift,
    uint32_t first_element, const uint32_t key[2], const uint32_t counter[3], int32_t clip,
    int subtract, int32_t *target, int8_t *weights) {
  if (shift < 1 || shift > 62) {
    return tally_plain_contribute_q16(
        count, gradient, mantissa, shift, first_element, key, counter, clip, subtract, target,
        weights);
  }
  const __m256i before = _mm256_set1_epi64x(shift <= 16 ? 0 : shift - 16);
  const __m256i after = _mm256_set1_epi64x(shift <= 16 ? shift : 16);
  const __m256i bits = _mm256_set1_epi32(shift <= 16 ? (1 << shift) - 1 : 0xffff);
  const __m256i m = _mm256_set1_epi32(mantissa);
  const __m256i low = _mm256_set1_epi64x(-(int64_t)clip), high = _mm256_set1_epi64x(clip);
  // d ^ −1 − −1 = −d: one subtraction serves both directions.
  const __m256i flip = _mm256_set1_epi32(subtract ? 0 : -1);
  const int32_t run = first_element % 8 ? 56 : 64;
  uint16_t lanes[64];
  int32_t clipped = 0;
  for (int32_t i = 0; i < count; i += run) {
    const int32_t end = smaller(run, count - i);
    // A gradient of 0 changes nothing, whatever its lane: whole runs of them need no lanes.
    int32_t any = 0;
    for (int32_t j = 0; j < end; j++) any |= gradient[i + j];
    if (any == 0) continue;
    const uint16_t *r16 = philox_lanes(first_element + (uint32_t)i, counter, key, lanes);
    int32_t j = 0;
    for (; j + 8 <= end; j += 8) {
      const __m256i v = load32(gradient + i + j);
      const __m256i r = _mm256_and_si256(random8(r16 + j), bits);
      __m256i even = shift_right64(_mm256_mul_epi32(v, m), before);
      __m256i odd = shift_right64(_mm256_mul_epi32(odd64(v), m), before);
      even = shift_right64(_mm256_add_epi64(even, even64(r)), after);
      odd = shift_right64(_mm256_add_epi64(odd, odd64(r)), after);
      clipped += outside64(even, low, high) + outside64(odd, low, high);
      __m256i d = join(clamp64(even, low, high), clamp64(odd, low, high));
      d = _mm256_sub_epi32(_mm256_xor_si256(d, flip), flip);
      _mm256_storeu_si256(
          (__m256i *)(target + i + j), _mm256_sub_epi32(load32(target + i + j), d));
    }
    for (; j < end; j++) {
      const int32_t d = requantize_stochastic(gradient[i + j], mantissa, shift, r16[j]);
      const int32_t bounded = clamp(d, -clip, clip);
      clipped += bounded != d;
      target[i + j] = wrapping_subtract(target[i + j], subtract ? bounded : -bounded);
    }
    if (weights) tally_avx2_refresh_s8(end, target + i, weights + i);
  }
  return clipped;
}

AVX2 void tally_avx2_refresh_s8(int32_t count, int32_t *master, int8_t *weights) {
  const __m256i low = _mm256_set1_epi32(-127 * 65536), high = _mm256_set1_epi32(127 * 65536);
  const __m256i half = _mm256_set1_epi32(32768);
  int32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i a = clamp32(load32(master + i), low, high);
    _mm256_storeu_si256((__m256i *)(master + i), a);
    store_bytes(weights + i, _mm256_srai_epi32(_mm256_add_epi32(a, half), 16));
  }
  tally_plain_refresh_s8(count - i, master + i, weights + i);
}

// ---- Norms

AVX2 uint32_t tally_avx2_max_magnitude_s32(int32_t count, const int32_t *values) {
  __m256i largest = _mm256_setzero_si256();
  int32_t i = 0;
  for (; i + 8 <= count; i += 8)
    largest = _mm256_max_epu32(largest, _mm256_abs_epi32(load32(values + i)));
  uint32_t lanes[8], rest = tally_plain_max_magnitude_s32(count - i, values + i);
  _mm256_storeu_si256((__m256i *)lanes, largest);
  for (int j = 0; j < 8; j++)
    if (lanes[j] > rest) rest = lanes[j];
  return rest;
}

AVX2_INLINE uint64_t sum64(__m256i v) {
  uint64_t lanes[4];
  _mm256_storeu_si256((__m256i *)lanes, v);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

AVX2 void tally_avx2_sum_squares_s32(
    int32_t count, const int32_t *values, uint64_t halves[2]) {
  const __m256i word = _mm256_set1_epi64x(0xffffffff);
  __m256i low = _mm256_setzero_si256(), high = low;
  int32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i v = load32(values + i);
    const __m256i even = _mm256_mul_epi32(v, v), odd = _mm256_mul_epi32(odd64(v), odd64(v));
    low = _mm256_add_epi64(low, _mm256_and_si256(even, word));
    low = _mm256_add_epi64(low, _mm256_and_si256(odd, word));
    high = _mm256_add_epi64(high, _mm256_srli_epi64(even, 32));
    high = _mm256_add_epi64(high, _mm256_srli_epi64(odd, 32));
  }
  uint64_t sums[8];
  _mm256_storeu_si256((__m256i *)sums, low);
  _mm256_storeu_si256((__m256i *)(sums + 4), high);
  for (int k = 0; k < 4; k++) {
    halves[0] += sums[k];
    halves[1] += sums[4 + k];
  }
  tally_plain_sum_squares_s32(count - i, values + i, halves);
}

AVX2 uint64_t tally_avx2_sum_squares_s8(int32_t count, const int8_t *values) {
  __m256i sum = _mm256_setzero_si256();
  int32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i v = load_s16(values + i), pairs = _mm256_madd_epi16(v, v);
    sum = _mm256_add_epi64(sum, _mm256_add_epi64(even64(pairs), odd64(pairs)));
  }
  return sum64(sum) + tally_plain_sum_squares_s8(count - i, values + i);
}

#endif
