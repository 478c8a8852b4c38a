// Depthwise convolution with vpdpbusd: bytes of neighbouring taps are interleaved, so that one
// instruction multiplies up to four taps of 16 channels.
//
// x becomes u8 by adding 128, so −128·Σ weights is added to every sum. No tap is ever left out, so
// that term is the same everywhere.
#include "x86_vnni.h"

#if TALLY_X86

// The 64 byte lanes of a vector: 64 channels of one pixel or, for 8, 16 and 32 channels, 8, 4 and
// 2 pixels. Those pixels are `segment` outputs apart: lane group p works on outputs
// p·segment ..< (p + 1)·segment of the row.
struct lanes {
  int32_t channels, present;  // of a row; in the lanes of one pixel
  int32_t segment;            // outputs
  __mmask64 mask;             // of the lanes of one pixel
};

struct row {
  const int8_t *pixels;  // channel 0 of the lanes at column 0, or null
  int32_t width, channels;
  __m512i padding;
};

VNNI_INLINE int inside(const struct row *row, int64_t column) {
  return row->pixels && column >= 0 && column < row->width;
}

// The lanes' pixels at column, column + step, column + 2·step …, with the top bits flipped.
VNNI_INLINE __m512i load_column(
    const int pixels, const struct row *row, __mmask64 mask, int64_t column, int64_t step) {
  __m512i v = row->padding;
  if (pixels == 1) {
    if (inside(row, column))
      v = _mm512_maskz_loadu_epi8(mask, row->pixels + column * row->channels);
  } else if (pixels == 2) {
    if (inside(row, column))
      v = _mm512_inserti64x4(
          v, _mm256_loadu_si256((const __m256i *)(row->pixels + column * 32)), 0);
    if (inside(row, column + step))
      v = _mm512_inserti64x4(
          v, _mm256_loadu_si256((const __m256i *)(row->pixels + (column + step) * 32)), 1);
  } else if (pixels == 4) {
#define INSERT(p)                                                                              \
  if (inside(row, column + p * step))                                                          \
    v = _mm512_inserti32x4(                                                                    \
        v, _mm_loadu_si128((const __m128i *)(row->pixels + (column + p * step) * 16)), p)
    INSERT(0);
    INSERT(1);
    INSERT(2);
    INSERT(3);
#undef INSERT
  } else {
    int8_t bytes[64];
    _mm512_storeu_si512(bytes, v);
    for (int p = 0; p < 8; p++)
      if (inside(row, column + p * step))
        __builtin_memcpy(bytes + 8 * p, row->pixels + (column + p * step) * 8, 8);
    v = _mm512_loadu_si512(bytes);
  }
  return _mm512_xor_si512(v, _mm512_set1_epi8(-128));
}

// Weights of one tap in every pixel's lanes; w is at the lanes' first channel.
VNNI_INLINE __m512i load_weights(const int pixels, __mmask64 mask, const int8_t *w) {
  switch (pixels) {
    case 1: return _mm512_maskz_loadu_epi8(mask, w);
    case 2: return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)w));
    case 4: return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)w));
    default: {
      int64_t eight;
      __builtin_memcpy(&eight, w, 8);
      return _mm512_set1_epi64(eight);
    }
  }
}

