/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q8_0 matmul with vpdpbusd, which multiplies u8 by s8: the weights are taken
 * as w + 128, and 128 times the column's block sum is taken off again, in
 * integers.
 */
#include "simd/avx512/dot_vnni.h"
#include "simd/avx512/transpose.h"

#define BLOCK_BYTES CLSA_Q8_0_BYTES
#define PACKED      8
#define EXPANDED    8
#define OFFSET      128

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

#include "simd/avx512/matmul_block.h"

void clsa_matmul_q8_0_avx512vnni(struct clsa_simd *table)
{
    one_column = table->matmul[CLSA_Q8_0];
    table->matmul[CLSA_Q8_0] = matmul_block;
}
