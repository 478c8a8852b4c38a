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

VNNI uint32_t tally_vnni_masked_magnitude_s32(
    int32_t count, const uint8_t *mask, const int32_t *values) {
  __m512i largest[4];
  UNROLLED for (int j = 0; j < 4; j++) largest[j] = _mm512_setzero_si512();
  int32_t i = 0;
#define ADD_64(present)                                                                      \
  UNROLLED for (int j = 0; j < 4; j++)                                                       \
    largest[j] = _mm512_max_epu32(                                                           \
        largest[j],                                                                          \
        _mm512_abs_epi32(_mm512_maskz_loadu_epi32(                                           \
            (__mmask16)((present) >> 16 * j), values + i + 16 * j)))
  for (; i + 64 <= count; i += 64) {
    uint64_t bits;
    __builtin_memcpy(&bits, mask + i / 8, 8);
    ADD_64(bits);
  }
  if (i < count) {
    const uint64_t bits = mask_bits(mask + i / 8, (count - i + 7) / 8) & first64(count - i);
    ADD_64(bits);
  }
#undef ADD_64
  return _mm512_reduce_max_epu32(_mm512_max_epu32(
      _mm512_max_epu32(largest[0], largest[1]), _mm512_max_epu32(largest[2], largest[3])));
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
    // Masked stores are slow.
    if (count - i >= 64)
      _mm512_storeu_si512(out + i, v);
    else
      _mm512_mask_storeu_epi8(out + i, present, v);
  }
  uint8_t bytes[64];
  _mm512_storeu_si512(bytes, largest);
  uint32_t most = 0;
  for (int j = 0; j < 64; j++) most = bytes[j] > most ? bytes[j] : most;
  return most;
}

#endif