// The 64 sums of output o of every lane group. `acc` is at the lanes' first channel.
VNNI_INLINE void store_sums(
    const int pixels, const struct lanes *lanes, int32_t output_width, int32_t o, int32_t *acc,
    const __m512i sums[4]) {
  if (o >= lanes->segment) return;
  if (pixels == 1) {
    int32_t *out = acc + (ptrdiff_t)o * lanes->channels;
    UNROLLED for (int j = 0; j < 4; j++) {
      if (lanes->present >= 16 * j + 16)
        _mm512_storeu_si512(out + 16 * j, sums[j]);
      else if (lanes->present > 16 * j)
        _mm512_mask_storeu_epi32(out + 16 * j, first16(lanes->present - 16 * j), sums[j]);
    }
    return;
  }
  const int32_t channels = 64 / pixels;
  UNROLLED for (int j = 0; j < 4; j++) {
    if (pixels == 8) {
      const int32_t first = 2 * j * lanes->segment + o, second = first + lanes->segment;
      if (first < output_width)
        _mm256_storeu_si256(
            (__m256i *)(acc + (ptrdiff_t)first * 8), _mm512_castsi512_si256(sums[j]));
      if (second < output_width)
        _mm256_storeu_si256(
            (__m256i *)(acc + (ptrdiff_t)second * 8), _mm512_extracti64x4_epi64(sums[j], 1));
    } else {
      const int32_t place = j * pixels / 4 * lanes->segment + o;
      if (place < output_width)
        _mm512_storeu_si512(acc + (ptrdiff_t)place * channels + 16 * j % channels, sums[j]);
    }
  }
}

// ---- 3 × 3, dilation 1, stride 1 or 2
//
// Two columns are loaded at each step. With the two before them they form quads of columns
// (x0, x1, x2, x3), which serve output 0 with weights (w0, w1, w2, 0) and, at stride 1, output 1
// with (0, w0, w1, w2).

VNNI_INLINE void pair_columns(
    const int pixels, const struct row *row, __mmask64 mask, int64_t column, int64_t step,
    __m512i pair[2]) {
  const __m512i x0 = ordered(load_column(pixels, row, mask, column, step));
  const __m512i x1 = ordered(load_column(pixels, row, mask, column + 1, step));
  pair[0] = _mm512_unpacklo_epi8(x0, x1);
  pair[1] = _mm512_unpackhi_epi8(x0, x1);
}

VNNI_INLINE void rows_3x3(
    const int pixels, const int stride, const struct lanes *lanes, int32_t output_height,
    int32_t output_width, int32_t pad_left, int32_t input_width, const int8_t *const *rows,
    ptrdiff_t first_channel, const int8_t *weights, int32_t padding, int32_t *acc) {
  const __m512i one = _mm512_set1_epi8(1);
  __m512i w[3][4], shifted[3][4], start[4];
  UNROLLED for (int j = 0; j < 4; j++) start[j] = _mm512_setzero_si512();
  UNROLLED for (int i = 0; i < 3; i++) {
    const int8_t *taps = weights + (ptrdiff_t)3 * i * lanes->channels + first_channel;
    UNROLLED for (int j = 0; j < 3; j++)
      w[i][j] = load_weights(pixels, lanes->mask, taps + (ptrdiff_t)j * lanes->channels);
    w[i][3] = _mm512_setzero_si512();
    interleave4(w[i]);
    UNROLLED for (int j = 0; j < 4; j++) {
      shifted[i][j] = _mm512_slli_epi32(w[i][j], 8);
      start[j] = _mm512_dpbusd_epi32(start[j], one, w[i][j]);
    }
  }
  UNROLLED for (int j = 0; j < 4; j++)
    start[j] = _mm512_mullo_epi32(start[j], _mm512_set1_epi32(-128));

  const int64_t step = (int64_t)lanes->segment * stride;  // columns between lane groups
  for (int32_t r = 0; r < output_height; r++) {
    struct row row[3];
    __m512i pair[3][2];
    UNROLLED for (int i = 0; i < 3; i++) {
      const int8_t *pixel = rows[3 * r + i];
      row[i] = (struct row){
          pixel ? pixel + first_channel : NULL, input_width, lanes->channels,
          _mm512_set1_epi8((char)padding)};
      pair_columns(pixels, &row[i], lanes->mask, -(int64_t)pad_left, step, pair[i]);
    }
    int32_t *out = acc + (ptrdiff_t)r * output_width * lanes->channels + first_channel;
    int64_t column = -(int64_t)pad_left;
    for (int32_t o = 0; o < lanes->segment; o += 3 - stride) {
      column += 2;
      __m512i sums[2][4];
      UNROLLED for (int j = 0; j < 4; j++) sums[0][j] = sums[1][j] = start[j];
      UNROLLED for (int i = 0; i < 3; i++) {
        __m512i next[2], quad[4];
        pair_columns(pixels, &row[i], lanes->mask, column, step, next);
        quad[0] = _mm512_unpacklo_epi16(pair[i][0], next[0]);
        quad[1] = _mm512_unpackhi_epi16(pair[i][0], next[0]);
        quad[2] = _mm512_unpacklo_epi16(pair[i][1], next[1]);
        quad[3] = _mm512_unpackhi_epi16(pair[i][1], next[1]);
        UNROLLED for (int j = 0; j < 4; j++) {
          sums[0][j] = _mm512_dpbusd_epi32(sums[0][j], quad[j], w[i][j]);
          if (stride == 1) sums[1][j] = _mm512_dpbusd_epi32(sums[1][j], quad[j], shifted[i][j]);
        }
        pair[i][0] = next[0];
        pair[i][1] = next[1];
      }
      store_sums(pixels, lanes, output_width, o, out, sums[0]);
      if (stride == 1) store_sums(pixels, lanes, output_width, o + 1, out, sums[1]);
    }
  }
}

