/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_k.h: the tiles of Q4_K and Q6_K weights that levels neon and
 * neon_dotprod share, in the frame of matmul.h. The four integer sums of a
 * part of 32 values, one per row, end in the four lanes of one vector with
 * their scales in them, and are added in float over ascending parts, as a
 * block of the other formats is. Both levels give the same bits.
 */
#ifndef CLSA_NEON_MATMUL_K_H
#define CLSA_NEON_MATMUL_K_H

#include "simd/neon/matmul.h"
#include "simd/scalar.h"

#define CLSA_NEON_PARTS (CLSA_K_BLOCK / CLSA_BLOCK)

/* Lane t: sum over 16 values of q[t] and x. */
typedef int32x4_t clsa_neon_dot16(const int8x16_t q[4], int8x16_t x);

/* Four bytes as lanes. */
CLSA_NEON_INLINE int32x4_t clsa_neon_widen_u8(const uint8_t p[4])
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}

CLSA_NEON_INLINE int32x4_t clsa_neon_widen_s8(const int8_t p[4])
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
    return vmovl_s16(vget_low_s16(wide));
}

/* -------------------------------------------------------------------- Q4_K */

/* A block of four rows: scales and mins of part p at [p]. */
struct clsa_neon_q4_k {
    float32x4_t d, dmin;
    uint8_t scale[CLSA_NEON_PARTS][4], min[CLSA_NEON_PARTS][4];
};

CLSA_NEON_INLINE void clsa_neon_q4_k_head(struct clsa_neon_q4_k *h,
                                          const uint8_t *const w[4], size_t at)
{
    uint8_t scale[CLSA_NEON_PARTS], min[CLSA_NEON_PARTS];
    uint8x8x4_t s, m;
    CLSA_NEON_UNROLL
    for (int t = 0; t < 4; t++) {
        clsa_q4_k_scales(scale, min, w[t] + at + 4);
        s.val[t] = vld1_u8(scale);
        m.val[t] = vld1_u8(min);
    }
    vst4_u8(h->scale[0], s);
    vst4_u8(h->min[0], m);
    h->d = clsa_neon_scales(w, at);
    h->dmin = clsa_neon_scales(w, at + 2);
}

/* Adds part p of block b, the nibbles q, to the sums of the columns. */
CLSA_NEON_INLINE void
clsa_neon_q4_k_part(float32x4_t sum[4], const struct clsa_neon_q4_k *h,
                    const int8x16_t q[4][2], const struct clsa_act *a, size_t c,
                    size_t b, size_t p, const int cols, clsa_neon_dot *dot)
{
    const size_t part = b * CLSA_NEON_PARTS + p;
    const int32x4_t scale = clsa_neon_widen_u8(h->scale[p]);
    const int32x4_t min = clsa_neon_widen_u8(h->min[p]);
    CLSA_NEON_UNROLL
    for (int k = 0; k < cols; k++) {
        const int8_t *x = a->q + (c + (size_t)k) * a->ldq + part * CLSA_BLOCK;
        const size_t at = part * a->ldd + c + (size_t)k;
        int32x4_t s = vmulq_s32(dot(q, vld1q_s8(x), vld1q_s8(x + 16)), scale);
        int32x4_t m = vmulq_n_s32(min, a->sum[at]);
        sum[k] =
            vfmaq_f32(sum[k], vcvtq_f32_s32(s), vmulq_n_f32(h->d, a->d[at]));
        sum[k] =
            vfmsq_f32(sum[k], vcvtq_f32_s32(m), vmulq_n_f32(h->dmin, a->d[at]));
    }
}

CLSA_NEON_INLINE void clsa_neon_q4_k_tile(float *y, size_t ldy,
                                          const uint8_t *const w[4],
                                          size_t valid,
                                          const struct clsa_act *a, size_t c,
                                          const int cols, clsa_neon_dot *dot)
{
    float32x4_t sum[4];
    CLSA_NEON_UNROLL
    for (int k = 0; k < cols; k++)
        sum[k] = vdupq_n_f32(0);
    for (size_t b = 0; b < a->len / CLSA_K_BLOCK; b++) {
        const size_t at = b * CLSA_Q4_K_BYTES;
        struct clsa_neon_q4_k h;
        clsa_neon_q4_k_head(&h, w, at);
        for (size_t p = 0; p < CLSA_NEON_PARTS; p += 2) {
            int8x16_t low[4][2], high[4][2];
            CLSA_NEON_UNROLL
            for (int i = 0; i < 8; i++) {
                const uint8_t *from = w[i / 2] + at + 16 + 16 * (p + i % 2);
                uint8x16_t v = vld1q_u8(from);
                __builtin_prefetch(from + CLSA_NEON_AHEAD);
                low[i / 2][i % 2] =
                    vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15)));
                high[i / 2][i % 2] = vreinterpretq_s8_u8(vshrq_n_u8(v, 4));
            }
            clsa_neon_q4_k_part(sum, &h, low, a, c, b, p, cols, dot);
            clsa_neon_q4_k_part(sum, &h, high, a, c, b, p + 1, cols, dot);
        }
    }
    CLSA_NEON_UNROLL
    for (int k = 0; k < cols; k++)
        clsa_neon_store_part(y + (size_t)k * ldy, sum[k], valid);
}

/* -------------------------------------------------------------------- Q6_K */

