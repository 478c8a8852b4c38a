// Requantisation, stochastic rounding and updates with AVX-512.
//
// A 64-bit product needs a 64-bit lane, so 16 values are worked on as 8 even and 8 odd ones.
#include "x86_vnni.h"
#include "x86_vnni_philox.h"

#if TALLY_X86

// ---- Requantisation

// 16 multipliers, ready for the even and the odd values.
//
// From 33 places on, what is left of a product and its half lies in its high 32 bits, and one shift of 32 bits
// serves 16 values: `even_shift` and `even_half` are then of those. Otherwise (`wide`, shifts 1…62) each
// half of the values has its own, of 64 bits, and the result may need saturation.
struct multipliers {
  __m512i even_mantissa, odd_mantissa, even_shift, odd_shift, even_half, odd_half;
};

enum { least_high_shift = 33 };

VNNI_INLINE struct multipliers prepared(const int wide, __m512i mantissas, __m512i shifts) {
  struct multipliers m;
  m.even_mantissa = mantissas;
  m.odd_mantissa = odd64(mantissas);
  if (wide) {
    const __m512i one = _mm512_set1_epi64(1);
    m.even_shift = even64(shifts);
    m.odd_shift = odd64(shifts);
    m.even_half = _mm512_sllv_epi64(one, _mm512_sub_epi64(m.even_shift, one));
    m.odd_half = _mm512_sllv_epi64(one, _mm512_sub_epi64(m.odd_shift, one));
  } else {
    const __m512i one = _mm512_set1_epi32(1);
    m.odd_shift = m.even_shift = _mm512_sub_epi32(shifts, _mm512_set1_epi32(32));
    m.odd_half = m.even_half = _mm512_sllv_epi32(one, _mm512_sub_epi32(m.even_shift, one));
  }
  return m;
}

VNNI_INLINE __m512i requantize16(const int wide, __m512i v, const struct multipliers *m) {
  __m512i even = _mm512_mul_epi32(v, m->even_mantissa);
  __m512i odd = _mm512_mul_epi32(odd64(v), m->odd_mantissa);
  if (!wide) {
    const __m512i high = _mm512_mask_blend_epi32(0xaaaa, odd64(even), odd);
    return _mm512_srav_epi32(_mm512_add_epi32(high, m->even_half), m->even_shift);
  }
  even = _mm512_srav_epi64(_mm512_add_epi64(even, m->even_half), m->even_shift);
  odd = _mm512_srav_epi64(_mm512_add_epi64(odd, m->odd_half), m->odd_shift);
  const __m512i low = _mm512_set1_epi64(INT32_MIN), high = _mm512_set1_epi64(INT32_MAX);
  return join(clamp64(even, low, high), clamp64(odd, low, high));
}

// The channels of 16 flat elements, as rows of `channels` follow each other.
struct channel_walk {
  int32_t channels, c;  // c: the channel of the first of the 16
  __m512i index;        // all 16; used only below 16 channels
};

VNNI_INLINE struct channel_walk walk_start(int32_t channels) {
  struct channel_walk w = {channels, 0, _mm512_setzero_si512()};
  if (channels < 16) {
    int32_t index[16];
    for (int32_t i = 0; i < 16; i++) index[i] = i % channels;
    w.index = _mm512_loadu_si512(index);
  }
  return w;
}
VNNI_INLINE void walk_on(struct channel_walk *w) {
  if (w->channels < 16) {
    const __m512i channels = _mm512_set1_epi32(w->channels);
    w->index = _mm512_add_epi32(w->index, _mm512_set1_epi32(16 % w->channels));
    const __mmask16 beyond = _mm512_cmpge_epi32_mask(w->index, channels);
    w->index = _mm512_mask_sub_epi32(w->index, beyond, w->index, channels);
  } else {
    w->c += 16;
    if (w->c >= w->channels) w->c -= w->channels;
  }
}
VNNI_INLINE __m512i at_channels(const struct channel_walk *w, const int32_t *table) {
  if (w->channels < 16) return _mm512_i32gather_epi32(w->index, table, 4);
  const int32_t left = w->channels - w->c;
  if (left >= 16) return _mm512_loadu_si512(table + w->c);
  const __mmask16 here = first16(left);  // the rest are the first channels of the next row
  const int32_t *next = (const int32_t *)((uintptr_t)table - (uintptr_t)left * 4);
  return _mm512_mask_loadu_epi32(
      _mm512_maskz_loadu_epi32(here, table + w->c), (__mmask16)~here, next);
}