// ---- Any kernel: four taps at a time, in the order of the weights

enum { MOST_QUADS = 16 };  // of the arranged weights kept on the stack: 4 KiB

// Taps `first_tap` ..< `first_tap` + 4·quads, added to acc unless they are the first.
VNNI_INLINE void rows_of_taps(
    const struct lanes *lanes, int32_t first_tap, int32_t taps, int32_t output_height,
    int32_t output_width, int32_t kernel_height, int32_t kernel_width, int32_t stride,
    int32_t dilation, int32_t pad_left, int32_t input_width, const int8_t *const *rows,
    ptrdiff_t first_channel, const int8_t *weights, int32_t padding, int32_t *acc) {
  const __m512i one = _mm512_set1_epi8(1), outside = _mm512_set1_epi8((char)padding);
  __m512i w[MOST_QUADS][4], start[4];
  UNROLLED for (int j = 0; j < 4; j++) start[j] = _mm512_setzero_si512();
  for (int32_t q = 0; 4 * q < taps; q++) {
    for (int32_t t = 0; t < 4; t++)
      w[q][t] = 4 * q + t < taps
          ? _mm512_maskz_loadu_epi8(
                lanes->mask,
                weights + (ptrdiff_t)(first_tap + 4 * q + t) * lanes->channels + first_channel)
          : _mm512_setzero_si512();
    interleave4(w[q]);
    UNROLLED for (int j = 0; j < 4; j++) start[j] = _mm512_dpbusd_epi32(start[j], one, w[q][j]);
  }
  UNROLLED for (int j = 0; j < 4; j++)
    start[j] = _mm512_mullo_epi32(start[j], _mm512_set1_epi32(-128));

  for (int32_t r = 0; r < output_height; r++)
    for (int32_t o = 0; o < output_width; o++) {
      int32_t *out = acc + ((ptrdiff_t)r * output_width + o) * lanes->channels + first_channel;
      __m512i sums[4];
      UNROLLED for (int j = 0; j < 4; j++) {
        sums[j] = start[j];
        if (first_tap > 0 && lanes->present > 16 * j)
          sums[j] = _mm512_add_epi32(
              sums[j], _mm512_maskz_loadu_epi32(first16(lanes->present - 16 * j), out + 16 * j));
      }
      int32_t i = first_tap / kernel_width, j = first_tap % kernel_width;
      for (int32_t q = 0; 4 * q < taps; q++) {
        __m512i x[4];
        UNROLLED for (int t = 0; t < 4; t++) {
          x[t] = outside;
          if (i < kernel_height) {
            const int8_t *pixel = rows[(ptrdiff_t)r * kernel_height + i];
            const struct row row = {
                pixel ? pixel + first_channel : NULL, input_width, lanes->channels, outside};
            const int64_t column = (int64_t)o * stride + (int64_t)j * dilation - pad_left;
            x[t] = load_column(1, &row, lanes->mask, column, 0);
          }
          if (++j == kernel_width) {
            j = 0;
            i++;
          }
        }
        interleave4(x);
        UNROLLED for (int v = 0; v < 4; v++)
          sums[v] = _mm512_dpbusd_epi32(sums[v], x[v], w[q][v]);
      }
      const struct lanes whole = {lanes->channels, lanes->present, 1, lanes->mask};
      store_sums(1, &whole, 1, 0, out, sums);
    }
}

