// Masked copies with AVX-512: the bits of a mask are the lanes of an instruction.
#include "x86_vnni.h"

#if TALLY_X86

// `bytes` bytes of a mask, at most 8; all ones without one.
VNNI_INLINE uint64_t mask_bits(const uint8_t *mask, int32_t bytes) {
  uint64_t bits = ~0ull;
  if (!mask) return bits;
  if (bytes >= 8)
    __builtin_memcpy(&bits, mask, 8);
  else
    for (int32_t i = 0; i < bytes; i++)
      bits = (bits & ~(0xffull << 8 * i)) | (uint64_t)mask[i] << 8 * i;
  return bits;
}

VNNI uint32_t tally_vnni_mask_s32(int32_t count, const uint8_t *mask, int32_t *values) {
  __m512i largest = _mm512_setzero_si512();
  for (int32_t i = 0; i < count; i += 64) {
    const int32_t n = smaller(count - i, 64);
    const uint64_t bits = mask_bits(mask ? mask + i / 8 : mask, (n + 7) / 8);
    UNROLLED for (int j = 0; j < 4; j++) {
      if (n <= 16 * j) break;
      const __mmask16 present = first16(n - 16 * j);
      int32_t *at = values + i + 16 * j;
      const __m512i v = _mm512_maskz_loadu_epi32(present & (__mmask16)(bits >> 16 * j), at);
      largest = _mm512_max_epu32(largest, _mm512_abs_epi32(v));
      if (mask) _mm512_mask_storeu_epi32(at, present, v);
    }
  }
  return _mm512_reduce_max_epu32(largest);
}

VNNI uint32_t tally_vnni_pass_s8(
    int32_t count, const int8_t *g, const uint8_t *mask, int8_t *out) {
  __m512i largest = _mm512_setzero_si512();
  for (int32_t i = 0; i < count; i += 64) {
    const __mmask64 present = first64(count - i);
    const uint64_t bits =
        mask_bits(mask ? mask + i / 8 : mask, (smaller(count - i, 64) + 7) / 8);
    const __m512i v = _mm512_maskz_loadu_epi8(present & bits, g + i);
    largest = _mm512_max_epu8(largest, _mm512_abs_epi8(v));
    _mm512_mask_storeu_epi8(out + i, present, v);
  }
  uint8_t bytes[64];
  _mm512_storeu_si512(bytes, largest);
  uint32_t most = 0;
  for (int j = 0; j < 64; j++) most = bytes[j] > most ? bytes[j] : most;
  return most;
}

#endif
