// The only integer operation that WebAssembly lacks: the product of 64 by 64 bits in 128.
#include <stdint.h>

__int128 __multi3(__int128 a, __int128 b);
__int128 __multi3(__int128 a, __int128 b) {
  const uint64_t al = (uint64_t)a, bl = (uint64_t)b;
  const uint64_t ah = (uint64_t)(a >> 64), bh = (uint64_t)(b >> 64);
  const uint64_t a0 = (uint32_t)al, a1 = al >> 32, b0 = (uint32_t)bl, b1 = bl >> 32;
  const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (uint32_t)middle;
  const uint64_t low = other << 32 | (uint32_t)(a0 * b0);
  const uint64_t high = a1 * b1 + (middle >> 32) + (other >> 32) + al * bh + ah * bl;
  return (__int128)((unsigned __int128)high << 64 | low);
}
