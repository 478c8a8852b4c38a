// Philox4x32-10 on 16 counters and more at once, with AVX-512.
#ifndef TALLY_MICROKERNELS_X86_VNNI_PHILOX_H
#define TALLY_MICROKERNELS_X86_VNNI_PHILOX_H

#include "x86_vnni.h"

#if TALLY_X86

enum { XOR3 = 0x96 };  // the truth table of a ^ b ^ c

struct philox_stream {
  uint32_t counter[3], keys[10][2];  // the keys of the ten rounds
};

TALLY_INLINE struct philox_stream philox_stream(
    const uint32_t key[2], const uint32_t counter[3]) {
  struct philox_stream s = {{counter[0], counter[1], counter[2]}, {{0}}};
  for (uint32_t round = 0; round < 10; round++) {
    s.keys[round][0] = key[0] + round * PHILOX_W0;
    s.keys[round][1] = key[1] + round * PHILOX_W1;
  }
  return s;
}

// n times eight blocks, a counter word in the low half of each 64-bit lane; the high halves are ignored,
// so the low half of a product needs no move. What of the first two rounds is the same for all blocks
// the compiler takes out of the caller's loop.
//
// The rounds of one block wait for each other: more of them at once wait less.
VNNI_INLINE void philox_rounds(const struct philox_stream *s, const int n, __m512i c[][4]) {
  const __m512i m0 = _mm512_set1_epi64(PHILOX_M0), m1 = _mm512_set1_epi64(PHILOX_M1);
  UNROLLED for (int i = 0; i < n; i++)
    UNROLLED for (int j = 0; j < 3; j++) c[i][j + 1] = _mm512_set1_epi32((int32_t)s->counter[j]);
  UNROLLED for (int round = 0; round < 10; round++) {
    const __m512i k0 = _mm512_set1_epi32((int32_t)s->keys[round][0]);
    const __m512i k1 = _mm512_set1_epi32((int32_t)s->keys[round][1]);
    UNROLLED for (int i = 0; i < n; i++) {
      const __m512i p0 = _mm512_mul_epu32(m0, c[i][0]), p1 = _mm512_mul_epu32(m1, c[i][2]);
      c[i][0] = _mm512_ternarylogic_epi32(_mm512_srli_epi64(p1, 32), c[i][1], k0, XOR3);
      c[i][1] = p1;
      c[i][2] = _mm512_ternarylogic_epi32(_mm512_srli_epi64(p0, 32), c[i][3], k1, XOR3);
      c[i][3] = p0;
    }
  }
}

