/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul.h: the frame of all matmul kernels, and the tile of the block
 * formats that levels neon and neon_dotprod share.
 *
 * A tile is 4 rows by a few columns, held in registers over the whole length.
 * Rows that are not there repeat the last one and are not stored, so there is
 * one code path, and a row's bits cannot depend on its neighbors.
 *
 * Block formats: the four integer sums of a block, one per row, end in the
 * four lanes of one vector, and sum = fma(sums, d_w * d_a, sum) over ascending
 * blocks is all float arithmetic there is. Every level does just that: the
 * three levels give the same bits.
 */
#ifndef CLSA_NEON_MATMUL_H
#define CLSA_NEON_MATMUL_H

#include "simd/neon/neon.h"

/*
 * Rows w[0..3], of which `valid` count, times columns c and following (as
 * many as the instance is for, or as there are): y[k * ldy + t], t < valid.
 */
typedef void neon_tile(float *y, size_t ldy, const uint8_t *const w[4],
                       size_t valid, const struct clsa_act *a, size_t c);

/* tiles[k] does k + 1 columns, or k + 1 pairs of columns for step 2. */
struct neon_tiles {
    size_t step, most; /* columns */
    neon_tile *tile[4];
};

/*
 * Columns go in groups that stay in the L1 or L2 cache while all rows pass
 * by; in a group, four rows stay in L1 for all its columns.
 */
INLINE void neon_matmul(float *y, size_t ldy, const void *w, size_t rows,
                        size_t row_bytes, const struct clsa_act *a,
                        const struct neon_tiles *tiles)
{
    for (size_t first = 0; first < a->n; first += NEON_COLUMNS) {
        size_t left = a->n - first;
        size_t end = left < NEON_COLUMNS ? a->n : first + NEON_COLUMNS;
        for (size_t i = 0; i < rows; i += NEON_ROWS) {
            const uint8_t *row[NEON_ROWS];
            size_t valid = rows - i < NEON_ROWS ? rows - i : NEON_ROWS;
            for (size_t t = 0; t < NEON_ROWS; t++)
                row[t] = (const uint8_t *)w +
                         (i + (t < valid ? t : valid - 1)) * row_bytes;
            for (size_t c = first; c < end; c += tiles->most) {
                size_t cols = end - c < tiles->most ? end - c : tiles->most;
                tiles->tile[(cols - 1) / tiles->step](y + c * ldy + i, ldy, row,
                                                      valid, a, c);
            }
        }
    }
}

/* -------------------------------------------------------------- block tile */

/* The scales of a block of four rows; loads into lanes would form a chain. */
INLINE float32x4_t neon_scales(const uint8_t *const w[4], size_t at)
{
    uint16x4_t d[4];
    UNROLL
    for (int t = 0; t < 4; t++)
        d[t] = vld1_dup_u16((const void *)(w[t] + at));
    uint16x4_t even = vzip1_u16(d[0], d[2]), odd = vzip1_u16(d[1], d[3]);
    return vcvt_f32_f16(vreinterpret_f16_u16(vzip1_u16(even, odd)));
}

/*
 * The integers of a block; its scale lies at `block`. Nibbles stay 0..15:
 * 8 * (sum of the activations) is taken off the sum afterwards.
 */
INLINE void neon_load_block(int8x16_t q[2], const uint8_t *block,
                            enum clsa_format format)
{
    if (format == CLSA_Q8_0) {
        q[0] = vld1q_s8((const int8_t *)block + 2);
        q[1] = vld1q_s8((const int8_t *)block + 18);
    } else {
        uint8x16_t nibbles = vld1q_u8(block + 2);
        q[0] = vreinterpretq_s8_u8(vandq_u8(nibbles, vdupq_n_u8(15)));
        q[1] = vreinterpretq_s8_u8(vshrq_n_u8(nibbles, 4));
    }
}

/* Lane t: sum over 32 values of q[t] and x. */
typedef int32x4_t neon_dot(const int8x16_t q[4][2], int8x16_t x0, int8x16_t x1);