VNNI_INLINE void store_masked(
    int8_t *out, uint8_t *mask, ptrdiff_t count, __m128i bytes, __mmask16 bits) {
  if (count >= 16)
    _mm_storeu_si128((__m128i *)out, bytes);
  else
    _mm_mask_storeu_epi8(out, first16((int32_t)count), bytes);
  if (!mask) return;
  if (count < 16) bits &= first16((int32_t)count);
  mask[0] = (uint8_t)bits;
  if (count > 8) mask[1] = (uint8_t)(bits >> 8);
}

// Biases and multipliers on their way along the channels. mantissas and shifts hold one value, or with
// `per_channel` one for each channel.
struct requantizer {
  struct channel_walk walk;
  const int32_t *bias, *mantissas, *shifts;
  __m512i biases;
  struct multipliers m;
};

VNNI_INLINE void load_channels(const int per_channel, const int wide, struct requantizer *r) {
  if (r->bias) r->biases = at_channels(&r->walk, r->bias);
  if (per_channel)
    r->m = prepared(
        wide, at_channels(&r->walk, r->mantissas), at_channels(&r->walk, r->shifts));
}

VNNI_INLINE struct requantizer requantizer(
    const int per_channel, const int wide, int32_t channels, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts) {
  struct requantizer r = {
      walk_start(channels), bias, mantissas, shifts, _mm512_setzero_si512(),
      prepared(wide, _mm512_set1_epi32(mantissas[0]), _mm512_set1_epi32(shifts[0]))};
  load_channels(per_channel, wide, &r);
  return r;
}

// The next 16 values.
VNNI_INLINE __m512i next16(
    const int per_channel, const int wide, struct requantizer *r, __m512i v) {
  v = requantize16(wide, _mm512_add_epi32(v, r->biases), &r->m);
  // 1, 2, 4, 8 channels: every 16 elements have the same ones.
  if (16 % r->walk.channels != 0) {
    walk_on(&r->walk);
    load_channels(per_channel, wide, r);
  }
  return v;
}

VNNI_INLINE void requantize_rows(
    const int per_channel, const int wide, int32_t rows, int32_t channels, const int32_t *acc,
    const int32_t *bias, const int32_t *mantissas, const int32_t *shifts, int32_t zero_point,
    int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  const ptrdiff_t total = (ptrdiff_t)rows * channels;
  if (total == 0) return;
  struct requantizer r = requantizer(per_channel, wide, channels, bias, mantissas, shifts);
  // The zero point is added, and bounds are kept, where a vector has 32 values: what saturates lies outside.
  const __m512i lowest = _mm512_set1_epi16((int16_t)low);
  const __m512i highest = _mm512_set1_epi16((int16_t)high);
  const __m512i zero = _mm512_set1_epi16((int16_t)zero_point);
  for (ptrdiff_t i = 0; i < total; i += 64) {
    const int32_t n = total - i < 64 ? (int32_t)(total - i) : 64;
    __m512i v[4], beyond[2];
    UNROLLED for (int j = 0; j < 4; j++) {
      v[j] = n >= 64 ? _mm512_loadu_si512(acc + i + 16 * j)
                     : _mm512_maskz_loadu_epi32(first16(n > 16 * j ? n - 16 * j : 0), acc + i + 16 * j);
      v[j] = next16(per_channel, wide, &r, v[j]);
    }
    UNROLLED for (int j = 0; j < 2; j++) {
      const __m512i y = _mm512_adds_epi16(_mm512_packs_epi32(v[2 * j], v[2 * j + 1]), zero);
      v[j] = _mm512_max_epi16(_mm512_min_epi16(y, highest), lowest);
      beyond[j] = _mm512_sub_epi16(y, v[j]);
    }
    // The packs leave the dwords in the order that `ordered` undoes.
    const __m512i bytes = ordered(_mm512_packs_epi16(v[0], v[1]));
    // Masked stores are slow.
    if (n == 64)
      _mm512_storeu_si512(out + i, bytes);
    else
      _mm512_mask_storeu_epi8(out + i, first64(n), bytes);
    if (!mask) continue;
    const uint64_t inside =
        _mm512_testn_epi8_mask(
            ordered(_mm512_packs_epi16(beyond[0], beyond[1])), _mm512_set1_epi8(-1))
        & first64(n);
    if (n == 64)
      __builtin_memcpy(mask + i / 8, &inside, 8);
    else
      __builtin_memcpy(mask + i / 8, &inside, (size_t)(n + 7) / 8);
  }
}

