// The definition of every kernel: one loop as the equation reads, on any CPU. The other versions
// return the same bits.
#include "internal.h"

// m rows of A, n rows of B, k depth

void tally_plain_gemm_s8_nt(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t *C, ptrdiff_t ldc) {
  for (int32_t m = 0; m < M; m++)
    for (int32_t n = 0; n < N; n++) {
      const int8_t *a = A + m * lda, *b = B + n * ldb;
      uint32_t sum = 0;
      for (int32_t k = 0; k < K; k++) sum += (uint32_t)(a[k] * b[k]);
      C[m * ldc + n] = (int32_t)sum;
    }
}

// ---- Packed: [quad of depths][column of the panel][depth in the quad]

// Element (n, k) lies at B[n·column_step + k·depth_step].
static void pack(
    int32_t N, int32_t K, const int8_t *B, ptrdiff_t column_step, ptrdiff_t depth_step,
    uint8_t *packed) {
  const int32_t columns = (int32_t)packed_columns(N), depth = (int32_t)packed_depth(K);
  uint8_t *out = packed + (size_t)columns * 4;
  for (int32_t n0 = 0; n0 < N; n0 += 64) {
    const int32_t width = panel_columns(N - n0);
    for (int32_t k0 = 0; k0 < depth; k0 += 4)
      for (int32_t n = n0; n < n0 + width; n++)
        for (int32_t k = k0; k < k0 + 4; k++)
          *out++ = n < N && k < K ? (uint8_t)B[n * column_step + k * depth_step] : 0;
  }
  for (int32_t n = 0; n < columns; n++) {
    uint32_t sum = 0;
    if (n < N)
      for (int32_t k = 0; k < K; k++) sum += (uint32_t)B[n * column_step + k * depth_step];
    sum *= (uint32_t)-128;
    __builtin_memcpy(packed + (size_t)n * 4, &sum, 4);
  }
}

void tally_plain_pack_s8(int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed) {
  pack(N, K, B, ldb, 1, packed);
}

void tally_plain_pack_s8_transposed(
    int32_t N, int32_t K, const int8_t *B, ptrdiff_t ldb, void *packed) {
  pack(N, K, B, 1, ldb, packed);
}

void tally_plain_gemm_s8_packed(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const void *packed,
    int32_t *C, ptrdiff_t ldc, int accumulate) {
  for (int32_t n0 = 0; n0 < N; n0 += 64) {
    const int8_t *panel = (const int8_t *)packed_panel(packed, N, K, n0);
    const int32_t width = panel_columns(N - n0);
    for (int32_t m = 0; m < M; m++) {
      uint32_t sums[64] = {0};
      for (int32_t k = 0; k < K; k++) {
        const int32_t a = A[m * lda + k];
        const int8_t *b = panel + (ptrdiff_t)(k / 4) * width * 4 + k % 4;
        for (int32_t n = 0; n < width; n++) sums[n] += (uint32_t)(a * b[n * 4]);
      }
      int32_t *c = C + m * ldc + n0;
      for (int32_t n = 0; n < smaller(width, N - n0); n++)
        c[n] = (int32_t)(sums[n] + (accumulate ? (uint32_t)c[n] : 0));
    }
  }
}

void tally_plain_add_rows_s8(
    int32_t rows, int32_t count, const int8_t *scalars, ptrdiff_t step, const int8_t *x,
    ptrdiff_t ldx, int32_t *y) {
  for (int32_t r = 0; r < rows; r++) {
    const int32_t scalar = scalars[r * step];
    const int8_t *row = x + r * ldx;
    if (scalar == 0) continue;
    for (int32_t i = 0; i < count; i++) y[i] = wrapping_add(y[i], scalar * row[i]);
  }
}

void tally_plain_transpose_s8(
    int32_t rows, int32_t columns, const int8_t *src, ptrdiff_t lds, int8_t *dst, ptrdiff_t ldd) {
  for (int32_t c = 0; c < columns; c++)
    for (int32_t r = 0; r < rows; r++) dst[c * ldd + r] = src[r * lds + c];
}

