// Which version runs: found once from the CPU, lowered on request, read at each call.
#include "internal.h"

enum { plain, avx2, vnni, neon };

#if TALLY_X86
#include <cpuid.h>

// 0 means "not looked yet". Otherwise the level plus `known`, and `has_sha` where it applies.
// Relaxed atomics suffice: the value depends on nothing else in memory, and threads that race to
// set it first store the same value.
enum { level_bits = 3, known = 4, has_sha = 8 };
static int state;

static int detect(void) {
  unsigned a, b, c, d, leaf1, leaf7;
  if (!__get_cpuid(1, &a, &b, &leaf1, &d) || !__get_cpuid_count(7, 0, &a, &leaf7, &c, &d))
    return known | plain;
  const int sha = (leaf7 & bit_SHA) && (leaf1 & bit_SSSE3) && (leaf1 & bit_SSE41) ? has_sha : 0;
  if (!(leaf1 & bit_OSXSAVE)) return known | sha | plain;
  unsigned enabled, high;  // the register files the operating system saves
  __asm__("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
  const unsigned ymm = 0x06, zmm = 0xe6;
  if ((enabled & ymm) != ymm || !(leaf7 & bit_AVX2) || !(leaf1 & bit_POPCNT))
    return known | sha | plain;
  const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512VL;
  if ((enabled & zmm) != zmm || (leaf7 & avx512) != avx512 || !(c & bit_AVX512VNNI))
    return known | sha | avx2;
  return known | sha | vnni;
}

static int current(void) {
  int s = __atomic_load_n(&state, __ATOMIC_RELAXED);
  if (s == 0) {
    s = detect();
    __atomic_store_n(&state, s, __ATOMIC_RELAXED);
  }
  return s;
}

int tally_simd_level(void) { return current() & level_bits; }

void tally_set_simd_level(int level) {
  const int best = detect(), highest = best & level_bits;
  const int chosen = level < plain ? plain : level > highest ? highest : level;
  __atomic_store_n(&state, (best & ~level_bits) | chosen, __ATOMIC_RELAXED);
}

static int is(int level) { return tally_simd_level() == level; }

// Kernels that AVX-512 has no version of.
#define VERSION_AVX2(name) (is(plain) ? tally_plain_##name : tally_avx2_##name)
// Kernels that only AVX-512 has a version of.
#define VERSION_VNNI(name) (is(vnni) ? tally_vnni_##name : tally_plain_##name)
#define VERSION(name) \
  (is(vnni) ? tally_vnni_##name : is(avx2) ? tally_avx2_##name : tally_plain_##name)

#elif TALLY_NEON
// The level plus 1; 0 means the best.
static int state;

int tally_simd_level(void) {
  return __atomic_load_n(&state, __ATOMIC_RELAXED) == 1 ? plain : neon;
}

void tally_set_simd_level(int level) {
  __atomic_store_n(&state, level < neon ? 1 : 0, __ATOMIC_RELAXED);
}

#define VERSION(name) tally_plain_##name
#define VERSION_NEON(name) \
  (tally_simd_level() == neon ? tally_neon_##name : tally_plain_##name)

#else
int tally_simd_level(void) { return plain; }
void tally_set_simd_level(int level) { (void)level; }
#define VERSION(name) tally_plain_##name
#endif

#ifndef VERSION_AVX2
#define VERSION_AVX2(name) tally_plain_##name
#endif
#ifndef VERSION_VNNI
#define VERSION_VNNI(name) tally_plain_##name
#endif
#ifndef VERSION_NEON
#define VERSION_NEON VERSION
#endif

// ---- Threads

// Relaxed, as the level: whichever value a call meets, its parts are all done.
static tally_parallel *parallel;

void tally_set_parallel(tally_parallel *run) { __atomic_store_n(&parallel, run, __ATOMIC_RELAXED); }

struct parts_call {
  uint32_t (*body)(void *context, int32_t part);
  void *context;
  uint32_t results[TALLY_MOST_THREADS];
};

static void run_part(void *context, int32_t part) {
  struct parts_call *c = context;
  c->results[part] = c->body(c->context, part);
}

uint32_t tally_share(
    int32_t parts, uint32_t (*body)(void *context, int32_t part), void *context) {
  tally_parallel *run = __atomic_load_n(&parallel, __ATOMIC_RELAXED);
  struct parts_call c = {.body = body, .context = context};
  uint32_t largest = 0;
  if (run)
    run(parts, run_part, &c);
  else
    for (int32_t part = 0; part < parts; part++) run_part(&c, part);
  for (int32_t part = 0; part < parts; part++)
    if (c.results[part] > largest) largest = c.results[part];
  return largest;
}

// ---- Matrix products

void tally_gemm_s8_nt(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t *C, ptrdiff_t ldc) {
  VERSION_NEON(gemm_s8_nt)(M, N, K, A, lda, B, ldb, C, ldc);
}

size_t tally_packed_s8_bytes(int32_t N, int32_t K) {
  return (packed_depth(K) + 4) * packed_columns(N);
}

void tally_pack_s8(int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed) {
  VERSION(pack_s8)(N, K, B, ldb, packed);
}

void tally_pack_s8_transposed(
    int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed) {
  VERSION(pack_s8_transposed)(N, K, B, ldb, packed);
}

void tally_gemm_s8_packed(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const void *packed,
    int32_t *C, ptrdiff_t ldc, int accumulate) {
  VERSION_NEON(gemm_s8_packed)(M, N, K, A, lda, packed, C, ldc, accumulate);
}

void tally_gemm_s8_runs(
    int32_t M, int32_t N, int32_t runs, int32_t K, const int8_t *A, ptrdiff_t lda, ptrdiff_t step,
    const void *packed, int32_t *C, ptrdiff_t ldc) {
  VERSION_VNNI(gemm_s8_runs)(M, N, runs, K, A, lda, step, packed, C, ldc);
}

void tally_pack_positions_s8(
    int32_t N, int32_t rows, int32_t columns, const int8_t *B, ptrdiff_t row, ptrdiff_t column,
    void *packed) {
  VERSION_VNNI(pack_positions_s8)(N, rows, columns, B, row, column, packed);
}

void tally_add_rows_s8(
    int32_t rows, int32_t count, const int8_t *scalars, ptrdiff_t step, const int8_t *x,
    ptrdiff_t ldx, int32_t *y) {
  VERSION(add_rows_s8)(rows, count, scalars, step, x, ldx, y);
}

void tally_transpose_s8(
    int32_t rows, int32_t columns, const int8_t *src, ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd) {
  VERSION(transpose_s8)(rows, columns, src, lds, dst, ldd);
}

void tally_transpose_rows_s8(
    int32_t rows, int32_t width, int32_t filled, int32_t columns, const int8_t *src,
    ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd) {
  VERSION_VNNI(transpose_rows_s8)(rows, width, filled, columns, src, lds, dst, ldd);
}

void tally_window_gradient_s8(
    const struct tally_window *window, int32_t rows, int32_t output_width, int32_t run,
    ptrdiff_t row, const int8_t *x, ptrdiff_t column, int32_t outputs, const int8_t *turned,
    void *packed, int32_t *gradient) {
  VERSION_VNNI(window_gradient_s8)(
      window, rows, output_width, run, row, x, column, outputs, turned, packed, gradient);
}

void tally_depthwise_s8_rows(
    int32_t output_height, int32_t output_width, int32_t channels, int32_t kernel_height,
    int32_t kernel_width, int32_t stride, int32_t dilation, int32_t pad_left, int32_t input_width,
    const int8_t *const *rows, const int8_t *weights, int32_t padding, int32_t *acc) {
  VERSION(depthwise_s8_rows)(
      output_height, output_width, channels, kernel_height, kernel_width, stride, dilation,
      pad_left, input_width, rows, weights, padding, acc);
}

void tally_depthwise_s8_row(
    int32_t output_width, int32_t channels, int32_t kernel_height, int32_t kernel_width,
    int32_t stride, int32_t dilation, int32_t pad_left, int32_t input_width,
    const int8_t *const *rows, const int8_t *weights, int32_t padding, int32_t *acc) {
  tally_depthwise_s8_rows(
      1, output_width, channels, kernel_height, kernel_width, stride, dilation, pad_left,
      input_width, rows, weights, padding, acc);
}

void tally_requantize_s8(
    int32_t count, const int32_t *acc, int32_t mantissa, int32_t shift, int32_t zero_point,
    int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  tally_requantize_bias_s8(
      1, count, acc, NULL, mantissa, shift, zero_point, low, high, out, mask);
}

void tally_requantize_bias_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias, int32_t mantissa,
    int32_t shift, int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  VERSION(requantize_bias_s8)(
      rows, channels, acc, bias, mantissa, shift, zero_point, low, high, out, mask);
}

void tally_requantize_channels_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t zero_point, int32_t low,
    int32_t high, int8_t *out, uint8_t *mask) {
  VERSION(requantize_channels_s8)(
      rows, channels, acc, bias, mantissas, shifts, zero_point, low, high, out, mask);
}

uint32_t tally_max_magnitude_s32(int32_t count, const int32_t *values) {
  return VERSION(max_magnitude_s32)(count, values);
}

void tally_shift_stochastic_s8(
    int32_t count, const int32_t *acc, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t counter[3], int8_t *out, const uint8_t *mask) {
  VERSION(shift_stochastic_s8)(count, acc, shift, first_element, key, counter, out, mask);
}

int32_t tally_contribute_q16(
    int32_t count, const int32_t *gradient, int32_t mantissa, int32_t shift,
    uint32_t first_element, const uint32_t key[2], const uint32_t counter[3], int32_t clip,
    int subtract, int32_t *target, int8_t *weights) {
  return VERSION(contribute_q16)(
      count, gradient, mantissa, shift, first_element, key, counter, clip, subtract, target,
      weights);
}

void tally_refresh_s8(int32_t count, int32_t *master, int8_t *weights) {
  VERSION(refresh_s8)(count, master, weights);
}

void tally_sum_squares_s32(int32_t count, const int32_t *values, uint64_t halves[2]) {
  VERSION(sum_squares_s32)(count, values, halves);
}

uint64_t tally_sum_squares_s8(int32_t count, const int8_t *values) {
  return VERSION(sum_squares_s8)(count, values);
}

void tally_perturb_dot_s8(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    const uint32_t key[2], const uint32_t counter[3], int32_t *C, ptrdiff_t ldc) {
  VERSION(perturb_dot_s8)(
      M, N, K, A, lda, B, ldb, sigma, first_element, row_elements, key, counter, C, ldc);
}

int32_t tally_contribute_product_q16(
    int32_t rows, int32_t count, int32_t samples, const int8_t *g, ptrdiff_t ldg, const int8_t *x,
    ptrdiff_t ldx, int32_t zero_point, int32_t mantissa, int32_t shift, const uint32_t key[2],
    const uint32_t counter[3], int32_t clip, int subtract, int32_t *target, int8_t *weights) {
  return VERSION(contribute_product_q16)(
      rows, count, samples, g, ldg, x, ldx, zero_point, mantissa, shift, key, counter, clip,
      subtract, target, weights);
}

void tally_max_pool_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    int8_t *output) {
  VERSION(max_pool_s8)(
      input, height, width, channels, window, output_height, output_width, output);
}

