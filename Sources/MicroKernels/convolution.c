// Convolutions without patches: a sample is copied once with its padding around it, and then every window
// is kernel_height runs of neighbouring bytes that products read where they lie.
#include "internal.h"

#if TALLY_X86
#include "x86_avx2.h"
#undef UNROLLED
#include "x86_vnni.h"
#endif

TALLY_INLINE int32_t padded_width(const struct tally_window *k, int32_t output_width) {
  return (output_width - 1) * k->stride_width + k->kernel_width;
}
TALLY_INLINE int32_t padded_height(const struct tally_window *k, int32_t output_height) {
  return (output_height - 1) * k->stride_height + k->dilation_height * (k->kernel_height - 1) + 1;
}
TALLY_INLINE int32_t whole_quads(int32_t count) { return (count + 3) / 4 * 4; }

size_t tally_padded_s8_bytes(
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    int32_t channels) {
  // Runs are read by whole quads, so a few bytes follow.
  return (size_t)padded_height(window, output_height) * (size_t)padded_width(window, output_width)
             * (size_t)channels
         + 16;
}

void tally_pad_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t output_height, int32_t output_width,
    int8_t padding, int8_t *padded) {
  const int32_t rows = padded_height(window, output_height);
  const int32_t columns = padded_width(window, output_width);
  const int32_t left = smaller(window->pad_left, columns);
  const int32_t inside = smaller(columns - left, width);
  for (int32_t r = 0; r < rows; r++, padded += (ptrdiff_t)columns * channels) {
    const int32_t row = r - window->pad_top;
    if (row < 0 || row >= height) {
      __builtin_memset(padded, padding, (size_t)columns * (size_t)channels);
      continue;
    }
    __builtin_memset(padded, padding, (size_t)left * (size_t)channels);
    __builtin_memcpy(
        padded + (ptrdiff_t)left * channels, input + (ptrdiff_t)row * width * channels,
        (size_t)inside * (size_t)channels);
    __builtin_memset(
        padded + (ptrdiff_t)(left + inside) * channels, padding,
        (size_t)(columns - left - inside) * (size_t)channels);
  }
  // Now behind the last row.
  __builtin_memset(padded, padding, 16);
}

size_t tally_packed_window_s8_bytes(
    int32_t N, const struct tally_window *window, int32_t channels) {
  return tally_packed_s8_bytes(N, window->kernel_width * channels) * (size_t)window->kernel_height;
}

void tally_pack_window_s8(
    int32_t N, const struct tally_window *window, int32_t channels, const int8_t *B, void *packed) {
  const int32_t run = window->kernel_width * channels;
  const size_t size = tally_packed_s8_bytes(N, run);
  for (int32_t u = 0; u < window->kernel_height; u++)
    tally_pack_s8(
        N, run, B + (ptrdiff_t)u * run, (ptrdiff_t)window->kernel_height * run,
        (uint8_t *)packed + (size_t)u * size);
}

void tally_convolve_s8(
    const int8_t *padded, int32_t channels, const struct tally_window *window, int32_t first_row,
    int32_t end_row, int32_t output_width, int32_t N, const void *packed, int32_t *acc) {
  const ptrdiff_t row = (ptrdiff_t)padded_width(window, output_width) * channels;
  // What follows a run within its last quad meets weights that are 0.
  const int32_t run = whole_quads(window->kernel_width * channels);
  for (int32_t r = first_row; r < end_row; r++, acc += (ptrdiff_t)output_width * N)
    tally_gemm_s8_runs(
        output_width, N, window->kernel_height, run, padded + r * window->stride_height * row,
        (ptrdiff_t)window->stride_width * channels, window->dilation_height * row, packed, acc, N);
}

// ---- Input gradient: input positions whose distance to a window's start is alike form a phase. The gradient of
// a phase is a convolution of single steps over g, with every stride-th tap, the last one first.

// How many taps meet a phase.
TALLY_INLINE int32_t phase_taps(int32_t kernel, int32_t stride, int32_t phase) {
  return phase < kernel ? (kernel - phase - 1) / stride + 1 : 0;
}

// The windows over g of the largest phase, for input rows first_row ..< end_row, and how many there are.
struct gradient_window {
  struct tally_window over;
  int32_t rows, columns;
};