VNNI void tally_vnni_requantize_bias_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias, int32_t mantissa,
    int32_t shift, int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  if (shift < 1 || shift > 62)
    tally_plain_requantize_bias_s8(
        rows, channels, acc, bias, mantissa, shift, zero_point, low, high, out, mask);
  else if (shift < least_high_shift)
    requantize_rows(
        0, 1, rows, channels, acc, bias, &mantissa, &shift, zero_point, low, high, out, mask);
  else
    requantize_rows(
        0, 0, rows, channels, acc, bias, &mantissa, &shift, zero_point, low, high, out, mask);
}

VNNI void tally_vnni_requantize_channels_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t zero_point, int32_t low,
    int32_t high, int8_t *out, uint8_t *mask) {
  int32_t least = 62, most = 1;
  for (int32_t c = 0; c < channels; c++) {
    if (shifts[c] < least) least = shifts[c];
    if (shifts[c] > most) most = shifts[c];
  }
  if (channels == 0) return;
  if (least < 1 || most > 62)
    tally_plain_requantize_channels_s8(
        rows, channels, acc, bias, mantissas, shifts, zero_point, low, high, out, mask);
  else if (least < least_high_shift)
    requantize_rows(
        1, 1, rows, channels, acc, bias, mantissas, shifts, zero_point, low, high, out, mask);
  else
    requantize_rows(
        1, 0, rows, channels, acc, bias, mantissas, shifts, zero_point, low, high, out, mask);
}

// ---- Sizes of requantized values
//
// A comparison of 64 sizes with a bin costs two instructions, and few bins are in use.
VNNI_INLINE void count_bins(int32_t n, const uint8_t *sizes, int64_t *counts) {
  __m512i v[4];
  __mmask64 present[4];
  UNROLLED for (int j = 0; j < 4; j++) {
    const int32_t left = n - 64 * j;
    present[j] = left > 0 ? first64(left) : 0;
    v[j] = _mm512_maskz_loadu_epi8(present[j], sizes + 64 * j);
  }
  for (int bin = 0; n > 0; bin++) {
    const __m512i wanted = _mm512_set1_epi8((char)bin);
    int32_t found = 0;
    UNROLLED for (int j = 0; j < 4; j++)
      found += __builtin_popcountll(_mm512_mask_cmpeq_epi8_mask(present[j], v[j], wanted));
    counts[bin] += found;
    n -= found;
  }
}

// The zeros in front of a value's size.
VNNI_INLINE __m512i zeros_in_front(__m512i v, int rectified) {
  return _mm512_lzcnt_epi32(
      rectified ? _mm512_max_epi32(v, _mm512_setzero_si512()) : _mm512_abs_epi32(v));
}

enum { sizes_at_once = 256 };

VNNI_INLINE void count_sizes(
    const int per_channel, const int wide, int32_t rows, int32_t channels, const int32_t *acc,
    const int32_t *bias, const int32_t *mantissas, const int32_t *shifts, int rectified,
    int64_t *counts) {
  struct requantizer r = requantizer(per_channel, wide, channels, bias, mantissas, shifts);
  uint8_t sizes[sizes_at_once];
  const ptrdiff_t total = (ptrdiff_t)rows * channels;
  for (ptrdiff_t first = 0; first < total; first += sizes_at_once) {
    const int32_t n = total - first < sizes_at_once ? (int32_t)(total - first) : sizes_at_once;
    const __m512i all = _mm512_set1_epi8(32);
    int32_t i = 0;
    for (; i + 64 <= n; i += 64) {
      __m512i zeros[4];
      UNROLLED for (int j = 0; j < 4; j++)
        zeros[j] = zeros_in_front(
            next16(per_channel, wide, &r, _mm512_loadu_si512(acc + first + i + 16 * j)),
            rectified);
      // In another order than the values: they are only counted.
      const __m512i bytes = _mm512_packs_epi16(
          _mm512_packs_epi32(zeros[0], zeros[1]), _mm512_packs_epi32(zeros[2], zeros[3]));
      _mm512_storeu_si512(sizes + i, _mm512_sub_epi8(all, bytes));
    }
    for (; i < n; i += 16) {
      const __m512i v = _mm512_maskz_loadu_epi32(first16(n - i), acc + first + i);
      const __m128i bytes = _mm512_cvtepi32_epi8(
          zeros_in_front(next16(per_channel, wide, &r, v), rectified));
      _mm_storeu_si128((__m128i *)(sizes + i), _mm_sub_epi8(_mm512_castsi512_si128(all), bytes));
    }
    count_bins(n, sizes, counts);
  }
}

