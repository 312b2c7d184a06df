/* SPDX-License-Identifier: Apache-2.0 */
/* Q8_0 weights at level neon_dotprod: sdot adds four products to a lane. */
#include "simd/neon/matmul.h"

NEON_BLOCK_TILES(CLSA_Q8_0, neon_dot_block)

void clsa_kernel_matmul_q8_0_neon_dotprod(float *y, size_t ldy, const void *w,
                                          size_t rows, const struct clsa_act *a)
{
    neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q8_0, a->len), a,
                &tiles);
}

void clsa_matmul_q8_0_neon_dotprod(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = clsa_kernel_matmul_q8_0_neon_dotprod;
}
