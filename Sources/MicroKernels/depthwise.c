// Depthwise convolutions of whole samples, forward and backward, for every level.
#include "internal.h"

#if TALLY_X86
#include "x86_avx2.h"
#undef UNROLLED
#include "x86_vnni.h"
#endif

// ---- Forward, and the input gradient of unit strides: rows of pointers for tally_depthwise_s8_rows

enum { most_pointers = 384 };

// Output rows first_row ..< end_row of a window over `input`. `turned`: [tap][channel].
static void run_rows(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *k, int32_t first_row, int32_t end_row, int32_t output_width,
    const int8_t *turned, int32_t padding, int32_t *acc) {
  const int8_t *rows[most_pointers];
  const int32_t at_once = most_pointers / k->kernel_height;
  for (int32_t first = first_row; first < end_row; first += at_once) {
    const int32_t count = smaller(at_once, end_row - first);
    for (int32_t r = 0; r < count; r++)
      for (int32_t u = 0; u < k->kernel_height; u++) {
        const int32_t row = (first + r) * k->stride_height - k->pad_top + u * k->dilation_height;
        rows[r * k->kernel_height + u] =
            row >= 0 && row < height ? input + (ptrdiff_t)row * width * channels : NULL;
      }
    tally_depthwise_s8_rows(
        count, output_width, channels, k->kernel_height, k->kernel_width, k->stride_width,
        k->dilation_width, k->pad_left, width, rows, turned, padding, acc);
    acc += (ptrdiff_t)count * output_width * channels;
  }
}

void tally_depthwise_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t output_width,
    const int8_t *weights, int8_t *turned, int32_t padding, int32_t *acc) {
  const int32_t taps = window->kernel_height * window->kernel_width;
  const int32_t positions = (end_row - first_row) * output_width;
  if (window->kernel_height <= most_pointers) {
    tally_transpose_s8(channels, taps, weights, taps, turned, channels);
    run_rows(
        input, height, width, channels, window, first_row, end_row, output_width, turned, padding,
        acc);
    return;
  }
  for (int32_t p = 0; p < positions; p++)
    for (int32_t o = 0; o < channels; o++) {
      uint32_t sum = 0;
      for (int32_t t = 0; t < taps; t++) {
        const int32_t row = (first_row + p / output_width) * window->stride_height
                            - window->pad_top + t / window->kernel_width * window->dilation_height;
        const int32_t column = p % output_width * window->stride_width - window->pad_left
                               + t % window->kernel_width * window->dilation_width;
        const int is_inside = row >= 0 && row < height && column >= 0 && column < width;
        const int32_t x =
            is_inside ? input[((ptrdiff_t)row * width + column) * channels + o] : padding;
        sum += (uint32_t)(weights[(ptrdiff_t)o * taps + t] * x);
      }
      acc[(ptrdiff_t)p * channels + o] = (int32_t)sum;
    }
}

// ---- Bodies over channels

// y[c] += x[c]·w[c]
TALLY_INLINE void add_products(int32_t channels, const int8_t *x, const int8_t *w, int32_t *y) {
  for (int32_t c = 0; c < channels; c++) y[c] += x[c] * w[c];
}

// Any stride: every output's gradient goes to the inputs of its taps. `turned`: [tap][channel].
TALLY_INLINE void scatter(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t channels,
    const struct tally_window *k, int32_t first_row, int32_t end_row, int32_t width,
    const int8_t *turned, int32_t *gradient) {
  __builtin_memset(
      gradient, 0,
      sizeof(int32_t) * (size_t)(end_row - first_row) * (size_t)width * (size_t)channels);
  for (int32_t r = 0; r < output_height; r++)
    for (int32_t u = 0; u < k->kernel_height; u++) {
      const int32_t row = r * k->stride_height - k->pad_top + u * k->dilation_height;
      if (row < first_row || row >= end_row) continue;
      for (int32_t c = 0; c < output_width; c++) {
        const int8_t *from = g + ((ptrdiff_t)r * output_width + c) * channels;
        for (int32_t v = 0; v < k->kernel_width; v++) {
          const int32_t column = c * k->stride_width - k->pad_left + v * k->dilation_width;
          if (column < 0 || column >= width) continue;
          add_products(
              channels, from, turned + (ptrdiff_t)(u * k->kernel_width + v) * channels,
              gradient + ((ptrdiff_t)(row - first_row) * width + column) * channels);
        }
      }
    }
}

// Columns of the output whose tap at `offset` from the window's first column lies inside the input.
TALLY_INLINE void inside_columns(
    int32_t offset, int32_t stride, int32_t width, int32_t output_width, int32_t *first,
    int32_t *end) {
  *first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int32_t last = width - 1 - offset < 0 ? 0 : (width - 1 - offset) / stride + 1;
  *end = smaller(last, output_width);
}

// n channels from `first_channel` on, for one tap: sums[c] += Σ (x − Z)·g over what lies inside. Each
// product stays within 16 bits: 255·127.
TALLY_INLINE void tap_sums(
    const int32_t n, const int8_t *x, ptrdiff_t x_step, const int8_t *g, ptrdiff_t g_step,
    int32_t count, int32_t padding, int32_t *sums) {
  int32_t total[64] = {0};
  for (int32_t i = 0; i < count; i++, x += x_step, g += g_step)
    for (int32_t c = 0; c < n; c++)
      total[c] += (int16_t)((int16_t)(x[c] - padding) * (int16_t)g[c]);
  for (int32_t c = 0; c < n; c++) sums[c] += total[c];
}

