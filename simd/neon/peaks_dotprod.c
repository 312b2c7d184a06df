/* SPDX-License-Identifier: Apache-2.0 */
/* Integer products at the limit of sdot; 16 chains hide its latency. */
#include "simd/neon/neon.h"
#include "simd/peaks.h"

#define CHAINS 4 /* per row of weights */

static uint32_t product_sdot(const struct clsa_peak_operands *o)
{
    int32x4_t sum[CLSA_PEAK_ROWS][CHAINS], all = vdupq_n_s32(0);
    int8x16_t row[CLSA_PEAK_ROWS];

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        row[j] = vcombine_s8(vld1_s8(o->w[j]), vld1_s8(o->w[j]));
        UNROLL
        for (int k = 0; k < CHAINS; k++)
            sum[j][k] = vdupq_n_s32(0);
    }
    for (size_t i = 0; i < o->n; i += 16 * CHAINS) {
        UNROLL
        for (int k = 0; k < CHAINS; k++) {
            const int8x16_t v = vld1q_s8(o->x + i + 16 * k);
            UNROLL
            for (int j = 0; j < CLSA_PEAK_ROWS; j++)
                sum[j][k] = vdotq_s32(sum[j][k], v, row[j]);
        }
    }
    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        UNROLL
        for (int k = 0; k < CHAINS; k++)
            all = vaddq_s32(all, sum[j][k]);
    }
    return (uint32_t)vaddvq_s32(all);
}

void clsa_peaks_neon_dotprod(struct clsa_peak_loops *loops)
{
    loops->product[0].name = "sdot";
    loops->product[0].full = 1;
    loops->product[0].run = product_sdot;
    loops->product[1].name = NULL;
}