INLINE void neon_block_tile(float *y, size_t ldy, const uint8_t *const w[4],
                            size_t valid, const struct clsa_act *a, size_t c,
                            const int cols, const enum clsa_format format,
                            neon_dot *dot)
{
    const size_t bytes = clsa_format_bytes(format, CLSA_BLOCK);
    const int8_t *x = a->q + c * a->ldq;
    const float *d = a->d + c;
    const int32_t *totals = a->sum + c;
    float32x4_t sum[4];
    UNROLL
    for (int k = 0; k < cols; k++)
        sum[k] = vdupq_n_f32(0);
    for (size_t b = 0, at = 0; b < a->len / CLSA_BLOCK; b++, at += bytes) {
        float32x4_t dw = neon_scales(w, at);
        int8x16_t q[4][2];
        UNROLL
        for (int t = 0; t < 4; t++) {
            __builtin_prefetch(w[t] + at + NEON_AHEAD);
            neon_load_block(q[t], w[t] + at, format);
        }
        UNROLL
        for (int k = 0; k < cols; k++) {
            const int8_t *v = x + (size_t)k * a->ldq + b * CLSA_BLOCK;
            int32x4_t s = dot(q, vld1q_s8(v), vld1q_s8(v + 16));
            if (format == CLSA_Q4_0)
                s = vsubq_s32(s, vdupq_n_s32(8 * totals[b * a->ldd + k]));
            sum[k] = vfmaq_f32(sum[k], vcvtq_f32_s32(s),
                               vmulq_n_f32(dw, d[b * a->ldd + k]));
        }
    }
    UNROLL
    for (int k = 0; k < cols; k++)
        neon_store_part(y + (size_t)k * ldy, sum[k], valid);
}

/*
 * Lane t: sum over 32 values of q[t], nibbles 0..15, and x. With activations
 * +-127 a product is at most 1905, so 16 of them (30480) fit in 16 bits: four
 * are added by the multiplications, four times as many by two pairwise sums
 * over the rows, and only the last step widens.
 */
INLINE int32x4_t neon_dot_nibbles(const int8x16_t q[4][2], int8x16_t x0,
                                  int8x16_t x1)
{
    int16x8_t s[4];
    UNROLL
    for (int t = 0; t < 4; t++) {
        s[t] = vmull_s8(vget_low_s8(q[t][0]), vget_low_s8(x0));
        s[t] = vmlal_high_s8(s[t], q[t][0], x0);
        s[t] = vmlal_s8(s[t], vget_low_s8(q[t][1]), vget_low_s8(x1));
        s[t] = vmlal_high_s8(s[t], q[t][1], x1);
    }
    return vpaddlq_s16(
        vpaddq_s16(vpaddq_s16(s[0], s[1]), vpaddq_s16(s[2], s[3])));
}

#ifdef __ARM_FEATURE_DOTPROD
/* Lane t: sum over 32 values of q[t] and x. */
INLINE int32x4_t neon_dot_block(const int8x16_t q[4][2], int8x16_t x0,
                                int8x16_t x1)
{
    int32x4_t s[4];
    UNROLL
    for (int t = 0; t < 4; t++) {
        s[t] = vdotq_s32(vdupq_n_s32(0), q[t][0], x0);
        s[t] = vdotq_s32(s[t], q[t][1], x1);
    }
    return neon_sums_s32(s);
}
#endif

#define NEON_BLOCK_TILE(cols, format, dot)                                     \
    static void tile##cols(float *y, size_t ldy, const uint8_t *const w[4],    \
                           size_t valid, const struct clsa_act *a, size_t c)   \
    {                                                                          \
        neon_block_tile(y, ldy, w, valid, a, c, cols, format, dot);            \
    }

/* tile1 .. tile4 and their list `tiles`. */
#define NEON_BLOCK_TILES(format, dot)                                          \
    NEON_BLOCK_TILE(1, format, dot)                                            \
    NEON_BLOCK_TILE(2, format, dot)                                            \
    NEON_BLOCK_TILE(3, format, dot)                                            \
    NEON_BLOCK_TILE(4, format, dot)                                            \
    static const struct neon_tiles tiles = {1, 4, {tile1, tile2, tile3, tile4}};

#endif /* CLSA_NEON_MATMUL_H */
