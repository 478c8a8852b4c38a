// Speed of the microkernels beside the peaks of this core, measured in the same run.
//
// build and run: make run           or: ./microkernels [REPS [MS [SUBSTRING]]]
//
// One JSON line per kernel, shape and SIMD level: median, best and worst of REPS repetitions of MS
// milliseconds of thread time; `share` is the best repetition over the best of the limit (the
// peak of the level's multiply instruction, or the bandwidth of L2), which other jobs on the machine
// disturb least. Every result is compared with the plain version first; WRONG ends with status 1.
#define _GNU_SOURCE
#include "MicroKernels.h"
#include "bench.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Twelve independent accumulators, so that the latency of the instruction is hidden.
#define PEAK(name, features, T, zero, load, step)                                              \
  __attribute__((target(features), noinline)) static int name(const void *pa, const void *pb) { \
    T acc[12];                                                                                 \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++) acc[i] = zero;             \
    T a = load(pa), b = load(pb);                                                              \
    for (int n = 0; n < 1000; n++) {                                                           \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++) {                        \
        step;                                                                                  \
        __asm__ volatile("" : "+v"(acc[i]));                                                   \
      }                                                                                        \
    }                                                                                          \
    int sum = 0;                                                                               \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++) {                          \
      int t[16];                                                                               \
      memcpy(t, &acc[i], sizeof(T));                                                           \
      sum += t[0];                                                                             \
    }                                                                                          \
    return sum;                                                                                \
  }
#define LOAD256(p) _mm256_loadu_si256((const __m256i *)(p))
PEAK(peak_vpdpbusd, "avx512f,avx512vl,avx512vnni", __m512i, _mm512_setzero_si512(),
     _mm512_loadu_si512, acc[i] = _mm512_dpbusd_epi32(acc[i], a, b))
// vpmaddwd alone. The addition that must follow it lowers what can be reached; by how much depends
// on the order of the instructions (on a Zen 4: 118 GMAC/s alone, 96 to 101 with the addition).
PEAK(peak_vpmaddwd, "avx2", __m256i, _mm256_setzero_si256(), LOAD256,
     __asm__ volatile("" : "+x"(a)); acc[i] = _mm256_madd_epi16(a, b))

__attribute__((target("avx2"), noinline)) static int read_all(const uint8_t *p, size_t n) {
  __m256i s[4] = {_mm256_setzero_si256()};
  s[1] = s[2] = s[3] = s[0];
  for (size_t i = 0; i < n; i += 128)
    _Pragma("clang loop unroll(full)") for (int u = 0; u < 4; u++)
      s[u] = _mm256_or_si256(s[u], LOAD256(p + i + 32 * u));
  return _mm256_movemask_epi8(
      _mm256_or_si256(_mm256_or_si256(s[0], s[1]), _mm256_or_si256(s[2], s[3])));
}
#endif

static volatile int sink;
static double times[MAX_REPS], limits[MAX_REPS];
static const char *filter = "";
static int wrong;

static const char *level_name(int level) {
  static const char *const names[] = {"plain", "avx2", "vnni", "neon"};
  return names[level];
}

// The best rate of the level's multiply instruction, in multiply-accumulates per second.
static double peak(int level) {
#if defined(__x86_64__)
  uint8_t a[64], b[64];
  for (int i = 0; i < 64; i++) { a[i] = (uint8_t)(3 * i + 1); b[i] = (uint8_t)(5 * i + 7); }
  if (level == 2) {
    TIME(limits, sink = peak_vpdpbusd(a, b));
    return 1000.0 * 12 * 64 / limits[0];
  }
  if (level == 1) {
    TIME(limits, sink = peak_vpmaddwd(a, b));
    return 1000.0 * 12 * 16 / limits[0];
  }
#endif
  (void)level;
  return 0;
}

static double l2_bandwidth(void) {
#if defined(__x86_64__)
  const size_t size = 256 << 10;
  uint8_t *p = alloc64(size);
  __asm__ volatile("" : "+r"(p) : : "memory");
  TIME(limits, { __asm__ volatile("" : "+r"(p)); sink = read_all(p, size); });
  free(p);
  return (double)size / limits[0];
#else
  return 0;
#endif
}

