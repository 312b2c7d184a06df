/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_0 matmul with vpdpbusd: the nibbles are the unsigned side, and 8 times
 * the column's block sum is taken off again, in integers.
 */
#include "simd/avx512/dot_vnni.h"
#include "simd/avx512/transpose.h"

#define BLOCK_BYTES CLSA_Q4_0_BYTES
#define PACKED      4
#define EXPANDED    8
#define OFFSET      8

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

#include "simd/avx512/matmul_block.h"

void clsa_matmul_q4_0_avx512vnni(struct clsa_simd *table)
{
    one_column = table->matmul[CLSA_Q4_0];
    table->matmul[CLSA_Q4_0] = matmul_block;
}
