/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_i8mm.h: the tile of the block formats at level neon_i8mm, included
 * by matmul_q8_0_i8mm.c and matmul_q4_0_i8mm.c.
 *
 * smmla multiplies 2 columns by 2 rows of 8 bytes. Both operands hold 8 bytes
 * of the one and 8 of the other, so pairs are interleaved after the loads.
 * Lanes of the result: column 0 rows 0, 1; column 1 rows 0, 1. An odd last
 * column is paired with itself. One column alone has nothing to gain here.
 * The float sums run as in matmul.h and give the same bits.
 */
#ifndef CLSA_NEON_MATMUL_I8MM_H
#define CLSA_NEON_MATMUL_I8MM_H

#include "simd/neon/matmul.h"

/* Blocks a and b, 8 bytes of each to a vector. */
INLINE void neon_pair(int8x16_t pair[4], const int8x16_t a[2],
                      const int8x16_t b[2])
{
    UNROLL
    for (int h = 0; h < 2; h++) {
        int64x2_t u = vreinterpretq_s64_s8(a[h]);
        int64x2_t v = vreinterpretq_s64_s8(b[h]);
        pair[2 * h] = vreinterpretq_s8_s64(vtrn1q_s64(u, v));
        pair[2 * h + 1] = vreinterpretq_s8_s64(vtrn2q_s64(u, v));
    }
}

/* Rows t and t + 1 of a block. */
INLINE void neon_pair_rows(int8x16_t pair[4], const uint8_t *const w[4], int t,
                           size_t at, enum clsa_format format)
{
    int8x16_t a[2], b[2];
    __builtin_prefetch(w[t] + at + NEON_AHEAD);
    __builtin_prefetch(w[t + 1] + at + NEON_AHEAD);
    neon_load_block(a, w[t] + at, format);
    neon_load_block(b, w[t + 1] + at, format);
    neon_pair(pair, a, b);
}

INLINE void neon_pair_columns(int8x16_t pair[4], const int8_t *x,
                              const int8_t *other)
{
    const int8x16_t a[2] = {vld1q_s8(x), vld1q_s8(x + 16)};
    const int8x16_t b[2] = {vld1q_s8(other), vld1q_s8(other + 16)};
    neon_pair(pair, a, b);
}

/*
 * One block of columns k and k + next (next 0 for a last odd one) and four
 * rows: adds to sum[0] (rows 0, 1) and sum[1] (rows 2, 3).
 */
INLINE void neon_i8mm_block(float32x4_t sum[2], const int8x16_t w[2][4],
                            const float32x4_t dw[2], const struct clsa_act *a,
                            size_t b, size_t k, size_t next,
                            const enum clsa_format format)
{
    const int8_t *q = a->q + k * a->ldq + b * CLSA_BLOCK;
    const float *d = a->d + b * a->ldd + k;
    float32x4_t dx = vcombine_f32(vld1_dup_f32(d), vld1_dup_f32(d + next));
    int32x4_t start = vdupq_n_s32(0);
    if (format == CLSA_Q4_0) { /* nibbles are 8 too high */
        const int32_t *s = a->sum + b * a->ldd + k;
        start = vcombine_s32(vld1_dup_s32(s), vld1_dup_s32(s + next));
        start = vnegq_s32(vshlq_n_s32(start, 3));
    }
    int8x16_t x[4];
    neon_pair_columns(x, q, q + next * a->ldq);
    UNROLL
    for (int g = 0; g < 2; g++) {
        int32x4_t s = start;
        UNROLL
        for (int h = 0; h < 4; h++)
            s = vmmlaq_s32(s, x[h], w[g][h]);
        sum[g] = vfmaq_f32(sum[g], vcvtq_f32_s32(s), vmulq_f32(dw[g], dx));
    }
}

INLINE void neon_i8mm_tile(float *y, size_t ldy, const uint8_t *const w[4],
                           size_t valid, const struct clsa_act *a, size_t c,
                           const int pairs, const enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, CLSA_BLOCK);
    const size_t last = c + 2 * (size_t)pairs - 2; /* first of the last pair */
    const size_t next = last + 1 < a->n; /* 0: there is only this one */
    float32x4_t sum[4][2];
    UNROLL
    for (int p = 0; p < pairs; p++)
        sum[p][0] = sum[p][1] = vdupq_n_f32(0);
    for (size_t b = 0, at = 0; b < a->len / CLSA_BLOCK; b++, at += bytes) {
        float32x4_t d = neon_scales(w, at);
        const float32x4_t dw[2] = {
            vcombine_f32(vget_low_f32(d), vget_low_f32(d)),
            vcombine_f32(vget_high_f32(d), vget_high_f32(d))};
        int8x16_t q[2][4];
        neon_pair_rows(q[0], w, 0, at, format);
        neon_pair_rows(q[1], w, 2, at, format);
        UNROLL
        for (int p = 0; p < pairs; p++)
            neon_i8mm_block(sum[p], q, dw, a, b, c + 2 * (size_t)p,
                            p + 1 < pairs ? 1 : next, format);
    }
    UNROLL
    for (int p = 0; p < pairs; p++, y += 2 * ldy) {
        float32x4_t first =
            vcombine_f32(vget_low_f32(sum[p][0]), vget_low_f32(sum[p][1]));
        float32x4_t second =
            vcombine_f32(vget_high_f32(sum[p][0]), vget_high_f32(sum[p][1]));
        neon_store_part(y, first, valid);
        if (p + 1 < pairs || next)
            neon_store_part(y + ldy, second, valid);
    }
}

#define NEON_I8MM_TILE(pairs, format)                                          \
    static void tile##pairs(float *y, size_t ldy, const uint8_t *const w[4],   \
                            size_t valid, const struct clsa_act *a, size_t c)  \
    {                                                                          \
        neon_i8mm_tile(y, ldy, w, valid, a, c, pairs, format);                 \
    }

/* tile1 .. tile4 and their list `tiles`. */
#define NEON_I8MM_TILES(format)                                                \
    NEON_I8MM_TILE(1, format)                                                  \
    NEON_I8MM_TILE(2, format)                                                  \
    NEON_I8MM_TILE(3, format)                                                  \
    NEON_I8MM_TILE(4, format)                                                  \
    static const struct neon_tiles tiles = {2, 8, {tile1, tile2, tile3, tile4}};

#endif /* CLSA_NEON_MATMUL_I8MM_H */
