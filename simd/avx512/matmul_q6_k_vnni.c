/* SPDX-License-Identifier: Apache-2.0 */
/* Q6_K matmul with vpdpbusd: the weights are the unsigned side. */
#include "simd/avx512/matmul_k.h"

INLINE __m512i dot16(__m512i start, const __m512i w[AVX512_PART_STEPS / 2],
                     const int8_t *x)
{
    UNROLL
    for (int k = 0; k < AVX512_PART_STEPS / 2; k++)
        start = _mm512_dpbusd_epi32(start, w[k], avx512_broadcast4(x + 4 * k));
    return start;
}

#define DOT16 dot16
#include "simd/avx512/matmul_q6_k_tmpl.h"

static void matmul_q6_k_avx512vnni(float *y, size_t ldy, const void *w,
                                   size_t rows, const struct clsa_act *a)
{
    matmul_k(y, ldy, w, rows, a);
}

void clsa_matmul_q6_k_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_Q6_K] = matmul_q6_k_avx512vnni;
}
