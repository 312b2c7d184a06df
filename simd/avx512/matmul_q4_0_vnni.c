/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_0 matmul with vpdpbusd: the nibbles are the unsigned side, and 8 times
 * the column's block sum is taken off again, in integers.
 */
#include "simd/avx512/transpose.h"

#define BLOCK_BYTES CLSA_Q4_0_BYTES
#define PACKED      4
#define EXPANDED    8

INLINE void pack_block(__m512i t[PACKED], const uint8_t *const row[LANES],
                       size_t at)
{
    transpose_16x16(t, row, at + 2);
}

INLINE void expand_block(__m512i w[EXPANDED], const __m512i t[PACKED])
{
    const __m512i low = _mm512_set1_epi8(15);
    UNROLL
    for (int k = 0; k < PACKED; k++) {
        w[k] = _mm512_and_si512(t[k], low);
        w[k + 4] = _mm512_and_si512(_mm512_srli_epi16(t[k], 4), low);
    }
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
                            _mm512_slli_epi32(_mm512_set1_epi32(*sum), 3));
}

#include "simd/avx512/matmul_block.h"

void clsa_matmul_q4_0_avx512vnni(struct clsa_simd *table)
{
    one_column = table->matmul[CLSA_Q4_0];
    table->matmul[CLSA_Q4_0] = matmul_block;
}