VNNI void tally_vnni_count_sizes_s32(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t step, int rectified,
    int64_t counts[33]) {
  int32_t least = 62, most = 1;
  if ((ptrdiff_t)rows * channels == 0) return;
  for (int32_t c = 0; c <= (channels - 1) * step; c++) {
    if (shifts[c] < least) least = shifts[c];
    if (shifts[c] > most) most = shifts[c];
  }
  if (least < 1 || most > 62)
    tally_plain_count_sizes_s32(
        rows, channels, acc, bias, mantissas, shifts, step, rectified, counts);
  else if (step)
    count_sizes(1, 1, rows, channels, acc, bias, mantissas, shifts, rectified, counts);
  else if (least < least_high_shift)
    count_sizes(0, 1, rows, channels, acc, bias, mantissas, shifts, rectified, counts);
  else
    count_sizes(0, 0, rows, channels, acc, bias, mantissas, shifts, rectified, counts);
}

// ---- Stochastic rounding

// 64 values with 32 lanes in each of two vectors, from which `bits` are taken already.
VNNI_INLINE __m512i rounded64(
    const int has_before, const int32_t *acc, __m128i before, __m128i after, __m512i r0,
    __m512i r1) {
  const __m256i lanes[4] = {
      _mm512_castsi512_si256(r0), _mm512_extracti64x4_epi64(r0, 1), _mm512_castsi512_si256(r1),
      _mm512_extracti64x4_epi64(r1, 1)};
  __m512i v[4];
  UNROLLED for (int j = 0; j < 4; j++) {
    v[j] = _mm512_loadu_si512(acc + 16 * j);
    if (has_before) v[j] = _mm512_sra_epi32(v[j], before);
    v[j] = _mm512_sra_epi32(_mm512_add_epi32(v[j], _mm512_cvtepu16_epi32(lanes[j])), after);
  }
  // The packs saturate, and leave the dwords in the order that `ordered` undoes.
  const __m512i bytes =
      _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
  return _mm512_max_epi8(ordered(bytes), _mm512_set1_epi8(-127));
}

// n times 128 values from the first lane of a block on, n 1 or 2.
VNNI_INLINE void round_runs(
    const int n, const int has_before, const int has_mask, const int32_t *acc,
    struct stochastic_shift s, const struct philox_stream *stream, uint32_t first_element,
    int8_t *out, const uint8_t *mask) {
  const __m128i before = _mm_cvtsi32_si128(s.before), after = _mm_cvtsi32_si128(s.after);
  const __m512i bits = _mm512_set1_epi16((int16_t)s.bits);
  __m512i r[8];
  philox16_times(n, stream, first_element / 8, r);
  UNROLLED for (int j = 0; j < 4 * n; j++) r[j] = _mm512_and_si512(r[j], bits);
  UNROLLED for (int half = 0; half < 2 * n; half++) {
    __m512i v = rounded64(
        has_before, acc + 64 * half, before, after, r[2 * half], r[2 * half + 1]);
    if (has_mask) {
      uint64_t kept;
      __builtin_memcpy(&kept, mask + 8 * half, 8);
      v = _mm512_maskz_mov_epi8(kept, v);
    }
    _mm512_storeu_si512(out + 64 * half, v);
  }
}

// As many whole runs as there are. Returns how many values that were.
VNNI_INLINE int32_t round_whole_runs(
    const int has_before, const int has_mask, int32_t count, const int32_t *acc,
    struct stochastic_shift s, const struct philox_stream *stream, uint32_t first_element,
    int8_t *out, const uint8_t *mask) {
  int32_t i = 0;
  for (; i + 256 <= count; i += 256)
    round_runs(
        2, has_before, has_mask, acc + i, s, stream, first_element + (uint32_t)i, out + i,
        has_mask ? mask + i / 8 : mask);
  if (i + 128 <= count) {
    round_runs(
        1, has_before, has_mask, acc + i, s, stream, first_element + (uint32_t)i, out + i,
        has_mask ? mask + i / 8 : mask);
    i += 128;
  }
  return i;
}

