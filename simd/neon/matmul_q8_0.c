/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q8_0 weights at level neon. Products of bytes are added in 16 bits, two to
 * a lane: weights may be -128 but activations are +-127, so a product is at
 * most 16256 in magnitude and two of them 32512. A third would not fit.
 */
#include "simd/neon/matmul.h"

INLINE int32x4_t dot(const int8x16_t q[4][2], int8x16_t x0, int8x16_t x1)
{
    int32x4_t s[4];
    UNROLL
    for (int t = 0; t < 4; t++) {
        int16x8_t a = vmull_s8(vget_low_s8(q[t][0]), vget_low_s8(x0));
        int16x8_t b = vmull_s8(vget_low_s8(q[t][1]), vget_low_s8(x1));
        a = vmlal_high_s8(a, q[t][0], x0);
        b = vmlal_high_s8(b, q[t][1], x1);
        s[t] = vpadalq_s16(vpaddlq_s16(a), b);
    }
    return neon_sums_s32(s);
}

NEON_BLOCK_TILES(CLSA_Q8_0, dot)

static void matmul_q8_0_neon(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    neon_matmul(y, ldy, w, rows, clsa_format_bytes(CLSA_Q8_0, a->len), a,
                &tiles);
}

void clsa_matmul_q8_0_neon(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = matmul_q8_0_neon;
}
