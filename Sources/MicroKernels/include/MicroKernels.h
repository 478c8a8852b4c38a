// The hot loops of the runtime: plain C that defines them, and x86 and Arm versions of the same
// functions, chosen at run time.
//
// Common to every function:
//  - Integers only. Sums of products wrap in int32 (two's complement), so any order gives the
//    same bits; every version of a function returns exactly what the plain one returns.
//  - Nothing allocates, nothing is locked, nothing is kept between calls except the SIMD level and who runs
//    parts.
//  - Pointers need only the alignment of their element type, packed buffers none; multiples of 64
//    bytes are faster. A pointer may be null when its element count is 0.
//  - Sizes are element counts, 0…2^30. A leading dimension (`ld…`) is the distance between the
//    starts of two rows, in elements, and is at least the row's length.
//  - Inputs and outputs must not overlap unless a function says so.
#ifndef TALLY_MICROKERNELS_H
#define TALLY_MICROKERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Which version runs

/// The version in use: 0 plain C, 1 AVX2, 2 AVX-512 with VNNI, 3 Arm dot product.
///
/// Found from the CPU at the first use (no lock: every thread would store the same value).
int tally_simd_level(void);

/// Chooses a version; for tests, and for `verify --vary`.
///
/// A level this CPU does not have becomes the best one below it, so a large value restores the
/// best. Calls that are running on other threads finish with the level they began with.
void tally_set_simd_level(int level);

// ---- Threads

/// `tally_share` takes so many parts at most.
enum { TALLY_MOST_THREADS = 16 };

/// Runs body(context, part) for every part in 0 ..< parts, in any order or at once, and returns when all ended.
typedef void tally_parallel(
    int32_t parts, void (*body)(void *context, int32_t part), void *context);

/// Lets `run` do `tally_share`; null: the caller does one part after the other. Calls that are running on other
/// threads finish as they began.
void tally_set_parallel(tally_parallel *run);

/// Runs body(context, part) for every part in 0 ..< parts (1…TALLY_MOST_THREADS), as `tally_set_parallel` said.
///
/// Returns the largest of what they give.
uint32_t tally_share(int32_t parts, uint32_t (*body)(void *context, int32_t part), void *context);

// ---- Windows

/// The window of a convolution or pooling (SPEC §6.1, §6.3).
struct tally_window {
  int32_t kernel_height, kernel_width, stride_height, stride_width;
  int32_t dilation_height, dilation_width, pad_top, pad_left;
};

// ---- Matrix products, int8 × int8 → int32

/// C[m][n] = Σ_k A[m][k]·B[n][k], both operands row-major, nothing packed: "dot form".
///
/// A is [M, K], B is [N, K] (a layer's weights as they are stored), C is [M, N]. Every int8 value
/// is allowed, −128 included. Best for small M: one row of A reads B once, at memory speed. From
/// about 8 rows on, packing B is faster.
void tally_gemm_s8_nt(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t *C, ptrdiff_t ldc);

/// Bytes of the packed form of a [N, K] matrix: (round_up(K, 4) + 4)·round_up(N, 16).
size_t tally_packed_s8_bytes(int32_t N, int32_t K);

/// Packs B, given as [N, K], for `tally_gemm_s8_packed`.
///
/// The packed bytes do not depend on the SIMD level: a buffer packed at one level is valid at all
/// levels of all little-endian machines. Layout: round_up(N, 16) little-endian int32 corrections
/// −128·Σ_k B[n][k]; then panels of 64 columns (the last one 16, 32, 48 or 64), each
/// [round_up(K, 4)/4][columns][4] bytes, padding zero.
void tally_pack_s8(int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed);

/// The same packed bytes from B stored as [K, N].
void tally_pack_s8_transposed(
    int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed);

/// C[m][n] = Σ_k A[m][k]·B[n][k], or C += that when `accumulate` is not 0, with B packed.
///
/// A is [M, K] row-major, any int8 value; C is [M, N]. Exactly K bytes of each row of A are read.
void tally_gemm_s8_packed(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const void *packed,
    int32_t *C, ptrdiff_t ldc, int accumulate);

