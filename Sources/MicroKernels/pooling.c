// Max pooling, channels last. Plain C whose loops over channels become vectors; the same text for each
// level. Common numbers of channels are constants, so that nothing is left over.
#include "internal.h"

#if TALLY_X86
#include "x86_avx2.h"
#undef UNROLLED
#include "x86_vnni.h"
#endif

enum { chunk = 64 };

// Columns and rows of the window that lie inside the input.
struct inside {
  int32_t first, end;
};

TALLY_INLINE struct inside clipped(int32_t start, int32_t kernel, int32_t extent) {
  struct inside i = {start < 0 ? -start : 0, kernel};
  if (start + kernel > extent) i.end = extent - start;
  return i;
}

TALLY_INLINE void largest_of(
    const int32_t n, const int8_t *x, int32_t width, int32_t channels, struct inside rows,
    struct inside columns, int8_t *output) {
  int8_t largest[chunk];  // in registers, which `output` could not be: it might overlap x
  for (int32_t i = 0; i < n; i++) largest[i] = -128;
  for (int32_t u = rows.first; u < rows.end; u++)
    for (int32_t v = columns.first; v < columns.end; v++) {
      const int8_t *from = x + ((ptrdiff_t)u * width + v) * channels;
      for (int32_t i = 0; i < n; i++) largest[i] = from[i] > largest[i] ? from[i] : largest[i];
    }
  for (int32_t i = 0; i < n; i++) output[i] = largest[i];
}

// What the first position of the maximum gets, added. Without overlaps nothing is there before.
TALLY_INLINE void give_to_largest(
    const int32_t n, const int overlaps, const int8_t *x, int32_t width, int32_t channels,
    struct inside rows, struct inside columns, const int8_t *g, int32_t *gradient) {
  int8_t largest[chunk], open[chunk];  // open: all ones until a position has the gradient
  largest_of(n, x, width, channels, rows, columns, largest);
  for (int32_t i = 0; i < n; i++) open[i] = -1;
  for (int32_t u = rows.first; u < rows.end; u++)
    for (int32_t v = columns.first; v < columns.end; v++) {
      const ptrdiff_t at = ((ptrdiff_t)u * width + v) * channels;
      int8_t part[chunk];
      for (int32_t i = 0; i < n; i++) {
        const int8_t is = (int8_t)(open[i] & -(x[at + i] == largest[i]));
        part[i] = g[i] & is;
        open[i] = (int8_t)(open[i] & ~is);
      }
      for (int32_t i = 0; i < n; i++)
        gradient[at + i] = overlaps ? wrapping_add(gradient[at + i], part[i]) : part[i];
    }
}

#define FOR_CHANNELS(n, call)          \
  switch (n) {                         \
    case 64: call(64); break;          \
    case 32: call(32); break;          \
    case 16: call(16); break;          \
    case 8: call(8); break;            \
    default: call(n);                  \
  }

TALLY_INLINE void max_pool(
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
      const int8_t *x = input + ((ptrdiff_t)top * width + left) * channels;
      for (int32_t first = 0; first < channels; first += chunk) {
        const int32_t n = smaller(channels - first, chunk);
#define CALL(n) largest_of(n, x + first, width, channels, rows, columns, output + first)
        FOR_CHANNELS(n, CALL)
#undef CALL
      }
    }
  }
}

TALLY_INLINE void max_pool_gradient(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    const int8_t *g, int32_t *gradient) {
  const struct tally_window k = *window;
  const int overlaps = k.stride_height < k.kernel_height || k.stride_width < k.kernel_width;
  __builtin_memset(gradient, 0, sizeof(int32_t) * (size_t)height * (size_t)width * (size_t)channels);
  for (int32_t r = 0; r < output_height; r++) {
    const int32_t top = r * k.stride_height - k.pad_top;
    const struct inside rows = clipped(top, k.kernel_height, height);
    for (int32_t c = 0; c < output_width; c++, g += channels) {
      const int32_t left = c * k.stride_width - k.pad_left;
      const struct inside columns = clipped(left, k.kernel_width, width);
      const ptrdiff_t at = ((ptrdiff_t)top * width + left) * channels;
      for (int32_t first = 0; first < channels; first += chunk) {
        const int32_t n = smaller(channels - first, chunk);
#define CALL(n)                                                                           \
  give_to_largest(                                                                        \
      n, overlaps, input + at + first, width, channels, rows, columns, g + first,         \
      gradient + at + first)
        FOR_CHANNELS(n, CALL)
#undef CALL
      }
    }
  }
}

#define LEVEL(level, TARGET)                                                                    \
  TARGET void tally_##level##_max_pool_s8(                                                      \
      const int8_t *input, int32_t height, int32_t width, int32_t channels,                     \
      const struct tally_window *window, int32_t output_height, int32_t output_width,           \
      int8_t *output) {                                                                         \
    max_pool(input, height, width, channels, window, output_height, output_width, output);      \
  }                                                                                             \
  TARGET void tally_##level##_max_pool_gradient_s8(                                             \
      const int8_t *input, int32_t height, int32_t width, int32_t channels,                     \
      const struct tally_window *window, int32_t output_height, int32_t output_width,           \
      const int8_t *g, int32_t *gradient) {                                                     \
    max_pool_gradient(                                                                          \
        input, height, width, channels, window, output_height, output_width, g, gradient);      \
  }

LEVEL(plain, )
#if TALLY_X86
LEVEL(avx2, AVX2)
LEVEL(vnni, VNNI __attribute__((min_vector_width(512))))
#endif
