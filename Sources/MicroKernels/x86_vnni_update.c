// Updates of weights with AVX-512 VNNI: stochastic rounding, masters, and the weights they show.
//
// D = (((v·m) >> before) + r) >> 16 takes 46 bits where v has 15. It is also
// ⌊(v·m + r·2^before) / 2^shift⌋, which 32 bits give exactly: with m = high·2^16 + low only the carry
// ⌊(v·low + r·2^before) / 2^16⌋ joins v·high. Both products are one vpdpwssd each, a sum of products of
// 16 bits.
#include "x86_vnni.h"
#include "x86_vnni_philox.h"

#if TALLY_X86

// For other cores the compiler makes two instructions of vpdpwssd, which is no faster there.
#define UPDATE \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512cd,avx512vnni,popcnt,tune=znver4")))
#define UPDATE_INLINE TALLY_INLINE UPDATE

// How D is computed: the first of these that is exact for all values of a run. Of the first three the values
// have 15 bits, and the shift is at least 16.
enum arithmetic {
  carries,         // before 0…14
  carries_signed,  // before 15: r less 2^15, since r·2^15 would fill the lower half
  halves,          // before 16…46
  narrow,          // 64-bit products that fit 31 bits behind `before`
  middle,          // D fits 31 bits
  wide,            // any value
};

struct update {
  // What values are multiplied by: of the first three ways two pairs of 16 bits, else 32 bits twice.
  __m512i high, low;
  __m128i before, after, beyond;  // beyond: of `halves`, what of `before` exceeds 16
  __m512i bits;
  int32_t shift, clip;
  int subtract;
};

// All but the factors. Shifts 1…62.
UPDATE_INLINE struct update prepared(int32_t shift, int32_t clip, int subtract) {
  const struct stochastic_shift s = split(shift);
  struct update u;
  u.high = u.low = _mm512_setzero_si512();
  u.before = _mm_cvtsi32_si128(s.before);
  u.after = _mm_cvtsi32_si128(s.after);
  u.beyond = _mm_cvtsi32_si128(s.before - 16);
  u.bits = _mm512_set1_epi32((int32_t)s.bits);
  u.shift = shift;
  u.clip = clip;
  u.subtract = subtract;
  return u;
}

TALLY_INLINE enum arithmetic short_way(int32_t shift) {
  return shift < 31 ? carries : shift == 31 ? carries_signed : halves;
}

// D of 16 values; only `wide` clips them, and adds to `clipped`. Absent values are 0 and draw less than 1.
UPDATE_INLINE __m512i change16(
    const enum arithmetic way, const struct update *u, __m512i v, __m512i r, int32_t *clipped) {
  if (way == carries)
    return _mm512_sra_epi32(
        _mm512_dpwssd_epi32(
            _mm512_srai_epi32(_mm512_dpwssd_epi32(_mm512_sll_epi32(r, u->before), v, u->low), 16),
            v, u->high),
        u->before);
  if (way == carries_signed) {
    const __m512i lanes = _mm512_slli_epi32(_mm512_sub_epi32(r, _mm512_set1_epi32(1 << 15)), 15);
    const __m512i carry = _mm512_srai_epi32(_mm512_dpwssd_epi32(lanes, v, u->low), 16);
    return _mm512_srai_epi32(
        _mm512_dpwssd_epi32(_mm512_add_epi32(carry, _mm512_set1_epi32(1 << 14)), v, u->high), 15);
  }
  if (way == halves) {
    const __m512i carry = _mm512_srai_epi32(_mm512_madd_epi16(v, u->low), 16);
    const __m512i sum = _mm512_sra_epi32(_mm512_dpwssd_epi32(carry, v, u->high), u->beyond);
    return _mm512_srai_epi32(_mm512_add_epi32(sum, r), 16);
  }
  r = _mm512_and_si512(r, u->bits);
  __m512i even = _mm512_sra_epi64(_mm512_mul_epi32(v, u->low), u->before);
  __m512i odd = _mm512_sra_epi64(_mm512_mul_epi32(odd64(v), u->low), u->before);
  if (way == narrow) return _mm512_sra_epi32(_mm512_add_epi32(join(even, odd), r), u->after);
  even = _mm512_sra_epi64(_mm512_add_epi64(even, even64(r)), u->after);
  odd = _mm512_sra_epi64(_mm512_add_epi64(odd, odd64(r)), u->after);
  if (way == middle) return join(even, odd);
  const __m512i low = _mm512_set1_epi64(-(int64_t)u->clip), high = _mm512_set1_epi64(u->clip);
  const __m512i e = clamp64(even, low, high), o = clamp64(odd, low, high);
  *clipped += __builtin_popcount(_mm512_cmpneq_epi64_mask(e, even));
  *clipped += __builtin_popcount(_mm512_cmpneq_epi64_mask(o, odd));
  return join(e, o);
}