/// y[i] += Σ_r scalars[r·step]·x[r·ldx + i]: rows of x, weighted and added.
///
/// Rows whose scalar is 0 are not read: the product that skips work. x is [rows, count]; every int8
/// value is allowed in both.
void tally_add_rows_s8(
    int32_t rows, int32_t count, const int8_t *scalars, ptrdiff_t step, const int8_t *x,
    ptrdiff_t ldx, int32_t *y);

/// dst[c][r] = src[r][c]; src is [rows, columns].
void tally_transpose_s8(
    int32_t rows, int32_t columns, const int8_t *src, ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd);

/// Rows of a depthwise convolution, channels last:
/// acc[r][o][c] = Σ_{i,j} weights[i][j][c]·rows[r][i][x][c], x = o·stride + j·dilation − pad_left.
///
/// - rows: [output_height, kernel_height] pointers, each to an input row [input_width, channels].
///   Null marks a row in the padding. Columns outside 0..<input_width are padding too. All of it is
///   read as `padding`.
/// - weights: [kernel_height, kernel_width, channels].
/// - acc: [output_height, output_width, channels].
/// - padding −128…127; stride and dilation ≥ 1 (of columns; `rows` tells those of rows);
///   pad_left ≥ 0.
///
/// Weights are rearranged once per call, so several rows at a time are cheaper than one.
void tally_depthwise_s8_rows(
    int32_t output_height, int32_t output_width, int32_t channels, int32_t kernel_height,
    int32_t kernel_width, int32_t stride, int32_t dilation, int32_t pad_left, int32_t input_width,
    const int8_t *const *rows, const int8_t *weights, int32_t padding, int32_t *acc);

/// The same for one row.
void tally_depthwise_s8_row(
    int32_t output_width, int32_t channels, int32_t kernel_height, int32_t kernel_width,
    int32_t stride, int32_t dilation, int32_t pad_left, int32_t input_width,
    const int8_t *const *rows, const int8_t *weights, int32_t padding, int32_t *acc);

/// A depthwise convolution of one sample, channels last, by `tally_depthwise_s8_rows`:
/// acc[r][c][o] = Σ_{u,v} weights[o][u][v]·x, positions outside the input read as `padding`.
///
/// - weights: [channels, kernel_height, kernel_width], as a model holds them.
/// - turned: room for as many bytes.
void tally_depthwise_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t output_width,
    const int8_t *weights, int8_t *turned, int32_t padding, int32_t *acc);

/// Its input gradient, for input rows first_row ..< end_row:
/// gradient[row][column][i] = Σ weights[i][u][v]·g of the outputs that tap (u, v) brings here.
///
/// - g: [output_height, output_width, channels].
void tally_depthwise_input_gradient_s8(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t width,
    const int8_t *weights, int8_t *turned, int32_t *gradient);

/// Its weight gradient over output rows first_row ..< end_row:
/// gradient[o][u][v] += Σ x·g over the positions, x read as `padding` outside the input.
void tally_depthwise_weight_gradient_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t output_width,
    const int8_t *g, int32_t padding, int32_t *gradient);

// ---- Patches

/// Copies the windows of output rows first_row..<end_row of one sample into
/// patches[position][u][v][channel], `padding` where a window leaves the input.
///
/// - input: [height, width, stored_channels]; channels first_channel ..< first_channel + channels are taken.
void tally_gather_patches_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t stored_channels,
    int32_t first_channel, int32_t channels, const struct tally_window *window,
    int32_t first_row, int32_t end_row, int32_t output_width, int8_t padding, int8_t *patches);

/// The same for an input gradient: patches[p][u][v][o] = g of the output that tap (u, v) joins to input
/// position p, 0 where there is none; input rows first_row ..< end_row.
///
/// - g: [output_height, output_width, stored_channels].
void tally_gather_gradient_patches_s8(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t stored_channels,
    int32_t first_channel, int32_t channels, const struct tally_window *window,
    int32_t first_row, int32_t end_row, int32_t width, int8_t *patches);

// ---- Convolutions without patches; one group, dilation_width 1
//
// The output has [output_height, output_width] positions of N channels. `run` = kernel_width·channels.

