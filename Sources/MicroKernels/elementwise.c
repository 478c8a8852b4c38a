// Operations that go through memory element by element. Plain C whose loops the compiler turns into
// vectors: the same text is compiled for each level, at the end.
#include "internal.h"

#if TALLY_X86
#include "x86_avx2.h"
#undef UNROLLED
#include "x86_vnni.h"
#endif

// Eight bytes that are 0 or 1 become eight bits, low byte first: each byte's bit lands in the top byte,
// where no two meet.
TALLY_INLINE uint8_t packed_bits(const uint8_t flags[8]) {
  uint64_t eight;
  __builtin_memcpy(&eight, flags, 8);
  return (uint8_t)(eight * 0x0102040810204080u >> 56);
}

TALLY_INLINE uint32_t magnitude(int32_t v) { return v < 0 ? 0u - (uint32_t)v : (uint32_t)v; }

// A shift by a lane's number would do, but where vectors cannot shift so, compilers shift with floats.
static const uint8_t bit[8] = {1, 2, 4, 8, 16, 32, 64, 128};

TALLY_INLINE uint32_t masked_magnitude_s32(
    int32_t count, const uint8_t *mask, const int32_t *values) {
  // One for each bit, so that the loop becomes vectors.
  uint32_t each[8] = {0}, largest = 0;
  int32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const uint32_t bits = mask[i / 8];
    for (int32_t j = 0; j < 8; j++) {
      const uint32_t v = magnitude(values[i + j] & -(int32_t)((bits & bit[j]) != 0));
      each[j] = v > each[j] ? v : each[j];
    }
  }
  for (int32_t j = 0; i < count; i++, j++)
    if (mask_bit(mask, (size_t)i) && magnitude(values[i]) > each[j]) each[j] = magnitude(values[i]);
  for (int32_t j = 0; j < 8; j++) largest = each[j] > largest ? each[j] : largest;
  return largest;
}

TALLY_INLINE uint32_t pass_s8(int32_t count, const int8_t *g, const uint8_t *mask, int8_t *out) {
  uint32_t largest = 0;
  int32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const uint32_t bits = mask ? mask[i / 8] : 0xff;
    for (int32_t j = 0; j < 8; j++) {
      const int32_t v = g[i + j] & -(int32_t)((bits & bit[j]) != 0);
      out[i + j] = (int8_t)v;
      largest = magnitude(v) > largest ? magnitude(v) : largest;
    }
  }
  for (; i < count; i++) {
    const int32_t v = mask && !mask_bit(mask, (size_t)i) ? 0 : g[i];
    out[i] = (int8_t)v;
    largest = magnitude(v) > largest ? magnitude(v) : largest;
  }
  return largest;
}

// ---- Additions

TALLY_INLINE int32_t sum_of(int8_t x1, int8_t x2, const struct tally_sum *s) {
  return ((x1 - s->zero1) * s->first + (x2 - s->zero2) * s->second + (1 << (s->fraction - 1)))
         >> s->fraction;
}

enum { chunk = 256 };

TALLY_INLINE void add_s8(
    int32_t count, const int8_t *x1, const int8_t *x2, const struct tally_sum *sum,
    int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask) {
  const struct tally_sum s = *sum;
  uint8_t inside[chunk];
  for (int32_t first = 0; first < count; first += chunk) {
    const int32_t n = smaller(count - first, chunk);
    for (int32_t i = 0; i < n; i++) {
      const int32_t v = sum_of(x1[first + i], x2[first + i], &s) + zero_point;
      const int32_t placed = clamp(v, low, high);
      out[first + i] = (int8_t)placed;
      inside[i] = v == placed;
    }
    if (!mask) continue;
    for (int32_t i = n; i % 8 != 0; i++) inside[i] = 0;
    for (int32_t i = 0; i < n; i += 8) mask[(first + i) / 8] = packed_bits(inside + i);
  }
}

TALLY_INLINE uint32_t merge_size_s8(
    int32_t count, const int8_t *g1, int32_t m1, const int8_t *g2, int32_t m2) {
  uint32_t largest = 0;
  for (int32_t i = 0; i < count; i++) {
    const uint32_t v = magnitude(g1[i] * m1 + g2[i] * m2);
    largest = v > largest ? v : largest;
  }
  return largest;
}

