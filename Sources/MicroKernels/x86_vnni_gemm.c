// Matrix products with vpdpbusd, which multiplies u8 by s8 and adds four products to an int32.
//
// Both operands are s8, so one is read as u8 after flipping its top bit (adding 128), and
// 128 · (the sum of the other operand) is taken off: exact, because every step wraps in int32.
#include "x86_vnni.h"

#if TALLY_X86

// ---- Packed B: A becomes u8, the corrections −128·Σ_k B come with the packing.

// 1…3 bytes and zeros.
TALLY_INLINE int32_t last_quad(const int8_t *a, int32_t count) {
  const uint8_t *u = (const uint8_t *)a;
  return u[0] | (count > 1 ? u[1] << 8 : 0) | (count > 2 ? u[2] << 16 : 0);
}

// Several runs of depths, each with a packed matrix of its own.
struct runs {
  int32_t count;
  ptrdiff_t step;  // of A from one run to the next
  size_t size;     // bytes of a packed matrix
};

// Adds a run of K depths to rows × (16·vectors) sums. A quad of A is broadcast and its top bits flipped in
// one instruction (vpxord with an embedded broadcast), so A needs no copy and no row sums.
VNNI_INLINE void add_run(
    const int rows, const int vectors, __m512i flip, int32_t K, const int8_t *A, ptrdiff_t lda,
    const uint8_t *panel, __m512i c[12][4]) {
  int32_t k = 0;
  for (; k + 4 <= K; k += 4, panel += 64 * vectors) {
    __m512i b[4];
    UNROLLED for (int j = 0; j < vectors; j++) b[j] = _mm512_loadu_si512(panel + 64 * j);
    UNROLLED for (int i = 0; i < rows; i++) {
      int32_t quad;
      __builtin_memcpy(&quad, A + i * lda + k, 4);
      const __m512i a = _mm512_xor_si512(flip, _mm512_set1_epi32(quad));
      UNROLLED for (int j = 0; j < vectors; j++) c[i][j] = _mm512_dpbusd_epi32(c[i][j], a, b[j]);
    }
  }
  if (k < K)  // the packed depths beyond K are zero, so any value of A does
    UNROLLED for (int i = 0; i < rows; i++) {
      const int32_t quad = last_quad(A + i * lda + k, K - k);
      const __m512i a = _mm512_xor_si512(flip, _mm512_set1_epi32(quad));
      UNROLLED for (int j = 0; j < vectors; j++)
        c[i][j] = _mm512_dpbusd_epi32(c[i][j], a, _mm512_loadu_si512(panel + 64 * j));
    }
}

VNNI_INLINE void tile(
    const int rows, const int vectors, const struct runs *runs, int32_t K, const int8_t *A,
    ptrdiff_t lda, const int32_t *corrections, const uint8_t *panel, int32_t *C, ptrdiff_t ldc,
    int32_t columns, int accumulate) {
  __m512i flip = _mm512_set1_epi8(-128);
  __asm__("" : "+v"(flip));  // a known constant would be applied before the broadcast: slower
  __m512i c[12][4];
  UNROLLED for (int j = 0; j < vectors; j++) {
    const uint8_t *correction = (const uint8_t *)(corrections + 16 * j);
    __m512i sum = _mm512_loadu_si512(correction);
    for (int32_t run = 1; run < runs->count; run++)
      sum = _mm512_add_epi32(sum, _mm512_loadu_si512(correction + (size_t)run * runs->size));
    UNROLLED for (int i = 0; i < rows; i++) c[i][j] = sum;
  }
  add_run(rows, vectors, flip, K, A, lda, panel, c);
  for (int32_t run = 1; run < runs->count; run++) {
    A += runs->step;
    panel += runs->size;
    add_run(rows, vectors, flip, K, A, lda, panel, c);
  }
  UNROLLED for (int i = 0; i < rows; i++)
    UNROLLED for (int j = 0; j < vectors; j++) {
      int32_t *out = C + i * ldc + 16 * j;
      if (columns >= 16 * vectors) {
        if (accumulate) c[i][j] = _mm512_add_epi32(c[i][j], _mm512_loadu_si512(out));
        _mm512_storeu_si512(out, c[i][j]);
      } else if (columns > 16 * j) {
        const __mmask16 mask = first16(columns - 16 * j);
        if (accumulate) c[i][j] = _mm512_add_epi32(c[i][j], _mm512_maskz_loadu_epi32(mask, out));
        _mm512_mask_storeu_epi32(out, mask, c[i][j]);
      }
    }
}

