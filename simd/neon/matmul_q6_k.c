/* SPDX-License-Identifier: Apache-2.0 */
/* Q6_K weights at level neon: products in 16 bits, see matmul_k.h. */
#include "simd/neon/matmul_k.h"

NEON_K_TILES(q6_k, neon_dot16_k)

static void matmul_q6_k_neon(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q6_K, a->len), a,
                &tiles);
}

void clsa_matmul_q6_k_neon(struct clsa_simd *table)
{
    table->matmul[CLSA_Q6_K] = matmul_q6_k_neon;
}