void tally_max_pool_gradient_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    const int8_t *g, int32_t *gradient) {
  VERSION(max_pool_gradient_s8)(
      input, height, width, channels, window, output_height, output_width, g, gradient);
}

void tally_max_pool_scatter_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    const int8_t *g, int8_t *gradient) {
  VERSION(max_pool_scatter_s8)(
      input, height, width, channels, window, output_height, output_width, g, gradient);
}

uint32_t tally_masked_magnitude_s32(
    int32_t count, const uint8_t *mask, const int32_t *values) {
  return VERSION(masked_magnitude_s32)(count, mask, values);
}

uint32_t tally_pass_s8(int32_t count, const int8_t *g, const uint8_t *mask, int8_t *out) {
  return VERSION(pass_s8)(count, g, mask, out);
}

void tally_add_s8(
    int32_t count, const int8_t *x1, const int8_t *x2, const struct tally_sum *sum,
    int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  VERSION(add_s8)(count, x1, x2, sum, zero_point, low, high, out, mask);
}

uint32_t tally_merge_size_s8(
    int32_t count, const int8_t *g1, int32_t m1, const int8_t *g2, int32_t m2) {
  return VERSION(merge_size_s8)(count, g1, m1, g2, m2);
}

void tally_merge_s8(
    int32_t count, int8_t *g1, int32_t m1, const int8_t *g2, int32_t m2, int32_t shift,
    uint32_t first_element, const uint32_t key[2], const uint32_t counter[3]) {
  VERSION(merge_s8)(count, g1, m1, g2, m2, shift, first_element, key, counter);
}