TALLY_INLINE void weight_gradient(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t output_width,
    const int8_t *g, int32_t padding, int32_t *gradient) {
  const struct tally_window k = *window;
  const int32_t taps = k.kernel_height * k.kernel_width;
  for (int32_t first = 0; first < channels; first += 64) {
    const int32_t n = smaller(channels - first, 64);
    // Padding's part: Z·Σ g over all positions, the same for every tap.
    int32_t all[64] = {0};
    if (padding != 0)
      tally_sum_rows_s8(
          (end_row - first_row) * output_width, n,
          g + (ptrdiff_t)first_row * output_width * channels + first, channels, all);
    for (int32_t t = 0; t < taps; t++) {
      const int32_t u = t / k.kernel_width, v = t % k.kernel_width;
      const int32_t offset = v * k.dilation_width - k.pad_left;
      int32_t sums[64] = {0}, first_column, end_column;
      inside_columns(offset, k.stride_width, width, output_width, &first_column, &end_column);
      for (int32_t r = first_row; r < end_row; r++) {
        const int32_t row = r * k.stride_height - k.pad_top + u * k.dilation_height;
        if (row < 0 || row >= height || first_column >= end_column) continue;
        const int8_t *x =
            input
            + ((ptrdiff_t)row * width + first_column * k.stride_width + offset) * channels + first;
        const int8_t *from = g + ((ptrdiff_t)r * output_width + first_column) * channels + first;
        const ptrdiff_t step = (ptrdiff_t)k.stride_width * channels;
        const int32_t count = end_column - first_column;
        switch (n) {
          case 64: tap_sums(64, x, step, from, channels, count, padding, sums); break;
          case 32: tap_sums(32, x, step, from, channels, count, padding, sums); break;
          case 16: tap_sums(16, x, step, from, channels, count, padding, sums); break;
          default: tap_sums(n, x, step, from, channels, count, padding, sums);
        }
      }
      for (int32_t c = 0; c < n; c++) {
        int32_t *out = gradient + (ptrdiff_t)(first + c) * taps + t;
        *out = wrapping_add(*out, wrapping_add(sums[c], all[c] * padding));
      }
    }
  }
}

// ---- The same for each level

#define SCATTER(level, TARGET)                                                                  \
  TARGET void tally_##level##_depthwise_scatter_s8(                                             \
      const int8_t *g, int32_t output_height, int32_t output_width, int32_t channels,           \
      const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t width,     \
      const int8_t *turned, int32_t *gradient) {                                                \
    scatter(                                                                                    \
        g, output_height, output_width, channels, window, first_row, end_row, width, turned,    \
        gradient);                                                                              \
  }
#define WEIGHT_GRADIENT(level, TARGET)                                                          \
  TARGET void tally_##level##_depthwise_weight_gradient_s8(                                     \
      const int8_t *input, int32_t height, int32_t width, int32_t channels,                     \
      const struct tally_window *window, int32_t first_row, int32_t end_row,                    \
      int32_t output_width, const int8_t *g, int32_t padding, int32_t *gradient) {              \
    weight_gradient(                                                                            \
        input, height, width, channels, window, first_row, end_row, output_width, g, padding,   \
        gradient);                                                                              \
  }

SCATTER(plain, )
WEIGHT_GRADIENT(plain, )
#if TALLY_X86
SCATTER(avx2, AVX2)
WEIGHT_GRADIENT(avx2, AVX2)
SCATTER(vnni, VNNI __attribute__((min_vector_width(512))))
#endif

void tally_depthwise_input_gradient_s8(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t width,
    const int8_t *weights, int8_t *turned, int32_t *gradient) {
  const struct tally_window k = *window;
  const int32_t taps = k.kernel_height * k.kernel_width;
  tally_transpose_s8(channels, taps, weights, taps, turned, channels);
  if (k.stride_height != 1 || k.stride_width != 1 || k.kernel_height > most_pointers) {
    tally_depthwise_scatter_s8(
        g, output_height, output_width, channels, window, first_row, end_row, width, turned,
        gradient);
    return;
  }
  // Row r of g meets input row `row` through tap u where r = row + top − u·dilation: a window over g
  // whose taps run backward and which starts extent − 1 − top above.
  for (int32_t a = 0, b = taps - 1; a < b; a++, b--)
    for (int32_t c = 0; c < channels; c++) {
      const int8_t swapped = turned[(ptrdiff_t)a * channels + c];
      turned[(ptrdiff_t)a * channels + c] = turned[(ptrdiff_t)b * channels + c];
      turned[(ptrdiff_t)b * channels + c] = swapped;
    }
  struct tally_window over = k;
  over.pad_top = k.dilation_height * (k.kernel_height - 1) - k.pad_top;
  over.pad_left = k.dilation_width * (k.kernel_width - 1) - k.pad_left;
  run_rows(
      g, output_height, output_width, channels, &over, first_row, end_row, width, turned, 0,
      gradient);
}