TALLY_INLINE struct gradient_window gradient_window(
    const struct tally_window *k, int32_t first_row, int32_t end_row, int32_t width) {
  const int32_t row = (first_row + k->pad_top) / k->stride_height;
  const int32_t column = k->pad_left / k->stride_width;
  const int32_t last_row = (end_row - 1 + k->pad_top) / k->stride_height;
  const int32_t last_column = (width - 1 + k->pad_left) / k->stride_width;
  struct gradient_window w = {{0, 0, 1, 1, 1, 1, 0, 0}, last_row - row + 1, 0};
  w.over.kernel_height = phase_taps(k->kernel_height, k->stride_height, 0);
  w.over.kernel_width = phase_taps(k->kernel_width, k->stride_width, 0);
  // Below 0 where rows begin in the middle; columns never do.
  w.over.pad_top = w.over.kernel_height - 1 - row;
  w.over.pad_left = w.over.kernel_width - 1 > column ? w.over.kernel_width - 1 - column : 0;
  w.columns = last_column + w.over.pad_left + 2 - w.over.kernel_width;
  return w;
}

size_t tally_padded_gradient_s8_bytes(
    const struct tally_window *window, int32_t rows, int32_t width, int32_t outputs) {
  struct gradient_window w = gradient_window(window, 0, rows, width);
  // Where rows begin decides how many of g they meet; at most so many.
  w.rows = (rows + window->stride_height - 2) / window->stride_height + 1;
  return tally_padded_s8_bytes(&w.over, w.rows, w.columns, outputs);
}

size_t tally_packed_gradient_s8_bytes(
    int32_t inputs, const struct tally_window *window, int32_t outputs) {
  size_t bytes = 0;
  for (int32_t b = 0; b < smaller(window->stride_width, window->kernel_width); b++)
    bytes += tally_packed_s8_bytes(
        inputs, phase_taps(window->kernel_width, window->stride_width, b) * outputs);
  // Every kernel row belongs to one phase of rows.
  return bytes * (size_t)window->kernel_height;
}

int32_t tally_gradient_tap(const struct tally_window *k, int32_t u, int32_t v) {
  const int32_t a = u % k->stride_height, b = v % k->stride_width;
  const int32_t rows = phase_taps(k->kernel_height, k->stride_height, a);
  const int32_t columns = phase_taps(k->kernel_width, k->stride_width, b);
  int32_t before = 0;
  for (int32_t phase = 0; phase < a; phase++)
    before += phase_taps(k->kernel_height, k->stride_height, phase) * k->kernel_width;
  for (int32_t phase = 0; phase < b; phase++)
    before += rows * phase_taps(k->kernel_width, k->stride_width, phase);
  return before + (rows - 1 - u / k->stride_height) * columns + columns - 1 - v / k->stride_width;
}

// Calls `body(a, b, rows of taps, columns of taps, first tap)` for each phase that meets taps.
#define FOR_EACH_PHASE(k, body)                                                           \
  for (int32_t a = 0, tap = 0; a < smaller((k)->stride_height, (k)->kernel_height); a++)  \
    for (int32_t b = 0; b < smaller((k)->stride_width, (k)->kernel_width); b++) {         \
      const int32_t u_count = phase_taps((k)->kernel_height, (k)->stride_height, a);      \
      const int32_t v_count = phase_taps((k)->kernel_width, (k)->stride_width, b);        \
      body                                                                                \
      tap += u_count * v_count;                                                           \
    }

void tally_pack_gradient_s8(
    int32_t inputs, const struct tally_window *window, int32_t outputs, const int8_t *turned,
    void *packed) {
  const ptrdiff_t row = (ptrdiff_t)window->kernel_height * window->kernel_width * outputs;
  uint8_t *to = packed;
  FOR_EACH_PHASE(window, {
    const int32_t run = v_count * outputs;
    for (int32_t u = 0; u < u_count; u++, to += tally_packed_s8_bytes(inputs, run))
      tally_pack_s8(inputs, run, turned + (ptrdiff_t)tap * outputs + (ptrdiff_t)u * run, row, to);
  })
}