/// Bytes of a sample with its padding around it.
size_t tally_padded_s8_bytes(
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    int32_t channels);

/// Copies a sample [height, width, channels] with `padding` around it, as far as windows reach.
void tally_pad_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    int8_t padding, int8_t *padded);

/// Bytes of packed weights [N, kernel_height, run].
size_t tally_packed_window_s8_bytes(
    int32_t N, const struct tally_window *window, int32_t channels);

/// Packs weights: one packed matrix [N, run] (`tally_pack_s8`) after another for each kernel row.
void tally_pack_window_s8(
    int32_t N, const struct tally_window *window, int32_t channels, const int8_t *B, void *packed);

/// acc[r][c][n] = Σ_{u,v,i} B[n][u][v][i]·padded for output rows first_row ..< end_row.
void tally_convolve_s8(
    const int8_t *padded, int32_t channels, const struct tally_window *window, int32_t first_row,
    int32_t end_row, int32_t output_width, int32_t N, const void *packed, int32_t *acc);

/// Bytes of packed weights for `tally_convolve_input_gradient_s8`; dilation 1.
size_t tally_packed_gradient_s8_bytes(
    int32_t inputs, const struct tally_window *window, int32_t outputs);

/// Where tap (u, v) stands among the taps of turned weights: taps that meet the same input positions lie
/// together, the last first. Without strides all of them do.
int32_t tally_gradient_tap(const struct tally_window *window, int32_t u, int32_t v);

/// Packs weights [inputs, taps, outputs], the taps as `tally_gradient_tap` says.
void tally_pack_gradient_s8(
    int32_t inputs, const struct tally_window *window, int32_t outputs, const int8_t *turned,
    void *packed);

/// The same from weights that lie as [taps, outputs, inputs].
void tally_pack_gradient_s8_transposed(
    int32_t inputs, const struct tally_window *window, int32_t outputs, const int8_t *turned,
    void *packed);

/// Bytes of a padded copy of g for `rows` input rows, wherever they begin.
size_t tally_padded_gradient_s8_bytes(
    const struct tally_window *window, int32_t rows, int32_t width, int32_t outputs);

/// gradient[row][column][i] = Σ w[o][u][v][i]·g of the outputs that tap (u, v) brings to the input position,
/// for input rows first_row ..< end_row; dilation 1. No product with the zeros between strides is made.
///
/// - g: [output_height, output_width, outputs].
void tally_convolve_input_gradient_s8(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t outputs,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t width,
    int32_t inputs, const void *packed, int8_t *padded, int32_t *gradient);

/// C[m][n] = Σ_u Σ_k A[m·lda + u·step + k]·B_u[n][k]: `runs` packed matrices one after another. K a
/// multiple of 4; all of it is read, so B_u may be packed for up to 3 less.
void tally_gemm_s8_runs(
    int32_t M, int32_t N, int32_t runs, int32_t K, const int8_t *A, ptrdiff_t lda, ptrdiff_t step,
    const void *packed, int32_t *C, ptrdiff_t ldc);

/// Bytes of workspace for `tally_convolve_weight_gradient_s8` over `rows` output rows.
size_t tally_window_gradient_bytes(
    const struct tally_window *window, int32_t rows, int32_t output_width, int32_t channels,
    int32_t outputs);

/// gradient[o][u][v][i] += Σ padded·g over the positions of output rows first_row ..< end_row.
///
/// - g: [output_height, output_width, stored_outputs], of which the first `outputs` are taken.
void tally_convolve_weight_gradient_s8(
    const int8_t *padded, int32_t channels, const struct tally_window *window, int32_t first_row,
    int32_t end_row, int32_t output_width, const int8_t *g, int32_t stored_outputs,
    int32_t outputs, void *workspace, int32_t *gradient);

/// Packs B for `tally_gemm_s8_packed`, B[n][k] at B[r·row + c·column + n] with k = r·⌈columns/4⌉·4 + c and
/// zeros for c ≥ columns; the depth is rows·⌈columns/4⌉·4.
void tally_pack_positions_s8(
    int32_t N, int32_t rows, int32_t columns, const int8_t *B, ptrdiff_t row, ptrdiff_t column,
    void *packed);