static void line(
    const char *kernel, const char *shape, int level, double work, const char *unit, double limit,
    const char *limit_name, uint64_t checksum, int ok) {
  wrong += !ok;
  printf("{\"kernel\":\"%s\",\"shape\":\"%s\",\"level\":\"%s\",\"unit\":\"G%s/s\",\"median\":%.2f,"
         "\"worst\":%.2f,\"best\":%.2f,\"us\":%.3f,", kernel, shape, level_name(level), unit,
         work / times[g_reps / 2] * 1e-9, work / times[g_reps - 1] * 1e-9, work / times[0] * 1e-9,
         times[0] * 1e6);
  if (limit > 0)
    printf("\"limit\":\"%s\",\"limitRate\":%.1f,\"share\":%.3f,", limit_name, limit * 1e-9,
           work / times[0] / limit);
  printf("\"checksum\":\"%016llx\",\"check\":\"%s\"}\n", (unsigned long long)checksum,
         ok ? "ok" : "WRONG");
  fflush(stdout);
}

static int selected(const char *kernel, const char *shape) {
  char name[128];
  snprintf(name, sizeof name, "%s %s", kernel, shape);
  return strstr(name, filter) != NULL;
}

// `call` at each level, its `size` bytes of `out` compared with what the plain version leaves.
// Calls that change their output in place are brought back by `reset` before the comparison.
#define AT_EACH_LEVEL(kernel, shape, out, size, reset, call, work, unit, limit, limit_name)      \
  do {                                                                                           \
    if (!selected(kernel, shape)) break;                                                         \
    void *expected = alloc64(size);                                                              \
    tally_set_simd_level(0);                                                                     \
    reset;                                                                                       \
    call;                                                                                        \
    memcpy(expected, out, size);                                                                 \
    for (int level = best; level >= lowest; level = level == 3 ? 0 : level - 1) {                \
      tally_set_simd_level(level);                                                               \
      const double limit_ = limit;                                                               \
      TIME(times, call);                                                                         \
      memset(out, 0x55, size);                                                                   \
      reset;                                                                                     \
      call;                                                                                      \
      line(kernel, shape, level, work, unit, limit_, limit_name, digest(out, size),              \
           memcmp(out, expected, size) == 0);                                                    \
    }                                                                                            \
    tally_set_simd_level(best);                                                                  \
    free(expected);                                                                              \
  } while (0)
#define NOTHING (void)0

static int best, lowest;

static void products(void) {
  static const struct { const char *name; int M, K, N; } shapes[] = {
      {"64^3", 64, 64, 64}, {"128^3", 128, 128, 128}, {"256^3", 256, 256, 256},
      {"512^3", 512, 512, 512}, {"1024^3", 1024, 1024, 1024}, {"fc 784-128 b1", 1, 784, 128},
      {"fc 784-128 b4", 4, 784, 128}, {"fc 784-128 b32", 32, 784, 128},
      {"dX-like 32x128x784", 32, 128, 784}, {"dW-like 784x32x128", 784, 32, 128},
      {"im2col 16-32 1024x144x32", 1024, 144, 32}, {"im2col 64-64 64x576x64", 64, 576, 64},
      {"pointwise 64-64 125x64x64", 125, 64, 64}, {"pointwise 128-128 36x128x128", 36, 128, 128},
      {"pointwise 8-16 2304x8x16", 2304, 8, 16}};
  for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int M = shapes[s].M, K = shapes[s].K, N = shapes[s].N;
    const char *name = shapes[s].name;
    const size_t out = 4 * (size_t)M * (size_t)N, packed_size = tally_packed_s8_bytes(N, K);
    const double macs = (double)M * K * N, bytes = (double)K * N;
    int8_t *A = alloc64((size_t)M * (size_t)K), *B = alloc64((size_t)N * (size_t)K);
    int8_t *T = alloc64((size_t)N * (size_t)K);
    int32_t *C = alloc64(out);
    void *packed = alloc64(packed_size);
    fill_s8(A, (size_t)M * (size_t)K, 1);
    fill_s8(B, (size_t)N * (size_t)K, 2);
    tally_transpose_s8(N, K, B, K, T, N);
    tally_pack_s8(N, K, B, K, packed);
    AT_EACH_LEVEL("gemm packed", name, C, out, NOTHING,
                  tally_gemm_s8_packed(M, N, K, A, K, packed, C, N, 0), macs, "MAC", peak(level),
                  "multiply peak");
    AT_EACH_LEVEL("gemm pack + product", name, C, out, NOTHING,
                  (tally_pack_s8(N, K, B, K, packed),
                   tally_gemm_s8_packed(M, N, K, A, K, packed, C, N, 0)),
                  macs, "MAC", peak(level), "multiply peak");
    if (M == 1)
      AT_EACH_LEVEL("gemm dot form", name, C, out, NOTHING,
                    tally_gemm_s8_nt(M, N, K, A, K, B, K, C, N), macs, "MAC", l2_bandwidth(),
                    "L2 read, 1 byte per MAC");
    else
      AT_EACH_LEVEL("gemm dot form", name, C, out, NOTHING,
                    tally_gemm_s8_nt(M, N, K, A, K, B, K, C, N), macs, "MAC", peak(level),
                    "multiply peak");
    if (M <= 4 || s < 3) {
      AT_EACH_LEVEL("pack", name, packed, packed_size, NOTHING, tally_pack_s8(N, K, B, K, packed),
                    bytes, "B", 0.0, "");
      AT_EACH_LEVEL("pack transposed", name, packed, packed_size, NOTHING,
                    tally_pack_s8_transposed(N, K, T, N, packed), bytes, "B", 0.0, "");
      AT_EACH_LEVEL("transpose", name, T, bytes, NOTHING, tally_transpose_s8(N, K, B, K, T, N),
                    bytes, "B", 0.0, "");
    }
    free(A); free(B); free(T); free(C); free(packed);
  }
}

