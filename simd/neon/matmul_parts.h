/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_parts.h: the tile of the formats with parts that have no file of
 * their own, in the frame of matmul.h, for levels neon and neon_dotprod. A part
 * is unpacked into int8, whatever its format is; the rest is as in
 * matmul_k.h: exact integer sums with scales in them, added in float over
 * ascending parts. Both levels give the same bits.
 */
#ifndef CLSA_NEON_MATMUL_PARTS_H
#define CLSA_NEON_MATMUL_PARTS_H

#include "simd/neon/matmul_k.h"

/* A block of four rows. scale and min: of halves [2p] and [2p + 1] of part p if
   neon_halves, of part p at [p] otherwise; 1 in blocks of 32. */
struct neon_head {
    float32x4_t d, dmin;
    int8_t scale[16][4], min[16][4];
};

/* Whether 16 values have a scale. */
INLINE int neon_halves(enum clsa_format format)
{
    return format == CLSA_Q2_K || format == CLSA_Q3_K;
}

INLINE int neon_mins(enum clsa_format format)
{
    return format == CLSA_Q4_1 || format == CLSA_Q5_1 || format == CLSA_Q2_K ||
           format == CLSA_Q5_K;
}

/* ------------------------------------------------------------------- heads */

/* Scales and mins of one block of 256. */
INLINE void neon_head_of(int8_t scale[16], int8_t min[16], const uint8_t *block,
                         enum clsa_format format)
{
    switch (format) {
    case CLSA_Q5_K:
        clsa_q4_k_scales((uint8_t *)scale, (uint8_t *)min, block + 4);
        break;
    case CLSA_Q3_K:
        clsa_q3_k_scales(scale, block + 96);
        break;
    case CLSA_IQ4_XS:
        clsa_iq4_xs_scales(scale, block);
        break;
    default: {
        uint8x16_t both = vld1q_u8(block);
        vst1q_u8((uint8_t *)scale, vandq_u8(both, vdupq_n_u8(15)));
        vst1q_u8((uint8_t *)min, vshrq_n_u8(both, 4));
    }
    }
}

INLINE void neon_read_head(struct neon_head *h, const uint8_t *const w[4],
                           size_t at, enum clsa_format format)
{
    const size_t d = format == CLSA_Q3_K ? 108 : format == CLSA_Q2_K ? 80 : 0;
    h->d = neon_scales(w, at + d);
    if (neon_mins(format))
        h->dmin = neon_scales(w, at + d + 2);
    if (clsa_format_block(format) == CLSA_BLOCK) {
        if (neon_mins(format)) /* m is added */
            h->dmin = vnegq_f32(h->dmin);
        return;
    }
    int8x16x4_t s, m;
    for (int t = 0; t < 4; t++) {
        int8_t scale[16] = {0}, min[16] = {0};
        neon_head_of(scale, min, w[t] + at, format);
        s.val[t] = vld1q_s8(scale);
        m.val[t] = vld1q_s8(min);
    }
    vst4q_s8(h->scale[0], s);
    vst4q_s8(h->min[0], m);
}

/* ------------------------------------------------------------------- values */

INLINE void neon_split_nibbles(uint8x16_t q[2], const uint8_t *from)
{
    uint8x16_t v = vld1q_u8(from);
    q[0] = vandq_u8(v, vdupq_n_u8(15));
    q[1] = vshrq_n_u8(v, 4);
}

/* Adds 16 where one of the 32 bits at p is set, the lowest first. */
INLINE void neon_fifth_bits(uint8x16_t q[2], const uint8_t *p)
{
    const uint8x8_t bit = vcreate_u8(0x8040201008040201u);
    const uint8x16_t bits = vcombine_u8(bit, bit), five = vdupq_n_u8(16);
    for (int i = 0; i < 2; i++, p += 2) {
        uint8x16_t v = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
        q[i] = vorrq_u8(q[i], vandq_u8(vtstq_u8(v, bits), five));
    }
}

/* Half i of part p: nibbles of 32 bytes for two parts, with bit p of a byte
   above each. */