// ---- Max pooling (SPEC §6.3); dilation 1, every window holds an input position

/// output[r][c][i] = the largest input value of channel i in the window. One sample.
void tally_max_pool_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    int8_t *output);

/// gradient[first position of the maximum] += g, everything else 0. One sample; below 2^31 elements.
void tally_max_pool_gradient_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    const int8_t *g, int32_t *gradient);

/// The same in int8 where windows do not overlap, so that every element has one gradient at most.
void tally_max_pool_scatter_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    const int8_t *g, int8_t *gradient);

// ---- Requantisation (SPEC §3.3): one rounding, half up, 64-bit product
//
// requant(v) with multiplier mantissa·2^-shift:
//   shift 1…62: sat32((v·mantissa + 2^(shift−1)) >> shift), an arithmetic (floor) shift
//   shift ≤ 0:  sat32(v·mantissa·2^-shift), exact before it saturates;   shift > 62: 0

/// out[i] = clamp(requant(acc[i]) + zero_point, low, high).
///
/// - mantissa 0…2^31−1; any shift; zero_point −128…127; −128 ≤ low ≤ high ≤ 127.
/// - mask: null, or ⌈count/8⌉ bytes: bit i%8 of byte i/8 is 1 when low ≤ requant + zero_point ≤
///   high. Unused bits of the last byte are 0.
void tally_requantize_s8(
    int32_t count, const int32_t *acc, int32_t mantissa, int32_t shift, int32_t zero_point,
    int32_t low, int32_t high, int8_t *out, uint8_t *mask);

/// The same over acc [rows, channels], with bias[c] added to each row first (wrapping).
///
/// bias may be null. Mask bits run over the flat index row·channels + c.
void tally_requantize_bias_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias, int32_t mantissa,
    int32_t shift, int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask);

/// The same with a multiplier per channel: mantissas[c]·2^-shifts[c].
void tally_requantize_channels_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t zero_point, int32_t low,
    int32_t high, int8_t *out, uint8_t *mask);

// ---- Element by element

/// The largest |values[i]| where the mask bit of i is 1; 0 for none.
///
/// mask: ⌈count/8⌉ bytes as `tally_requantize_s8` writes them.
uint32_t tally_masked_magnitude_s32(int32_t count, const uint8_t *mask, const int32_t *values);

/// out[i] = g[i], or 0 where the mask bit of i is 0; the largest |out[i]|. In place is allowed.
///
/// mask: null for all ones, or ⌈count/8⌉ bytes.
uint32_t tally_pass_s8(int32_t count, const int8_t *g, const uint8_t *mask, int8_t *out);

/// Two inputs at a common fixed point (SPEC §6.5):
/// sum(i) = ((x1[i] − zero1)·first + (x2[i] − zero2)·second + 2^(fraction−1)) >> fraction.
///
/// |zero| ≤ 128; 0 ≤ first, second ≤ 2^21; fraction 1…21.
struct tally_sum {
  int32_t zero1, zero2, first, second, fraction;
};

/// out[i] = clamp(sum(i) + zero_point, low, high); the mask as `tally_requantize_s8` writes it.
void tally_add_s8(
    int32_t count, const int8_t *x1, const int8_t *x2, const struct tally_sum *sum,
    int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask);

/// The largest |g1[i]·m1 + g2[i]·m2|; 0 ≤ m1, m2 ≤ 2^15.
uint32_t tally_merge_size_s8(
    int32_t count, const int8_t *g1, int32_t m1, const int8_t *g2, int32_t m2);

/// How many values lie in low…high; −128 ≤ low, high ≤ 127.
int32_t tally_count_s8(int32_t count, const int8_t *values, int32_t low, int32_t high);

/// sums[c] += Σ_r x[r·ldx + c]; x is [rows, columns].
void tally_sum_rows_s8(
    int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx, int32_t *sums);