void tally_pack_gradient_s8_transposed(
    int32_t inputs, const struct tally_window *window, int32_t outputs, const int8_t *turned,
    void *packed) {
  uint8_t *to = packed;
  FOR_EACH_PHASE(window, {
    const int32_t run = v_count * outputs;
    const int8_t *from = turned + (ptrdiff_t)tap * outputs * inputs;
    for (int32_t u = 0; u < u_count; u++, to += tally_packed_s8_bytes(inputs, run))
      tally_pack_s8_transposed(inputs, run, from + (ptrdiff_t)u * run * inputs, inputs, to);
  })
}

// The rows and columns of one phase.
TALLY_INLINE void phase_gradient(
    const struct tally_window *k, const struct gradient_window *w, const int8_t *padded,
    int32_t outputs, int32_t first_row, int32_t end_row, int32_t width, int32_t inputs, int32_t a,
    int32_t b, int32_t u_count, int32_t v_count, const uint8_t *packed, int32_t *gradient) {
  const ptrdiff_t step = (ptrdiff_t)padded_width(&w->over, w->columns) * outputs;
  // The first column of the phase, and the first column of g that it meets.
  const int32_t column = (b + k->stride_width - k->pad_left % k->stride_width) % k->stride_width;
  const int32_t from = (column + k->pad_left) / k->stride_width - (v_count - 1) + w->over.pad_left;
  const int32_t count = (width - column + k->stride_width - 1) / k->stride_width;
  for (int32_t r = first_row; r < end_row && count > 0; r++) {
    if ((r + k->pad_top) % k->stride_height != a) continue;
    const int32_t row = (r + k->pad_top) / k->stride_height - (u_count - 1) + w->over.pad_top;
    tally_gemm_s8_runs(
        count, inputs, u_count, whole_quads(v_count * outputs),
        padded + row * step + (ptrdiff_t)from * outputs, outputs, step, packed,
        gradient + ((ptrdiff_t)(r - first_row) * width + column) * inputs,
        (ptrdiff_t)k->stride_width * inputs);
  }
}

void tally_convolve_input_gradient_s8(
    const int8_t *g, int32_t output_height, int32_t output_width, int32_t outputs,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t width,
    int32_t inputs, const void *packed, int8_t *padded, int32_t *gradient) {
  const struct gradient_window w = gradient_window(window, first_row, end_row, width);
  const uint8_t *from = packed;
  tally_pad_s8(
      g, output_height, output_width, outputs, &w.over, w.rows, w.columns, 0, padded);
  // Positions between the windows have no gradient.
  if (window->stride_height > window->kernel_height || window->stride_width > window->kernel_width)
    __builtin_memset(
        gradient, 0, sizeof(int32_t) * (size_t)(end_row - first_row) * (size_t)width * (size_t)inputs);
  FOR_EACH_PHASE(window, {
    (void)tap;
    phase_gradient(
        window, &w, padded, outputs, first_row, end_row, width, inputs, a, b, u_count, v_count, from,
        gradient);
    from += tally_packed_s8_bytes(inputs, v_count * outputs) * (size_t)u_count;
  })
}

// ---- Weight gradient: positions are the depth, rows of them filled up to whole quads

size_t tally_window_gradient_bytes(
    const struct tally_window *window, int32_t rows, int32_t output_width, int32_t channels,
    int32_t outputs) {
  const int32_t depth = rows * whole_quads(output_width);
  return (tally_packed_s8_bytes(window->kernel_width * channels, depth) + 63) / 64 * 64
         + (size_t)outputs * (size_t)depth;
}

void tally_convolve_weight_gradient_s8(
    const int8_t *padded, int32_t channels, const struct tally_window *window, int32_t first_row,
    int32_t end_row, int32_t output_width, const int8_t *g, int32_t stored_outputs,
    int32_t outputs, void *workspace, int32_t *gradient) {
  const ptrdiff_t row = (ptrdiff_t)padded_width(window, output_width) * channels;
  const int32_t run = window->kernel_width * channels, quads = whole_quads(output_width);
  const int32_t rows = end_row - first_row, depth = rows * quads;
  int8_t *turned = (int8_t *)workspace + (tally_packed_s8_bytes(run, depth) + 63) / 64 * 64;
  g += (ptrdiff_t)first_row * output_width * stored_outputs;
  // Where a row is filled up, the gradient is 0.
  if (quads == output_width)
    tally_transpose_s8(depth, outputs, g, stored_outputs, turned, depth);
  else
    tally_transpose_rows_s8(
        rows, output_width, quads, outputs, g, stored_outputs, turned, depth);
  tally_window_gradient_s8(
      window, rows, output_width, run, row,
      padded + (ptrdiff_t)first_row * window->stride_height * row,
      (ptrdiff_t)window->stride_width * channels, outputs, turned, workspace, gradient);
}