UPDATE_INLINE __m512i clipped16(const struct update *u, __m512i d, int32_t *clipped) {
  const __m512i bounded = _mm512_max_epi32(
      _mm512_min_epi32(d, _mm512_set1_epi32(u->clip)), _mm512_set1_epi32(-u->clip));
  *clipped += __builtin_popcount(_mm512_cmpneq_epi32_mask(bounded, d));
  return bounded;
}

UPDATE_INLINE __m512i bounded_masters(__m512i a) {
  return _mm512_max_epi32(
      _mm512_min_epi32(a, _mm512_set1_epi32(127 * 65536)), _mm512_set1_epi32(-127 * 65536));
}

// (a + 2^15) >> 16 of 64 bounded masters: with one bit more than wanted they fit 16 bits, where vpmulhrsw by
// 2^14 is (a + 1) >> 1.
UPDATE_INLINE __m512i weights64(const __m512i masters[4]) {
  const __m512i half = _mm512_set1_epi16(1 << 14);
  __m512i a[4];
  UNROLLED for (int k = 0; k < 4; k++) a[k] = _mm512_srai_epi32(masters[k], 15);
  // The packs leave the dwords in the order that `ordered` undoes.
  return ordered(_mm512_packs_epi16(
      _mm512_mulhrs_epi16(_mm512_packs_epi32(a[0], a[1]), half),
      _mm512_mulhrs_epi16(_mm512_packs_epi32(a[2], a[3]), half)));
}

// Up to 16 masters, and if asked their weights. A store under a mask takes long.
UPDATE_INLINE void store16(__mmask16 present, __m512i a, int32_t *target, int8_t *weights) {
  const __m128i w = _mm512_cvtepi32_epi8(
      _mm512_srai_epi32(_mm512_add_epi32(a, _mm512_set1_epi32(1 << 15)), 16));
  if (present == 0xffff) {
    _mm512_storeu_si512(target, a);
    if (weights) _mm_storeu_si128((__m128i *)weights, w);
  } else {
    _mm512_mask_storeu_epi32(target, present, a);
    if (weights) _mm_mask_storeu_epi8(weights, present, w);
  }
}