// Blocks `block`…`block` + 16n − 1, n 1 or 2, 16 bytes each, in order: out[j] holds blocks 4j…4j + 3.
VNNI_INLINE void philox16_times(
    const int n, const struct philox_stream *s, uint32_t block, __m512i out[]) {
  // Position d of 128-bit lane l takes block 4d + l, so that the transposition below ends in
  // order. Even positions are computed in one vector, odd ones in the next.
  __m512i c[4][4];
  UNROLLED for (int i = 0; i < n; i++) {
    const __m512i base = _mm512_set1_epi64(block + 16 * (uint32_t)i);
    c[2 * i][0] = _mm512_add_epi64(base, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11));
    c[2 * i + 1][0] = _mm512_add_epi64(base, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15));
  }
  philox_rounds(s, 2 * n, c);
  UNROLLED for (int i = 0; i < n; i++) {
    __m512i w[4];
    UNROLLED for (int j = 0; j < 4; j++)
      w[j] = _mm512_mask_shuffle_epi32(
          c[2 * i][j], 0xaaaa, c[2 * i + 1][j], (_MM_PERM_ENUM)0xa0);
    const __m512i low01 = _mm512_unpacklo_epi32(w[0], w[1]);
    const __m512i high01 = _mm512_unpackhi_epi32(w[0], w[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(w[2], w[3]);
    const __m512i high23 = _mm512_unpackhi_epi32(w[2], w[3]);
    out[4 * i] = _mm512_unpacklo_epi64(low01, low23);
    out[4 * i + 1] = _mm512_unpackhi_epi64(low01, low23);
    out[4 * i + 2] = _mm512_unpacklo_epi64(high01, high23);
    out[4 * i + 3] = _mm512_unpackhi_epi64(high01, high23);
  }
}
VNNI_INLINE void philox16(const struct philox_stream *s, uint32_t block, __m512i out[4]) {
  philox16_times(1, s, block, out);
}

// Blocks `block`…`block` + 7, in order: out[j] holds blocks 4j…4j + 3.
VNNI_INLINE void philox_half(const struct philox_stream *s, uint32_t block, __m512i out[2]) {
  // Even positions take blocks 0…3, odd ones 4…7, which the unpacks part.
  __m512i c[1][4];
  c[0][0] =
      _mm512_add_epi64(_mm512_set1_epi64(block), _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
  philox_rounds(s, 1, c);
  const __m512i *w = c[0];
  const __m512i w01 = _mm512_mask_shuffle_epi32(w[0], 0xaaaa, w[1], (_MM_PERM_ENUM)0xa0);
  const __m512i w23 = _mm512_mask_shuffle_epi32(w[2], 0xaaaa, w[3], (_MM_PERM_ENUM)0xa0);
  out[0] = _mm512_unpacklo_epi64(w01, w23);
  out[1] = _mm512_unpackhi_epi64(w01, w23);
}

// ---- 16-bit lanes of consecutive elements
//
// A run begins at any element and ends inside the 16 blocks computed for it: 128 elements when
// the first is the first of a block, else 120, so that every run begins at the same lane.
//
// The buffer is 16 lanes longer than the blocks, because the last 16 of a run may be read whole.
enum { LANE_BUFFER = 128 + 16 };

TALLY_INLINE int32_t lane_run(uint32_t first_element) { return first_element % 8 ? 120 : 128; }

VNNI_INLINE const uint16_t *philox_lanes(
    const struct philox_stream *s, uint32_t element, uint16_t lanes[LANE_BUFFER]) {
  __m512i out[4];
  philox16(s, element / 8, out);
  for (int j = 0; j < 4; j++) _mm512_storeu_si512(lanes + 32 * j, out[j]);
  return lanes + element % 8;
}

// The lanes of `count` elements, at most `lane_run`: half of the blocks where they are enough.
VNNI_INLINE const uint16_t *philox_some_lanes(
    const struct philox_stream *s, uint32_t element, int32_t count, uint16_t lanes[LANE_BUFFER]) {
  if ((int32_t)(element % 8) + count > 64) return philox_lanes(s, element, lanes);
  __m512i out[2];
  philox_half(s, element / 8, out);
  for (int j = 0; j < 2; j++) _mm512_storeu_si512(lanes + 32 * j, out[j]);
  return lanes + element % 8;
}

// 16 lanes, zero-extended.
VNNI_INLINE __m512i random16(const uint16_t *lanes) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)lanes));
}

// ---- Signs of consecutive elements

// The signs of 2048 consecutive elements, beginning at a multiple of 128.
struct signs {
  struct philox_stream stream;
  uint32_t first;
  int filled;
  uint8_t bits[256 + 8];
};

// Not inlined: it would take the registers of the loops that call it once in 30 rounds.
__attribute__((noinline, unused)) VNNI static void refill(struct signs *s, uint32_t element) {
  __m512i out[4];
  s->first = element / 128 * 128;
  s->filled = 1;
  philox16(&s->stream, element / 128, out);
  for (int j = 0; j < 4; j++) _mm512_storeu_si512(s->bits + 64 * j, out[j]);
}

// How many times 64 signs from `element` on lie in the buffer, at least one; `offset` is its place.
VNNI_INLINE int32_t available(struct signs *s, uint32_t element, uint32_t *offset) {
  if (!s->filled || element - s->first > 2048 - 64) refill(s, element);
  *offset = element - s->first;
  return (int32_t)(2048 - *offset) / 64;
}

// 64 sign bits beginning at bit `bit` of byte 0.
VNNI_INLINE __mmask64 signs64(const uint8_t *bytes, uint32_t bit) {
  uint64_t word;
  __builtin_memcpy(&word, bytes, 8);
  return bit == 0 ? word : word >> bit | (uint64_t)bytes[8] << (64 - bit);
}

#endif
#endif
