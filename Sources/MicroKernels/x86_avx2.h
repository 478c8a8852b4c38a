// What the AVX2 versions share.
#ifndef TALLY_MICROKERNELS_X86_AVX2_H
#define TALLY_MICROKERNELS_X86_AVX2_H

#include "internal.h"

#if TALLY_X86
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,popcnt")))
#define AVX2_INLINE TALLY_INLINE AVX2
#define UNROLLED _Pragma("clang loop unroll(full)")

// All ones in the first `count` dwords.
AVX2_INLINE __m256i first8(int32_t count) {
  return _mm256_cmpgt_epi32(
      _mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// Sixteen bytes as sixteen s16.
AVX2_INLINE __m256i load_s16(const int8_t *p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

#endif
#endif