UPDATE_INLINE int32_t change_values(
    const enum arithmetic way, const struct update *u, int may_clip, int32_t count,
    const int32_t *values, const uint16_t *lanes, int32_t *target, int8_t *weights) {
  int32_t clipped = 0, i = 0;
  for (; i + 64 <= count; i += 64) {
    __m512i d[4], a[4];
    UNROLLED for (int k = 0; k < 4; k++)
      d[k] = change16(
          way, u, _mm512_loadu_si512(values + i + 16 * k), random16(lanes + i + 16 * k), &clipped);
    if (way != wide && may_clip)
      UNROLLED for (int k = 0; k < 4; k++) d[k] = clipped16(u, d[k], &clipped);
    UNROLLED for (int k = 0; k < 4; k++) a[k] = _mm512_loadu_si512(target + i + 16 * k);
    if (weights) {
      UNROLLED for (int k = 0; k < 4; k++) a[k] = bounded_masters(_mm512_sub_epi32(a[k], d[k]));
      _mm512_storeu_si512(weights + i, weights64(a));
    } else if (u->subtract) {
      UNROLLED for (int k = 0; k < 4; k++) a[k] = _mm512_sub_epi32(a[k], d[k]);
    } else {
      UNROLLED for (int k = 0; k < 4; k++) a[k] = _mm512_add_epi32(a[k], d[k]);
    }
    UNROLLED for (int k = 0; k < 4; k++) _mm512_storeu_si512(target + i + 16 * k, a[k]);
  }
  for (; i < count; i += 16) {
    const __mmask16 present = first16(count - i);
    __m512i d = change16(
        way, u, _mm512_maskz_loadu_epi32(present, values + i), random16(lanes + i), &clipped);
    if (way != wide && may_clip) d = clipped16(u, d, &clipped);
    __m512i a = _mm512_maskz_loadu_epi32(present, target + i);
    a = u->subtract ? _mm512_sub_epi32(a, d) : _mm512_add_epi32(a, d);
    if (weights) a = bounded_masters(a);
    store16(present, a, target + i, weights ? weights + i : weights);
  }
  return clipped;
}

#define WAY(way) \
  case way: return change_values(way, u, may_clip, count, values, lanes, target, weights);

UPDATE_INLINE int32_t change_short(
    enum arithmetic way, const struct update *u, int may_clip, int32_t count,
    const int32_t *values, const uint16_t *lanes, int32_t *target, int8_t *weights) {
  switch (way) {
    WAY(carries)
    WAY(carries_signed)
    default: WAY(halves)
  }
}
UPDATE static int32_t change(
    enum arithmetic way, const struct update *u, int may_clip, int32_t count,
    const int32_t *values, const uint16_t *lanes, int32_t *target, int8_t *weights) {
  switch (way) {
    WAY(narrow)
    WAY(middle)
    WAY(wide)
    default: return change_short(way, u, may_clip, count, values, lanes, target, weights);
  }
}

// ---- Runs: 32 blocks of lanes at once

enum { blocks_at_once = 32, lanes_at_once = 8 * blocks_at_once };

TALLY_INLINE int32_t run_length(uint32_t first_element) {
  return first_element % 8 ? lanes_at_once - 8 : lanes_at_once;
}

// The lanes of `count` elements, of no more blocks than needed. Those of the last 16 may be read whole.
UPDATE_INLINE const uint16_t *run_lanes(
    const struct philox_stream *s, uint32_t element, int32_t count,
    uint16_t lanes[lanes_at_once + 16]) {
  const int32_t needed = (int32_t)(element % 8) + count;
  uint32_t block = element / 8;
  uint16_t *to = lanes;
  __m512i out[8];
  if (needed > 192) {
    philox16_times(2, s, block, out);
    UNROLLED for (int j = 0; j < 8; j++) _mm512_storeu_si512(lanes + 32 * j, out[j]);
    return lanes + element % 8;
  }
  int32_t left = needed;
  if (left > 64) {
    philox16(s, block, out);
    UNROLLED for (int j = 0; j < 4; j++) _mm512_storeu_si512(to + 32 * j, out[j]);
    block += 16;
    to += 128;
    left -= 128;
  }
  if (left > 0) {
    philox_half(s, block, out);
    UNROLLED for (int j = 0; j < 2; j++) _mm512_storeu_si512(to + 32 * j, out[j]);
  }
  return lanes + element % 8;
}

// The least n with value < 2^n.
TALLY_INLINE int bit_length(uint64_t value) { return value ? 64 - __builtin_clzll(value) : 0; }

// Whether |D| can exceed the clip, if |v·m| < 2^bits.
TALLY_INLINE int may_exceed(int32_t clip, int bits, int32_t shift) {
  return clip < 2 || (bits > shift && (bits - shift > 30 || 1 << (bits - shift) > clip));
}