VNNI void tally_vnni_depthwise_s8_rows(
    int32_t output_height, int32_t output_width, int32_t channels, int32_t kernel_height,
    int32_t kernel_width, int32_t stride, int32_t dilation, int32_t pad_left, int32_t input_width,
    const int8_t *const *rows, const int8_t *weights, int32_t padding, int32_t *acc) {
  const int is_3x3 =
      kernel_height == 3 && kernel_width == 3 && dilation == 1 && (stride == 1 || stride == 2);
  const int32_t taps = kernel_height * kernel_width;
  const int pixels = !is_3x3 ? 1 : channels == 32 ? 2 : channels == 16 ? 4 : channels == 8 ? 8 : 1;
  for (int32_t c = 0; c < channels; c += 64) {
    const int32_t present = smaller(channels - c, 64);
    const struct lanes lanes = {
        channels, present, (output_width + pixels - 1) / pixels, first64(present)};
#define ROWS_3X3(pixels, stride)                                                              \
  rows_3x3(                                                                                   \
      pixels, stride, &lanes, output_height, output_width, pad_left, input_width, rows, c,    \
      weights, padding, acc)
#define ROWS_3X3_STRIDES(pixels) stride == 1 ? ROWS_3X3(pixels, 1) : ROWS_3X3(pixels, 2)
    if (is_3x3)
      switch (pixels) {
        case 1: ROWS_3X3_STRIDES(1); break;
        case 2: ROWS_3X3_STRIDES(2); break;
        case 4: ROWS_3X3_STRIDES(4); break;
        default: ROWS_3X3_STRIDES(8);
      }
    else
      for (int32_t t = 0; t == 0 || t < taps; t += 4 * MOST_QUADS)
        rows_of_taps(
            &lanes, t, smaller(taps - t, 4 * MOST_QUADS), output_height, output_width,
            kernel_height, kernel_width, stride, dilation, pad_left, input_width, rows, c, weights,
            padding, acc);
  }
}

// ---- Weight gradient: four positions at a time, for up to four taps of a kernel row

// sums[channel] of the four vectors.
VNNI_INLINE void in_order(const __m512i v[4], int32_t sums[64]) {
  UNROLLED for (int j = 0; j < 4; j++) {
    _mm_storeu_si128((__m128i *)(sums + 4 * j), _mm512_extracti32x4_epi32(v[j], 0));
    _mm_storeu_si128((__m128i *)(sums + 16 + 4 * j), _mm512_extracti32x4_epi32(v[j], 1));
    _mm_storeu_si128((__m128i *)(sums + 32 + 4 * j), _mm512_extracti32x4_epi32(v[j], 2));
    _mm_storeu_si128((__m128i *)(sums + 48 + 4 * j), _mm512_extracti32x4_epi32(v[j], 3));
  }
}

struct gradient_rows {
  const int8_t *input, *g;  // at the lanes' first channel
  int32_t height, width, channels, first_row, end_row, output_width;
  __mmask64 mask;
  __m512i padding;
};

