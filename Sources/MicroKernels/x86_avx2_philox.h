// Philox4x32-10 on 8 counters at once, with AVX2. The 16-counter version explains the details.
#ifndef TALLY_MICROKERNELS_X86_AVX2_PHILOX_H
#define TALLY_MICROKERNELS_X86_AVX2_PHILOX_H

#include "x86_avx2.h"

#if TALLY_X86

AVX2_INLINE void philox4(
    __m256i blocks, const uint32_t counter[3], const uint32_t key[2], __m256i c[4]) {
  const __m256i m0 = _mm256_set1_epi64x(PHILOX_M0), m1 = _mm256_set1_epi64x(PHILOX_M1);
  uint32_t k0 = key[0], k1 = key[1];
  c[0] = blocks;
  for (int i = 0; i < 3; i++) c[i + 1] = _mm256_set1_epi32((int32_t)counter[i]);
  UNROLLED for (int round = 0; round < 10; round++) {
    const __m256i p0 = _mm256_mul_epu32(m0, c[0]), p1 = _mm256_mul_epu32(m1, c[2]);
    const __m256i x0 = _mm256_xor_si256(c[1], _mm256_set1_epi32((int32_t)k0));
    const __m256i x1 = _mm256_xor_si256(c[3], _mm256_set1_epi32((int32_t)k1));
    c[0] = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), x0);
    c[1] = p1;
    c[2] = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), x1);
    c[3] = p0;
    k0 += PHILOX_W0;
    k1 += PHILOX_W1;
  }
}

// Blocks `block`…`block` + 7, 16 bytes each, in order: out[j] holds blocks 2j and 2j + 1.
AVX2_INLINE void philox8(
    uint32_t block, const uint32_t counter[3], const uint32_t key[2], __m256i out[4]) {
  const __m256i base = _mm256_set1_epi64x(block);
  __m256i a[4], b[4], w[4];
  philox4(_mm256_add_epi64(base, _mm256_setr_epi64x(0, 4, 1, 5)), counter, key, a);
  philox4(_mm256_add_epi64(base, _mm256_setr_epi64x(2, 6, 3, 7)), counter, key, b);
  UNROLLED for (int i = 0; i < 4; i++)
    w[i] = _mm256_blend_epi32(a[i], _mm256_slli_epi64(b[i], 32), 0xaa);
  const __m256i low01 = _mm256_unpacklo_epi32(w[0], w[1]);
  const __m256i high01 = _mm256_unpackhi_epi32(w[0], w[1]);
  const __m256i low23 = _mm256_unpacklo_epi32(w[2], w[3]);
  const __m256i high23 = _mm256_unpackhi_epi32(w[2], w[3]);
  out[0] = _mm256_unpacklo_epi64(low01, low23);
  out[1] = _mm256_unpackhi_epi64(low01, low23);
  out[2] = _mm256_unpacklo_epi64(high01, high23);
  out[3] = _mm256_unpackhi_epi64(high01, high23);
}

#endif
#endif