UPDATE_INLINE uint32_t size_of(int32_t count, const int32_t *values) {
  __m512i s[4];
  int32_t i = 0;
  UNROLLED for (int k = 0; k < 4; k++) s[k] = _mm512_setzero_si512();
  for (; i + 64 <= count; i += 64)
    UNROLLED for (int k = 0; k < 4; k++)
      s[k] = _mm512_or_si512(s[k], _mm512_abs_epi32(_mm512_loadu_si512(values + i + 16 * k)));
  for (; i < count; i += 16)
    s[0] = _mm512_or_si512(
        s[0], _mm512_abs_epi32(_mm512_maskz_loadu_epi32(first16(count - i), values + i)));
  return (uint32_t)_mm512_reduce_or_epi32(
      _mm512_or_si512(_mm512_or_si512(s[0], s[1]), _mm512_or_si512(s[2], s[3])));
}

// The two updates that values of any size may take.
struct updates {
  struct update whole, halved;
  int can_halve;
};

UPDATE_INLINE struct updates prepared_both(
    int32_t mantissa, int32_t shift, int32_t clip, int subtract) {
  struct updates u;
  u.whole = u.halved = prepared(shift, clip, subtract);
  u.whole.low = u.whole.high = _mm512_set1_epi32(mantissa);
  // The lower half as a signed number; a value's own upper half counts for nothing.
  const int32_t low = (int16_t)mantissa, high = (int32_t)(((int64_t)mantissa - low) >> 16);
  u.halved.low = _mm512_set1_epi32(low & 0xffff);
  u.halved.high = _mm512_set1_epi32(high);
  u.can_halve = shift >= 16 && high < 1 << 15;
  return u;
}

// Values of `size`, all their bits.
UPDATE_INLINE int32_t change_any(
    const struct updates *u, uint32_t size, int32_t count, const int32_t *values,
    const uint16_t *lanes, int32_t *target, int8_t *weights) {
  const int32_t shift = u->whole.shift;
  // |v·m| < 2^bits.
  const int bits = bit_length(size) + 31;
  const int is_halved = u->can_halve && size < 1 << 15;
  const enum arithmetic way = is_halved                                    ? short_way(shift)
                              : bits - (shift > 16 ? shift - 16 : 0) <= 30 ? narrow
                              : bits - shift <= 30                         ? middle
                                                                           : wide;
  return change(
      way, is_halved ? &u->halved : &u->whole, may_exceed(u->whole.clip, bits, shift), count,
      values, lanes, target, weights);
}

UPDATE int32_t tally_vnni_contribute_q16(
    int32_t count, const int32_t *gradient, int32_t mantissa, int32_t shift,
    uint32_t first_element, const uint32_t key[2], const uint32_t counter[3], int32_t clip,
    int subtract, int32_t *target, int8_t *weights) {
  if (shift < 1 || shift > 62) {
    return tally_plain_contribute_q16(
        count, gradient, mantissa, shift, first_element, key, counter, clip, subtract, target,
        weights);
  }
  const struct updates u = prepared_both(mantissa, shift, clip, subtract);
  const struct philox_stream stream = philox_stream(key, counter);
  const int32_t run = run_length(first_element);
  _Alignas(64) uint16_t lanes[lanes_at_once + 16] = {0};
  int32_t clipped = 0;
  for (int32_t i = 0; i < count; i += run) {
    const int32_t n = smaller(run, count - i);
    const uint32_t size = size_of(n, gradient + i);
    // A gradient of 0 changes nothing, whatever its lane: whole runs of them need no lanes.
    if (size == 0) continue;
    const uint16_t *r = run_lanes(&stream, first_element + (uint32_t)i, n, lanes);
    clipped +=
        change_any(&u, size, n, gradient + i, r, target + i, weights ? weights + i : weights);
  }
  return clipped;
}

// ---- Products of one sample
//
// v = x·g is never made: m·g is, once for each row. It has 38 bits, which two pairs hold where x, of 9
// bits, comes with 128·x.

enum { columns_at_once = 1024 };

