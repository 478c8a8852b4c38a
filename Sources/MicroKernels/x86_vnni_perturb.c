// Signs of zeroth-order directions with AVX-512: perturbed weights, dot products with them, sums of signs.
#include "x86_vnni.h"
#include "x86_vnni_philox.h"

#if TALLY_X86

// The signs of 2048 consecutive elements, beginning at a multiple of 128.
struct signs {
  struct philox_stream stream;
  uint32_t first;
  int filled;
  uint8_t bits[256 + 8];
};

// Not inlined: it would take the registers of the loops that call it once in 30 rounds.
__attribute__((noinline)) VNNI static void refill(struct signs *s, uint32_t element) {
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

// 64 depths of 1…4 rows of A and one row of B.
VNNI_INLINE void perturbed_step(
    const int rows, __mmask64 present, const int8_t *A, ptrdiff_t lda, const int8_t *b,
    int32_t sigma, __mmask64 negative, __m512i sums[4]) {
  const __m512i up = _mm512_set1_epi8((char)sigma), down = _mm512_set1_epi8((char)-sigma);
  const __m512i reach = _mm512_set1_epi8((char)(127 - (sigma < 0 ? -sigma : sigma)));
  const __m512i step = _mm512_mask_blend_epi8(negative, up, down);
  __m512i w = _mm512_maskz_loadu_epi8(present, b);
  // |−128| is 128 as an unsigned byte, so it is out of reach as it should be.
  const __mmask64 moves = _mm512_cmple_epu8_mask(_mm512_abs_epi8(w), reach);
  w = _mm512_mask_add_epi8(w, moves, w, step);
  w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
  UNROLLED for (int i = 0; i < rows; i++)
    sums[i] = _mm512_dpbusd_epi32(sums[i], w, _mm512_maskz_loadu_epi8(present, A + i * lda));
}

// One row of B, whose first element is e.
VNNI_INLINE void perturbed_row(
    const int rows, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *b, int32_t sigma,
    uint32_t e, struct signs *signs, __m512i sums[4]) {
  uint32_t offset;
  int32_t k = 0;
  while (k + 64 <= K) {
    const int32_t end = k + 64 * smaller(available(signs, e, &offset), (K - k) / 64);
    const uint8_t *bytes = signs->bits + offset / 8;
    e += (uint32_t)(end - k);
    // Every step begins at the same bit; most often it is bit 0, which needs no shift.
    if (offset % 8 == 0)
      for (; k < end; k += 64, bytes += 8)
        perturbed_step(rows, ~0ull, A + k, lda, b + k, sigma, signs64(bytes, 0), sums);
    else
      for (; k < end; k += 64, bytes += 8)
        perturbed_step(rows, ~0ull, A + k, lda, b + k, sigma, signs64(bytes, offset % 8), sums);
  }
  if (k < K) {
    available(signs, e, &offset);
    perturbed_step(
        rows, first64(K - k), A + k, lda, b + k, sigma,
        signs64(signs->bits + offset / 8, offset % 8), sums);
  }
}

// 1…4 rows of A against all rows of B. Four rows of B at a time share the last additions.
VNNI_INLINE void perturbed_rows(
    const int rows, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    struct signs *signs, int32_t *C, ptrdiff_t ldc) {
  int32_t corrections[4];
  for (int i = 0; i < rows; i++) corrections[i] = sum_times_128(K, A + i * lda);
  for (int32_t n = 0; n < N; n += 4) {
    const int32_t columns = smaller(N - n, 4);
    __m512i sums[4][4];
    UNROLLED for (int i = 0; i < rows; i++)
      UNROLLED for (int j = 0; j < 4; j++) sums[i][j] = _mm512_setzero_si512();
    for (int32_t j = 0; j < columns; j++) {
      const uint32_t e = first_element + (uint32_t)(n + j) * row_elements;
      __m512i s[4];
      UNROLLED for (int i = 0; i < rows; i++) s[i] = _mm512_setzero_si512();
      perturbed_row(rows, K, A, lda, B + (n + j) * ldb, sigma, e, signs, s);
      UNROLLED for (int i = 0; i < rows; i++) sums[i][j] = s[i];
    }
    UNROLLED for (int i = 0; i < rows; i++) {
      const __m128i four = _mm_sub_epi32(
          sum_of_groups(four_sums(sums[i][0], sums[i][1], sums[i][2], sums[i][3])),
          _mm_set1_epi32(corrections[i]));
      _mm_mask_storeu_epi32(C + i * ldc + n, (__mmask8)((1 << columns) - 1), four);
    }
  }
}

VNNI void tally_vnni_perturb_dot_s8(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    const uint32_t key[2], const uint32_t counter[3], int32_t *C, ptrdiff_t ldc) {
  struct signs signs = {philox_stream(key, counter), 0, 0, {0}};
  for (int32_t m = 0; m < M; m += 4) {
#define ROWS(rows)                                                                              \
  perturbed_rows(                                                                               \
      rows, N, K, A + m * lda, lda, B, ldb, sigma, first_element, row_elements, &signs,         \
      C + m * ldc, ldc)
    switch (M - m) {
      case 1: ROWS(1); break;
      case 2: ROWS(2); break;
      case 3: ROWS(3); break;
      default: ROWS(4);
    }
  }
}

VNNI int32_t tally_vnni_perturb_s8(
    int32_t count, const int8_t *w, int32_t sigma, uint32_t first_element, const uint32_t key[2],
    const uint32_t counter[3], int8_t *target) {
  const __m512i up = _mm512_set1_epi8((char)sigma), down = _mm512_set1_epi8((char)-sigma);
  const __m512i reach = _mm512_set1_epi8((char)(127 - (sigma < 0 ? -sigma : sigma)));
  const __m512i one = _mm512_set1_epi8(1);
  struct signs signs = {philox_stream(key, counter), 0, 0, {0}};
  __m512i sum = _mm512_setzero_si512();
  for (int32_t i = 0; i < count; i += 64) {
    uint32_t offset;
    available(&signs, first_element + (uint32_t)i, &offset);
    const __mmask64 present = first64(count - i);
    const __mmask64 negative = signs64(signs.bits + offset / 8, offset % 8);
    const __m512i v = _mm512_maskz_loadu_epi8(present, w + i);
    // |−128| is 128 as an unsigned byte, so it is out of reach as it should be.
    const __mmask64 moves = _mm512_mask_cmple_epu8_mask(present, _mm512_abs_epi8(v), reach);
    const __m512i moved =
        _mm512_mask_add_epi8(v, moves, v, _mm512_mask_blend_epi8(negative, up, down));
    sum = _mm512_dpbusd_epi32(sum, one, moved);
    // Masked stores are slow.
    if (count - i >= 64)
      _mm512_storeu_si512(target + i, moved);
    else
      _mm512_mask_storeu_epi8(target + i, present, moved);
  }
  return _mm512_reduce_add_epi32(sum);
}

// Of up to 2048 elements, whose signs begin at bit `bit` of `bytes`: a −1 takes twice the difference from
// what the sum is without it.
VNNI_INLINE void take_negatives(
    int32_t count, const uint8_t *bytes, uint32_t bit, int32_t difference, int32_t *sums) {
  const __m512i twice = _mm512_set1_epi32((int32_t)(2u * (uint32_t)difference));
  for (int32_t i = 0; i < count; i += 64, bytes += 8) {
    const uint64_t negative = signs64(bytes, bit);
    UNROLLED for (int j = 0; j < 4; j++) {
      int32_t *at = sums + i + 16 * j;
      const __m512i s = _mm512_loadu_si512(at);
      _mm512_storeu_si512(at, _mm512_mask_sub_epi32(s, (__mmask16)(negative >> 16 * j), s, twice));
    }
  }
}

VNNI void tally_vnni_signed_sums_s32(
    int32_t count, uint32_t first_element, int32_t entries, const int32_t *differences,
    const uint32_t key[2], const uint32_t counter[3], const int8_t *w, int32_t reach,
    int32_t *sums) {
  int64_t all = 0, sizes = 0;
  for (int32_t entry = 0; entry < entries; entry++) {
    all += differences[entry];
    sizes += differences[entry] < 0 ? -(int64_t)differences[entry] : differences[entry];
  }
  // Sums that fit may wrap on their way.
  if (sizes > INT32_MAX) {
    tally_avx2_signed_sums_s32(
        count, first_element, entries, differences, key, counter, w, reach, sums);
    return;
  }
  const __m512i limit = _mm512_set1_epi32(reach);
  for (int32_t i = 0; i < count;) {
    const uint32_t element = first_element + (uint32_t)i, bit = element % 128;
    const int32_t n = smaller(count - i, 2048 - (int32_t)bit);
    int32_t own[2048 + 64];
    for (int32_t j = 0; j < (n + 63) / 64 * 64; j += 16)
      _mm512_storeu_si512(own + j, _mm512_set1_epi32((int32_t)all));
    for (int32_t entry = 0; entry < entries; entry++) {
      if (differences[entry] == 0) continue;
      const uint32_t last[3] = {counter[0], counter[1], counter[2] + (uint32_t)entry};
      struct signs signs = {philox_stream(key, last), 0, 0, {0}};
      refill(&signs, element);
      take_negatives(n, signs.bits + bit / 8, bit % 8, differences[entry], own);
    }
    for (int32_t j = 0; j < n; j += 16) {
      const __mmask16 present = first16(n - j);
      __m512i v = _mm512_loadu_si512(own + j);
      if (w) {
        const __m512i values = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(present, w + i + j));
        v = _mm512_maskz_mov_epi32(
            _mm512_cmple_epi32_mask(_mm512_abs_epi32(values), limit), v);
      }
      _mm512_mask_storeu_epi32(sums + i + j, present, v);
    }
    i += n;
  }
}