int32_t tally_count_s8(int32_t count, const int8_t *values, int32_t low, int32_t high) {
  return VERSION(count_s8)(count, values, low, high);
}

void tally_sum_rows_s8(
    int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx, int32_t *sums) {
  VERSION(sum_rows_s8)(rows, columns, x, ldx, sums);
}

void tally_sum_magnitudes_s8(
    int32_t rows, int32_t columns, const int8_t *x, int32_t *sums) {
  VERSION(sum_magnitudes_s8)(rows, columns, x, sums);
}

int32_t tally_kth_largest_s32(
    int32_t count, const int32_t *values, int32_t k, int32_t *above) {
  return VERSION(kth_largest_s32)(count, values, k, above);
}

void tally_keep_columns_s8(int32_t rows, int32_t columns, const uint8_t *kept, int8_t *x) {
  VERSION(keep_columns_s8)(rows, columns, kept, x);
}

void tally_gather_channels_s8(
    int32_t positions, int32_t stride, const int32_t *channels, int32_t count,
    const int8_t *source, int8_t *target) {
  VERSION_AVX2(gather_channels_s8)(positions, stride, channels, count, source, target);
}

void tally_row_sums_s8(
    int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx, int32_t *sums) {
  VERSION(row_sums_s8)(rows, columns, x, ldx, sums);
}

