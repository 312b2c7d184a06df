/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_K weights at level neon: 32 products of nibbles as in matmul_q4_0.c, 16
 * of them in 16 bits.
 */
#include "simd/neon/matmul_k.h"

CLSA_NEON_INLINE int32x4_t dot(const int8x16_t q[4][2], int8x16_t x0,
                               int8x16_t x1)
{
    int16x8_t s[4];
    CLSA_NEON_UNROLL
    for (int t = 0; t < 4; t++) {
        s[t] = vmull_s8(vget_low_s8(q[t][0]), vget_low_s8(x0));
        s[t] = vmlal_high_s8(s[t], q[t][0], x0);
        s[t] = vmlal_s8(s[t], vget_low_s8(q[t][1]), vget_low_s8(x1));
        s[t] = vmlal_high_s8(s[t], q[t][1], x1);
    }
    return vpaddlq_s16(
        vpaddq_s16(vpaddq_s16(s[0], s[1]), vpaddq_s16(s[2], s[3])));
}

CLSA_NEON_K_TILES(q4_k, dot)

static void matmul_q4_k_neon(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    clsa_neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q4_K, a->len), a,
                     &tiles);
}

void clsa_matmul_q4_k_neon(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_K] = matmul_q4_k_neon;
}
