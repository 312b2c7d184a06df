/* SPDX-License-Identifier: Apache-2.0 */
/* Q4_K weights at level neon_dotprod: sdot adds four products to a lane. */
#include "simd/neon/matmul_k.h"

NEON_K_TILES(q4_k, neon_dot_block)

static void matmul_q4_k_neon_dotprod(float *y, size_t ldy, const void *w,
                                     size_t rows, const struct clsa_act *a)
{
    neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q4_K, a->len), a,
                &tiles);
}

void clsa_matmul_q4_k_neon_dotprod(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_K] = matmul_q4_k_neon_dotprod;
}