// The pairs (x, 128·x) of x less the zero point. Returns the bits of all sizes.
UPDATE_INLINE uint32_t columns(
    int32_t count, const int8_t *x, int32_t zero_point, int32_t *pairs) {
  const __m512i zero = _mm512_set1_epi32(zero_point);
  __m512i sizes = _mm512_setzero_si512();
  for (int32_t i = 0; i < count; i += 16) {
    const __mmask16 present = first16(count - i);
    const __m512i v = _mm512_maskz_sub_epi32(
        present, _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(present, x + i)), zero);
    sizes = _mm512_or_si512(sizes, _mm512_abs_epi32(v));
    // The lower halves from v, the upper ones from 2^23·v.
    _mm512_mask_storeu_epi32(
        pairs + i, present, _mm512_mask_blend_epi16(0xaaaaaaaa, v, _mm512_slli_epi32(v, 23)));
  }
  return (uint32_t)_mm512_reduce_or_epi32(sizes);
}

// A factor's pair for such pairs.
UPDATE_INLINE __m512i factors(int32_t factor) {
  return _mm512_set1_epi32((int32_t)((uint32_t)(factor >> 7) << 16 | ((uint32_t)factor & 127)));
}

UPDATE int32_t tally_vnni_contribute_outer_q16(
    int32_t rows, int32_t count, const int8_t *g, const int8_t *x, int32_t zero_point,
    int32_t mantissa, int32_t shift, const uint32_t key[2], const uint32_t counter[3],
    int32_t clip, int subtract, int32_t *target, int8_t *weights) {
  struct update u = prepared(shift, clip, subtract);
  const struct philox_stream stream = philox_stream(key, counter);
  const enum arithmetic way = short_way(shift);
  _Alignas(64) uint16_t lanes[lanes_at_once + 16] = {0};
  _Alignas(64) int32_t values[columns_at_once];
  int32_t clipped = 0;
  for (int32_t first = 0; first < count; first += columns_at_once) {
    const int32_t here = smaller(columns_at_once, count - first);
    const uint32_t size = columns(here, x + first, zero_point, values);
    // Where x is 0 at both ends (the border of a picture), no row changes.
    int32_t from = 0, to = here;
    while (to > 0 && values[to - 1] == 0) to--;
    while (from < to && values[from] == 0) from++;
    from = from / 64 * 64;
    for (int32_t r = 0; r < rows; r++) {
      if (g[r] == 0) continue;
      const int64_t factor = (int64_t)g[r] * mantissa;
      u.low = factors((int32_t)(factor & 0xffff));
      u.high = factors((int32_t)(factor >> 16));
      const int bits = bit_length((uint64_t)size * (uint64_t)(factor < 0 ? -factor : factor));
      const int may_clip = may_exceed(clip, bits, shift);
      const ptrdiff_t row = (ptrdiff_t)r * count + first;
      const int32_t run = run_length((uint32_t)row);
      for (int32_t i = from; i < to; i += run) {
        const int32_t n = smaller(run, to - i);
        const uint16_t *random =
            run_lanes(&stream, (uint32_t)row + (uint32_t)i, n, lanes);
        clipped += change_short(
            way, &u, may_clip, n, values + i, random, target + row + i,
            weights ? weights + row + i : weights);
      }
    }
  }
  return clipped;
}

// ---- Products of a few samples: two of them per vpdpwssd

enum { few_columns = 512 };

// Pairs (x0, x1) less the zero point; without x1 its half is 0. Whole vectors are written.
UPDATE_INLINE void two_samples(
    int32_t count, const int8_t *x0, const int8_t *x1, int32_t zero_point, int32_t *pairs) {
  const __m512i zero = _mm512_set1_epi32(zero_point);
  for (int32_t i = 0; i < count; i += 16) {
    const __mmask16 present = first16(count - i);
    __m512i v = _mm512_maskz_sub_epi32(
        present, _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(present, x0 + i)), zero);
    __m512i w = _mm512_setzero_si512();
    if (x1)
      w = _mm512_maskz_sub_epi32(
          present, _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(present, x1 + i)), zero);
    v = _mm512_mask_blend_epi16(0xaaaaaaaa, v, _mm512_slli_epi32(w, 16));
    _mm512_store_si512(pairs + i, v);
  }
}

