/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer products at the limit of smmla, which multiplies two rows by two
 * times 8 values; 16 chains hide its latency.
 */
#include "simd/neon/neon.h"
#include "simd/peaks.h"

#define PAIRS  (CLSA_PEAK_ROWS / 2)
#define CHAINS 8 /* per pair of rows */

static uint32_t product_smmla(const struct clsa_peak_operands *o)
{
    int32x4_t sum[PAIRS][CHAINS], all = vdupq_n_s32(0);
    int8x16_t row[PAIRS];

    UNROLL
    for (int j = 0; j < PAIRS; j++) {
        row[j] = vcombine_s8(vld1_s8(o->w[2 * j]), vld1_s8(o->w[2 * j + 1]));
        UNROLL
        for (int k = 0; k < CHAINS; k++)
            sum[j][k] = vdupq_n_s32(0);
    }
    for (size_t i = 0; i < o->n; i += 16 * CHAINS) {
        UNROLL
        for (int k = 0; k < CHAINS; k++) {
            const int8x16_t v = vld1q_s8(o->x + i + 16 * k);
            UNROLL
            for (int j = 0; j < PAIRS; j++)
                sum[j][k] = vmmlaq_s32(sum[j][k], v, row[j]);
        }
    }
    UNROLL
    for (int j = 0; j < PAIRS; j++) {
        UNROLL
        for (int k = 0; k < CHAINS; k++)
            all = vaddq_s32(all, sum[j][k]);
    }
    return (uint32_t)vaddvq_s32(all);
}

void clsa_peaks_neon_i8mm(struct clsa_peak_loops *loops)
{
    loops->product[0].name = "smmla";
    loops->product[0].full = 1;
    loops->product[0].run = product_smmla;
    loops->product[1].name = NULL;
}