// Joined gradients: sums in pieces, rounded like any others. (A board has no stack for long ones.)
enum { plain_piece = 128, avx2_piece = 1024, vnni_piece = 1024 };

#define MERGE(level)                                                                            \
  int32_t sums[level##_piece];                                                                  \
  for (int32_t first = 0; first < count; first += level##_piece) {                              \
    const int32_t n = smaller(count - first, level##_piece);                                    \
    for (int32_t i = 0; i < n; i++) sums[i] = g1[first + i] * m1 + g2[first + i] * m2;          \
    tally_##level##_shift_stochastic_s8(                                                        \
        n, sums, shift, first_element + (uint32_t)first, key, counter, g1 + first, NULL);       \
  }

// ---- Sums and counts

TALLY_INLINE int32_t count_s8(int32_t count, const int8_t *values, int8_t low, int8_t high) {
  int32_t total = 0;
  for (int32_t i = 0; i < count; i++) total += (low <= values[i]) & (values[i] <= high);
  return total;
}

TALLY_INLINE int16_t summand(int8_t v, const int absolute) {
  return (int16_t)(absolute && v < 0 ? -v : v);
}

// sums[j] += Σ x[r][j], or of |x|, over up to 255 rows: they stay within int16.
TALLY_INLINE void add_64_columns(
    const int absolute, int32_t rows, const int8_t *x, ptrdiff_t ldx, int32_t *sums) {
  int16_t short_sums[64] = {0};
  for (int32_t r = 0; r < rows; r++) {
    // Without these the compiler keeps the sums in memory.
    int16_t row[64];
    for (int32_t j = 0; j < 64; j++) row[j] = summand(x[r * ldx + j], absolute);
    for (int32_t j = 0; j < 64; j++) short_sums[j] = (int16_t)(short_sums[j] + row[j]);
  }
  for (int32_t j = 0; j < 64; j++) sums[j] = wrapping_add(sums[j], short_sums[j]);
}

TALLY_INLINE void add_columns(
    const int absolute, int32_t n, int32_t rows, const int8_t *x, ptrdiff_t ldx, int32_t *sums) {
  int16_t short_sums[64] = {0};
  for (int32_t r = 0; r < rows; r++, x += ldx)
    for (int32_t j = 0; j < n; j++)
      short_sums[j] = (int16_t)(short_sums[j] + summand(x[j], absolute));
  for (int32_t j = 0; j < n; j++) sums[j] = wrapping_add(sums[j], short_sums[j]);
}

TALLY_INLINE void add_all_rows(
    const int absolute, int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx,
    int32_t *sums) {
  int32_t c = 0;
  for (; c + 64 <= columns; c += 64)
    for (int32_t r = 0; r < rows; r += 255)
      add_64_columns(absolute, smaller(rows - r, 255), x + r * ldx + c, ldx, sums + c);
  if (c == columns) return;
  for (int32_t r = 0; r < rows; r += 255)
    add_columns(absolute, columns - c, smaller(rows - r, 255), x + r * ldx + c, ldx, sums + c);
}

// How many rows of so few columns are 64 bytes, where whole ones are; else 1.
TALLY_INLINE int32_t rows_of_64(int32_t columns) {
  return columns > 0 && columns < 64 && 64 % columns == 0 ? 64 / columns : 1;
}

TALLY_INLINE void sum_rows(
    const int absolute, int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx,
    int32_t *sums) {
  // Several narrow rows at a time, as one of 64 columns.
  const int32_t together = ldx == columns ? rows_of_64(columns) : 1;
  if (together > 1) {
    int32_t wide[64] = {0};
    const int32_t whole = rows / together;
    add_all_rows(absolute, whole, 64, x, 64, wide);
    for (int32_t j = 0; j < 64; j++)
      sums[j % columns] = wrapping_add(sums[j % columns], wide[j]);
    rows -= whole * together;
    x += (ptrdiff_t)whole * 64;
  }
  add_all_rows(absolute, rows, columns, x, ldx, sums);
}

TALLY_INLINE void sum_rows_s8(
    int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx, int32_t *sums) {
  sum_rows(0, rows, columns, x, ldx, sums);
}

TALLY_INLINE void sum_magnitudes_s8(
    int32_t rows, int32_t columns, const int8_t *x, int32_t *sums) {
  sum_rows(1, rows, columns, x, columns, sums);
}

TALLY_INLINE int32_t count_at_least(int32_t count, const int32_t *values, int32_t bound) {
  int32_t total = 0;
  for (int32_t i = 0; i < count; i++) total += values[i] >= bound;
  return total;
}

// Bit by bit, the highest first.
TALLY_INLINE int32_t kth_largest_s32(
    int32_t count, const int32_t *values, int32_t k, int32_t *above) {
  int32_t all = 0, value = 0;
  for (int32_t i = 0; i < count; i++) all |= values[i];
  for (int32_t bit = all == 0 ? 0 : 1 << (31 - __builtin_clz((unsigned)all)); bit > 0; bit >>= 1)
    if (count_at_least(count, values, value | bit) >= k) value |= bit;
  *above = value == INT32_MAX ? 0 : count_at_least(count, values, value + 1);
  return value;
}

TALLY_INLINE void keep_columns_s8(
    int32_t rows, int32_t columns, const uint8_t *kept, int8_t *x) {
  const int32_t together = rows_of_64(columns);
  if (together > 1) {
    int8_t keep[64];
    for (int32_t j = 0; j < 64; j++) {
      const int32_t c = j % columns;
      keep[j] = (int8_t)-(kept[c / 8] >> (c % 8) & 1);
    }
    for (; rows >= together; rows -= together, x += 64)
      for (int32_t j = 0; j < 64; j++) x[j] &= keep[j];
    for (int32_t j = 0; j < rows * columns; j++) x[j] &= keep[j];
    return;
  }
  for (int32_t c = 0; c < columns; c += 64) {
    const int32_t n = smaller(columns - c, 64);
    int8_t keep[64];
    for (int32_t j = 0; j < n; j++) keep[j] = (int8_t)-(kept[(c + j) / 8] >> (j % 8) & 1);
    int8_t *to = x + c;
    if (n == 64) {
      for (int32_t r = 0; r < rows; r++, to += columns)
        for (int32_t j = 0; j < 64; j++) to[j] &= keep[j];
    } else {
      for (int32_t r = 0; r < rows; r++, to += columns)
        for (int32_t j = 0; j < n; j++) to[j] &= keep[j];
    }
  }
}

TALLY_INLINE void row_sums_s8(
    int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx, int32_t *sums) {
  for (int32_t r = 0; r < rows; r++) {
    const int8_t *row = x + r * ldx;
    uint32_t sum = 0;
    for (int32_t c = 0; c < columns; c++) sum += (uint32_t)row[c];
    sums[r] = (int32_t)sum;
  }
}

// ---- Histogram of sizes

TALLY_INLINE uint8_t size_of(int32_t v, int rectified) {
  const uint32_t size = rectified ? (uint32_t)(v < 0 ? 0 : v) : magnitude(v);
  return (uint8_t)(size == 0 ? 0 : 32 - __builtin_clz(size));
}

TALLY_INLINE void count_bins_plainly(int32_t n, const uint8_t *sizes, int64_t *counts) {
  for (int32_t i = 0; i < n; i++) counts[sizes[i]]++;
}

#if TALLY_X86
// Four tables, so that equal neighbours do not wait for each other. (A board has no stack for them.)
TALLY_INLINE void count_bins(int32_t n, const uint8_t *sizes, int64_t *counts) {
  uint32_t tables[4][33] = {{0}};
  int32_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int32_t j = 0; j < 4; j++) tables[j][sizes[i + j]]++;
  for (; i < n; i++) tables[0][sizes[i]]++;
  for (int32_t j = 0; j < 33; j++)
    counts[j] += (int64_t)tables[0][j] + tables[1][j] + tables[2][j] + tables[3][j];
}

