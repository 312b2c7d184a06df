/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_float_tile.h: four rows of a float format times a few columns of
 * floats, for matmul_float.c and, with one column, for the scans of index.c.
 *
 * The sum of a row and a column has four lanes, lane j % 4 adding the products
 * j in ascending order, and the lanes are added last. The tile's shape has no
 * part in it.
 */
#ifndef CLSA_NEON_MATMUL_FLOAT_TILE_H
#define CLSA_NEON_MATMUL_FLOAT_TILE_H

#include "simd/neon/neon.h"

/* Adds values j .. j+7. */
INLINE void neon_float_step(float32x4_t sum[][4], const uint8_t *const w[4],
                            const float *x, size_t ldx, size_t j,
                            const int cols, const enum clsa_format format)
{
    float32x4_t v[4][2];
    UNROLL
    for (int t = 0; t < 4; t++)
        neon_load8(v[t], w[t], j, format);
    UNROLL
    for (int k = 0; k < cols; k++) {
        float32x4_t x0 = vld1q_f32(x + (size_t)k * ldx + j);
        float32x4_t x1 = vld1q_f32(x + (size_t)k * ldx + j + 4);
        UNROLL
        for (int t = 0; t < 4; t++)
            sum[k][t] = vfmaq_f32(sum[k][t], v[t][0], x0);
        UNROLL
        for (int t = 0; t < 4; t++)
            sum[k][t] = vfmaq_f32(sum[k][t], v[t][1], x1);
    }
}

/* Adds the last n < 8 values, from copies padded with zeros. */
INLINE void neon_float_tail(float32x4_t sum[][4], const uint8_t *const w[4],
                            const float *x, size_t ldx, size_t j, size_t n,
                            const int cols, const enum clsa_format format)
{
    const size_t size = clsa_format_bytes(format, 1);
    float rows[4][8] = {{0}}, columns[4 * 8] = {0};
    const uint8_t *at[4];
    for (int t = 0; t < 4; t++) {
        memcpy(rows[t], w[t] + j * size, n * size);
        at[t] = (const uint8_t *)rows[t];
    }
    for (int k = 0; k < cols; k++)
        memcpy(columns + 8 * k, x + (size_t)k * ldx + j, n * sizeof *x);
    neon_float_step(sum, at, columns, 8, 0, cols, format);
}

/* total[k]: the products of rows 0..3 and column k < cols <= 4. */
INLINE void neon_float_tile(float32x4_t total[4], const uint8_t *const w[4],
                            const float *x, size_t ldx, size_t len,
                            const int cols, const enum clsa_format format)
{
    const size_t size = clsa_format_bytes(format, 1);
    float32x4_t sum[4][4];
    UNROLL
    for (int k = 0; k < cols; k++)
        sum[k][0] = sum[k][1] = sum[k][2] = sum[k][3] = vdupq_n_f32(0);
    size_t j = 0;
    for (; j + 32 <= len; j += 32) {
        UNROLL
        for (int t = 0; t < 4; t++) {
            __builtin_prefetch(w[t] + j * size + NEON_AHEAD);
            if (format == CLSA_F32)
                __builtin_prefetch(w[t] + j * size + NEON_AHEAD + 64);
        }
        for (size_t i = j; i < j + 32; i += 8)
            neon_float_step(sum, w, x, ldx, i, cols, format);
    }
    for (; j + 8 <= len; j += 8)
        neon_float_step(sum, w, x, ldx, j, cols, format);
    if (j < len)
        neon_float_tail(sum, w, x, ldx, j, len - j, cols, format);
    UNROLL
    for (int k = 0; k < cols; k++)
        total[k] = neon_sums(sum[k]);
}

#endif /* CLSA_NEON_MATMUL_FLOAT_TILE_H */