#define TILE(rows, vectors)                                                                     \
  case rows:                                                                                    \
    tile(rows, vectors, runs, K, A + m * lda, lda, corrections, panel, C + m * ldc, ldc, columns,     \
         accumulate);                                                                           \
    break

// One function per panel width, with up to 24 accumulators.
#define PANEL(name, most_rows, ...)                                                             \
  VNNI static void name(                                                                        \
      int32_t M, const struct runs *runs, int32_t K, const int8_t *A, ptrdiff_t lda,            \
      const int32_t *corrections, const uint8_t *panel, int32_t *C, ptrdiff_t ldc, int32_t columns, int accumulate) {       \
    for (int32_t m = 0, blocks = (M + most_rows - 1) / most_rows; blocks > 0; blocks--) {       \
      const int32_t rows = (M - m + blocks - 1) / blocks;                                       \
      switch (rows) { __VA_ARGS__ }                                                             \
      m += rows;                                                                                \
    }                                                                                           \
  }

PANEL(panel64, 6, TILE(6, 4); TILE(5, 4); TILE(4, 4); TILE(3, 4); TILE(2, 4); TILE(1, 4);)
PANEL(panel48, 8, TILE(8, 3); TILE(7, 3); TILE(6, 3); TILE(5, 3); TILE(4, 3); TILE(3, 3);
      TILE(2, 3); TILE(1, 3);)
PANEL(panel32, 12, TILE(12, 2); TILE(11, 2); TILE(10, 2); TILE(9, 2); TILE(8, 2); TILE(7, 2);
      TILE(6, 2); TILE(5, 2); TILE(4, 2); TILE(3, 2); TILE(2, 2); TILE(1, 2);)
PANEL(panel16, 12, TILE(12, 1); TILE(11, 1); TILE(10, 1); TILE(9, 1); TILE(8, 1); TILE(7, 1);
      TILE(6, 1); TILE(5, 1); TILE(4, 1); TILE(3, 1); TILE(2, 1); TILE(1, 1);)

typedef void panel_product(
    int32_t, const struct runs *, int32_t, const int8_t *, ptrdiff_t, const int32_t *,
    const uint8_t *, int32_t *, ptrdiff_t, int32_t, int);

static panel_product *panel_of(int32_t columns) {
  return columns > 48 ? panel64 : columns > 32 ? panel48 : columns > 16 ? panel32 : panel16;
}

// K depths of the packed_K that are packed, from quad first_quad on.
static void all_panels(
    int32_t M, int32_t N, const struct runs *runs, int32_t K, const int8_t *A, ptrdiff_t lda,
    const int32_t *corrections, const void *packed, int32_t packed_K, int32_t first_quad,
    int32_t *C, ptrdiff_t ldc, int accumulate) {
  for (int32_t n = 0; n < N; n += 64) {
    const uint8_t *panel =
        packed_panel(packed, N, packed_K, n) + (ptrdiff_t)first_quad * 4 * panel_columns(N - n);
    panel_of(N - n)(
        M, runs, K, A, lda, corrections + n, panel, C + n, ldc, smaller(N - n, 64), accumulate);
  }
}

void tally_vnni_gemm_s8_packed(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const void *packed,
    int32_t *C, ptrdiff_t ldc, int accumulate) {
  const struct runs one = {1, 0, 0};
  all_panels(M, N, &one, K, A, lda, packed, packed, K, 0, C, ldc, accumulate);
}

void tally_vnni_gemm_s8_runs(
    int32_t M, int32_t N, int32_t runs, int32_t K, const int8_t *A, ptrdiff_t lda, ptrdiff_t step,
    const void *packed, int32_t *C, ptrdiff_t ldc) {
  const struct runs all = {runs, step, tally_packed_s8_bytes(N, K)};
  all_panels(M, N, &all, K, A, lda, packed, packed, K, 0, C, ldc, 0);
}