void tally_plain_depthwise_s8_rows(
    int32_t output_height, int32_t output_width, int32_t channels, int32_t kernel_height,
    int32_t kernel_width, int32_t stride, int32_t dilation, int32_t pad_left, int32_t input_width,
    const int8_t *const *rows, const int8_t *weights, int32_t padding, int32_t *acc) {
  for (int32_t r = 0; r < output_height; r++, rows += kernel_height)
    for (int32_t o = 0; o < output_width; o++, acc += channels) {
      for (int32_t c = 0; c < channels; c++) acc[c] = 0;
      for (int32_t i = 0; i < kernel_height; i++)
        for (int32_t j = 0; j < kernel_width; j++) {
          const int64_t column = (int64_t)o * stride + (int64_t)j * dilation - pad_left;
          const int is_inside = rows[i] && column >= 0 && column < input_width;
          const int8_t *x = is_inside ? rows[i] + (ptrdiff_t)column * channels : NULL;
          const int8_t *w = weights + ((ptrdiff_t)i * kernel_width + j) * channels;
          for (int32_t c = 0; c < channels; c++)
            acc[c] = wrapping_add(acc[c], w[c] * (x ? x[c] : padding));
        }
    }
}

// ---- Requantisation

// One loop for one multiplier (step 0) and for one per channel (step 1).
TALLY_INLINE void requantize_rows(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t step, int32_t zero_point, int32_t low,
    int32_t high, int8_t *out, uint8_t *mask) {
  size_t i = 0;
  uint32_t bits = 0;
  for (int32_t r = 0; r < rows; r++)
    for (int32_t c = 0; c < channels; c++, i++) {
      const int32_t v = wrapping_add(acc[i], bias ? bias[c] : 0);
      int inside;
      out[i] = place(
          requantize(v, mantissas[c * step], shifts[c * step]), zero_point, low, high, &inside);
      if (!mask) continue;
      bits |= (uint32_t)inside << i % 8;
      if (i % 8 == 7) {
        mask[i / 8] = (uint8_t)bits;
        bits = 0;
      }
    }
  if (mask && i % 8) mask[i / 8] = (uint8_t)bits;
}

void tally_plain_requantize_bias_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias, int32_t mantissa,
    int32_t shift, int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  requantize_rows(
      rows, channels, acc, bias, &mantissa, &shift, 0, zero_point, low, high, out, mask);
}

void tally_plain_requantize_channels_s8(
    int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t zero_point, int32_t low,
    int32_t high, int8_t *out, uint8_t *mask) {
  requantize_rows(
      rows, channels, acc, bias, mantissas, shifts, 1, zero_point, low, high, out, mask);
}

// ---- Gradients

uint32_t tally_plain_max_magnitude_s32(int32_t count, const int32_t *values) {
  uint32_t largest = 0;
  for (int32_t i = 0; i < count; i++) {
    const uint32_t v = (uint32_t)values[i], magnitude = values[i] < 0 ? 0 - v : v;
    if (magnitude > largest) largest = magnitude;
  }
  return largest;
}

void tally_plain_shift_stochastic_s8(
    int32_t count, const int32_t *acc, int32_t shift, uint32_t first_element,
    const uint32_t key[2], const uint32_t counter[3], int8_t *out, const uint8_t *mask) {
  uint32_t block[4];
  for (int32_t i = 0; i < count; i++) {
    const uint32_t e = first_element + (uint32_t)i;
    if (i == 0 || e % 8 == 0) philox(e / 8, counter, key, block);
    const int32_t g = clamp(shift_stochastic(acc[i], shift, lane16(block, e)), -127, 127);
    out[i] = (int8_t)(mask && !mask_bit(mask, (size_t)i) ? 0 : g);
  }
}

