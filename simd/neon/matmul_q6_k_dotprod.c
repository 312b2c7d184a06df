/* SPDX-License-Identifier: Apache-2.0 */
/* Q6_K weights at level neon_dotprod: sdot adds four products to a lane. */
#include "simd/neon/matmul_k.h"

CLSA_NEON_INLINE int32x4_t dot(const int8x16_t q[4], int8x16_t x)
{
    int32x4_t s[4];
    CLSA_NEON_UNROLL
    for (int t = 0; t < 4; t++)
        s[t] = vdotq_s32(vdupq_n_s32(0), q[t], x);
    return clsa_neon_sums_s32(s);
}

CLSA_NEON_K_TILES(q6_k, dot)

static void matmul_q6_k_neon_dotprod(float *y, size_t ldy, const void *w,
                                     size_t rows, const struct clsa_act *a)
{
    clsa_neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q6_K, a->len), a,
                     &tiles);
}

void clsa_matmul_q6_k_neon_dotprod(struct clsa_simd *table)
{
    table->matmul[CLSA_Q6_K] = matmul_q6_k_neon_dotprod;
}