// A comparison of 64 sizes with a bin costs two instructions, and few bins are in use.
VNNI_INLINE void count_bins_vnni(int32_t n, const uint8_t *sizes, int64_t *counts) {
  for (int32_t i = 0; i < n; i += chunk) {
    __m512i v[4];
    __mmask64 present[4];
    UNROLLED for (int j = 0; j < 4; j++) {
      const int32_t left = n - i - 64 * j;
      present[j] = left > 0 ? first64(left) : 0;
      v[j] = _mm512_maskz_loadu_epi8(present[j], sizes + i + 64 * j);
    }
    int32_t left = smaller(n - i, chunk);
    for (int bin = 0; left > 0; bin++) {
      const __m512i wanted = _mm512_set1_epi8((char)bin);
      int32_t found = 0;
      UNROLLED for (int j = 0; j < 4; j++)
        found += __builtin_popcountll(_mm512_mask_cmpeq_epi8_mask(present[j], v[j], wanted));
      counts[bin] += found;
      left -= found;
    }
  }
}
#endif

TALLY_INLINE void sizes_of_sums(
    int32_t n, const int8_t *x1, const int8_t *x2, const struct tally_sum *s, int rectified,
    uint8_t *sizes) {
  for (int32_t i = 0; i < n; i++) sizes[i] = size_of(sum_of(x1[i], x2[i], s), rectified);
}