static void depthwise(void) {
  static const struct { const char *name; int H, W, C, stride, K; } shapes[] = {
      {"3x3 25x5x64", 25, 5, 64, 1, 3}, {"3x3 32x32x64", 32, 32, 64, 1, 3},
      {"3x3/2 32x32x64", 32, 32, 64, 2, 3}, {"3x3 48x48x8", 48, 48, 8, 1, 3},
      {"3x3 24x24x16", 24, 24, 16, 1, 3}, {"3x3 12x12x32", 12, 12, 32, 1, 3},
      {"3x3 6x6x128", 6, 6, 128, 1, 3}, {"3x3 3x3x256", 3, 3, 256, 1, 3},
      {"5x5 12x12x64", 12, 12, 64, 1, 5}};
  for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int H = shapes[s].H, W = shapes[s].W, C = shapes[s].C, K = shapes[s].K;
    const int stride = shapes[s].stride, OH = (H - 1) / stride + 1, OW = (W - 1) / stride + 1;
    const size_t out = 4 * (size_t)OH * (size_t)OW * (size_t)C;
    int8_t *x = alloc64((size_t)(H * W * C)), *w = alloc64((size_t)(K * K * C));
    int32_t *acc = alloc64(out);
    const int8_t **rows = alloc64(sizeof(void *) * (size_t)(OH * K));
    fill_s8(x, (size_t)(H * W * C), 1);
    fill_s8(w, (size_t)(K * K * C), 2);
    for (int r = 0; r < OH; r++)
      for (int i = 0; i < K; i++) {
        const int y = r * stride + i - K / 2;
        rows[r * K + i] = y < 0 || y >= H ? NULL : x + y * W * C;
      }
    const double macs = (double)OH * OW * C * K * K;
    AT_EACH_LEVEL("depthwise", shapes[s].name, acc, out, NOTHING,
                  tally_depthwise_s8_rows(OH, OW, C, K, K, stride, 1, K / 2, W, rows, w, -3, acc),
                  macs, "MAC", peak(level), "multiply peak");
    AT_EACH_LEVEL("depthwise, row by row", shapes[s].name, acc, out, NOTHING,
                  for (int r = 0; r < OH; r++) tally_depthwise_s8_row(
                      OW, C, K, K, stride, 1, K / 2, W, rows + r * K, w, -3, acc + r * OW * C),
                  macs, "MAC", peak(level), "multiply peak");
    free(x); free(w); free(acc); free(rows);
  }
}

