/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dot_vnni.h: dot_block of matmul_block.h for weights without a sign, with
 * vpdpbusd. Included by the VNNI files of Q8_0 and Q4_0.
 */
#ifndef CLSA_AVX512_DOT_VNNI_H
#define CLSA_AVX512_DOT_VNNI_H

#include "simd/avx512/avx512.h"

/* Few columns take two chains: one of eight is too long for them. */
INLINE __m512i dot_block(const __m512i w[8], const int8_t *q, int32_t start,
                         const int columns)
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
