// SHA-256 with the SHA instructions: four rounds per pair of sha256rnds2.
#include "internal.h"

#if TALLY_X86
#include <immintrin.h>

__attribute__((target("sha,sse4.1,ssse3"))) void tally_sha_ni_sha256_blocks(
    uint32_t state[8], const uint8_t *data, size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  // The instructions want the words as (a, b, e, f) and (c, d, g, h), highest first.
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);

  for (; blocks > 0; blocks--, data += 64) {
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];  // the last 16 words of the message schedule
    _Pragma("clang loop unroll(full)") for (int g = 0; g < 16; g++) {
      __m128i next;
      if (g < 4) {
        next = _mm_shuffle_epi8(
            _mm_loadu_si128((const __m128i *)(data + 16 * g)), big_endian);
      } else {
        const __m128i old = w[g % 4], last = w[(g + 3) % 4];
        next = _mm_add_epi32(
            _mm_sha256msg1_epu32(old, w[(g + 1) % 4]), _mm_alignr_epi8(last, w[(g + 2) % 4], 4));
        next = _mm_sha256msg2_epu32(next, last);
      }
      w[g % 4] = next;
      const __m128i k = _mm_loadu_si128((const __m128i *)(tally_sha256_constants + 4 * g));
      const __m128i wk = _mm_add_epi32(next, k);
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }

  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#endif