// Flat elements first ..< first + n of rows of `channels`.
TALLY_INLINE void sizes_of_accumulators(
    ptrdiff_t first, int32_t n, int32_t channels, const int32_t *acc, const int32_t *bias,
    const int32_t *mantissas, const int32_t *shifts, int32_t step, int rectified, uint8_t *sizes) {
  int32_t c = (int32_t)(first % channels);
  int is_plain = 1;  // every shift is 1…62: no test in the loop
  for (int32_t j = 0; j <= (channels - 1) * step; j++) is_plain &= shifts[j] >= 1 && shifts[j] <= 62;
  for (int32_t i = 0; i < n;) {
    const int32_t run = smaller(channels - c, n - i);
    if (is_plain && step == 0) {
      const int64_t mantissa = mantissas[0], half = (int64_t)1 << (shifts[0] - 1);
      const int32_t shift = shifts[0];
      for (int32_t j = 0; j < run; j++) {
        const int64_t v = wrapping_add(acc[first + i + j], bias[c + j]);
        sizes[i + j] = size_of(saturate((v * mantissa + half) >> shift), rectified);
      }
    } else {
      for (int32_t j = 0; j < run; j++) {
        const int32_t v = wrapping_add(acc[first + i + j], bias[c + j]);
        const int32_t m = (c + j) * step;
        sizes[i + j] = size_of(requantize(v, mantissas[m], shifts[m]), rectified);
      }
    }
    i += run;
    c = 0;
  }
}

#define COUNT_SIZES(bins)                                                                       \
  uint8_t sizes[chunk];                                                                         \
  const ptrdiff_t total = (ptrdiff_t)rows * channels;                                           \
  for (ptrdiff_t i = 0; i < total; i += chunk) {                                                \
    const int32_t n = total - i < chunk ? (int32_t)(total - i) : chunk;                         \
    sizes_of_accumulators(                                                                      \
        i, n, channels, acc, bias, mantissas, shifts, step, rectified, sizes);                  \
    bins(n, sizes, counts);                                                                     \
  }
#define COUNT_SIZES_OF_SUMS(bins)                                                               \
  const struct tally_sum s = *sum;                                                              \
  uint8_t sizes[chunk];                                                                         \
  for (int32_t i = 0; i < count; i += chunk) {                                                  \
    const int32_t n = smaller(count - i, chunk);                                                \
    sizes_of_sums(n, x1 + i, x2 + i, &s, rectified, sizes);                                     \
    bins(n, sizes, counts);                                                                     \
  }

// ---- The same for each level

