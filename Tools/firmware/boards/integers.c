// Integer arithmetic that compilers call where the processor has no instruction for it: 64-bit
// products, shifts and quotients on 32-bit cores, 32-bit quotients on the smallest. Only the names the
// program uses stay in it. A real project links its compiler's own (libgcc, compiler-rt).
#include <stdint.h>

// 64 bits as two words, because a 64-bit shift in here would call itself.
typedef union {
  uint64_t all;
  struct { uint32_t low, high; };
} words;

int __clzsi2(uint32_t v) {
  int zeros = 0;
  if (v == 0) return 32;
  for (; (v & 0x80000000) == 0; v <<= 1) zeros++;
  return zeros;
}

static uint64_t shifted_left(uint64_t value, int count) {
  words v = {value}, r;
  if (count == 0) return value;
  if (count >= 32) {
    r.high = v.low << (count - 32);
    r.low = 0;
  } else {
    r.high = v.high << count | v.low >> (32 - count);
    r.low = v.low << count;
  }
  return r.all;
}

static uint64_t shifted_right(uint64_t value, int count) {
  words v = {value}, r;
  if (count == 0) return value;
  if (count >= 32) {
    r.low = v.high >> (count - 32);
    r.high = 0;
  } else {
    r.low = v.low >> count | v.high << (32 - count);
    r.high = v.high >> count;
  }
  return r.all;
}

// The sign comes in from the left.
static uint64_t shifted_right_signed(uint64_t value, int count) {
  words v = {value}, r;
  const int32_t high = (int32_t)v.high;
  if (count == 0) return value;
  if (count >= 32) {
    r.low = (uint32_t)(high >> (count - 32));
    r.high = (uint32_t)(high >> 31);
  } else {
    r.low = v.low >> count | v.high << (32 - count);
    r.high = (uint32_t)(high >> count);
  }
  return r.all;
}

static uint64_t product(uint64_t a, uint64_t b) {
  words x = {a}, y = {b}, r;
  const uint32_t xl = x.low & 0xffff, xh = x.low >> 16, yl = y.low & 0xffff, yh = y.low >> 16;
  const uint32_t ll = xl * yl, lh = xl * yh, hl = xh * yl;
  const uint32_t middle = (ll >> 16) + (lh & 0xffff) + (hl & 0xffff);
  r.low = (ll & 0xffff) | middle << 16;
  r.high = xh * yh + (lh >> 16) + (hl >> 16) + (middle >> 16) + x.high * y.low + x.low * y.high;
  return r.all;
}

// Long division, a bit at a time. Division by 0 gives 0, as Arm's hardware does.
static uint64_t quotient64(uint64_t n, uint64_t d, uint64_t *remainder) {
  const words m = {n};
  words q = {0};
  uint64_t r = 0;
  for (int bit = 63; bit >= 0 && d != 0; bit--) {
    const uint64_t carry = (words){r}.high >> 31;
    const uint32_t next = bit >= 32 ? m.high >> (bit - 32) & 1 : m.low >> bit & 1;
    r = r + r + next;
    if (carry || r >= d) {
      r -= d;
      if (bit >= 32) q.high |= 1u << (bit - 32);
      else q.low |= 1u << bit;
    }
  }
  *remainder = d == 0 ? n : r;
  return q.all;
}

static int64_t signed_quotient64(int64_t n, int64_t d, int64_t *remainder) {
  uint64_t r;
  const uint64_t q = quotient64(
      n < 0 ? 0 - (uint64_t)n : (uint64_t)n, d < 0 ? 0 - (uint64_t)d : (uint64_t)d, &r);
  *remainder = (int64_t)(n < 0 ? 0 - r : r);
  return (int64_t)((n < 0) != (d < 0) ? 0 - q : q);
}

#ifdef __arm__
static uint32_t quotient32(uint32_t n, uint32_t d, uint32_t *remainder) {
  uint32_t q = 0, r = 0;
  for (int bit = 31; bit >= 0 && d != 0; bit--) {
    const uint32_t carry = r >> 31;
    r = r << 1 | (n >> bit & 1);
    if (carry || r >= d) {
      r -= d;
      q |= 1u << bit;
    }
  }
  *remainder = d == 0 ? n : r;
  return q;
}