int32_t tally_plain_contribute_q16(
    int32_t count, const int32_t *gradient, int32_t mantissa, int32_t shift,
    uint32_t first_element, const uint32_t key[2], const uint32_t counter[3], int32_t clip,
    int subtract, int32_t *target, int8_t *weights) {
  uint32_t block[4];
  int32_t clipped = 0;
  for (int32_t i = 0; i < count; i++) {
    const uint32_t e = first_element + (uint32_t)i;
    if (i == 0 || e % 8 == 0) philox(e / 8, counter, key, block);
    const int32_t d = requantize_stochastic(gradient[i], mantissa, shift, lane16(block, e));
    const int32_t bounded = clamp(d, -clip, clip);
    clipped += bounded != d;
    target[i] = wrapping_subtract(target[i], subtract ? bounded : -bounded);
  }
  if (weights) tally_plain_refresh_s8(count, target, weights);
  return clipped;
}

void tally_plain_refresh_s8(int32_t count, int32_t *master, int8_t *weights) {
  for (int32_t i = 0; i < count; i++) {
    master[i] = clamp(master[i], -127 * 65536, 127 * 65536);
    weights[i] = (int8_t)((master[i] + 32768) >> 16);
  }
}

void tally_plain_sum_squares_s32(int32_t count, const int32_t *values, uint64_t halves[2]) {
  for (int32_t i = 0; i < count; i++) {
    const uint64_t square = (uint64_t)((int64_t)values[i] * values[i]);
    halves[0] += square & 0xffffffffu;
    halves[1] += square >> 32;
  }
}

uint64_t tally_plain_sum_squares_s8(int32_t count, const int8_t *values) {
  uint64_t sum = 0;
  for (int32_t i = 0; i < count; i++) sum += (uint64_t)(values[i] * values[i]);
  return sum;
}

// ---- Zeroth order

void tally_plain_perturb_dot_s8(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t sigma, uint32_t first_element, uint32_t row_elements,
    const uint32_t key[2], const uint32_t counter[3], int32_t *C, ptrdiff_t ldc) {
  const int32_t reach = 127 - (sigma < 0 ? -sigma : sigma);
  for (int32_t m = 0; m < M; m++)
    for (int32_t n = 0; n < N; n++) {
      uint32_t block[4], sum = 0;
      for (int32_t k = 0; k < K; k++) {
        const uint32_t e = first_element + (uint32_t)n * row_elements + (uint32_t)k;
        if (k == 0 || e % 128 == 0) philox(e / 128, counter, key, block);
        int32_t b = B[n * ldb + k];
        if (-reach <= b && b <= reach) b += block[e / 32 % 4] >> e % 32 & 1 ? -sigma : sigma;
        sum += (uint32_t)(A[m * lda + k] * b);
      }
      C[m * ldc + n] = (int32_t)sum;
    }
}

// ---- SHA-256

// The first 32 fractional bits of the cube roots of the first 64 primes (FIPS 180-4 §4.2.2).
const uint32_t tally_sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

TALLY_INLINE uint32_t rotated_right(uint32_t x, int n) { return x >> n | x << (32 - n); }

void tally_plain_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks) {
  for (; blocks > 0; blocks--, data += 64) {
    uint32_t w[64];
    for (int t = 0; t < 16; t++)
      w[t] = (uint32_t)data[4 * t] << 24 | (uint32_t)data[4 * t + 1] << 16
             | (uint32_t)data[4 * t + 2] << 8 | data[4 * t + 3];
    for (int t = 16; t < 64; t++) {
      const uint32_t x = w[t - 15], y = w[t - 2];
      w[t] = w[t - 16] + (rotated_right(x, 7) ^ rotated_right(x, 18) ^ x >> 3) + w[t - 7]
             + (rotated_right(y, 17) ^ rotated_right(y, 19) ^ y >> 10);
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
      const uint32_t s1 = rotated_right(e, 6) ^ rotated_right(e, 11) ^ rotated_right(e, 25);
      const uint32_t s0 = rotated_right(a, 2) ^ rotated_right(a, 13) ^ rotated_right(a, 22);
      const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + tally_sha256_constants[t] + w[t];
      const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}