#define LEVEL(level, TARGET, bins)                                                              \
  TARGET void tally_##level##_add_s8(                                                           \
      int32_t count, const int8_t *x1, const int8_t *x2, const struct tally_sum *sum,           \
      int32_t zero_point, int32_t low, int32_t high, int8_t *out, uint8_t *mask) {              \
    add_s8(count, x1, x2, sum, zero_point, low, high, out, mask);                               \
  }                                                                                             \
  TARGET uint32_t tally_##level##_merge_size_s8(                                                \
      int32_t count, const int8_t *g1, int32_t m1, const int8_t *g2, int32_t m2) {              \
    return merge_size_s8(count, g1, m1, g2, m2);                                                \
  }                                                                                             \
  TARGET void tally_##level##_merge_s8(                                                         \
      int32_t count, int8_t *g1, int32_t m1, const int8_t *g2, int32_t m2, int32_t shift,       \
      uint32_t first_element, const uint32_t key[2], const uint32_t counter[3]) {               \
    MERGE(level)                                                                                \
  }                                                                                             \
  TARGET int32_t tally_##level##_count_s8(                                                      \
      int32_t count, const int8_t *values, int32_t low, int32_t high) {                         \
    return count_s8(count, values, (int8_t)low, (int8_t)high);                                  \
  }                                                                                             \
  TARGET void tally_##level##_sum_rows_s8(                                                      \
      int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx, int32_t *sums) {           \
    sum_rows_s8(rows, columns, x, ldx, sums);                                                   \
  }                                                                                             \
  TARGET void tally_##level##_sum_magnitudes_s8(                                                \
      int32_t rows, int32_t columns, const int8_t *x, int32_t *sums) {                          \
    sum_magnitudes_s8(rows, columns, x, sums);                                                  \
  }                                                                                             \
  TARGET int32_t tally_##level##_kth_largest_s32(                                               \
      int32_t count, const int32_t *values, int32_t k, int32_t *above) {                        \
    return kth_largest_s32(count, values, k, above);                                            \
  }                                                                                             \
  TARGET void tally_##level##_keep_columns_s8(                                                  \
      int32_t rows, int32_t columns, const uint8_t *kept, int8_t *x) {                          \
    keep_columns_s8(rows, columns, kept, x);                                                    \
  }                                                                                             \
  TARGET void tally_##level##_row_sums_s8(                                                      \
      int32_t rows, int32_t columns, const int8_t *x, ptrdiff_t ldx, int32_t *sums) {           \
    row_sums_s8(rows, columns, x, ldx, sums);                                                   \
  }                                                                                             \
  TARGET void tally_##level##_count_sizes_of_sums_s8(                                           \
      int32_t count, const int8_t *x1, const int8_t *x2, const struct tally_sum *sum,           \
      int rectified, int64_t counts[33]) {                                                      \
    COUNT_SIZES_OF_SUMS(bins)                                                                   \
  }

#define MASKS(level, TARGET)                                                                    \
  TARGET uint32_t tally_##level##_masked_magnitude_s32(                                         \
      int32_t count, const uint8_t *mask, const int32_t *values) {                              \
    return masked_magnitude_s32(count, mask, values);                                           \
  }                                                                                             \
  TARGET uint32_t tally_##level##_pass_s8(                                                      \
      int32_t count, const int8_t *g, const uint8_t *mask, int8_t *out) {                       \
    return pass_s8(count, g, mask, out);                                                        \
  }

#define SIZES(level, TARGET, bins)                                                              \
  TARGET void tally_##level##_count_sizes_s32(                                                  \
      int32_t rows, int32_t channels, const int32_t *acc, const int32_t *bias,                  \
      const int32_t *mantissas, const int32_t *shifts, int32_t step, int rectified,             \
      int64_t counts[33]) {                                                                     \
    COUNT_SIZES(bins)                                                                           \
  }

LEVEL(plain, , count_bins_plainly)
MASKS(plain, )
SIZES(plain, , count_bins_plainly)
#if TALLY_X86
LEVEL(avx2, AVX2, count_bins)
MASKS(avx2, AVX2)
SIZES(avx2, AVX2, count_bins)
LEVEL(vnni, VNNI __attribute__((min_vector_width(512))), count_bins_vnni)
#endif
