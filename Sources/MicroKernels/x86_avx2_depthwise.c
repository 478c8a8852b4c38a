// Depthwise convolution with vpmaddwd: two taps of 16 channels at a time, four outputs at once.
#include "x86_avx2.h"

#if TALLY_X86

// 16 bytes; past `count` zeros.
AVX2_INLINE __m256i load_up_to_16(const int8_t *p, int32_t count) {
  if (count >= 16) return load_s16(p);
  if (count == 8) return _mm256_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p));
  int8_t bytes[16] = {0};
  for (int32_t i = 0; i < count; i++) bytes[i] = p[i];
  return load_s16(bytes);
}

struct plane {
  int32_t channels, present;  // of a pixel; in this block of 16
  int32_t kernel_height, kernel_width, stride, dilation, pad_left, input_width;
  __m256i padding;
};

// One tap of output o.
AVX2_INLINE __m256i tap(
    const int padded, const struct plane *p, const int8_t *row, int32_t first_channel, int32_t o,
    int32_t j) {
  const ptrdiff_t column = (ptrdiff_t)o * p->stride + (ptrdiff_t)j * p->dilation - p->pad_left;
  if (padded && (!row || column < 0 || column >= p->input_width)) return p->padding;
  return load_up_to_16(row + column * p->channels + first_channel, p->present);
}

// `outputs` outputs from o on, 16 channels. `padded`: some taps may lie outside the input.
AVX2_INLINE void sums(
    const int outputs, const int padded, const struct plane *p, const int8_t *const *rows,
    const int8_t *weights, int32_t first_channel, int32_t o, int32_t *acc) {
  weights += first_channel;
  __m256i low[4], high[4];
  UNROLLED for (int u = 0; u < outputs; u++) low[u] = high[u] = _mm256_setzero_si256();
  for (int32_t i = 0; i < p->kernel_height; i++) {
    for (int32_t j = 0; j < p->kernel_width; j += 2) {
      const int two = j + 1 < p->kernel_width;
      const int8_t *w = weights + ((ptrdiff_t)i * p->kernel_width + j) * p->channels;
      const __m256i w0 = load_up_to_16(w, p->present);
      const __m256i w1 =
          two ? load_up_to_16(w + p->channels, p->present) : _mm256_setzero_si256();
      const __m256i w_low = _mm256_unpacklo_epi16(w0, w1);
      const __m256i w_high = _mm256_unpackhi_epi16(w0, w1);
      UNROLLED for (int u = 0; u < outputs; u++) {
        const __m256i x0 = tap(padded, p, rows[i], first_channel, o + u, j);
        const __m256i x1 =
            two ? tap(padded, p, rows[i], first_channel, o + u, j + 1) : _mm256_setzero_si256();
        low[u] = _mm256_add_epi32(
            low[u], _mm256_madd_epi16(_mm256_unpacklo_epi16(x0, x1), w_low));
        high[u] = _mm256_add_epi32(
            high[u], _mm256_madd_epi16(_mm256_unpackhi_epi16(x0, x1), w_high));
      }
    }
  }
  UNROLLED for (int u = 0; u < outputs; u++) {
    // The unpacks left channels 0…3, 8…11 and 4…7, 12…15.
    const __m256i first = _mm256_permute2x128_si256(low[u], high[u], 0x20);
    const __m256i second = _mm256_permute2x128_si256(low[u], high[u], 0x31);
    int32_t *out = acc + (ptrdiff_t)(o + u) * p->channels + first_channel;
    if (p->present >= 16) {
      _mm256_storeu_si256((__m256i *)out, first);
      _mm256_storeu_si256((__m256i *)(out + 8), second);
    } else {
      _mm256_maskstore_epi32(out, first8(p->present), first);
      if (p->present > 8) _mm256_maskstore_epi32(out + 8, first8(p->present - 8), second);
    }
  }
}

AVX2 void tally_avx2_depthwise_s8_rows(
    int32_t output_height, int32_t output_width, int32_t channels, int32_t kernel_height,
    int32_t kernel_width, int32_t stride, int32_t dilation, int32_t pad_left, int32_t input_width,
    const int8_t *const *rows, const int8_t *weights, int32_t padding, int32_t *acc) {
  // Outputs whose taps all lie inside the row.
  const int64_t reach = (int64_t)(kernel_width - 1) * dilation;
  const int64_t last = input_width - 1 - reach + pad_left;
  const int32_t first_inside = (pad_left + stride - 1) / stride;
  const int32_t end_inside = last < 0 ? 0 : smaller((int32_t)(last / stride) + 1, output_width);
  for (int32_t r = 0; r < output_height; r++, rows += kernel_height) {
    int is_whole = 1;
    for (int32_t i = 0; i < kernel_height; i++) is_whole &= rows[i] != NULL;
    for (int32_t c = 0; c < channels; c += 16) {
      const struct plane p = {
          channels, smaller(channels - c, 16), kernel_height, kernel_width, stride, dilation,
          pad_left, input_width, _mm256_set1_epi16((int16_t)padding)};
      int32_t *out = acc + (ptrdiff_t)r * output_width * channels;
      int32_t o = 0;
      if (is_whole) {
        for (; o < smaller(first_inside, output_width); o++)
          sums(1, 1, &p, rows, weights, c, o, out);
        for (; o + 4 <= end_inside; o += 4) sums(4, 0, &p, rows, weights, c, o, out);
      }
      for (; o < output_width; o++) sums(1, 1, &p, rows, weights, c, o, out);
    }
  }
}

#endif
