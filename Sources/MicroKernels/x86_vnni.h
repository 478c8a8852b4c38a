// What the AVX-512 versions share.
#ifndef TALLY_MICROKERNELS_X86_VNNI_H
#define TALLY_MICROKERNELS_X86_VNNI_H

#include "internal.h"

#if TALLY_X86
#include <immintrin.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512cd,avx512vnni,popcnt")))
#define VNNI_INLINE TALLY_INLINE VNNI
#define UNROLLED _Pragma("clang loop unroll(full)")

VNNI_INLINE __mmask16 first16(int32_t count) {
  return count >= 16 ? 0xffff : (__mmask16)((1u << count) - 1);
}
VNNI_INLINE __mmask64 first64(int32_t count) {
  return count >= 64 ? ~0ull : (1ull << count) - 1;
}

// Bytes of four positions become the quads of 64 channels, dword 4l + d of vector j being channel
// 16l + 4j + d: the unpacks work in 128-bit lanes. Where both factors are in that order, it is undone at the
// end alone.
VNNI_INLINE void quads(__m512i v[4]) {
  const __m512i low01 = _mm512_unpacklo_epi8(v[0], v[1]), high01 = _mm512_unpackhi_epi8(v[0], v[1]);
  const __m512i low23 = _mm512_unpacklo_epi8(v[2], v[3]), high23 = _mm512_unpackhi_epi8(v[2], v[3]);
  v[0] = _mm512_unpacklo_epi16(low01, low23);
  v[1] = _mm512_unpackhi_epi16(low01, low23);
  v[2] = _mm512_unpacklo_epi16(high01, high23);
  v[3] = _mm512_unpackhi_epi16(high01, high23);
}

// 4 vectors of 64 bytes (taps or depths of 64 columns) become 4 vectors of 16 columns × 4 bytes.
//
// Ordering the bytes first (dword 4l + d takes dword 4d + l) makes them end in column order.
VNNI_INLINE __m512i ordered(__m512i v) {
  return _mm512_permutexvar_epi32(
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}
VNNI_INLINE void interleave4(__m512i v[4]) {
  UNROLLED for (int i = 0; i < 4; i++) v[i] = ordered(v[i]);
  quads(v);
}

// The sums of the lanes of four vectors, by transposing adds.
// Lane group l of the result holds the parts of the four sums that lay in group l.
VNNI_INLINE __m512i four_sums(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}
VNNI_INLINE __m128i sum_of_groups(__m512i v) {
  const __m256i half =
      _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

// 128·Σ values[i], wrapping: what the flipped top bit of the other operand adds.
VNNI_INLINE int32_t sum_times_128(int32_t count, const int8_t *values) {
  const __m512i one = _mm512_set1_epi8(1);
  __m512i sum = _mm512_setzero_si512();
  for (int32_t i = 0; i < count; i += 64)
    sum = _mm512_dpbusd_epi32(sum, one, _mm512_maskz_loadu_epi8(first64(count - i), values + i));
  return (int32_t)((uint32_t)_mm512_reduce_add_epi32(sum) * 128u);
}

// ---- 64-bit products: 16 values are worked on as 8 even and 8 odd ones

// The even values' results lie in the low halves already; the odd ones move to the high halves.
VNNI_INLINE __m512i join(__m512i even, __m512i odd) {
  return _mm512_mask_shuffle_epi32(even, 0xaaaa, odd, (_MM_PERM_ENUM)0xa0);
}
VNNI_INLINE __m512i even64(__m512i v) { return _mm512_and_si512(v, _mm512_set1_epi64(0xffffffff)); }
VNNI_INLINE __m512i odd64(__m512i v) { return _mm512_srli_epi64(v, 32); }

VNNI_INLINE __m512i clamp64(__m512i v, __m512i low, __m512i high) {
  return _mm512_max_epi64(_mm512_min_epi64(v, high), low);
}

// Both cases of SR and requantSR are one: shift by `before`, add r & bits, shift by `after`.
struct stochastic_shift {
  int32_t before, after;
  uint32_t bits;
};

TALLY_INLINE struct stochastic_shift split(int32_t shift) {
  struct stochastic_shift s = {shift - 16, 16, 0xffff};
  if (shift <= 16) s = (struct stochastic_shift){0, shift, (1u << shift) - 1};
  return s;
}

#endif
#endif
