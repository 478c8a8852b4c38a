// What the versions of the kernels share: the packed layout, and the scalar functions of SPEC §3
// and §4 that vector loops use for their remainders.
#ifndef TALLY_MICROKERNELS_INTERNAL_H
#define TALLY_MICROKERNELS_INTERNAL_H

#include "MicroKernels.h"

#if defined(__x86_64__)
#define TALLY_X86 1
#else
#define TALLY_X86 0
#endif
#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#define TALLY_NEON 1
#else
#define TALLY_NEON 0
#endif

#define TALLY_INLINE static inline __attribute__((always_inline))
#define TALLY_HIDDEN __attribute__((visibility("hidden")))

// ---- int32 that wraps: unsigned arithmetic, because signed overflow has no meaning in C.

TALLY_INLINE int32_t wrapping_add(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}
TALLY_INLINE int32_t wrapping_subtract(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a - (uint32_t)b);
}

TALLY_INLINE int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
TALLY_INLINE int32_t clamp(int32_t v, int32_t low, int32_t high) {
  return v < low ? low : v > high ? high : v;
}
TALLY_INLINE int32_t saturate(int64_t v) {
  return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

// ---- The packed layout (see tally_pack_s8)

TALLY_INLINE size_t packed_columns(int32_t N) { return ((size_t)N + 15) / 16 * 16; }
TALLY_INLINE size_t packed_depth(int32_t K) { return ((size_t)K + 3) / 4 * 4; }

// All panels but the last are 64 wide, so the panel of column n begins n·depth bytes in.
TALLY_INLINE int32_t panel_columns(int32_t columns_left) {
  return columns_left >= 64 ? 64 : (columns_left + 15) / 16 * 16;
}
TALLY_INLINE const uint8_t *packed_panel(const void *packed, int32_t N, int32_t K, int32_t n) {
  return (const uint8_t *)packed + packed_columns(N) * 4 + packed_depth(K) * (size_t)n;
}

// ---- Requantisation, SPEC §3.3 and §3.4

// sat32(p·2^-shift) for shift ≤ 0. Beyond ±2^31 and beyond 31 places nothing more can change.
TALLY_INLINE int32_t saturating_shift_left(int64_t p, int32_t shift) {
  const int64_t limit = (int64_t)1 << 31;
  p = p < -limit ? -limit : p > limit ? limit : p;
  return saturate(p * ((int64_t)1 << (shift < -31 ? 31 : -shift)));
}

TALLY_INLINE int32_t requantize(int32_t v, int32_t mantissa, int32_t shift) {
  if (shift > 62) return 0;
  int64_t p = (int64_t)v * mantissa;
  if (shift <= 0) return saturating_shift_left(p, shift);
  return saturate((p + ((int64_t)1 << (shift - 1))) >> shift);
}

TALLY_INLINE int32_t requantize_stochastic(
    int32_t v, int32_t mantissa, int32_t shift, uint32_t r16) {
  if (shift > 62) return 0;
  int64_t p = (int64_t)v * mantissa;
  if (shift <= 0) return saturating_shift_left(p, shift);
  if (shift <= 16) return saturate((p + (r16 & ((1u << shift) - 1))) >> shift);
  return saturate(((p >> (shift - 16)) + r16) >> 16);
}

TALLY_INLINE int32_t shift_stochastic(int32_t v, int32_t shift, uint32_t r16) {
  if (shift <= 16) return wrapping_add(v, (int32_t)(r16 & ((1u << shift) - 1))) >> shift;
  return ((v >> (shift - 16)) + (int32_t)r16) >> 16;
}

// clamp(requant(v) + zero_point, low, high), and whether the clamp changed nothing.
TALLY_INLINE int8_t place(
    int32_t requantized, int32_t zero_point, int32_t low, int32_t high, int *inside) {
  int64_t y = (int64_t)requantized + zero_point;
  *inside = low <= y && y <= high;
  return (int8_t)(y < low ? low : y > high ? high : y);
}

// ---- Philox4x32-10, SPEC §4.1

#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

TALLY_INLINE void philox(
    uint32_t block, const uint32_t counter[3], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = block, c1 = counter[0], c2 = counter[1], c3 = counter[2];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)PHILOX_M0 * c0, p1 = (uint64_t)PHILOX_M1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += PHILOX_W0;
    k1 += PHILOX_W1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

// The 16 random bits of element e from the block that holds it.
TALLY_INLINE uint32_t lane16(const uint32_t block[4], uint32_t e) {
  return (block[e % 8 / 2] >> (e % 2 * 16)) & 0xffff;
}

// ---- Masks: bit i%8 of byte i/8

TALLY_INLINE int mask_bit(const uint8_t *mask, size_t i) { return mask[i / 8] >> (i % 8) & 1; }

// ---- The versions of each kernel; they have the type of the public function.

#define TALLY_VERSION(level, name) \
  TALLY_HIDDEN extern __typeof__(tally_##name) tally_##level##_##name
#define TALLY_VERSIONS(level)                    \
  TALLY_VERSION(level, gemm_s8_nt);              \
  TALLY_VERSION(level, pack_s8);                 \
  TALLY_VERSION(level, pack_s8_transposed);      \
  TALLY_VERSION(level, gemm_s8_packed);          \
  TALLY_VERSION(level, add_rows_s8);             \
  TALLY_VERSION(level, transpose_s8);            \
  TALLY_VERSION(level, depthwise_s8_rows);       \
  TALLY_VERSION(level, requantize_bias_s8);      \
  TALLY_VERSION(level, requantize_channels_s8);  \
  TALLY_VERSION(level, max_magnitude_s32);       \
  TALLY_VERSION(level, shift_stochastic_s8);     \
  TALLY_VERSION(level, contribute_q16);          \
  TALLY_VERSION(level, refresh_s8);              \
  TALLY_VERSION(level, sum_squares_s32);         \
  TALLY_VERSION(level, sum_squares_s8);          \
  TALLY_VERSION(level, perturb_dot_s8);          \
  TALLY_VERSION(level, perturb_s8);              \
  TALLY_VERSION(level, signed_sums_s32);         \
  TALLY_VERSION(level, contribute_signs_q16);    \
  TALLY_VERSION(level, contribute_product_q16);  \
  TALLY_VERSION(level, max_pool_s8);             \
  TALLY_VERSION(level, max_pool_gradient_s8);    \
  TALLY_VERSION(level, max_pool_scatter_s8);     \
  TALLY_VERSION(level, masked_magnitude_s32);    \
  TALLY_VERSION(level, pass_s8);                 \
  TALLY_VERSION(level, add_s8);                  \
  TALLY_VERSION(level, merge_size_s8);           \
  TALLY_VERSION(level, merge_s8);                \
  TALLY_VERSION(level, count_s8);                \
  TALLY_VERSION(level, sum_rows_s8);             \
  TALLY_VERSION(level, sum_magnitudes_s8);       \
  TALLY_VERSION(level, kth_largest_s32);         \
  TALLY_VERSION(level, keep_columns_s8);         \
  TALLY_VERSION(level, row_sums_s8);             \
  TALLY_VERSION(level, count_sizes_s32);         \
  TALLY_VERSION(level, count_sizes_of_sums_s8);  \
  TALLY_VERSION(level, depthwise_scatter_s8);    \
  TALLY_VERSION(level, depthwise_weight_gradient_s8)

// The input gradient of a depthwise convolution, any stride; turned weights are [tap][channel].
TALLY_HIDDEN void tally_depthwise_scatter_s8(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t width,
    const int8_t *turned, int32_t *gradient);

// `tally_transpose_s8` of rows of `width` that become `filled` long, with zeros.
TALLY_HIDDEN void tally_transpose_rows_s8(
    int32_t rows, int32_t width, int32_t filled, int32_t columns, const int8_t *src,
    ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd);

// gradient[o][u][n] += Σ turned[o][p]·x[p + u rows][n] over `rows` rows of positions, filled up to whole quads.
// x is a padded input, its rows `row` bytes apart and output columns `column`; `packed` holds
// tally_packed_s8_bytes(run, positions).
TALLY_HIDDEN void tally_window_gradient_s8(
    const struct tally_window *window, int32_t rows, int32_t output_width, int32_t run,
    ptrdiff_t row, const int8_t *x, ptrdiff_t column, int32_t outputs, const int8_t *turned,
    void *packed, int32_t *gradient);

TALLY_VERSIONS(plain);
TALLY_VERSION(plain, transpose_rows_s8);
TALLY_VERSION(plain, window_gradient_s8);
TALLY_VERSION(plain, gemm_s8_runs);
TALLY_VERSION(plain, pack_positions_s8);
TALLY_VERSION(plain, gather_channels_s8);
TALLY_VERSION(plain, sha256_blocks);
TALLY_HIDDEN extern const uint32_t tally_sha256_constants[64];
#if TALLY_X86
TALLY_VERSIONS(avx2);
TALLY_VERSION(avx2, gather_channels_s8);
TALLY_VERSIONS(vnni);
TALLY_VERSION(vnni, gemm_s8_runs);
TALLY_VERSION(vnni, pack_positions_s8);
TALLY_VERSION(vnni, transpose_rows_s8);
TALLY_VERSION(vnni, window_gradient_s8);
// C += A·B over K depths of a matrix of packed_K packed ones, from quad `first_quad` on; `corrections` are
// theirs.
TALLY_HIDDEN void tally_vnni_gemm_s8_within(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int32_t *corrections,
    const void *packed, int32_t packed_K, int32_t first_quad, int32_t *C, ptrdiff_t ldc);
// tally_contribute_product_q16 of two samples to eight, shifts 1…62.
enum { TALLY_FEW_SAMPLES = 8 };
TALLY_HIDDEN extern __typeof__(tally_contribute_product_q16) tally_vnni_contribute_few_q16;
// The same of one, shifts 16…62.
TALLY_HIDDEN int32_t tally_vnni_contribute_outer_q16(
    int32_t rows, int32_t count, const int8_t *g, const int8_t *x, int32_t zero_point,
    int32_t mantissa, int32_t shift, const uint32_t key[2], const uint32_t counter[3],
    int32_t clip, int subtract, int32_t *target, int8_t *weights);
TALLY_VERSION(sha_ni, sha256_blocks);
#endif
#if TALLY_NEON
TALLY_VERSION(neon, gemm_s8_nt);
TALLY_VERSION(neon, gemm_s8_packed);
#endif

#endif