/* Values of part p of a block, -32..31; the shifts are the same for the four
   parts p % 4 of either half. */
CLSA_NEON_INLINE void clsa_neon_q6_k_load(int8x16_t q[2], const uint8_t *block,
                                          size_t p)
{
    const size_t half = p / 4, part = p % 4;
    const uint8_t *low = block + 64 * half + 32 * (part % 2);
    const uint8_t *high = block + 128 + 32 * half;
    const int8x16_t nibble = vdupq_n_s8(part < 2 ? 0 : -4);
    const int8x16_t pair = vdupq_n_s8((int8_t)(-2 * (int)part));
    __builtin_prefetch(low + CLSA_NEON_AHEAD);
    CLSA_NEON_UNROLL
    for (int i = 0; i < 2; i++) {
        uint8x16_t l = vshlq_u8(vld1q_u8(low + 16 * i), nibble);
        uint8x16_t h = vshlq_u8(vld1q_u8(high + 16 * i), pair);
        l = vandq_u8(l, vdupq_n_u8(15));
        h = vshlq_n_u8(vandq_u8(h, vdupq_n_u8(3)), 4);
        q[i] = vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(l, h)), vdupq_n_s8(32));
    }
}

/* The scales of a block of four rows, scale i of each at [i]. */
CLSA_NEON_INLINE void
clsa_neon_q6_k_scales(int8_t scale[16][4], const uint8_t *const w[4], size_t at)
{
    int8x16x4_t s;
    CLSA_NEON_UNROLL
    for (int t = 0; t < 4; t++)
        s.val[t] = vld1q_s8((const int8_t *)w[t] + at + 192);
    vst4q_s8(scale[0], s);
}

/* Adds part p of block b. */
CLSA_NEON_INLINE void clsa_neon_q6_k_part(float32x4_t sum[4], float32x4_t d,
                                          const int8_t scale[16][4],
                                          const uint8_t *const w[4],
                                          const struct clsa_act *a, size_t c,
                                          size_t b, size_t p, const int cols,
                                          clsa_neon_dot16 *dot16)
{
    const size_t part = b * CLSA_NEON_PARTS + p;
    const int32x4_t s0 = clsa_neon_widen_s8(scale[2 * p]);
    const int32x4_t s1 = clsa_neon_widen_s8(scale[2 * p + 1]);
    int8x16_t q[2][4];
    CLSA_NEON_UNROLL
    for (int t = 0; t < 4; t++) {
        int8x16_t row[2];
        clsa_neon_q6_k_load(row, w[t] + b * CLSA_Q6_K_BYTES, p);
        q[0][t] = row[0];
        q[1][t] = row[1];
    }
    CLSA_NEON_UNROLL
    for (int k = 0; k < cols; k++) {
        const int8_t *x = a->q + (c + (size_t)k) * a->ldq + part * CLSA_BLOCK;
        const float da = a->d[part * a->ldd + c + (size_t)k];
        int32x4_t s = vmulq_s32(dot16(q[0], vld1q_s8(x)), s0);
        s = vmlaq_s32(s, dot16(q[1], vld1q_s8(x + 16)), s1);
        sum[k] = vfmaq_f32(sum[k], vcvtq_f32_s32(s), vmulq_n_f32(d, da));
    }
}

CLSA_NEON_INLINE void
clsa_neon_q6_k_tile(float *y, size_t ldy, const uint8_t *const w[4],
                    size_t valid, const struct clsa_act *a, size_t c,
                    const int cols, clsa_neon_dot16 *dot16)
{
    float32x4_t sum[4];
    CLSA_NEON_UNROLL
    for (int k = 0; k < cols; k++)
        sum[k] = vdupq_n_f32(0);
    for (size_t b = 0; b < a->len / CLSA_K_BLOCK; b++) {
        const size_t at = b * CLSA_Q6_K_BYTES;
        const float32x4_t d = clsa_neon_scales(w, at + 208);
        int8_t scale[16][4];
        clsa_neon_q6_k_scales(scale, w, at);
        for (size_t p = 0; p < CLSA_NEON_PARTS; p++)
            clsa_neon_q6_k_part(sum, d, (const int8_t(*)[4])scale, w, a, c, b,
                                p, cols, dot16);
    }
    CLSA_NEON_UNROLL
    for (int k = 0; k < cols; k++)
        clsa_neon_store_part(y + (size_t)k * ldy, sum[k], valid);
}

/* ------------------------------------------------------------------- tiles */

#define CLSA_NEON_K_TILE(cols, format, dot)                                    \
    static void tile##cols(float *y, size_t ldy, const uint8_t *const w[4],    \
                           size_t valid, const struct clsa_act *a, size_t c)   \
    {                                                                          \
        clsa_neon_##format##_tile(y, ldy, w, valid, a, c, cols, dot);          \
    }

/* tile1 .. tile4 and their list `tiles`; format: q4_k or q6_k. */
#define CLSA_NEON_K_TILES(format, dot)                                         \
    CLSA_NEON_K_TILE(1, format, dot)                                           \
    CLSA_NEON_K_TILE(2, format, dot)                                           \
    CLSA_NEON_K_TILE(3, format, dot)                                           \
    CLSA_NEON_K_TILE(4, format, dot)                                           \
    static const struct clsa_neon_tiles tiles = {                              \
        1, 4, {tile1, tile2, tile3, tile4}};

#endif /* CLSA_NEON_MATMUL_K_H */
