/* SPDX-License-Identifier: Apache-2.0 */
/* IQ4_XS rows and one or two columns with vpdpbusd. */
#include "simd/avx512/matvec_k.h"

/* A dword in the lower and one in the upper eight lanes. */
INLINE __m512i two_dwords(const uint8_t *w0, const uint8_t *w1)
{
    int32_t v[2];
    __builtin_memcpy(&v[0], w0, sizeof v[0]);
    __builtin_memcpy(&v[1], w1, sizeof v[1]);
    return _mm512_mask_set1_epi32(_mm512_set1_epi32(v[0]), 0xff00, v[1]);
}

INLINE void unpack(__m512i q[4], const uint8_t *w)
{
    avx512_iq4_eight(q, _mm512_loadu_si512(w + 8), _mm512_loadu_si512(w + 72));
}

INLINE void factors(struct avx512_k_factors *f, const uint8_t *w0,
                    const uint8_t *w1)
{
    /* clsa_iq4_xs_scales of both */
    const __m512i nibble = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4,
                                             8, 12, 16, 20, 24, 28);
    const __m512i pair = _mm512_setr_epi32(16, 18, 20, 22, 24, 26, 28, 30, 16,
                                           18, 20, 22, 24, 26, 28, 30);
    const __m512i low =
        _mm512_and_si512(_mm512_srlv_epi32(two_dwords(w0 + 4, w1 + 4), nibble),
                         _mm512_set1_epi32(15));
    const __m512i head = two_dwords(w0, w1);
    const __m512i high =
        _mm512_and_si512(_mm512_srlv_epi32(head, pair), _mm512_set1_epi32(3));
    f->d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head));
    f->scale = _mm512_cvtepi32_ps(
        _mm512_sub_epi32(_mm512_or_si512(low, _mm512_slli_epi32(high, 4)),
                         _mm512_set1_epi32(32)));
}

#define BLOCK_BYTES   CLSA_IQ4_XS_BYTES
#define BLOCKS_OF_32  false
#define UNPACK_GROUP  unpack
#define PLACES        AVX512_K_BLOCKS
#define FACTORS       factors
#define SCALES        1
#define MINS          0
#define WEIGHT_OFFSET 128
#define LEVEL_BELOW   clsa_kernel_matmul_iq4_xs_avx2
#include "simd/avx512/matvec_k_tmpl.h"

AVX512_K_KERNEL(iq4_xs)

void clsa_matmul_iq4_xs_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_IQ4_XS] = matmul_iq4_xs_avx512vnni;
}
