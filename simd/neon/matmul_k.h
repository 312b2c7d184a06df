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

/* Lane t: sum over 16 values of q[t] and x. */
typedef int32x4_t neon_dot16(const int8x16_t q[4], int8x16_t x);

#ifdef __ARM_FEATURE_DOTPROD
INLINE int32x4_t neon_dot16_k(const int8x16_t q[4], int8x16_t x)
{
    int32x4_t s[4];
    UNROLL
    for (int t = 0; t < 4; t++)
        s[t] = vdotq_s32(vdupq_n_s32(0), q[t], x);
    return neon_sums_s32(s);
}
#else
/* With weights -32..31 and activations +-127 a product is at most 4064 in
   magnitude, so eight of them (32512) fit in 16 bits: two are added by the
   multiplications, four times as many by two pairwise sums over the rows, and
   only the last step widens. */
INLINE int32x4_t neon_dot16_k(const int8x16_t q[4], int8x16_t x)
{
    int16x8_t s[4];
    UNROLL
    for (int t = 0; t < 4; t++) {
        s[t] = vmull_s8(vget_low_s8(q[t]), vget_low_s8(x));
        s[t] = vmlal_high_s8(s[t], q[t], x);
    }
    return vpaddlq_s16(
        vpaddq_s16(vpaddq_s16(s[0], s[1]), vpaddq_s16(s[2], s[3])));
}
#endif

/* Lane t: sum over 32 values, x0 times q[0][t] and x1 times q[1][t]. */
INLINE int32x4_t neon_dot32(const int8x16_t q[2][4], int8x16_t x0, int8x16_t x1)
{
    int32x4_t s[4];
    UNROLL
    for (int t = 0; t < 4; t++) {
#ifdef __ARM_FEATURE_DOTPROD
        s[t] = vdotq_s32(vdupq_n_s32(0), q[0][t], x0);
        s[t] = vdotq_s32(s[t], q[1][t], x1);
#else /* two products of up to 127 * 127 fit in 16 bits */
        int16x8_t a = vmull_s8(vget_low_s8(q[0][t]), vget_low_s8(x0));
        int16x8_t b = vmull_s8(vget_low_s8(q[1][t]), vget_low_s8(x1));
        a = vmlal_high_s8(a, q[0][t], x0);
        b = vmlal_high_s8(b, q[1][t], x1);
        s[t] = vpadalq_s16(vpaddlq_s16(a), b);
#endif
    }
    return neon_sums_s32(s);
}

/* Four bytes as lanes. */
INLINE int32x4_t neon_widen_u8(const uint8_t p[4])
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}

INLINE int32x4_t neon_widen_s8(const int8_t p[4])
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
    return vmovl_s16(vget_low_s16(wide));
}

/* 16 values s * q - m. */
INLINE void neon_load16(float *y, int8x16_t q, float s, float m)
{
    const float32x4_t scale = vdupq_n_f32(s), min = vdupq_n_f32(m);
    float32x4_t v[4];
    neon_scale8(v, vget_low_s8(q), scale);
    neon_scale8(v + 2, vget_high_s8(q), scale);
    UNROLL
    for (int i = 0; i < 4; i++)
        vst1q_f32(y + 4 * i, vsubq_f32(v[i], min));
}

/* -------------------------------------------------------------------- Q4_K */

/* A block of four rows: scales and mins of part p at [p]. */
struct neon_q4_k {
    float32x4_t d, dmin;
    uint8_t scale[CLSA_K_PARTS][4], min[CLSA_K_PARTS][4];
};

INLINE void neon_q4_k_head(struct neon_q4_k *h, const uint8_t *const w[4],
                           size_t at)
{
    uint8_t scale[CLSA_K_PARTS], min[CLSA_K_PARTS];
    uint8x8x4_t s, m;
    UNROLL
    for (int t = 0; t < 4; t++) {
        clsa_q4_k_scales(scale, min, w[t] + at + 4);
        s.val[t] = vld1_u8(scale);
        m.val[t] = vld1_u8(min);
    }
    vst4_u8(h->scale[0], s);
    vst4_u8(h->min[0], m);
    h->d = neon_scales(w, at);
    h->dmin = neon_scales(w, at + 2);
}

/* Adds part p of block b, the nibbles q, to the sums of the columns. */
INLINE void neon_q4_k_part(float32x4_t sum[4], const struct neon_q4_k *h,
                           const int8x16_t q[4][2], const struct clsa_act *a,
                           size_t c, size_t b, size_t p, const int cols,
                           neon_dot *dot)
{
    const size_t part = b * CLSA_K_PARTS + p;
    const int32x4_t scale = neon_widen_u8(h->scale[p]);
    const int32x4_t min = neon_widen_u8(h->min[p]);
    UNROLL
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

INLINE void neon_q4_k_tile(float *y, size_t ldy, const uint8_t *const w[4],
                           size_t valid, const struct clsa_act *a, size_t c,
                           const int cols, neon_dot *dot)
{
    float32x4_t sum[4];
    UNROLL
    for (int k = 0; k < cols; k++)
        sum[k] = vdupq_n_f32(0);
    for (size_t b = 0; b < a->len / CLSA_K_BLOCK; b++) {
        const size_t at = b * CLSA_Q4_K_BYTES;
        struct neon_q4_k h;
        neon_q4_k_head(&h, w, at);
        for (size_t p = 0; p < CLSA_K_PARTS; p += 2) {
            int8x16_t low[4][2], high[4][2];
            UNROLL
            for (int i = 0; i < 8; i++) {
                const uint8_t *from = w[i / 2] + at + 16 + 16 * (p + i % 2);
                uint8x16_t v = vld1q_u8(from);
                __builtin_prefetch(from + NEON_AHEAD);
                low[i / 2][i % 2] =
                    vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15)));
                high[i / 2][i % 2] = vreinterpretq_s8_u8(vshrq_n_u8(v, 4));
            }
            neon_q4_k_part(sum, &h, low, a, c, b, p, cols, dot);
            neon_q4_k_part(sum, &h, high, a, c, b, p + 1, cols, dot);
        }
    }
    UNROLL
    for (int k = 0; k < cols; k++)
        neon_store_part(y + (size_t)k * ldy, sum[k], valid);
}