static int32_t signed_quotient32(int32_t n, int32_t d, int32_t *remainder) {
  uint32_t r;
  const uint32_t q = quotient32(
      n < 0 ? 0 - (uint32_t)n : (uint32_t)n, d < 0 ? 0 - (uint32_t)d : (uint32_t)d, &r);
  *remainder = (int32_t)(n < 0 ? 0 - r : r);
  return (int32_t)((n < 0) != (d < 0) ? 0 - q : q);
}

// Names of the Arm run-time ABI (RTABI32 §4.2, §4.3).
uint64_t __aeabi_lmul(uint64_t a, uint64_t b) { return product(a, b); }
uint64_t __aeabi_llsl(uint64_t v, int count) { return shifted_left(v, count); }
uint64_t __aeabi_llsr(uint64_t v, int count) { return shifted_right(v, count); }
#ifdef PLANTED_DIFFERENCE
// A machine that rounds one shift in 256 wrongly: compare.sh --self-test must find it.
uint64_t __aeabi_lasr(uint64_t v, int count) {
  return shifted_right_signed(v, count) + ((v & 0xFF00) == 0x4200);
}
#else
uint64_t __aeabi_lasr(uint64_t v, int count) { return shifted_right_signed(v, count); }
#endif
uint32_t __aeabi_uidiv(uint32_t n, uint32_t d) {
  uint32_t r;
  return quotient32(n, d, &r);
}
int32_t __aeabi_idiv(int32_t n, int32_t d) {
  int32_t r;
  return signed_quotient32(n, d, &r);
}
// Quotient in r0, remainder in r1: what a 64-bit result looks like.
uint64_t __aeabi_uidivmod(uint32_t n, uint32_t d) {
  words result;
  result.low = quotient32(n, d, &result.high);
  return result.all;
}
uint64_t __aeabi_idivmod(int32_t n, int32_t d) {
  words result;
  int32_t r;
  result.low = (uint32_t)signed_quotient32(n, d, &r);
  result.high = (uint32_t)r;
  return result.all;
}
// Quotient in r0:r1, remainder in r2:r3, which C cannot return: these two give the remainder through
// a pointer, and the names of the ABI wrap them.
uint64_t board_uldivmod(uint64_t n, uint64_t d, uint64_t *remainder) {
  return quotient64(n, d, remainder);
}
int64_t board_ldivmod(int64_t n, int64_t d, int64_t *remainder) {
  return signed_quotient64(n, d, remainder);
}
#define WRAP(name, inner)                                             \
  __attribute__((naked)) void name(void) {                            \
    __asm__("push {r6, lr}\n sub sp, #16\n add r6, sp, #8\n"          \
            "str r6, [sp]\n bl " #inner "\n"                          \
            "ldr r2, [sp, #8]\n ldr r3, [sp, #12]\n"                  \
            "add sp, #16\n pop {r6, pc}");                            \
  }
WRAP(__aeabi_uldivmod, board_uldivmod)
WRAP(__aeabi_ldivmod, board_ldivmod)

#else
// Names of GCC's low-level library, used by 32-bit RISC-V.
uint64_t __muldi3(uint64_t a, uint64_t b) { return product(a, b); }
uint64_t __ashldi3(uint64_t v, int count) { return shifted_left(v, count); }
uint64_t __lshrdi3(uint64_t v, int count) { return shifted_right(v, count); }
uint64_t __ashrdi3(uint64_t v, int count) { return shifted_right_signed(v, count); }
uint64_t __udivdi3(uint64_t n, uint64_t d) {
  uint64_t r;
  return quotient64(n, d, &r);
}
uint64_t __umoddi3(uint64_t n, uint64_t d) {
  uint64_t r;
  quotient64(n, d, &r);
  return r;
}
int64_t __divdi3(int64_t n, int64_t d) {
  int64_t r;
  return signed_quotient64(n, d, &r);
}
int64_t __moddi3(int64_t n, int64_t d) {
  int64_t r;
  signed_quotient64(n, d, &r);
  return r;
}
#endif