// `taps` taps of kernel row u from column v on: gradient[c·all + t] += Σ x·g. x + 128 is u8, so 128·Σ g is
// taken off.
VNNI_INLINE void weight_gradient_taps(
    const int taps, const struct gradient_rows *of, const struct tally_window *k, int32_t u,
    int32_t v, int32_t present, int32_t all, int32_t *gradient) {
  const __m512i one = _mm512_set1_epi8(1);
  __m512i sums[4][4], total[4];
  UNROLLED for (int j = 0; j < 4; j++) {
    total[j] = _mm512_setzero_si512();
    UNROLLED for (int t = 0; t < taps; t++) sums[t][j] = total[j];
  }
  for (int32_t r = of->first_row; r < of->end_row; r++) {
    const int32_t row = r * k->stride_height - k->pad_top + u * k->dilation_height;
    const struct row x = {
        row >= 0 && row < of->height ? of->input + (ptrdiff_t)row * of->width * of->channels : NULL,
        of->width, of->channels, of->padding};
    const int8_t *from = of->g + (ptrdiff_t)r * of->output_width * of->channels;
    for (int32_t c = 0; c < of->output_width; c += 4) {
      __m512i by[4];
      UNROLLED for (int q = 0; q < 4; q++)
        by[q] = c + q < of->output_width
                    ? _mm512_maskz_loadu_epi8(of->mask, from + (ptrdiff_t)(c + q) * of->channels)
                    : _mm512_setzero_si512();
      quads(by);
      UNROLLED for (int j = 0; j < 4; j++) total[j] = _mm512_dpbusd_epi32(total[j], one, by[j]);
      UNROLLED for (int t = 0; t < taps; t++) {
        const int32_t first = c * k->stride_width - k->pad_left + (v + t) * k->dilation_width;
        __m512i values[4];
        UNROLLED for (int q = 0; q < 4; q++)
          values[q] = load_column(1, &x, of->mask, first + q * k->stride_width, 0);
        quads(values);
        UNROLLED for (int j = 0; j < 4; j++)
          sums[t][j] = _mm512_dpbusd_epi32(sums[t][j], values[j], by[j]);
      }
    }
  }
  UNROLLED for (int t = 0; t < taps; t++) {
    int32_t ordered_sums[64];
    UNROLLED for (int j = 0; j < 4; j++)
      sums[t][j] = _mm512_sub_epi32(sums[t][j], _mm512_slli_epi32(total[j], 7));
    in_order(sums[t], ordered_sums);
    int32_t *out = gradient + u * k->kernel_width + v + t;
    for (int32_t c = 0; c < present; c++, out += all) *out = wrapping_add(*out, ordered_sums[c]);
  }
}

VNNI void tally_vnni_depthwise_weight_gradient_s8(
    const int8_t *input, int32_t height, int32_t width, int32_t channels,
    const struct tally_window *window, int32_t first_row, int32_t end_row, int32_t output_width,
    const int8_t *g, int32_t padding, int32_t *gradient) {
  const struct tally_window k = *window;
  const int32_t all = k.kernel_height * k.kernel_width;
  for (int32_t c = 0; c < channels; c += 64) {
    const int32_t present = smaller(channels - c, 64);
    const struct gradient_rows of = {
        input + c, g + c, height, width, channels, first_row, end_row, output_width,
        first64(present), _mm512_set1_epi8((char)padding)};
    int32_t *to = gradient + (ptrdiff_t)c * all;
    for (int32_t u = 0; u < k.kernel_height; u++)
      for (int32_t v = 0; v < k.kernel_width; v += 4)
        switch (k.kernel_width - v) {
          case 1: weight_gradient_taps(1, &of, &k, u, v, present, all, to); break;
          case 2: weight_gradient_taps(2, &of, &k, u, v, present, all, to); break;
          case 3: weight_gradient_taps(3, &of, &k, u, v, present, all, to); break;
          default: weight_gradient_taps(4, &of, &k, u, v, present, all, to);
        }
  }
}

#endif