/* -------------------------------------------------------------------- Q6_K */

/* Values of part p of a block, -32..31; the shifts are the same for the four
   parts p % 4 of either half. */
INLINE void neon_q6_k_load(int8x16_t q[2], const uint8_t *block, size_t p)
{
    const size_t half = p / 4, part = p % 4;
    const uint8_t *low = block + 64 * half + 32 * (part % 2);
    const uint8_t *high = block + 128 + 32 * half;
    const int8x16_t nibble = vdupq_n_s8(part < 2 ? 0 : -4);
    const int8x16_t pair = vdupq_n_s8((int8_t)(-2 * (int)part));
    __builtin_prefetch(low + NEON_AHEAD);
    UNROLL
    for (int i = 0; i < 2; i++) {
        uint8x16_t l = vshlq_u8(vld1q_u8(low + 16 * i), nibble);
        uint8x16_t h = vshlq_u8(vld1q_u8(high + 16 * i), pair);
        l = vandq_u8(l, vdupq_n_u8(15));
        h = vshlq_n_u8(vandq_u8(h, vdupq_n_u8(3)), 4);
        q[i] = vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(l, h)), vdupq_n_s8(32));
    }
}

/* The scales of a block of four rows, scale i of each at [i]. */
INLINE void neon_q6_k_scales(int8_t scale[16][4], const uint8_t *const w[4],
                             size_t at)
{
    int8x16x4_t s;
    UNROLL
    for (int t = 0; t < 4; t++)
        s.val[t] = vld1q_s8((const int8_t *)w[t] + at + 192);
    vst4q_s8(scale[0], s);
}

/* Adds part p of block b. */
INLINE void neon_q6_k_part(float32x4_t sum[4], float32x4_t d,
                           const int8_t scale[16][4], const uint8_t *const w[4],
                           const struct clsa_act *a, size_t c, size_t b,
                           size_t p, const int cols, neon_dot16 *dot16)
{
    const size_t part = b * CLSA_K_PARTS + p;
    const int32x4_t s0 = neon_widen_s8(scale[2 * p]);
    const int32x4_t s1 = neon_widen_s8(scale[2 * p + 1]);
    int8x16_t q[2][4];
    UNROLL
    for (int t = 0; t < 4; t++) {
        int8x16_t row[2];
        neon_q6_k_load(row, w[t] + b * CLSA_Q6_K_BYTES, p);
        q[0][t] = row[0];
        q[1][t] = row[1];
    }
    UNROLL
    for (int k = 0; k < cols; k++) {
        const int8_t *x = a->q + (c + (size_t)k) * a->ldq + part * CLSA_BLOCK;
        const float da = a->d[part * a->ldd + c + (size_t)k];
        int32x4_t s = vmulq_s32(dot16(q[0], vld1q_s8(x)), s0);
        s = vmlaq_s32(s, dot16(q[1], vld1q_s8(x + 16)), s1);
        sum[k] = vfmaq_f32(sum[k], vcvtq_f32_s32(s), vmulq_n_f32(d, da));
    }
}

INLINE void neon_q6_k_tile(float *y, size_t ldy, const uint8_t *const w[4],
                           size_t valid, const struct clsa_act *a, size_t c,
                           const int cols, neon_dot16 *dot16)
{
    float32x4_t sum[4];
    UNROLL
    for (int k = 0; k < cols; k++)
        sum[k] = vdupq_n_f32(0);
    for (size_t b = 0; b < a->len / CLSA_K_BLOCK; b++) {
        const size_t at = b * CLSA_Q6_K_BYTES;
        const float32x4_t d = neon_scales(w, at + 208);
        int8_t scale[16][4];
        neon_q6_k_scales(scale, w, at);
        for (size_t p = 0; p < CLSA_K_PARTS; p++)
            neon_q6_k_part(sum, d, (const int8_t(*)[4])scale, w, a, c, b, p,
                           cols, dot16);
    }
    UNROLL
    for (int k = 0; k < cols; k++)
        neon_store_part(y + (size_t)k * ldy, sum[k], valid);
}

/* ------------------------------------------------------------------- tiles */

#define NEON_K_TILE(cols, format, dot)                                         \
    static void tile##cols(float *y, size_t ldy, const uint8_t *const w[4],    \
                           size_t valid, const struct clsa_act *a, size_t c)   \
    {                                                                          \
        neon_##format##_tile(y, ldy, w, valid, a, c, cols, dot);               \
    }

/* tile1 .. tile4 and their list `tiles`; format: q4_k or q6_k. */
#define NEON_K_TILES(format, dot)                                              \
    NEON_K_TILE(1, format, dot)                                                \
    NEON_K_TILE(2, format, dot)                                                \
    NEON_K_TILE(3, format, dot)                                                \
    NEON_K_TILE(4, format, dot)                                                \
    static const struct neon_tiles tiles = {1, 4, {tile1, tile2, tile3, tile4}};

#endif /* CLSA_NEON_MATMUL_K_H */
