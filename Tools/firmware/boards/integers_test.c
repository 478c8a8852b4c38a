// Holds integers.c and wide.c against the processor that builds: every operation, operands of every length.
#include "integers.c"
#include "wide.c"

#include <stdio.h>

static uint64_t state = 1;

// SplitMix64, cut to a random length, because plain random words are almost never short.
static uint64_t operand(void) {
  uint64_t z = (state += 0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  z ^= z >> 31;
  const uint64_t cut = (z * 0xD1342543DE82EF95) >> (z & 63);
  return z >> 62 == 0 ? 0 - cut : cut;
}

#define EXPECT(what, found, wanted)                                           \
  if ((uint64_t)(found) != (uint64_t)(wanted)) {                              \
    printf("%s of %llx and %llx, count %d\n", what, (unsigned long long)a,    \
        (unsigned long long)b, count);                                        \
    return 1;                                                                 \
  }

int main(void) {
  for (int trial = 0; trial < 1000000; trial++) {
    const uint64_t a = operand(), b = operand();
    const int count = trial % 64;
    uint64_t r;
    int64_t s;
    EXPECT("product", product(a, b), a * b)
    EXPECT("left shift", shifted_left(a, count), a << count)
    EXPECT("right shift", shifted_right(a, count), a >> count)
    EXPECT("signed right shift", shifted_right_signed(a, count), (int64_t)a >> count)
    EXPECT("leading zeros", __clzsi2((uint32_t)a), (uint32_t)a ? __builtin_clz((uint32_t)a) : 32)
    // Its operands are 128 bits long: two of 64 beside each other.
    const unsigned __int128 wide = (unsigned __int128)b << 64 | a, square = wide * wide;
    const unsigned __int128 found = (unsigned __int128)__multi3((__int128)wide, (__int128)wide);
    EXPECT("wide product, low", found, square)
    EXPECT("wide product, high", found >> 64, square >> 64)
    if (b == 0) continue;
    EXPECT("quotient", quotient64(a, b, &r), a / b)
    EXPECT("remainder", r, a % b)
    if (a == 1ull << 63) continue;
    EXPECT("signed quotient", signed_quotient64((int64_t)a, (int64_t)b, &s), (int64_t)a / (int64_t)b)
    EXPECT("signed remainder", s, (int64_t)a % (int64_t)b)
  }
  puts("integers: 1000000 trials");
  return 0;
}
