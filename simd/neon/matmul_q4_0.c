/* SPDX-License-Identifier: Apache-2.0 */
/* Q4_0 weights at level neon: products in 16 bits, see matmul.h. */
#include "simd/neon/matmul.h"

NEON_BLOCK_TILES(CLSA_Q4_0, neon_dot_nibbles)

static void matmul_q4_0_neon(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q4_0, a->len), a,
                &tiles);
}

void clsa_matmul_q4_0_neon(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_0] = matmul_q4_0_neon;
}
