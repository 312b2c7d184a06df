/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_K matmul without VNNI: vpmaddubsw of the nibbles. A pair sum is at most
 * 2 * 15 * 127 = 3810, so four of them fit into 16 bits.
 */
#include "simd/avx512/matmul_k.h"

INLINE __m512i dot16(__m512i start, const __m512i w[AVX512_PART_STEPS / 2],
                     const int8_t *x)
{
    __m512i dot = _mm512_maddubs_epi16(w[0], avx512_broadcast4(x));
    UNROLL
    for (int k = 1; k < AVX512_PART_STEPS / 2; k++)
        dot = _mm512_add_epi16(
            dot, _mm512_maddubs_epi16(w[k], avx512_broadcast4(x + 4 * k)));
    return _mm512_add_epi32(start,
                            _mm512_madd_epi16(dot, _mm512_set1_epi16(1)));
}

#define DOT16 dot16
#include "simd/avx512/matmul_q4_k_tmpl.h"

static void matmul_q4_k_avx512(float *y, size_t ldy, const void *w, size_t rows,
                               const struct clsa_act *a)
{
    matmul_k(y, ldy, w, rows, a);
}

void clsa_matmul_q4_k_avx512(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_K] = matmul_q4_k_avx512;
}
