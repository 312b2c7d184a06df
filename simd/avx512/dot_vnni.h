/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dot_vnni.h: DOT_BLOCK of matmul_block_tmpl.h for weights without a sign, with
 * vpdpbusd, and the quads of matvec_vnni_tmpl.h. For the VNNI files of Q8_0 and
 * Q4_0.
 */
#ifndef CLSA_AVX512_DOT_VNNI_H
#define CLSA_AVX512_DOT_VNNI_H

#include "simd/avx512/avx512.h"

#define AVX512_QUAD 4 /* blocks; an octet is two quads */

/* Few columns take two chains: one of eight is too long for them. */
INLINE __m512i avx512_dot_block_vnni(const __m512i w[8], const int8_t *q,
                                     int32_t start, const int columns)
{
    const int chains = columns < 4 ? 2 : 1;
    __m512i dot[2] = {_mm512_set1_epi32(start), _mm512_setzero_si512()};
    UNROLL
    for (int k = 0; k < 8; k++) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * k, sizeof four);
        dot[k % chains] =
            _mm512_dpbusd_epi32(dot[k % chains], w[k], _mm512_set1_epi32(four));
    }
    return chains > 1 ? _mm512_add_epi32(dot[0], dot[1]) : dot[0];
}

#endif /* CLSA_AVX512_DOT_VNNI_H */
