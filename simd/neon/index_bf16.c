/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of bf16 index keys at level neon_bf16. bfdot takes pairs of products
 * without any conversion; the query is split on the way into bf16 parts,
 * x = high + low + rest, each the rounded rest of those before. Two parts
 * leave 2^-17 of x, which is within the bound (1e-6 * sqrt(len)) from FEW
 * values on; shorter keys take all three. bfdot rounds its sums to odd, at
 * most 2^-23 of them, so the sums of the parts are kept apart until the end.
 */
#include "simd/neon/neon.h"

#define FEW 128 /* 1e-6 * sqrt(128) = 1.1e-5 > 2^-17 = 7.6e-6 + sums */

/* What is left of eight values, and the next part taken off of it. */
CLSA_NEON_INLINE bfloat16x8_t take_part(float32x4_t x[2])
{
    bfloat16x8_t part = vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(x[0]), x[1]);
    x[0] = vsubq_f32(x[0], vcvtq_low_f32_bf16(part));
    x[1] = vsubq_f32(x[1], vcvtq_high_f32_bf16(part));
    return part;
}

/* Adds values j .. j+7 of four keys. */
CLSA_NEON_INLINE void scan_step(float32x4_t sum[3][4],
                                const uint16_t *const key[4], const float *q,
                                size_t j, const int parts)
{
    float32x4_t x[2] = {vld1q_f32(q + j), vld1q_f32(q + j + 4)};
    CLSA_NEON_UNROLL
    for (int p = 0; p < parts; p++) {
        bfloat16x8_t part = take_part(x);
        CLSA_NEON_UNROLL
        for (int t = 0; t < 4; t++)
            sum[p][t] = vbfdotq_f32(
                sum[p][t], vreinterpretq_bf16_u16(vld1q_u16(key[t] + j)), part);
    }
}

/* Adds the last n = len - j < 8 values, from copies with zeros behind them. */
CLSA_NEON_INLINE void scan_tail(float32x4_t sum[3][4],
                                const uint16_t *const key[4], const float *q,
                                size_t j, size_t n, const int parts)
{
    uint16_t last[4][8] = {{0}};
    float x[8] = {0};
    const uint16_t *at[4];
    memcpy(x, q + j, n * sizeof *q);
    for (int t = 0; t < 4; t++) {
        memcpy(last[t], key[t] + j, n * sizeof *key[t]);
        at[t] = last[t];
    }
    scan_step(sum, at, x, 0, parts);
}

CLSA_NEON_INLINE float32x4_t scan_keys(const uint16_t *const key[4],
                                       const float *q, size_t len,
                                       const int parts)
{
    float32x4_t sum[3][4];
    size_t j = 0;
    CLSA_NEON_UNROLL
    for (int p = 0; p < parts; p++)
        for (int t = 0; t < 4; t++)
            sum[p][t] = vdupq_n_f32(0);
    for (; j + 8 <= len; j += 8)
        scan_step(sum, key, q, j, parts);
    if (j < len)
        scan_tail(sum, key, q, j, len - j, parts);
    CLSA_NEON_UNROLL
    for (int p = parts - 1; p > 0; p--)
        for (int t = 0; t < 4; t++)
            sum[p - 1][t] = vaddq_f32(sum[p - 1][t], sum[p][t]);
    return clsa_neon_sums(sum[0]);
}

static void scan_bf16_neon_bf16(float *score, const uint16_t *key, size_t n,
                                size_t len,
                                const struct clsa_index_query *query)
{
    for (size_t s = 0; s < n; s += CLSA_NEON_ROWS) {
        const uint16_t *row[CLSA_NEON_ROWS];
        size_t valid = n - s < CLSA_NEON_ROWS ? n - s : CLSA_NEON_ROWS;
        for (size_t t = 0; t < CLSA_NEON_ROWS; t++)
            row[t] = key + (s + (t < valid ? t : valid - 1)) * len;
        float32x4_t total = len < FEW ? scan_keys(row, query->x, len, 3)
                                      : scan_keys(row, query->x, len, 2);
        clsa_neon_store_part(score + s, total, valid);
    }
}

void clsa_index_neon_bf16(struct clsa_simd *table)
{
    table->scan_bf16 = scan_bf16_neon_bf16;
}
