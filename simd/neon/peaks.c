/* SPDX-License-Identifier: Apache-2.0 */
/* Loops at the limits of the machine, ARMv8.0. */
#include "simd/neon/neon.h"
#include "simd/peaks.h"

#define VECTORS 8 /* of x in flight, per row of weights */

static uint32_t read_neon(const void *p, size_t bytes, size_t ahead)
{
    const uint8_t *from = p;
    uint32x4_t sum[8];

    UNROLL
    for (int i = 0; i < 8; i++)
        sum[i] = vdupq_n_u32(0);
    for (size_t at = 0; at < bytes; at += 128) {
        if (ahead) {
            __builtin_prefetch(from + at + ahead, 0, 3);
            __builtin_prefetch(from + at + ahead + 64, 0, 3);
        }
        UNROLL
        for (int i = 0; i < 8; i++)
            sum[i] = vaddq_u32(
                sum[i], vreinterpretq_u32_u8(vld1q_u8(from + at + 16 * i)));
    }
    UNROLL
    for (int i = 1; i < 8; i++)
        sum[0] = vaddq_u32(sum[0], sum[i]);
    return vaddvq_u32(sum[0]);
}

static float fma_neon(const float *x, size_t n,
                      const float w[CLSA_PEAK_FMA_ROWS])
{
    float32x4_t row[CLSA_PEAK_FMA_ROWS], sum[CLSA_PEAK_FMA_ROWS][VECTORS];
    float32x4_t all = vdupq_n_f32(0);

    UNROLL
    for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++) {
        row[j] = vdupq_n_f32(w[j]);
        UNROLL
        for (int k = 0; k < VECTORS; k++)
            sum[j][k] = vdupq_n_f32(0);
    }
    for (size_t i = 0; i < n; i += 4 * VECTORS) {
        UNROLL
        for (int k = 0; k < VECTORS; k++) {
            const float32x4_t v = vld1q_f32(x + i + 4 * k);
            UNROLL
            for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++)
                sum[j][k] = vfmaq_f32(sum[j][k], v, row[j]);
        }
    }
    UNROLL
    for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++) {
        UNROLL
        for (int k = 0; k < VECTORS; k++)
            all = vaddq_f32(all, sum[j][k]);
    }
    return vaddvq_f32(all);
}

/* Two products of 127 * 127 add up in 16 bits, then smlal has to be widened. */
static uint32_t product_smull(const struct clsa_peak_operands *o)
{
    int32x4_t sum[CLSA_PEAK_ROWS];
    int8x16_t row[CLSA_PEAK_ROWS];

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        row[j] = vcombine_s8(vld1_s8(o->w[j]), vld1_s8(o->w[j]));
        sum[j] = vdupq_n_s32(0);
    }
    for (size_t i = 0; i < o->n; i += 16) {
        const int8x16_t v = vld1q_s8(o->x + i);
        UNROLL
        for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
            const int16x8_t low = vmull_s8(vget_low_s8(v), vget_low_s8(row[j]));
            sum[j] = vpadalq_s16(sum[j], vmlal_high_s8(low, v, row[j]));
        }
    }
    return (uint32_t)vaddvq_s32(
        vaddq_s32(vaddq_s32(sum[0], sum[1]), vaddq_s32(sum[2], sum[3])));
}

/* Sixteen products of nibbles add up to 16 * 15 * 127 = 30480 at most. */
static uint32_t product_nibbles(const struct clsa_peak_operands *o)
{
    int32x4_t sum[CLSA_PEAK_ROWS];
    int16x8_t words[CLSA_PEAK_ROWS];
    int8x16_t row[CLSA_PEAK_ROWS];

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        row[j] = vcombine_s8(vld1_s8(o->w[j]), vld1_s8(o->w[j]));
        sum[j] = vdupq_n_s32(0);
    }
    for (size_t i = 0; i < o->n; i += 128) {
        UNROLL
        for (int k = 0; k < 8; k++) {
            const int8x16_t v = vld1q_s8(o->x + i + 16 * k);
            UNROLL
            for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
                const int8x8_t a = vget_low_s8(v), b = vget_low_s8(row[j]);
                words[j] = k ? vmlal_s8(words[j], a, b) : vmull_s8(a, b);
                words[j] = vmlal_high_s8(words[j], v, row[j]);
            }
        }
        UNROLL
        for (int j = 0; j < CLSA_PEAK_ROWS; j++)
            sum[j] = vpadalq_s16(sum[j], words[j]);
    }
    return (uint32_t)vaddvq_s32(
        vaddq_s32(vaddq_s32(sum[0], sum[1]), vaddq_s32(sum[2], sum[3])));
}

void clsa_peaks_neon(struct clsa_peak_loops *loops)
{
    loops->read = read_neon;
    loops->fma = fma_neon;
    loops->product[0].name = "smull+smlal2+sadalp";
    loops->product[0].full = 1;
    loops->product[0].run = product_smull;
    loops->product[1].name = "smlal+smlal2";
    loops->product[1].full = 0;
    loops->product[1].run = product_nibbles;
    loops->product[2].name = NULL;
}
