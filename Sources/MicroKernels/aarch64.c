// Matrix products with the Arm dot-product instruction: s8 × s8, four products per int32 lane.
#include "internal.h"

#if TALLY_NEON
#include <arm_neon.h>

#define UNROLLED _Pragma("clang loop unroll(full)")

// Up to 16 bytes; past `count` zeros.
TALLY_INLINE int8x16_t load_up_to_16(const int8_t *p, int32_t count) {
  if (count >= 16) return vld1q_s8(p);
  int8_t bytes[16] = {0};
  for (int32_t i = 0; i < count; i++) bytes[i] = p[i];
  return vld1q_s8(bytes);
}

// ---- Packed B: a vector holds a quad of depths of four columns

// Rows × 16 columns; `row` is the panel's bytes per quad of depths.
TALLY_INLINE void tile(
    const int rows, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *panel, ptrdiff_t row,
    int32_t *C, ptrdiff_t ldc, int32_t columns, int accumulate) {
  int32x4_t c[4][4];
  UNROLLED for (int i = 0; i < rows; i++)
    UNROLLED for (int j = 0; j < 4; j++) c[i][j] = vdupq_n_s32(0);
  for (int32_t k = 0; k < K; k += 16) {
    int8x16_t a[4];
    UNROLLED for (int i = 0; i < rows; i++) a[i] = load_up_to_16(A + i * lda + k, K - k);
#define QUAD(q)                                                                  \
  if (k + 4 * q < K) {                                                           \
    UNROLLED for (int j = 0; j < 4; j++) {                                       \
      const int8x16_t b = vld1q_s8(panel + 16 * j);                              \
      UNROLLED for (int i = 0; i < rows; i++)                                    \
        c[i][j] = vdotq_laneq_s32(c[i][j], b, a[i], q);                          \
    }                                                                            \
    panel += row;                                                                \
  }
    QUAD(0)
    QUAD(1)
    QUAD(2)
    QUAD(3)
#undef QUAD
  }
  UNROLLED for (int i = 0; i < rows; i++)
    UNROLLED for (int j = 0; j < 4; j++) {
      int32_t *out = C + i * ldc + 4 * j;
      if (columns >= 4 * j + 4) {
        vst1q_s32(out, accumulate ? vaddq_s32(c[i][j], vld1q_s32(out)) : c[i][j]);
      } else {
        int32_t sums[4];
        vst1q_s32(sums, c[i][j]);
        for (int n = 0; 4 * j + n < columns; n++)
          out[n] = wrapping_add(sums[n], accumulate ? out[n] : 0);
      }
    }
}

void tally_neon_gemm_s8_packed(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const void *packed,
    int32_t *C, ptrdiff_t ldc, int accumulate) {
  for (int32_t n = 0; n < N; n += 16) {
    const int32_t first = n / 64 * 64;
    const ptrdiff_t row = (ptrdiff_t)panel_columns(N - first) * 4;
    const int8_t *panel = (const int8_t *)packed_panel(packed, N, K, first) + (n - first) * 4;
    for (int32_t m = 0; m < M; m += 4) {
      const int8_t *a = A + m * lda;
      int32_t *c = C + m * ldc + n;
      switch (M - m) {
        case 1: tile(1, K, a, lda, panel, row, c, ldc, N - n, accumulate); break;
        case 2: tile(2, K, a, lda, panel, row, c, ldc, N - n, accumulate); break;
        case 3: tile(3, K, a, lda, panel, row, c, ldc, N - n, accumulate); break;
        default: tile(4, K, a, lda, panel, row, c, ldc, N - n, accumulate);
      }
    }
  }
}

// ---- Dot form

// 1 or 2 rows of A against `columns` (1 or 4) rows of B.
TALLY_INLINE void dot_tile(
    const int rows, const int columns, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t *C, ptrdiff_t ldc) {
  int32x4_t c[2][4];
  UNROLLED for (int i = 0; i < rows; i++)
    UNROLLED for (int j = 0; j < columns; j++) c[i][j] = vdupq_n_s32(0);
  for (int32_t k = 0; k < K; k += 16) {
    int8x16_t a[2];
    UNROLLED for (int i = 0; i < rows; i++) a[i] = load_up_to_16(A + i * lda + k, K - k);
    UNROLLED for (int j = 0; j < columns; j++) {
      const int8x16_t b = load_up_to_16(B + j * ldb + k, K - k);
      UNROLLED for (int i = 0; i < rows; i++) c[i][j] = vdotq_s32(c[i][j], a[i], b);
    }
  }
  UNROLLED for (int i = 0; i < rows; i++)
    UNROLLED for (int j = 0; j < columns; j++) C[i * ldc + j] = vaddvq_s32(c[i][j]);
}

void tally_neon_gemm_s8_nt(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t *C, ptrdiff_t ldc) {
  for (int32_t m = 0; m < M; m += 2) {
    const int8_t *a = A + m * lda;
    int32_t *c = C + m * ldc, n = 0;
    if (M - m == 1) {
      for (; n + 4 <= N; n += 4) dot_tile(1, 4, K, a, lda, B + n * ldb, ldb, c + n, ldc);
      for (; n < N; n++) dot_tile(1, 1, K, a, lda, B + n * ldb, ldb, c + n, ldc);
    } else {
      for (; n + 4 <= N; n += 4) dot_tile(2, 4, K, a, lda, B + n * ldb, ldb, c + n, ldc);
      for (; n < N; n++) dot_tile(2, 1, K, a, lda, B + n * ldb, ldb, c + n, ldc);
    }
  }
}

#endif
