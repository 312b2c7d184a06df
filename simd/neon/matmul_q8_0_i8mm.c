/* SPDX-License-Identifier: Apache-2.0 */
/* Q8_0 weights at level neon_i8mm: tiles of matmul_i8mm.h; sdot for n = 1. */
#include "simd/neon/matmul_i8mm.h"

NEON_I8MM_TILES(CLSA_Q8_0)

static void matmul_q8_0_neon_i8mm(float *y, size_t ldy, const void *w,
                                  size_t rows, const struct clsa_act *a)
{
    if (a->n == 1)
        clsa_kernel_matmul_q8_0_neon_dotprod(y, ldy, w, rows, a);
    else
        neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q8_0, a->len), a,
                    &tiles);
}

void clsa_matmul_q8_0_neon_i8mm(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = matmul_q8_0_neon_i8mm;
}