INLINE uint8x16_t neon_q5_k_half(const uint8_t *block, size_t p, int i)
{
    uint8x16_t v = vld1q_u8(block + 48 + p / 2 * CLSA_BLOCK + 16 * i);
    uint8x16_t bits = vld1q_u8(block + 16 + 16 * i);
    uint8x16_t top = vtstq_u8(bits, vdupq_n_u8((uint8_t)(1 << p)));
    v = vandq_u8(vshlq_u8(v, vdupq_n_s8(p % 2 ? -4 : 0)), vdupq_n_u8(15));
    return vorrq_u8(v, vandq_u8(top, vdupq_n_u8(16)));
}

/* Half i of part p of bit pairs: four parts in 32 bytes. */
INLINE uint8x16_t neon_pairs_half(const uint8_t *pairs, size_t p, int i)
{
    uint8x16_t v = vld1q_u8(pairs + p / 4 * CLSA_BLOCK + 16 * i);
    v = vshlq_u8(v, vdupq_n_s8((int8_t)(-2 * (int)(p % 4))));
    return vandq_u8(v, vdupq_n_u8(3));
}

/* 4 is taken off where bit p of a byte is not set. */
INLINE uint8x16_t neon_q3_k_half(const uint8_t *block, size_t p, int i)
{
    uint8x16_t bits = vld1q_u8(block + 16 * i);
    uint8x16_t top = vtstq_u8(bits, vdupq_n_u8((uint8_t)(1 << p)));
    return vsubq_u8(neon_pairs_half(block + 32, p, i),
                    vbicq_u8(vdupq_n_u8(4), top));
}

INLINE uint8x16_t neon_iq4_values(uint8x16_t nibbles)
{
    return vreinterpretq_u8_s8(vqtbl1q_s8(vld1q_s8(clsa_iq4_values), nibbles));
}

/* Part p of a block; blocks of 32 have one. */
INLINE void neon_part_values(int8x16_t q[2], const uint8_t *block, size_t p,
                             enum clsa_format format)
{
    uint8x16_t v[2];
    __builtin_prefetch(block + NEON_AHEAD);
    switch (format) {
    case CLSA_Q4_1:
        neon_split_nibbles(v, block + 4);
        break;
    case CLSA_Q5_0:
        neon_split_nibbles(v, block + 6);
        neon_fifth_bits(v, block + 2);
        v[0] = vsubq_u8(v[0], vdupq_n_u8(16));
        v[1] = vsubq_u8(v[1], vdupq_n_u8(16));
        break;
    case CLSA_Q5_1:
        neon_split_nibbles(v, block + 8);
        neon_fifth_bits(v, block + 4);
        break;
    case CLSA_IQ4_NL:
    case CLSA_IQ4_XS:
        neon_split_nibbles(v, format == CLSA_IQ4_NL ? block + 2
                                                    : block + 8 + 16 * p);
        v[0] = neon_iq4_values(v[0]);
        v[1] = neon_iq4_values(v[1]);
        break;
    default:
        UNROLL
        for (int i = 0; i < 2; i++)
            v[i] = format == CLSA_Q5_K   ? neon_q5_k_half(block, p, i)
                   : format == CLSA_Q3_K ? neon_q3_k_half(block, p, i)
                                         : neon_pairs_half(block + 16, p, i);
    }
    q[0] = vreinterpretq_s8_u8(v[0]);
    q[1] = vreinterpretq_s8_u8(v[1]);
}

/* ----------------------------------------------------------------- products */

/* The exact sums of part p with scales and, in *m, with mins; total: of x. */
INLINE int32x4_t neon_part_sums(int32x4_t *m, const struct neon_head *h,
                                const int8x16_t q[2][4], size_t p, int8x16_t x0,
                                int8x16_t x1, int32_t total,
                                const enum clsa_format format)
{
    *m = vdupq_n_s32(total);
    if (neon_halves(format)) {
        int32x4_t s =
            vmulq_s32(neon_dot16_k(q[0], x0), neon_widen_s8(h->scale[2 * p]));
        *m = vmulq_n_s32(neon_widen_s8(h->min[2 * p]), vaddlvq_s8(x0));
        *m = vmlaq_n_s32(*m, neon_widen_s8(h->min[2 * p + 1]), vaddlvq_s8(x1));
        return vmlaq_s32(s, neon_dot16_k(q[1], x1),
                         neon_widen_s8(h->scale[2 * p + 1]));
    }
    int32x4_t s = neon_dot32(q, x0, x1);
    if (clsa_format_block(format) == CLSA_BLOCK)
        return s;
    *m = vmulq_n_s32(neon_widen_s8(h->min[p]), total);
    return vmulq_s32(s, neon_widen_s8(h->scale[p]));
}

