/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q8_0 matmul with vpdpbusd, which multiplies u8 by s8: the weights are taken
 * as w + 128, and 128 times the column's block sum is taken off again, in
 * integers.
 */
#include "simd/avx512/transpose.h"

#define BLOCK_BYTES CLSA_Q8_0_BYTES
#define PACKED      8
#define EXPANDED    8

INLINE void pack_block(__m512i t[PACKED], const uint8_t *const row[LANES],
                       size_t at)
{
    transpose_16x32(t, row, at + 2);
    UNROLL
    for (int k = 0; k < PACKED; k++)
        t[k] = _mm512_xor_si512(t[k], _mm512_set1_epi8((char)0x80));
}

INLINE void expand_block(__m512i w[EXPANDED], const __m512i t[PACKED])
{
    UNROLL
    for (int k = 0; k < EXPANDED; k++)
        w[k] = t[k];
}

INLINE __m512i dot_block(const __m512i w[EXPANDED], const int8_t *q,
                         const int32_t *sum)
{
    /* two chains: one of eight is too long for few columns */
    __m512i dot[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    UNROLL
    for (int k = 0; k < EXPANDED; k++) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * k, sizeof four);
        dot[k % 2] =
            _mm512_dpbusd_epi32(dot[k % 2], w[k], _mm512_set1_epi32(four));
    }
    return _mm512_sub_epi32(_mm512_add_epi32(dot[0], dot[1]),
                            _mm512_slli_epi32(_mm512_set1_epi32(*sum), 7));
}

#include "simd/avx512/matmul_block.h"

void clsa_matmul_q8_0_avx512vnni(struct clsa_simd *table)
{
    one_column = table->matmul[CLSA_Q8_0];
    table->matmul[CLSA_Q8_0] = matmul_block;
}
