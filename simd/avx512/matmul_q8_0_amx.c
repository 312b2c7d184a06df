/* SPDX-License-Identifier: Apache-2.0 */
/* Q8_0 matmul with tiles of int8. */
#include "simd/avx512/transpose.h"

INLINE void pack_block(__m512i t[8], const uint8_t *const row[LANES])
{
    __m512i w[8];
    avx512_transpose_16x32(w, row, 2);
    UNROLL
    for (int k = 0; k < 8; k++)
        t[k] = w[k];
}

#define BLOCK_BYTES CLSA_Q8_0_BYTES
#define PACK_BLOCK  pack_block
#define LEVEL_BELOW clsa_kernel_matmul_q8_0_avx512vnni
#include "simd/avx512/matmul_amx_tmpl.h"

static void matmul_q8_0_avx512amx(float *y, size_t ldy, const void *w,
                                  size_t rows, const struct clsa_act *a)
{
    matmul_amx(y, ldy, w, rows, a);
}

void clsa_matmul_q8_0_avx512amx(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = matmul_q8_0_avx512amx;
}