static void elementwise(void) {
  const uint32_t key[2] = {1, 2}, counter[3] = {3, 4, 5};
  static const struct { const char *name; int n; } sizes[] = {{"4096", 4096}, {"784x128", 100352}};
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const int n = sizes[s].n;
    const char *name = sizes[s].name;
    const size_t words = 4 * (size_t)n;
    int32_t *acc = alloc64(words), *master = alloc64(words), *bias = alloc64(256);
    int32_t *mantissas = alloc64(256), *shifts = alloc64(256);
    int8_t *out = alloc64((size_t)n);
    uint8_t *mask = alloc64((size_t)n / 8);
    fill_s8((int8_t *)acc, words, 3);
    for (int i = 0; i < n; i++) acc[i] >>= 8;
    for (int i = 0; i < 64; i++) {
      bias[i] = 1000 * i;
      mantissas[i] = 0x50000000 + i;
      shifts[i] = 38 + i % 3;
    }
    uint64_t total = 0;
#define ELEMENTS(kernel, result, size, reset, call) \
  AT_EACH_LEVEL(kernel, name, result, size, reset, call, (double)n, "element", 0.0, "")
    ELEMENTS("requantize", out, (size_t)n, NOTHING,
             tally_requantize_s8(n, acc, mantissas[0], 38, 3, -128, 127, out, NULL));
    ELEMENTS("requantize + mask", out, (size_t)n, NOTHING,
             tally_requantize_s8(n, acc, mantissas[0], 38, 3, -128, 127, out, mask));
    ELEMENTS("requantize channels, bias, mask", out, (size_t)n, NOTHING,
             tally_requantize_channels_s8(n / 64, 64, acc, bias, mantissas, shifts, 3, -128, 127,
                                          out, mask));
    ELEMENTS("max magnitude", &total, 8, NOTHING, total = tally_max_magnitude_s32(n, acc));
    ELEMENTS("shift stochastic", out, (size_t)n, NOTHING,
             tally_shift_stochastic_s8(n, acc, 14, 0, key, counter, out, NULL));
    ELEMENTS("shift stochastic, mask", out, (size_t)n, NOTHING,
             tally_shift_stochastic_s8(n, acc, 14, 0, key, counter, out, mask));
    // Gradients of 24, 18, 15 and 12 bits, with shifts that make D up to 2^16: of a large batch and of small ones.
    static const struct { const char *name; int bits, shift; } gradients[] = {
        {"contribute", 24, 38}, {"contribute 24 bits", 24, 36}, {"contribute 18 bits", 18, 33},
        {"contribute 15 bits", 15, 29}, {"contribute 15 bits, shift 31", 15, 31},
        {"contribute 12 bits", 12, 33}};
    int32_t *gradient = alloc64(words);
    for (unsigned k = 0; k < sizeof gradients / sizeof *gradients; k++) {
      for (int i = 0; i < n; i++) gradient[i] = acc[i] >> (24 - gradients[k].bits);
      const int shift = gradients[k].shift;
      ELEMENTS(gradients[k].name, master, words, memset(master, 0, words),
               tally_contribute_q16(n, gradient, mantissas[0], shift, 0, key, counter, 1 << 20, 1,
                                    master, NULL));
      if (gradients[k].bits <= 18)
        ELEMENTS("the same with refresh", out, (size_t)n,
                 (memset(master, 0, words), memset(out, 0, (size_t)n)),
                 tally_contribute_q16(n, gradient, mantissas[0], shift, 0, key, counter, 1 << 20,
                                      1, master, out));
    }
    free(gradient);
    if (n == 784 * 128) {
      static const struct { const char *name; int samples, shift; } products[] = {
          {"contribute product", 1, 38}, {"contribute product, shift 29", 1, 29},
          {"contribute product, shift 31", 1, 31}, {"contribute product b4", 4, 31}};
      int8_t *x = alloc64(784 * 4), *g = alloc64(128 * 4);
      fill_s8(x, 784 * 4, 4);
      fill_s8(g, 128 * 4, 5);
      for (unsigned k = 0; k < sizeof products / sizeof *products; k++) {
        const int samples = products[k].samples, shift = products[k].shift;
        ELEMENTS(products[k].name, master, words, memset(master, 0, words),
                 tally_contribute_product_q16(128, 784, samples, g, 128, x, 784, -128,
                                              mantissas[0], shift, key, counter, 1 << 20, 1,
                                              master, NULL));
        ELEMENTS("the same with refresh", out, (size_t)n,
                 (memset(master, 0, words), memset(out, 0, (size_t)n)),
                 tally_contribute_product_q16(128, 784, samples, g, 128, x, 784, -128,
                                              mantissas[0], shift, key, counter, 1 << 20, 1,
                                              master, out));
      }
      free(x); free(g);
    }
    ELEMENTS("refresh", out, (size_t)n, memcpy(master, acc, words),
             tally_refresh_s8(n, master, out));
    uint64_t halves[2];
    ELEMENTS("sum squares s32", halves, sizeof halves, memset(halves, 0, sizeof halves),
             tally_sum_squares_s32(n, acc, halves));
    ELEMENTS("masked magnitude", &total, 8, NOTHING,
             total = tally_masked_magnitude_s32(n, mask, acc));
    int64_t counts[33];
    ELEMENTS("count sizes", counts, sizeof counts, memset(counts, 0, sizeof counts),
             tally_count_sizes_s32(n / 64, 64, acc, bias, mantissas, shifts, 0, 1, counts));
    ELEMENTS("row sums", master, (size_t)(n / 64) * 4, fill_s8(out, (size_t)n, 9),
             tally_row_sums_s8(n / 64, 64, out, 64, master));
    ELEMENTS("sum squares s8", &total, 8, fill_s8(out, (size_t)n, 9),
             total = tally_sum_squares_s8(n, out));
    free(acc); free(master); free(bias); free(mantissas); free(shifts); free(out); free(mask);
  }
}