VNNI void tally_vnni_shift_stochastic_s8(
    int32_t count, const int32_t *acc, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t counter[3], int8_t *out, const uint8_t *mask) {
  const struct stochastic_shift s = split(shift);
  const __m128i before = _mm_cvtsi32_si128(s.before), after = _mm_cvtsi32_si128(s.after);
  const __m512i bits = _mm512_set1_epi32((int32_t)s.bits);
  const __m512i low = _mm512_set1_epi32(-127), high = _mm512_set1_epi32(127);
  const struct philox_stream stream = philox_stream(key, counter);
  const int32_t run = lane_run(first_element);
  int32_t i = 0;
  if (run == 128) {
    if (s.before > 0)
      i = round_whole_runs(1, mask != NULL, count, acc, s, &stream, first_element, out, mask);
    else if (mask)
      i = round_whole_runs(0, 1, count, acc, s, &stream, first_element, out, mask);
    else
      i = round_whole_runs(0, 0, count, acc, s, &stream, first_element, out, mask);
  }
  uint16_t lanes[LANE_BUFFER] = {0};
  for (; i < count; i += run) {
    const int32_t end = smaller(run, count - i);
    const uint16_t *r = philox_some_lanes(&stream, first_element + (uint32_t)i, end, lanes);
    for (int32_t j = 0; j < end; j += 16) {
      const __mmask16 present = first16(end - j);
      __m512i v = _mm512_maskz_loadu_epi32(present, acc + i + j);
      v = _mm512_add_epi32(_mm512_sra_epi32(v, before), _mm512_and_si512(random16(r + j), bits));
      v = _mm512_sra_epi32(v, after);
      v = _mm512_max_epi32(_mm512_min_epi32(v, high), low);
      if (mask) {
        const uint8_t *byte = mask + (i + j) / 8;
        v = _mm512_maskz_mov_epi32(
            (__mmask16)(byte[0] | (end - j > 8 ? byte[1] << 8 : 0)), v);
      }
      store_masked(out + i + j, NULL, end - j, _mm512_cvtepi32_epi8(v), 0);
    }
  }
}

// ---- Norms

VNNI uint32_t tally_vnni_max_magnitude_s32(int32_t count, const int32_t *values) {
  __m512i largest = _mm512_setzero_si512();
  for (int32_t i = 0; i < count; i += 16) {
    const __m512i v = _mm512_maskz_loadu_epi32(first16(count - i), values + i);
    largest = _mm512_max_epu32(largest, _mm512_abs_epi32(v));
  }
  return _mm512_reduce_max_epu32(largest);
}

VNNI void tally_vnni_sum_squares_s32(
    int32_t count, const int32_t *values, uint64_t halves[2]) {
  const __m512i word = _mm512_set1_epi64(0xffffffff);
  __m512i low = _mm512_setzero_si512(), high = low;
  for (int32_t i = 0; i < count; i += 16) {
    const __m512i v = _mm512_maskz_loadu_epi32(first16(count - i), values + i);
    const __m512i even = _mm512_mul_epi32(v, v), odd = _mm512_mul_epi32(odd64(v), odd64(v));
    low = _mm512_add_epi64(low, _mm512_and_si512(even, word));
    low = _mm512_add_epi64(low, _mm512_and_si512(odd, word));
    high = _mm512_add_epi64(high, _mm512_srli_epi64(even, 32));
    high = _mm512_add_epi64(high, _mm512_srli_epi64(odd, 32));
  }
  halves[0] += (uint64_t)_mm512_reduce_add_epi64(low);
  halves[1] += (uint64_t)_mm512_reduce_add_epi64(high);
}

VNNI uint64_t tally_vnni_sum_squares_s8(int32_t count, const int8_t *values) {
  const int32_t run = 1 << 17;
  uint64_t total = 0;
  for (; count > 0; count -= run, values += run) {
    __m512i sum = _mm512_setzero_si512();
    for (int32_t i = 0; i < smaller(count, run); i += 32) {
      const __mmask32 present = (__mmask32)first64(smaller(count - i, 32));
      const __m512i v = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(present, values + i));
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(v, v));
    }
    total += (uint32_t)_mm512_reduce_add_epi32(sum);
  }
  return total;
}

#endif
