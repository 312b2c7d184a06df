/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of int8 keys by several heads at level neon_dotprod. Four keys are
 * turned once, so that a lane belongs to a key: four values of each in a
 * vector, which sdot multiplies by the same four of a head.
 */
#include <string.h>

#include "simd/neon/neon.h"

#define KEYS  4
#define STEP  16 /* values of a key in one turn */
#define GROUP 8  /* heads at a time */

/* Rows of 4 quads become columns. */
INLINE void turn(int8x16_t v[KEYS])
{
    int32x4_t a = vreinterpretq_s32_s8(v[0]), b = vreinterpretq_s32_s8(v[1]);
    int32x4_t c = vreinterpretq_s32_s8(v[2]), d = vreinterpretq_s32_s8(v[3]);
    const int64x2_t ab = vreinterpretq_s64_s32(vtrn1q_s32(a, b));
    const int64x2_t ba = vreinterpretq_s64_s32(vtrn2q_s32(a, b));
    const int64x2_t cd = vreinterpretq_s64_s32(vtrn1q_s32(c, d));
    const int64x2_t dc = vreinterpretq_s64_s32(vtrn2q_s32(c, d));
    v[0] = vreinterpretq_s8_s64(vtrn1q_s64(ab, cd));
    v[1] = vreinterpretq_s8_s64(vtrn1q_s64(ba, dc));
    v[2] = vreinterpretq_s8_s64(vtrn2q_s64(ab, cd));
    v[3] = vreinterpretq_s8_s64(vtrn2q_s64(ba, dc));
}

/* Values of four keys, of which `left` are there; `rest` of them, fewer than
   STEP at the end. */
INLINE void load_keys(int8x16_t k[KEYS], const int8_t *key, size_t len,
                      size_t left, size_t rest)
{
    int8_t last[STEP] = {0};
    UNROLL
    for (size_t i = 0; i < KEYS; i++) {
        const int8_t *row = key + (i < left ? i : left - 1) * len;
        const int8_t *from = row;
        if (rest < STEP) {
            memcpy(last, row, rest);
            from = last;
        }
        k[i] = vld1q_s8(from);
    }
    turn(k);
}

/* Adds the products of `heads` heads from q on with the same values. */
INLINE void multiply(int32x4_t sum[GROUP], const int8x16_t k[KEYS],
                     const int8_t *q, size_t ldq, size_t heads)
{
    UNROLL
    for (size_t h = 0; h < heads; h++) {
        const int8x16_t x = vld1q_s8(q + h * ldq);
        sum[h] = vdotq_laneq_s32(sum[h], k[0], x, 0);
        sum[h] = vdotq_laneq_s32(sum[h], k[1], x, 1);
        sum[h] = vdotq_laneq_s32(sum[h], k[2], x, 2);
        sum[h] = vdotq_laneq_s32(sum[h], k[3], x, 3);
    }
}

/* sum += weight * max(0, product) of heads h .. h + heads - 1. */
INLINE float32x4_t add_heads(float32x4_t total, const int8_t *key, size_t len,
                             size_t left, const struct clsa_index_heads *x,
                             size_t h, size_t heads)
{
    int32x4_t sum[GROUP];
    int8x16_t k[KEYS];
    const int8_t *q = x->q + h * x->ldq;
    UNROLL
    for (size_t i = 0; i < heads; i++)
        sum[i] = vdupq_n_s32(0);
    for (size_t j = 0; j < len; j += STEP) {
        load_keys(k, key + j, len, left, len - j);
        multiply(sum, k, q + j, x->ldq, heads);
    }
    UNROLL
    for (size_t i = 0; i < heads; i++) {
        const int32x4_t p = vmaxq_s32(sum[i], vdupq_n_s32(0));
        total =
            vaddq_f32(total, vmulq_n_f32(vcvtq_f32_s32(p), x->weight[h + i]));
    }
    return total;
}

static void scan_heads_neon_dotprod(float *score, const int8_t *key,
                                    const float *scales, size_t n, size_t len,
                                    const struct clsa_index_heads *x)
{
    for (size_t s = 0; s < n; s += KEYS, key += KEYS * len) {
        const size_t left = n - s < KEYS ? n - s : KEYS;
        float32x4_t sum = vdupq_n_f32(0);
        size_t h = 0;
        for (; h + GROUP <= x->heads; h += GROUP)
            sum = add_heads(sum, key, len, left, x, h, GROUP);
        for (; h < x->heads; h++)
            sum = add_heads(sum, key, len, left, x, h, 1);
        sum = vmulq_f32(sum, neon_load_part(scales + s, left));
        neon_store_part(score + s, sum, left);
    }
}

void clsa_index_heads_neon_dotprod(struct clsa_simd *table)
{
    table->scan_heads = scan_heads_neon_dotprod;
}
