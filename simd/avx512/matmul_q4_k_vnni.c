/* SPDX-License-Identifier: Apache-2.0 */
/* Q4_K matmul with vpdpbusd: the weights are the unsigned side. */
#include "simd/avx512/matmul_k.h"
#include "simd/avx512/matvec_k.h"

INLINE __m512i dot16(__m512i start, const __m512i w[AVX512_PART_STEPS / 2],
                     const int8_t *x)
{
    UNROLL
    for (int k = 0; k < AVX512_PART_STEPS / 2; k++)
        start = _mm512_dpbusd_epi32(start, w[k], avx512_broadcast4(x + 4 * k));
    return start;
}

#define DOT16 dot16
#include "simd/avx512/matmul_q4_k_tmpl.h"

static void panels_of_rows(float *y, size_t ldy, const void *w, size_t rows,
                           const struct clsa_act *a)
{
    matmul_k(y, ldy, w, rows, a);
}

INLINE void unpack_group(__m512i q[4], const uint8_t *w)
{
    avx512_k_nibbles(q, w + 16);
}

#define BLOCK_BYTES   CLSA_Q4_K_BYTES
#define BLOCKS_OF_32  false
#define UNPACK_GROUP  unpack_group
#define PLACES        AVX512_K_NIBBLES
#define FACTORS       avx512_k_heads
#define SCALES        1
#define MINS          2
#define WEIGHT_OFFSET 0
#define LEVEL_BELOW   panels_of_rows
#include "simd/avx512/matvec_k_tmpl.h"

AVX512_K_KERNEL(q4_k)

void clsa_matmul_q4_k_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_K] = matmul_q4_k_avx512vnni;
}