void tally_vnni_gemm_s8_within(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int32_t *corrections,
    const void *packed, int32_t packed_K, int32_t first_quad, int32_t *C, ptrdiff_t ldc) {
  const struct runs one = {1, 0, 0};
  all_panels(M, N, &one, K, A, lda, corrections, packed, packed_K, first_quad, C, ldc, 1);
}

// ---- Dot form: B becomes u8 as it is loaded, the correction is 128 · (the row sum of A).

// One step of 64 depths for 1…4 rows of A and 1 or 4 rows of B.
VNNI_INLINE void dot_step(
    const int rows, const int columns, __mmask64 depths, const int8_t *A, ptrdiff_t lda,
    const int8_t *B, ptrdiff_t ldb, __m512i c[4][4]) {
  const __m512i flip = _mm512_set1_epi8(-128);
  __m512i a[4];
  UNROLLED for (int i = 0; i < rows; i++) a[i] = _mm512_maskz_loadu_epi8(depths, A + i * lda);
  UNROLLED for (int j = 0; j < columns; j++) {
    const __m512i b = _mm512_xor_si512(flip, _mm512_maskz_loadu_epi8(depths, B + j * ldb));
    UNROLLED for (int i = 0; i < rows; i++) c[i][j] = _mm512_dpbusd_epi32(c[i][j], b, a[i]);
  }
}

VNNI_INLINE void dot_tile(
    const int rows, const int columns, int32_t K, const int8_t *A, ptrdiff_t lda,
    const int32_t corrections[4], const int8_t *B, ptrdiff_t ldb, int32_t *C, ptrdiff_t ldc) {
  __m512i c[4][4];
  UNROLLED for (int i = 0; i < rows; i++)
    UNROLLED for (int j = 0; j < columns; j++) c[i][j] = _mm512_setzero_si512();
  int32_t k = 0;
  for (; k + 64 <= K; k += 64) dot_step(rows, columns, ~0ull, A + k, lda, B + k, ldb, c);
  if (k < K) dot_step(rows, columns, first64(K - k), A + k, lda, B + k, ldb, c);
  UNROLLED for (int i = 0; i < rows; i++) {
    if (columns == 1) {
      C[i * ldc] = wrapping_subtract(_mm512_reduce_add_epi32(c[i][0]), corrections[i]);
    } else {
      const __m128i sums = sum_of_groups(four_sums(c[i][0], c[i][1], c[i][2], c[i][3]));
      _mm_storeu_si128(
          (__m128i *)(C + i * ldc), _mm_sub_epi32(sums, _mm_set1_epi32(corrections[i])));
    }
  }
}

// 1…4 rows of A against all rows of B.
VNNI_INLINE void dot_rows(
    const int rows, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t *C, ptrdiff_t ldc) {
  int32_t corrections[4];
  for (int i = 0; i < rows; i++)
    corrections[i] = sum_times_128(K, A + i * lda);
  if (N >= 4) {
    for (int32_t step = 4; step > 0; B += step * ldb, C += step) {
      dot_tile(rows, 4, K, A, lda, corrections, B, ldb, C, ldc);
      N -= step;
      step = smaller(N, 4);  // the last four may repeat some: the same values
    }
  } else {
    for (int32_t n = 0; n < N; n++)
      dot_tile(rows, 1, K, A, lda, corrections, B + n * ldb, ldb, C + n, ldc);
  }
}

VNNI void tally_vnni_gemm_s8_nt(
    int32_t M, int32_t N, int32_t K, const int8_t *A, ptrdiff_t lda, const int8_t *B,
    ptrdiff_t ldb, int32_t *C, ptrdiff_t ldc) {
  for (int32_t m = 0; m < M; m += 4) {
    const int8_t *a = A + m * lda;
    int32_t *c = C + m * ldc;
    switch (M - m) {
      case 1: dot_rows(1, N, K, a, lda, B, ldb, c, ldc); break;
      case 2: dot_rows(2, N, K, a, lda, B, ldb, c, ldc); break;
      case 3: dot_rows(3, N, K, a, lda, B, ldb, c, ldc); break;
      default: dot_rows(4, N, K, a, lda, B, ldb, c, ldc);
    }
  }
}

#endif