// values = Σ of n pairs' products, from column i on. Returns the bits of all sizes.
UPDATE_INLINE uint32_t sums_of_pairs(
    const int n, int32_t count, int32_t i, const int32_t *const of[], const __m512i by[],
    int32_t *values) {
  __m512i sizes = _mm512_setzero_si512();
  for (int32_t j = 0; j < count; j += 16) {
    __m512i v = _mm512_setzero_si512();
    UNROLLED for (int p = 0; p < n; p++)
      v = _mm512_dpwssd_epi32(v, _mm512_loadu_si512(of[p] + i + j), by[p]);
    sizes = _mm512_or_si512(sizes, _mm512_abs_epi32(v));
    _mm512_store_si512(values + j, v);
  }
  return (uint32_t)_mm512_reduce_or_epi32(sizes);
}

UPDATE int32_t tally_vnni_contribute_few_q16(
    int32_t rows, int32_t count, int32_t samples, const int8_t *g, ptrdiff_t ldg, const int8_t *x,
    ptrdiff_t ldx, int32_t zero_point, int32_t mantissa, int32_t shift, const uint32_t key[2],
    const uint32_t counter[3], int32_t clip, int subtract, int32_t *target, int8_t *weights) {
  const struct updates u = prepared_both(mantissa, shift, clip, subtract);
  const struct philox_stream stream = philox_stream(key, counter);
  _Alignas(64) int32_t pairs[TALLY_FEW_SAMPLES / 2][few_columns], values[lanes_at_once];
  _Alignas(64) uint16_t lanes[lanes_at_once + 16] = {0};
  const int32_t pair_count = (samples + 1) / 2;
  int32_t clipped = 0;
  for (int32_t first = 0; first < count; first += few_columns) {
    const int32_t here = smaller(few_columns, count - first);
    for (int32_t p = 0; p < pair_count; p++)
      two_samples(
          here, x + 2 * p * ldx + first, 2 * p + 1 < samples ? x + (2 * p + 1) * ldx + first : NULL,
          zero_point, pairs[p]);
    for (int32_t r = 0; r < rows; r++) {
      __m512i by[TALLY_FEW_SAMPLES / 2];
      const int32_t *of[TALLY_FEW_SAMPLES / 2];
      int32_t n = 0;
      for (int32_t p = 0; p < pair_count; p++) {
        const int32_t g0 = g[2 * p * ldg + r];
        const int32_t g1 = 2 * p + 1 < samples ? g[(2 * p + 1) * ldg + r] : 0;
        if (g0 == 0 && g1 == 0) continue;
        by[n] = _mm512_set1_epi32((int32_t)((uint32_t)g1 << 16 | ((uint32_t)g0 & 0xffff)));
        of[n++] = pairs[p];
      }
      if (n == 0) continue;
      const ptrdiff_t row = (ptrdiff_t)r * count + first;
      const int32_t run = run_length((uint32_t)row);
      for (int32_t i = 0; i < here; i += run) {
        const int32_t length = smaller(run, here - i);
        const uint32_t size = n == 1   ? sums_of_pairs(1, length, i, of, by, values)
                              : n == 2 ? sums_of_pairs(2, length, i, of, by, values)
                              : n == 3 ? sums_of_pairs(3, length, i, of, by, values)
                                       : sums_of_pairs(4, length, i, of, by, values);
        if (size == 0) continue;
        const uint16_t *random = run_lanes(&stream, (uint32_t)row + (uint32_t)i, length, lanes);
        clipped += change_any(
            &u, size, length, values, random, target + row + i,
            weights ? weights + row + i : weights);
      }
    }
  }
  return clipped;
}

// ---- Refresh