/// sums[c] += Σ_r |x[r·columns + c]|; x is [rows, columns].
void tally_sum_magnitudes_s8(
    int32_t rows, int32_t columns, const int8_t *x, int32_t *sums);

/// The k-th largest of `count` values ≥ 0, k = 1…count; `above` gets how many are larger.
int32_t tally_kth_largest_s32(int32_t count, const int32_t *values, int32_t k, int32_t *above);

/// x[r][c] ← 0 where bit c%8 of kept[c/8] is 0; x is [rows, columns].
void tally_keep_columns_s8(int32_t rows, int32_t columns, const uint8_t *kept, int8_t *x);

/// target[p][j] = source[p][channels[j]]; source is [positions, stride], target [positions, count].
void tally_gather_channels_s8(
    int32_t positions, int32_t stride, const int32_t *channels, int32_t count,
    const int8_t *source, int8_t *target);

/// sums[r] = Σ_c x[r·ldx + c]; x is [rows, columns].
void tally_row_sums_s8(
    int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx, int32_t *sums);

/// counts[bitlen(size)] += 1 for each value of acc [rows, channels], requantized as
/// `tally_requantize_channels_s8` does before it adds the zero point (SPEC §8.9).
///
/// - step: 1 for a multiplier per channel, 0 for one.
/// - size: the value itself, not below 0, if `rectified` is not 0; else its magnitude.
/// - counts: 33.
void tally_count_sizes_s32(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t step, int rectified,
    int64_t counts[33]);

/// The same of sum(i).
void tally_count_sizes_of_sums_s8(
    int32_t count, const int8_t *x1, const int8_t *x2, const struct tally_sum *sum, int rectified,
    int64_t counts[33]);

// ---- Gradients
//
// Random bits are addresses (SPEC §4): Philox4x32-10 of counter (block, c1, c2, c3) and a key of
// two words.
//  - r16 of element e: 16-bit lane e%8 of block e/8; lane j is the low half of word j/2 for even j
//    and the high half for odd j.
//  - sign of element e: bit e%32 of word (e/32)%4 of block e/128; 0 means +1, 1 means −1.
// `first_element` is e of the call's element 0, so a range may be split anywhere. Every e is below
// 2^32.

/// The largest |values[i]|, 0 for none; |−2^31| is 2^31.
uint32_t tally_max_magnitude_s32(int32_t count, const int32_t *values);

/// out[i] = clamp(SR(acc[i], shift, r16), −127, 127), or 0 where the mask bit of i is 0.
///
/// SR of SPEC §3.4, SR(v, s, r):
///   s = 0: v;   s 1…16: (v + (r & (2^s − 1))) >> s;   s > 16: ((v >> (s − 16)) + r) >> 16
/// - shift 0…31. The sum v + r wraps in int32: keep |acc| ≤ 2^31 − 2^16 when shift ≤ 16.
/// - mask: null, or ⌈count/8⌉ bytes as `tally_requantize_s8` writes them.
void tally_shift_stochastic_s8(
    int32_t count, const int32_t *acc, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t counter[3], int8_t *out, const uint8_t *mask);

/// target[i] += clamp(requantSR(gradient[i]), −clip, clip), or −= it, wrapping, target not clamped.
///
/// requantSR (SPEC §3.4), with p = gradient·mantissa in 64 bits:
///   shift 1…16:  sat32((p + (r16 & (2^shift − 1))) >> shift)
///   shift 17…62: sat32(((p >> (shift − 16)) + r16) >> 16)
///   shift ≤ 0:   sat32(p·2^-shift);   shift > 62: 0
/// - mantissa 0…2^31−1; clip 0…2^30.
/// - subtract: not 0 takes from a master, 0 adds to a velocity (SPEC §8.7).
/// - weights: null, or with `subtract` the weights of the masters in `target`, which are in ±127·2^16 and
///   have these weights already: then `tally_refresh_s8` of the result as well.
/// Returns how many values the clip changed.
int32_t tally_contribute_q16(
    int32_t count, const int32_t *gradient, int32_t mantissa, int32_t shift,
    uint32_t first_element, const uint32_t key[2], const uint32_t counter[3], int32_t clip,
    int subtract, int32_t *target, int8_t *weights);

