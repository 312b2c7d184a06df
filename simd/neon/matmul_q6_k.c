/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q6_K weights at level neon. With weights -32..31 and activations +-127 a
 * product is at most 4064 in magnitude, so eight of them (32512) fit in 16
 * bits: two are added by the multiplications, four times as many by two
 * pairwise sums over the rows, and only the last step widens.
 */
#include "simd/neon/matmul_k.h"

CLSA_NEON_INLINE int32x4_t dot(const int8x16_t q[4], int8x16_t x)
{
    int16x8_t s[4];
    CLSA_NEON_UNROLL
    for (int t = 0; t < 4; t++) {
        s[t] = vmull_s8(vget_low_s8(q[t]), vget_low_s8(x));
        s[t] = vmlal_high_s8(s[t], q[t], x);
    }
    return vpaddlq_s16(
        vpaddq_s16(vpaddq_s16(s[0], s[1]), vpaddq_s16(s[2], s[3])));
}

CLSA_NEON_K_TILES(q6_k, dot)

static void matmul_q6_k_neon(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    clsa_neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q6_K, a->len), a,
                     &tiles);
}

void clsa_matmul_q6_k_neon(struct clsa_simd *table)
{
    table->matmul[CLSA_Q6_K] = matmul_q6_k_neon;
}
