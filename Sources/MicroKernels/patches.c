// Patches: the windows of a convolution laid out as rows, so that the convolution becomes a product.
// Plain C only: the time goes into memory, and runs are copied whole.
#include "internal.h"

#include <string.h>

// Runs of a few bytes are the common case of nets with few channels; a call would cost more.
TALLY_INLINE void copy_run(int8_t *target, const int8_t *source, int32_t count) {
  if (count >= 16) {
    memcpy(target, source, (size_t)count);
    return;
  }
  if (count >= 8) {
    // Two overlapping words cover 8 to 16 bytes.
    uint64_t head, tail;
    memcpy(&head, source, 8);
    memcpy(&tail, source + count - 8, 8);
    memcpy(target, &head, 8);
    memcpy(target + count - 8, &tail, 8);
    return;
  }
  for (int32_t i = 0; i < count; i++) target[i] = source[i];
}

TALLY_INLINE int32_t at_least(int32_t a, int32_t b) { return a < b ? b : a; }
TALLY_INLINE int32_t at_most(int32_t a, int32_t b) { return a < b ? a : b; }

void tally_gather_patches_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t stored_channels,
    int32_t first_channel, int32_t channels, const struct tally_window *window,
    int32_t first_row, int32_t end_row, int32_t output_width, int8_t padding, int8_t *patches) {
  const struct tally_window k = *window;
  const int32_t isDense = k.dilation_width == 1 && channels == stored_channels;
  for (int32_t r = first_row; r < end_row; r++) {
    for (int32_t c = 0; c < output_width; c++) {
      const int32_t left = c * k.stride_width - k.pad_left;
      for (int32_t u = 0; u < k.kernel_height; u++) {
        const int32_t row = r * k.stride_height - k.pad_top + u * k.dilation_height;
        const int32_t run = k.kernel_width * channels;
        if (row < 0 || row >= height) {
          memset(patches, padding, (size_t)run);
          patches += run;
          continue;
        }
        const int8_t *source = input + (ptrdiff_t)row * width * stored_channels;
        if (isDense) {
          // One run of neighbouring columns, cut at the edges.
          const int32_t begin = at_most(at_least(-left, 0), k.kernel_width);
          const int32_t end = at_least(at_most(width - left, k.kernel_width), begin);
          for (int32_t i = 0; i < begin * channels; i++) patches[i] = padding;
          if (end > begin) {
            copy_run(
                patches + begin * channels, source + (ptrdiff_t)(left + begin) * channels,
                (end - begin) * channels);
          }
          for (int32_t i = end * channels; i < run; i++) patches[i] = padding;
          patches += run;
          continue;
        }
        for (int32_t v = 0; v < k.kernel_width; v++, patches += channels) {
          const int32_t column = left + v * k.dilation_width;
          if (column < 0 || column >= width) {
            memset(patches, padding, (size_t)channels);
          } else {
            copy_run(
                patches, source + (ptrdiff_t)column * stored_channels + first_channel, channels);
          }
        }
      }
    }
  }
}