/// g1[i] = clamp(SR(g1[i]·m1 + g2[i]·m2, shift, r16), −127, 127); 0 ≤ m1, m2 ≤ 2^15, shift 0…31.
void tally_merge_s8(
    int32_t count, int8_t *g1, int32_t m1, const int8_t *g2, int32_t m2, int32_t shift,
    uint32_t first_element, const uint32_t key[2], const uint32_t counter[3]);

/// `tally_contribute_q16` for the weights of a fully connected operation, its gradient made on the way:
/// target [rows, count] gets Σ_b g[b·ldg + r]·(x[b·ldx + k] − zero_point).
///
/// - g: [samples, rows]; x: [samples, count]. At most 2^16 samples.
/// - zero_point −128…127.
int32_t tally_contribute_product_q16(
    int32_t rows, int32_t count, int32_t samples, const int8_t *g, ptrdiff_t ldg, const int8_t *x,
    ptrdiff_t ldx, int32_t zero_point, int32_t mantissa, int32_t shift, const uint32_t key[2],
    const uint32_t counter[3], int32_t clip, int subtract, int32_t *target, int8_t *weights);

/// master[i] = clamp(master[i], ±127·2^16); weights[i] = (master[i] + 2^15) >> 16.
void tally_refresh_s8(int32_t count, int32_t *master, int8_t *weights);

/// Σ values[i]², exact: halves[0] += Σ (square mod 2^32), halves[1] += Σ (square >> 32).
void tally_sum_squares_s32(int32_t count, const int32_t *values, uint64_t halves[2]);

/// Σ values[i]².
uint64_t tally_sum_squares_s8(int32_t count, const int8_t *values);

// ---- Zeroth order

/// C[m][n] = Σ_k A[m][k]·P[n][k], P = B perturbed while it is loaded; B itself is not changed.
///
/// P[n][k] = B[n][k] + sigma·sign(e), e = first_element + n·row_elements + k; but P = B where
/// |B[n][k]| + |sigma| > 127.
/// - sigma −127…127 (negative for the second evaluation of an antithetic pair).
void tally_perturb_dot_s8(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    const uint32_t key[2], const uint32_t counter[3], int32_t *C, ptrdiff_t ldc);

/// target[i] = w[i] + sigma·sign(first_element + i), or w[i] where |w[i]| + |sigma| > 127; the sum of target.
///
/// - sigma −127…127. In place is allowed.
int32_t tally_perturb_s8(
    int32_t count, const int8_t *w, int32_t sigma, uint32_t first_element, const uint32_t key[2],
    const uint32_t counter[3], int8_t *target);

/// sums[i] = Σ_e differences[e]·sign_e(first_element + i), saturated once; sign_e of the stream whose counter is
/// `counter` with e added to its last word. 0 where |w[i]| > reach.
///
/// - entries 1…65536; |differences[e]| < 2^31.
/// - w null for no such places, or as long as sums.
/// - reach 0…127.
void tally_signed_sums_s32(
    int32_t count, uint32_t first_element, int32_t entries, const int32_t *differences,
    const uint32_t key[2], const uint32_t counter[3], const int8_t *w, int32_t reach,
    int32_t *sums);

/// The update of masters by an estimate of one direction: `tally_signed_sums_s32` of one difference and
/// `tally_contribute_q16` with weights in one pass.
///
/// - signs the counter of the directions' stream, counter that of the lanes.
/// - reach 0…127: weights with |w| beyond it were not moved and keep their masters.
/// - Returns how many contributions the clip changed.
int32_t tally_contribute_signs_q16(
    int32_t count, int32_t difference, int32_t mantissa, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t signs[3], const uint32_t counter[3], int32_t reach,
    int32_t clip, int32_t *master, int8_t *weights);

// ---- Digest

/// Runs SHA-256's compression (FIPS 180-4 §6.2.2) over `blocks` blocks of 64 bytes.
///
/// state holds H0…H7 as numbers. Uses the SHA instructions when the CPU has them and the level is
/// not 0.
void tally_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks);

#ifdef __cplusplus
}
#endif
#endif