void tally_count_sizes_s32(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t step, int rectified,
    int64_t counts[33]) {
  VERSION(count_sizes_s32)(
      rows, channels, acc, bias, mantissas, shifts, step, rectified, counts);
}

void tally_count_sizes_of_sums_s8(
    int32_t count, const int8_t *x1, const int8_t *x2, const struct tally_sum *sum, int rectified,
    int64_t counts[33]) {
  VERSION(count_sizes_of_sums_s8)(count, x1, x2, sum, rectified, counts);
}

void tally_depthwise_scatter_s8(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t width,
    const int8_t *turned, int32_t *gradient) {
  VERSION(depthwise_scatter_s8)(
      g, output_height, output_width, channels, window, first_row, end_row, width, turned,
      gradient);
}

void tally_depthwise_weight_gradient_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t output_width,
    const int8_t *g, int32_t padding, int32_t *gradient) {
  VERSION(depthwise_weight_gradient_s8)(
      input, height, width, channels, window, first_row, end_row, output_width, g, padding,
      gradient);
}

int32_t tally_perturb_s8(
    int32_t count, const int8_t *w, int32_t sigma, uint32_t first_element, const uint32_t key[2],
    const uint32_t counter[3], int8_t *target) {
  return VERSION(perturb_s8)(count, w, sigma, first_element, key, counter, target);
}

void tally_signed_sums_s32(
    int32_t count, uint32_t first_element, int32_t entries, const int32_t *differences,
    const uint32_t key[2], const uint32_t counter[3], const int8_t *w, int32_t reach,
    int32_t *sums) {
  VERSION(signed_sums_s32)(
      count, first_element, entries, differences, key, counter, w, reach, sums);
}

int32_t tally_contribute_signs_q16(
    int32_t count, int32_t difference, int32_t mantissa, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t signs[3], const uint32_t counter[3], int32_t reach,
    int32_t clip, int32_t *master, int8_t *weights) {
  return VERSION(contribute_signs_q16)(
      count, difference, mantissa, shift, first_element, key, signs, counter, reach, clip, master,
      weights);
}

void tally_sha256_blocks(uint32_t h[8], const uint8_t *data, size_t blocks) {
#if TALLY_X86
  const int s = current();
  if ((s & has_sha) && (s & level_bits) != plain) {
    tally_sha_ni_sha256_blocks(h, data, blocks);
    return;
  }
#endif
  tally_plain_sha256_blocks(h, data, blocks);
}