UPDATE void tally_vnni_refresh_s8(int32_t count, int32_t *master, int8_t *weights) {
  int32_t i = 0;
  for (; i + 64 <= count; i += 64) {
    __m512i a[4];
    UNROLLED for (int k = 0; k < 4; k++) {
      a[k] = bounded_masters(_mm512_loadu_si512(master + i + 16 * k));
      _mm512_storeu_si512(master + i + 16 * k, a[k]);
    }
    _mm512_storeu_si512(weights + i, weights64(a));
  }
  for (; i < count; i += 16) {
    const __mmask16 present = first16(count - i);
    const __m512i a = bounded_masters(_mm512_maskz_loadu_epi32(present, master + i));
    store16(present, a, master + i, weights + i);
  }
}

// ---- Updates by one direction

// D of 16 values with their signs, and the masters that follow. A weight that was not moved has the one it had.
UPDATE_INLINE __m512i step16(
    __m512i positive, __m512i negative, __mmask16 minus, __mmask16 moved, __m512i r, __m512i a) {
  const __m512i d = _mm512_add_epi32(_mm512_mask_blend_epi32(minus, positive, negative), r);
  return bounded_masters(_mm512_mask_sub_epi32(a, moved, a, _mm512_srai_epi32(d, 16)));
}

UPDATE int32_t tally_vnni_contribute_signs_q16(
    int32_t count, int32_t difference, int32_t mantissa, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t counter_of_signs[3], const uint32_t counter[3],
    int32_t reach, int32_t clip, int32_t *master, int8_t *weights) {
  const int64_t product = (int64_t)difference * mantissa;
  const int64_t size = product < 0 ? -product : product;
  const int32_t before = shift - 16;
  // There are two values to round: what they are before their lanes, if 32 bits hold that and the clip
  // changes none.
  if (shift < 16 || shift > 62 || size >> before >= INT32_MAX - 0x10000
      || (size >> shift) + 1 > clip)
    return tally_avx2_contribute_signs_q16(
        count, difference, mantissa, shift, first_element, key, counter_of_signs, counter, reach,
        clip, master, weights);
  const __m512i positive = _mm512_set1_epi32((int32_t)(product >> before));
  const __m512i negative = _mm512_set1_epi32((int32_t)(-product >> before));
  const __m512i limit = _mm512_set1_epi8((char)reach);
  const struct philox_stream stream = philox_stream(key, counter);
  struct signs signs = {philox_stream(key, counter_of_signs), 0, 0, {0}};
  _Alignas(64) uint16_t lanes[lanes_at_once + 16] = {0};
  const int32_t run = run_length(first_element);
  for (int32_t i = 0; i < count; i += run) {
    const uint32_t e = first_element + (uint32_t)i;
    const int32_t end = smaller(run, count - i);
    const uint16_t *r = run_lanes(&stream, e, end, lanes);
    for (int32_t j = 0; j < end; j += 64) {
      const int32_t n = smaller(end - j, 64);
      int32_t *masters = master + i + j;
      int8_t *values = weights + i + j;
      uint32_t offset;
      available(&signs, e + (uint32_t)j, &offset);
      const uint64_t minus = signs64(signs.bits + offset / 8, offset % 8);
      const __m512i w = n == 64 ? _mm512_loadu_si512(values)
                                : _mm512_maskz_loadu_epi8(first64(n), values);
      const uint64_t moved = _mm512_cmple_epu8_mask(_mm512_abs_epi8(w), limit);
      if (n == 64) {
        __m512i a[4];
        UNROLLED for (int k = 0; k < 4; k++) {
          a[k] = step16(
              positive, negative, (__mmask16)(minus >> 16 * k), (__mmask16)(moved >> 16 * k),
              random16(r + j + 16 * k), _mm512_loadu_si512(masters + 16 * k));
          _mm512_storeu_si512(masters + 16 * k, a[k]);
        }
        _mm512_storeu_si512(values, weights64(a));
        continue;
      }
      for (int k = 0; k < n; k += 16) {
        const __mmask16 present = first16(n - k);
        const __m512i a = step16(
            positive, negative, (__mmask16)(minus >> k), (__mmask16)(moved >> k),
            random16(r + j + k), _mm512_maskz_loadu_epi32(present, masters + k));
        store16(present, a, masters + k, values + k);
      }
    }
  }
  return 0;
}

#endif
