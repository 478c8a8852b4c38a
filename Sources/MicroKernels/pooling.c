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

// What a position gets, `part`, and what is `left` of the gradient for later ones: the first position of the
// maximum has it all.
TALLY_INLINE void take_at(
    const int32_t n, const int8_t *x, const int8_t *largest, int8_t *left, int8_t *part) {
  for (int32_t i = 0; i < n; i++) {
    const int8_t is = (int8_t)-(x[i] == largest[i]);
    part[i] = (int8_t)(left[i] & is);
    left[i] = (int8_t)(left[i] & ~is);
  }
}

// Does `GIVE` for every element of a window: `part[i]` is for element `at + i`.
#define FOR_EACH_PART(GIVE)                                                  \
  int8_t largest[chunk], left[chunk];                                        \
  largest_of(n, x, width, channels, rows, columns, largest);                 \
  for (int32_t i = 0; i < n; i++) left[i] = g[i];                            \
  for (int32_t u = rows.first; u < rows.end; u++)                            \
    for (int32_t v = columns.first; v < columns.end; v++) {                  \
      const ptrdiff_t at = ((ptrdiff_t)u * width + v) * channels;            \
      int8_t part[chunk];                                                    \
      take_at(n, x + at, largest, left, part);                               \
      for (int32_t i = 0; i < n; i++) GIVE;                                  \
    }

TALLY_INLINE void add_to_largest(
    const int32_t n, const int8_t *x, int32_t width, int32_t channels, struct inside rows,
    struct inside columns, const int8_t *g, int32_t *gradient) {
  FOR_EACH_PART(gradient[at + i] = wrapping_add(gradient[at + i], part[i]))
}

// The same where windows do not overlap: what a position gets is all it gets.
TALLY_INLINE void give_to_largest(
    const int32_t n, const int8_t *x, int32_t width, int32_t channels, struct inside rows,
    struct inside columns, const int8_t *g, int8_t *gradient) {
  FOR_EACH_PART(gradient[at + i] = part[i])
}

// Calls `WINDOW(n, x, offset of x, rows, columns)` for each window and 64 channels of it. The channels of a
// window of 2 × 2 that lies inside, and common numbers of channels, are constants where code may grow for
// speed (`is_fast`).
#define FOR_EACH_WINDOW(n)                                                                      \
  for (int32_t r = 0; r < output_height; r++) {                                                 \
    const int32_t top = r * k.stride_height - k.pad_top;                                        \
    const struct inside rows = clipped(top, k.kernel_height, height);                           \
    for (int32_t c = 0; c < output_width; c++) {                                                \
      const int32_t left = c * k.stride_width - k.pad_left;                                     \
      const struct inside columns = clipped(left, k.kernel_width, width);                       \
      const ptrdiff_t to = ((ptrdiff_t)r * output_width + c) * channels;                        \
      const ptrdiff_t at = ((ptrdiff_t)top * width + left) * channels;                          \
      const int is_pair = is_fast && k.kernel_height == 2 && k.kernel_width == 2 &&             \
                          rows.first == 0 && rows.end == 2 && columns.first == 0 &&             \
                          columns.end == 2;                                                     \
      if (is_pair)                                                                              \
        WINDOW(n, at, to, ((struct inside){0, 2}), ((struct inside){0, 2}))                     \
      else                                                                                      \
        WINDOW(n, at, to, rows, columns)                                                        \
    }                                                                                           \
  }

#define FOR_CHANNELS                                                                            \
  for (int32_t first = 0; first < channels; first += chunk) {                                   \
    const int32_t rest = smaller(channels - first, chunk);                                      \
    switch (is_fast ? rest : 0) {                                                               \
      case 64: FOR_EACH_WINDOW(64) break;                                                       \
      case 32: FOR_EACH_WINDOW(32) break;                                                       \
      case 16: FOR_EACH_WINDOW(16) break;                                                       \
      case 8: FOR_EACH_WINDOW(8) break;                                                         \
      default: FOR_EACH_WINDOW(rest)                                                            \
    }                                                                                           \
  }

TALLY_INLINE void max_pool(
    const int is_fast, const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    int8_t *output) {
  const struct tally_window k = *window;
#define WINDOW(n, at, to, rows, columns) \
  largest_of(n, input + at + first, width, channels, rows, columns, output + to + first);
  FOR_CHANNELS
#undef WINDOW
}

TALLY_INLINE void max_pool_gradient(
    const int is_fast, const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    const int8_t *g, int32_t *gradient) {
  const struct tally_window k = *window;
  __builtin_memset(gradient, 0, sizeof(int32_t) * (size_t)height * (size_t)width * (size_t)channels);
#define WINDOW(n, at, to, rows, columns)                                               \
  add_to_largest(                                                                      \
      n, input + at + first, width, channels, rows, columns, g + to + first,           \
      gradient + at + first);
  FOR_CHANNELS
#undef WINDOW
}

TALLY_INLINE void max_pool_scatter(
    const int is_fast, const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    const int8_t *g, int8_t *gradient) {
  const struct tally_window k = *window;
  __builtin_memset(gradient, 0, (size_t)height * (size_t)width * (size_t)channels);
#define WINDOW(n, at, to, rows, columns)                                               \
  give_to_largest(                                                                     \
      n, input + at + first, width, channels, rows, columns, g + to + first,           \
      gradient + at + first);
  FOR_CHANNELS
#undef WINDOW
}

#define LEVEL(level, fast, TARGET)                                                                   \
  TARGET void tally_##level##_max_pool_s8(                                                      \
      const int8_t *input, int32_t height, int32_t width, int32_t channels,                     \
      const struct tally_window *window, int32_t output_height, int32_t output_width,           \
      int8_t *output) {                                                                         \
    max_pool(                                                                                   \
        fast, input, height, width, channels, window, output_height, output_width, output);     \
  }                                                                                             \
  TARGET void tally_##level##_max_pool_gradient_s8(                                             \
      const int8_t *input, int32_t height, int32_t width, int32_t channels,                     \
      const struct tally_window *window, int32_t output_height, int32_t output_width,           \
      const int8_t *g, int32_t *gradient) {                                                     \
    max_pool_gradient(                                                                          \
        fast, input, height, width, channels, window, output_height, output_width, g, gradient); \
  }                                                                                             \
  TARGET void tally_##level##_max_pool_scatter_s8(                                              \
      const int8_t *input, int32_t height, int32_t width, int32_t channels,                     \
      const struct tally_window *window, int32_t output_height, int32_t output_width,           \
      const int8_t *g, int8_t *gradient) {                                                      \
    max_pool_scatter(                                                                           \
        fast, input, height, width, channels, window, output_height, output_width, g, gradient); \
  }

LEVEL(plain, 0, )
#if TALLY_X86
LEVEL(avx2, 1, AVX2)
LEVEL(vnni, 1, VNNI __attribute__((min_vector_width(512))))
#endif
