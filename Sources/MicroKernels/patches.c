// Patches: the windows of a convolution laid out as rows, so that the convolution becomes a product.
// Plain C only: the time goes into memory, and runs are copied whole.
#include "internal.h"

// Runs of a few bytes are the common case of nets with few channels; a call would cost more. `roomy`: 15
// bytes behind both may be read and written, because the runs that follow are copied later.
TALLY_INLINE void copy_run(int8_t *target, const int8_t *source, int32_t count, int roomy) {
  if (roomy || count >= 16) {
    int32_t i = 0;
    for (; i + 16 <= count; i += 16) __builtin_memcpy(target + i, source + i, 16);
    if (i == count) return;
    // The last 16: behind the run, or over what is copied already.
    if (!roomy) i = count - 16;
    __builtin_memcpy(target + i, source + i, 16);
    return;
  }
  for (int32_t i = 0; i < count; i++) target[i] = source[i];
}

TALLY_INLINE void fill_run(int8_t *target, int8_t value, int32_t count) {
  if (count >= 64)
    __builtin_memset(target, value, (size_t)count);
  else
    for (int32_t i = 0; i < count; i++) target[i] = value;
}

TALLY_INLINE int32_t larger(int32_t a, int32_t b) { return a < b ? b : a; }

void tally_gather_patches_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t stored_channels,
    int32_t first_channel, int32_t channels, const struct tally_window *window,
    int32_t first_row, int32_t end_row, int32_t output_width, int8_t padding, int8_t *patches) {
  const struct tally_window k = *window;
  const int32_t is_dense = k.dilation_width == 1 && channels == stored_channels;
  const int32_t run = k.kernel_width * channels;
  const ptrdiff_t total =
      (ptrdiff_t)(end_row - first_row) * output_width * k.kernel_height * run;
  const int8_t *const last_target = patches + total - run - 15;
  const int8_t *const last_source = input + (ptrdiff_t)height * width * stored_channels - run - 15;
  for (int32_t r = first_row; r < end_row; r++) {
    const int32_t top = r * k.stride_height - k.pad_top;
    for (int32_t c = 0; c < output_width; c++) {
      const int32_t left = c * k.stride_width - k.pad_left;
      const int is_inside = left >= 0 && left + k.kernel_width <= width;
      for (int32_t u = 0; u < k.kernel_height; u++) {
        const int32_t row = top + u * k.dilation_height;
        if (row < 0 || row >= height) {
          fill_run(patches, padding, run);
          patches += run;
          continue;
        }
        const int8_t *source = input + (ptrdiff_t)row * width * stored_channels;
        if (is_dense && is_inside) {
          source += (ptrdiff_t)left * channels;
          copy_run(patches, source, run, source <= last_source && patches <= last_target);
          patches += run;
          continue;
        }
        if (is_dense) {
          // One run of neighbouring columns, cut at the edges.
          const int32_t begin = smaller(larger(-left, 0), k.kernel_width);
          const int32_t end = larger(smaller(width - left, k.kernel_width), begin);
          fill_run(patches, padding, begin * channels);
          if (end > begin)
            copy_run(
                patches + begin * channels, source + (ptrdiff_t)(left + begin) * channels,
                (end - begin) * channels, 0);
          fill_run(patches + end * channels, padding, run - end * channels);
          patches += run;
          continue;
        }
        for (int32_t v = 0; v < k.kernel_width; v++, patches += channels) {
          const int32_t column = left + v * k.dilation_width;
          if (column < 0 || column >= width)
            fill_run(patches, padding, channels);
          else
            copy_run(
                patches, source + (ptrdiff_t)column * stored_channels + first_channel, channels,
                0);
        }
      }
    }
  }
}

void tally_gather_gradient_patches_s8(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t stored_channels,
    int32_t first_channel, int32_t channels, const struct tally_window *window,
    int32_t first_row, int32_t end_row, int32_t width, int8_t *patches) {
  const struct tally_window k = *window;
  for (int32_t row = first_row; row < end_row; row++)
    for (int32_t column = 0; column < width; column++)
      for (int32_t u = 0; u < k.kernel_height; u++) {
        // The output row r with r·stride + u·dilation − pad = row, if there is one.
        const int32_t y = row + k.pad_top - u * k.dilation_height, r = y / k.stride_height;
        const int is_row = y >= 0 && r * k.stride_height == y && r < output_height;
        for (int32_t v = 0; v < k.kernel_width; v++, patches += channels) {
          const int32_t x = column + k.pad_left - v * k.dilation_width, c = x / k.stride_width;
          if (is_row && x >= 0 && c * k.stride_width == x && c < output_width)
            copy_run(
                patches,
                g + ((ptrdiff_t)r * output_width + c) * stored_channels + first_channel, channels,
                0);
          else
            fill_run(patches, 0, channels);
        }
      }
}
