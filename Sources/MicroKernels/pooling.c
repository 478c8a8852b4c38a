// Max pooling, channels last. Plain C: the compiler turns the loops over channels into vectors.
#include "internal.h"

#include <string.h>

// Columns and rows of the window that lie inside the input.
struct inside {
  int32_t first, end;
};

TALLY_INLINE struct inside clipped(int32_t start, int32_t kernel, int32_t extent) {
  struct inside i = {start < 0 ? -start : 0, kernel};
  if (start + kernel > extent) i.end = extent - start;
  return i;
}

void tally_max_pool_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    int8_t *output) {
  const struct tally_window k = *window;
  for (int32_t r = 0; r < output_height; r++) {
    const int32_t top = r * k.stride_height - k.pad_top;
    const struct inside rows = clipped(top, k.kernel_height, height);
    for (int32_t c = 0; c < output_width; c++, output += channels) {
      const int32_t left = c * k.stride_width - k.pad_left;
      const struct inside columns = clipped(left, k.kernel_width, width);
      memset(output, -128, (size_t)channels);
      for (int32_t u = rows.first; u < rows.end; u++) {
        for (int32_t v = columns.first; v < columns.end; v++) {
          const int8_t *x = input + ((ptrdiff_t)(top + u) * width + left + v) * channels;
          for (int32_t i = 0; i < channels; i++) output[i] = x[i] > output[i] ? x[i] : output[i];
        }
      }
    }
  }
}

void tally_max_pool_gradient_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    const int8_t *g, int32_t *gradient) {
  enum { chunk = 64 };
  const struct tally_window k = *window;
  memset(gradient, 0, sizeof(int32_t) * (size_t)height * (size_t)width * (size_t)channels);
  for (int32_t r = 0; r < output_height; r++) {
    const int32_t top = r * k.stride_height - k.pad_top;
    const struct inside rows = clipped(top, k.kernel_height, height);
    for (int32_t c = 0; c < output_width; c++, g += channels) {
      const int32_t left = c * k.stride_width - k.pad_left;
      const struct inside columns = clipped(left, k.kernel_width, width);
      for (int32_t first = 0; first < channels; first += chunk) {
        const int32_t count = channels - first < chunk ? channels - first : chunk;
        int8_t largest[chunk];
        int32_t place[chunk];
        int started = 0;
        for (int32_t u = rows.first; u < rows.end; u++) {
          for (int32_t v = columns.first; v < columns.end; v++) {
            const int32_t at = ((top + u) * width + left + v) * channels + first;
            const int8_t *x = input + at;
            for (int32_t i = 0; i < count; i++) {
              // Strictly greater: a tie stays with the first position.
              const int better = !started || x[i] > largest[i];
              largest[i] = better ? x[i] : largest[i];
              place[i] = better ? at + i : place[i];
            }
            started = 1;
          }
        }
        for (int32_t i = 0; i < count; i++) gradient[place[i]] += g[first + i];
      }
    }
  }
}