// ---- Plain versions of the steps that have others

void tally_plain_transpose_rows_s8(
    int32_t rows, int32_t width, int32_t filled, int32_t columns, const int8_t *src,
    ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd) {
  for (int32_t c = 0; c < columns; c++)
    __builtin_memset(dst + c * ldd, 0, (size_t)rows * (size_t)filled);
  for (int32_t r = 0; r < rows; r++)
    tally_transpose_s8(
        width, columns, src + (ptrdiff_t)r * width * lds, lds, dst + (ptrdiff_t)r * filled, ldd);
}

void tally_plain_window_gradient_s8(
    const struct tally_window *k, int32_t rows, int32_t output_width, int32_t run, ptrdiff_t row,
    const int8_t *x, ptrdiff_t column, int32_t outputs, const int8_t *turned, void *packed,
    int32_t *gradient) {
  const int32_t depth = rows * whole_quads(output_width);
  for (int32_t u = 0; u < k->kernel_height; u++) {
    tally_pack_positions_s8(
        run, rows, output_width, x + (ptrdiff_t)u * k->dilation_height * row,
        k->stride_height * row, column, packed);
    tally_gemm_s8_packed(
        outputs, run, depth, turned, depth, packed, gradient + (ptrdiff_t)u * run,
        (ptrdiff_t)k->kernel_height * run, 1);
  }
}

void tally_plain_gemm_s8_runs(
    int32_t M, int32_t N, int32_t runs, int32_t K, const int8_t *A, ptrdiff_t lda, ptrdiff_t step,
    const void *packed, int32_t *C, ptrdiff_t ldc) {
  const size_t size = tally_packed_s8_bytes(N, K);
  for (int32_t u = 0; u < runs; u++)
    tally_gemm_s8_packed(
        M, N, K, A + u * step, lda, (const uint8_t *)packed + (size_t)u * size, C, ldc, u > 0);
}

void tally_plain_pack_positions_s8(
    int32_t N, int32_t rows, int32_t columns, const int8_t *B, ptrdiff_t row, ptrdiff_t column,
    void *packed) {
  const int32_t quads = whole_quads(columns);
  uint8_t *out = (uint8_t *)packed + packed_columns(N) * 4;
  __builtin_memset(packed, 0, packed_columns(N) * 4);
  for (int32_t n0 = 0; n0 < N; n0 += 64) {
    const int32_t width = panel_columns(N - n0);
    uint32_t sums[64] = {0};
    for (int32_t r = 0; r < rows; r++)
      for (int32_t c = 0; c < quads; c += 4, out += 4 * width)
        for (int32_t q = 0; q < 4; q++) {
          const int8_t *from = B + r * row + (c + q) * column + n0;
          const int is_inside = c + q < columns;
          for (int32_t n = 0; n < width; n++) {
            const int8_t value = is_inside && n0 + n < N ? from[n] : 0;
            out[4 * n + q] = (uint8_t)value;
            sums[n] += (uint32_t)value;
          }
        }
    for (int32_t n = 0; n < width; n++) {
      const uint32_t correction = sums[n] * (uint32_t)-128;
      __builtin_memcpy((uint8_t *)packed + (size_t)(n0 + n) * 4, &correction, 4);
    }
  }
}

