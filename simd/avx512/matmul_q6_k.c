/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q6_K matmul without VNNI: vpmaddubsw. A pair sum is at most 2 * 63 * 127 =
 * 16002, so two of them fit into 16 bits.
 */
#include "simd/avx512/matmul_k.h"

INLINE __m512i dot16(__m512i start, const __m512i w[AVX512_PART_STEPS / 2],
                     const int8_t *x)
{
    const __m512i one = _mm512_set1_epi16(1);
    UNROLL
    for (int k = 0; k < AVX512_PART_STEPS / 2; k += 2) {
        const __m512i pairs = _mm512_add_epi16(
            _mm512_maddubs_epi16(w[k], avx512_broadcast4(x + 4 * k)),
            _mm512_maddubs_epi16(w[k + 1], avx512_broadcast4(x + 4 * k + 4)));
        start = _mm512_add_epi32(start, _mm512_madd_epi16(pairs, one));
    }
    return start;
}

#define DOT16 dot16
#include "simd/avx512/matmul_q6_k_tmpl.h"

static void matmul_q6_k_avx512(float *y, size_t ldy, const void *w, size_t rows,
                               const struct clsa_act *a)
{
    matmul_k(y, ldy, w, rows, a);
}

void clsa_matmul_q6_k_avx512(struct clsa_simd *table)
{
    table->matmul[CLSA_Q6_K] = matmul_q6_k_avx512;
}