/* Adds part p of the blocks at byte `at`; b: the activation block. */
INLINE void neon_add_part(float32x4_t sum[4], const struct neon_head *h,
                          const uint8_t *const w[4], size_t at, size_t p,
                          const struct clsa_act *a, size_t c, size_t b,
                          const int cols, const enum clsa_format format)
{
    int8x16_t q[2][4];
    UNROLL
    for (int t = 0; t < 4; t++) {
        int8x16_t row[2];
        neon_part_values(row, w[t] + at, p, format);
        q[0][t] = row[0];
        q[1][t] = row[1];
    }
    UNROLL
    for (int k = 0; k < cols; k++) {
        const int8_t *x = a->q + (c + (size_t)k) * a->ldq + b * CLSA_BLOCK;
        const size_t i = b * a->ldd + c + (size_t)k;
        int32x4_t m,
            s = neon_part_sums(&m, h, (const int8x16_t(*)[4])q, p, vld1q_s8(x),
                               vld1q_s8(x + 16), a->sum[i], format);
        sum[k] =
            vfmaq_f32(sum[k], vcvtq_f32_s32(s), vmulq_n_f32(h->d, a->d[i]));
        if (neon_mins(format))
            sum[k] = vfmsq_f32(sum[k], vcvtq_f32_s32(m),
                               vmulq_n_f32(h->dmin, a->d[i]));
    }
}

INLINE void neon_parts_tile(float *y, size_t ldy, const uint8_t *const w[4],
                            size_t valid, const struct clsa_act *a, size_t c,
                            const int cols, const enum clsa_format format)
{
    const struct clsa_format_size size = clsa_format_size(format);
    const size_t parts = size.values / CLSA_BLOCK;
    float32x4_t sum[4];
    UNROLL
    for (int k = 0; k < cols; k++)
        sum[k] = vdupq_n_f32(0);
    for (size_t b = 0; b < a->len / size.values; b++) {
        struct neon_head h;
        neon_read_head(&h, w, b * size.bytes, format);
        for (size_t p = 0; p < parts; p++)
            neon_add_part(sum, &h, w, b * size.bytes, p, a, c, b * parts + p,
                          cols, format);
    }
    UNROLL
    for (int k = 0; k < cols; k++)
        neon_store_part(y + (size_t)k * ldy, sum[k], valid);
}

/* ------------------------------------------------------------------ kernels */

/* X(name, format, level) of each. */
#define NEON_PARTS_FORMATS(X, level)                                           \
    X(q4_1, CLSA_Q4_1, level)                                                  \
    X(q5_0, CLSA_Q5_0, level)                                                  \
    X(q5_1, CLSA_Q5_1, level)                                                  \
    X(q2_k, CLSA_Q2_K, level)                                                  \
    X(q3_k, CLSA_Q3_K, level)                                                  \
    X(q5_k, CLSA_Q5_K, level)                                                  \
    X(iq4_nl, CLSA_IQ4_NL, level)                                              \
    X(iq4_xs, CLSA_IQ4_XS, level)

#define NEON_PARTS_TILE(name, format, cols)                                    \
    static void name##_tile##cols(float *y, size_t ldy,                        \
                                  const uint8_t *const w[4], size_t valid,     \
                                  const struct clsa_act *a, size_t c)          \
    {                                                                          \
        neon_parts_tile(y, ldy, w, valid, a, c, cols, format);                 \
    }

/* matmul_<name>_<level>(), of up to 4 columns at a time. */
#define NEON_PARTS_MATMUL(name, format, level)                                 \
    NEON_PARTS_TILE(name, format, 1)                                           \
    NEON_PARTS_TILE(name, format, 2)                                           \
    NEON_PARTS_TILE(name, format, 3)                                           \
    NEON_PARTS_TILE(name, format, 4)                                           \
    static void matmul_##name##_##level(float *y, size_t ldy, const void *w,   \
                                        size_t rows, const struct clsa_act *a) \
    {                                                                          \
        static const struct neon_tiles tiles = {                               \
            1, 4, {name##_tile1, name##_tile2, name##_tile3, name##_tile4}};   \
        neon_matmul(y, ldy, w, rows, clsa_format_bytes(format, a->len), a,     \
                    &tiles);                                                   \
    }

#endif /* CLSA_NEON_MATMUL_PARTS_H */
