/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_0 matmul without VNNI: vpmaddubsw of the nibbles. A pair sum is at most
 * 2 * 15 * 127 = 3810, so that all eight of a block fit into 16 bits, and one
 * vpmaddwd ends the block.
 */
#include "simd/avx512/transpose.h"

#define PACKED_VECTORS   4
#define EXPANDED_VECTORS 8

INLINE void pack_block(__m512i t[PACKED_VECTORS],
                       const uint8_t *const row[LANES], size_t at)
{
    avx512_transpose_16x16(t, row, at + 2);
}

INLINE void expand_block(__m512i w[EXPANDED_VECTORS],
                         const __m512i t[PACKED_VECTORS])
{
    const __m512i low = _mm512_set1_epi8(15);
    UNROLL
    for (int k = 0; k < PACKED_VECTORS; k++) {
        w[k] = _mm512_and_si512(t[k], low);
        w[k + 4] = _mm512_and_si512(_mm512_srli_epi16(t[k], 4), low);
    }
}

INLINE __m512i dot_block(const __m512i w[EXPANDED_VECTORS], const int8_t *q,
                         int32_t start, const int columns)
{
    __m512i dot = _mm512_setzero_si512();
    (void)columns;
    UNROLL
    for (int k = 0; k < EXPANDED_VECTORS; k++) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * k, sizeof four);
        dot = _mm512_add_epi16(
            dot, _mm512_maddubs_epi16(w[k], _mm512_set1_epi32(four)));
    }
    dot = _mm512_madd_epi16(dot, _mm512_set1_epi16(1));
    return _mm512_add_epi32(dot, _mm512_set1_epi32(start));
}

#define BLOCK_BYTES   CLSA_Q4_0_BYTES
#define WEIGHT_OFFSET 8
#define PACK_BLOCK    pack_block
#define EXPAND_BLOCK  expand_block
#define DOT_BLOCK     dot_block
#define ONE_COLUMN    clsa_kernel_matmul_q4_0_avx2
#include "simd/avx512/matmul_block_tmpl.h"

void clsa_kernel_matmul_q4_0_avx512(float *y, size_t ldy, const void *w,
                                    size_t rows, const struct clsa_act *a)
{
    matmul_block(y, ldy, w, rows, a);
}

void clsa_matmul_q4_0_avx512(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_0] = clsa_kernel_matmul_q4_0_avx512;
}