#if TALLY_X86
// Four positions at a time become quads, as in tally_vnni_pack_s8_transposed.
VNNI void tally_vnni_pack_positions_s8(
    int32_t N, int32_t rows, int32_t columns, const int8_t *B, ptrdiff_t row, ptrdiff_t column,
    void *packed) {
  const __m512i one = _mm512_set1_epi8(1);
  const int32_t K = rows * whole_quads(columns);
  for (int32_t n = 0; n < N; n += 64) {
    const __mmask64 present = first64(N - n);
    const int vectors = panel_columns(N - n) / 16;
    uint8_t *out = (uint8_t *)packed_panel(packed, N, K, n);
    __m512i sums[4];
    UNROLLED for (int j = 0; j < 4; j++) sums[j] = _mm512_setzero_si512();
    for (int32_t r = 0; r < rows; r++) {
      const int8_t *from = B + r * row + n;
      for (int32_t c = 0; c < columns; c += 4, from += 4 * column) {
        __m512i v[4];
        UNROLLED for (int q = 0; q < 4; q++)
          v[q] = c + q < columns ? _mm512_maskz_loadu_epi8(present, from + q * column)
                                 : _mm512_setzero_si512();
        interleave4(v);
        UNROLLED for (int j = 0; j < 4; j++) {
          sums[j] = _mm512_dpbusd_epi32(sums[j], one, v[j]);
          if (j < vectors) _mm512_storeu_si512(out + 64 * j, v[j]);
        }
        out += 64 * vectors;
      }
    }
    UNROLLED for (int j = 0; j < 4; j++)
      if (j < vectors)
        _mm512_storeu_si512(
            (int32_t *)packed + n + 16 * j,
            _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sums[j], 7)));
  }
}

// Adds `factor` times the sums over `quads` quads of depth to the corrections.
VNNI_INLINE void correct(
    int32_t N, int32_t K, const void *packed, int32_t first_quad, int32_t quads, int32_t factor,
    int32_t *corrections) {
  const __m512i one = _mm512_set1_epi8(1);
  for (int32_t n = 0; n < N; n += 64) {
    const int vectors = panel_columns(N - n) / 16;
    const uint8_t *panel = packed_panel(packed, N, K, n) + (ptrdiff_t)first_quad * 64 * vectors;
    for (int j = 0; j < vectors; j++) {
      __m512i sum = _mm512_setzero_si512();
      for (int32_t q = 0; q < quads; q++)
        sum = _mm512_dpbusd_epi32(
            sum, one, _mm512_loadu_si512(panel + 64 * ((ptrdiff_t)q * vectors + j)));
      int32_t *to = corrections + n + 16 * j;
      _mm512_storeu_si512(
          to, _mm512_add_epi32(
                  _mm512_loadu_si512(to), _mm512_mullo_epi32(sum, _mm512_set1_epi32(factor))));
    }
  }
}

// Without strides the kernel rows read the same positions, each a row further down: half of the rows are
// packed at a time, with those that follow them, and read by every kernel row. (Halves, because with what
// follows all of them would need more memory than the other way.)
VNNI void tally_vnni_window_gradient_s8(
    const struct tally_window *k, int32_t rows, int32_t output_width, int32_t run, ptrdiff_t row,
    const int8_t *x, ptrdiff_t column, int32_t outputs, const int8_t *turned, void *packed,
    int32_t *gradient) {
  // With fewer positions adding to what is there costs more than packing.
  enum { most_columns = 1024, fewest_positions = 128 };
  const int32_t height = k->kernel_height, half = (rows + 1) / 2;
  if (height == 1 || k->stride_height != 1 || k->dilation_height != 1 || run > most_columns
      || half + height - 1 > rows || half * output_width < fewest_positions) {
    tally_plain_window_gradient_s8(
        k, rows, output_width, run, row, x, column, outputs, turned, packed, gradient);
    return;
  }
  const int32_t quads = whole_quads(output_width) / 4;
  for (int32_t first = 0; first < rows; first += half) {
    const int32_t count = smaller(half, rows - first), depth = (count + height - 1) * quads * 4;
    int32_t corrections[most_columns];
    tally_vnni_pack_positions_s8(
        run, count + height - 1, output_width, x + first * row, row, column, packed);
    __builtin_memcpy(corrections, packed, packed_columns(run) * 4);
    // A correction is −128 times a sum over the rows that are read.
    correct(run, depth, packed, count * quads, (height - 1) * quads, 128, corrections);
    for (int32_t u = 0; u < height; u++) {
      tally_vnni_gemm_s8_within(
          outputs, run, count * quads * 4, turned + (ptrdiff_t)first * quads * 4,
          (ptrdiff_t)rows * quads * 4, corrections, packed, depth, u * quads,
          gradient + (ptrdiff_t)u * run, (ptrdiff_t)height * run);
      if (u + 1 == height) break;
      correct(run, depth, packed, u * quads, quads, 128, corrections);
      correct(run, depth, packed, (count + u) * quads, quads, -128, corrections);
    }
  }
}
#endif