static void perturbation_and_digest(void) {
  const uint32_t key[2] = {1, 2}, counter[3] = {3, 4, 5};
  int8_t *A = alloc64(784 * 4), *B = alloc64(784 * 128);
  int32_t *C = alloc64(4 * 128 * 4);
  fill_s8(A, 784 * 4, 1);
  fill_s8(B, 784 * 128, 2);
  for (int M = 1; M <= 4; M += 3)
    AT_EACH_LEVEL("perturbed dot", M == 1 ? "784-128 b1" : "784-128 b4", C,
                  (size_t)(4 * 128 * M), NOTHING,
                  tally_perturb_dot_s8(M, 128, 784, A, 784, B, 784, 4, 0, 784, key, counter, C,
                                       128),
                  784.0 * 128, "weight", l2_bandwidth(), "L2 read, 1 byte per weight");
  const int n = 784 * 128;
  const int32_t difference = 1 << 14;
  int8_t *w = alloc64((size_t)n);
  int32_t *master = alloc64(4 * (size_t)n);
  AT_EACH_LEVEL("perturbed weights", "784x128", w, (size_t)n, NOTHING,
                tally_perturb_s8(n, B, 4, 0, key, counter, w), n, "weight", 0.0, "");
  AT_EACH_LEVEL("signed sums", "784x128", master, 4 * (size_t)n, NOTHING,
                tally_signed_sums_s32(n, 0, 1, &difference, key, counter, B, 123, master), n,
                "weight", 0.0, "");
#define MASTERS_OF_B                                   \
  do {                                                 \
    memcpy(w, B, (size_t)n);                           \
    for (int i = 0; i < n; i++) master[i] = B[i] * 65536; \
  } while (0)
  AT_EACH_LEVEL("contribute signs", "784x128", master, 4 * (size_t)n, MASTERS_OF_B,
                tally_contribute_signs_q16(n, difference, 0x50000000, 33, 0, key, counter, counter,
                                           123, 1 << 20, master, w),
                n, "weight", 0.0, "");
  free(w); free(master);
  uint32_t state[8];
  AT_EACH_LEVEL("sha256", "98 KiB", state, sizeof state, memset(state, 1, sizeof state),
                tally_sha256_blocks(state, (const uint8_t *)B, 784 * 128 / 64), 784.0 * 128, "B",
                0.0, "");
  free(A); free(B); free(C);
}

int main(int argc, char **argv) {
  parse_args(argc, argv, "microkernels [REPS [MS [SUBSTRING]]]");
  if (argc > 3) filter = argv[3];
  tally_set_simd_level(1000);
  best = tally_simd_level();
  lowest = best > 0 ? 1 : 0;  // the plain versions are the check, not the subject
  products();
  depthwise();
  elementwise();
  perturbation_and_digest();
  return wrong ? 1 : 0;
}