VNNI int32_t tally_vnni_contribute_signs_q16(
    int32_t count, int32_t difference, int32_t mantissa, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t counter_of_signs[3], const uint32_t counter[3],
    int32_t reach, int32_t clip, int32_t *master, int8_t *weights) {
  const int before = shift > 16 ? shift - 16 : 0, after = shift - before;
  const int64_t product = (int64_t)difference * mantissa;
  const int64_t size = product < 0 ? -product : product;
  // There are two values to round: what they are before their random bits, if 32 bits hold that and the
  // clip changes none.
  if (shift < 1 || shift > 62 || size >> before >= INT32_MAX - 0x10000
      || (size >> shift) + 1 > clip)
    return tally_avx2_contribute_signs_q16(
        count, difference, mantissa, shift, first_element, key, counter_of_signs, counter, reach,
        clip, master, weights);
  const __m512i positive = _mm512_set1_epi32((int32_t)(product >> before));
  const __m512i negative = _mm512_set1_epi32((int32_t)(-product >> before));
  const __m512i bits = _mm512_set1_epi32((1 << after) - 1), half = _mm512_set1_epi32(32768);
  const __m512i low = _mm512_set1_epi32(-127 * 65536), high = _mm512_set1_epi32(127 * 65536);
  const __m128i limit = _mm_set1_epi8((char)reach), places = _mm_cvtsi32_si128(after);
  const struct philox_stream stream = philox_stream(key, counter);
  struct signs signs = {philox_stream(key, counter_of_signs), 0, 0, {0}};
  const int32_t run = lane_run(first_element);
  uint16_t lanes[LANE_BUFFER] = {0};
  for (int32_t i = 0; i < count; i += run) {
    const uint32_t e = first_element + (uint32_t)i;
    const int32_t end = smaller(run, count - i);
    const uint16_t *r16 = philox_some_lanes(&stream, e, end, lanes);
    for (int32_t j = 0; j < end; j += 64) {
      uint32_t offset;
      available(&signs, e + (uint32_t)j, &offset);
      const uint64_t minus = signs64(signs.bits + offset / 8, offset % 8);
      UNROLLED for (int k = 0; k < 64; k += 16) {
        if (j + k >= end) break;
        const __mmask16 present = first16(end - j - k);
        int32_t *masters = master + i + j + k;
        int8_t *values = weights + i + j + k;
        const __m128i w = _mm_maskz_loadu_epi8(present, values);
        const __mmask16 moved = _mm_cmple_epu8_mask(_mm_abs_epi8(w), limit);
        __m512i d = _mm512_mask_blend_epi32((__mmask16)(minus >> k), positive, negative);
        d = _mm512_add_epi32(d, _mm512_and_si512(random16(r16 + j + k), bits));
        __m512i a = _mm512_maskz_loadu_epi32(present, masters);
        // A weight that was not moved has the master it had.
        a = _mm512_mask_sub_epi32(a, moved, a, _mm512_sra_epi32(d, places));
        a = _mm512_max_epi32(_mm512_min_epi32(a, high), low);
        const __m128i next =
            _mm512_cvtepi32_epi8(_mm512_srai_epi32(_mm512_add_epi32(a, half), 16));
        // Masked stores are slow.
        if (present == 0xffff) {
          _mm512_storeu_si512(masters, a);
          _mm_storeu_si128((__m128i *)values, next);
        } else {
          _mm512_mask_storeu_epi32(masters, present, a);
          _mm_mask_storeu_epi8(values, present, next);
        }
      }
    }
  }
  return 0;
}

#endif
