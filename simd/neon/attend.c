/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of the query heads of one KV head at level neon, in three passes:
 * scores, softmax, sum of V rows. Heads go four at a time, a head to a lane,
 * and share each load and conversion of K and V.
 *
 * Lists are gathered from anywhere: the row addresses are made once, with
 * copies of the last one behind them, so that prefetching ahead and groups of
 * four rows need no bounds. Scores of such copies are -infinity, which adds 0.
 *
 * A score has four lanes over ascending values; out and the sum of weights add
 * the rows one by one in ascending order.
 */
#include <math.h>

#include "simd/neon/neon.h"

#define LANES 4 /* heads */
#define SPARE (CLSA_NEON_GATHER + CLSA_NEON_ROWS)

typedef float scores[CLSA_ATTEND_ROWS][LANES];

static void addresses(const uint8_t *at[], const void *base,
                      const struct clsa_rows *rows)
{
    size_t n = rows->n;
    for (size_t i = 0; i < n; i++)
        at[i] = (const uint8_t *)base +
                (rows->order ? rows->order[i] : i) * rows->stride;
    for (size_t i = n; i < n + SPARE; i++)
        at[i] = at[n - 1];
}

/* ------------------------------------------------------------------ scores */

/* s[t][h] = q[h] . k[t] for four rows and `heads` heads; other lanes 0. */
CLSA_NEON_INLINE void score_tile(float s[][LANES], const float *q, size_t e,
                                 const uint8_t *const k[], const int heads,
                                 const enum clsa_format format)
{
    float32x4_t sum[4][LANES];
    CLSA_NEON_UNROLL
    for (int t = 0; t < 4; t++)
        sum[t][0] = sum[t][1] = sum[t][2] = sum[t][3] = vdupq_n_f32(0);
    for (size_t j = 0; j < e; j += 8) {
        float32x4_t v[4][2];
        CLSA_NEON_UNROLL
        for (int t = 0; t < 4; t++)
            clsa_neon_load8(v[t], k[t], j, format);
        CLSA_NEON_UNROLL
        for (int h = 0; h < heads; h++) {
            float32x4_t x0 = vld1q_f32(q + (size_t)h * e + j);
            float32x4_t x1 = vld1q_f32(q + (size_t)h * e + j + 4);
            CLSA_NEON_UNROLL
            for (int t = 0; t < 4; t++)
                sum[t][h] = vfmaq_f32(sum[t][h], v[t][0], x0);
            CLSA_NEON_UNROLL
            for (int t = 0; t < 4; t++)
                sum[t][h] = vfmaq_f32(sum[t][h], v[t][1], x1);
        }
    }
    CLSA_NEON_UNROLL
    for (int t = 0; t < 4; t++)
        vst1q_f32(s[t], clsa_neon_sums(sum[t]));
}

CLSA_NEON_INLINE void score_heads(float s[][LANES], const float *q, size_t r,
                                  size_t e, const uint8_t *const k[],
                                  const enum clsa_format format)
{
    if (r >= 4)
        score_tile(s, q, e, k, 4, format);
    else if (r == 3)
        score_tile(s, q, e, k, 3, format);
    else if (r == 2)
        score_tile(s, q, e, k, 2, format);
    else
        score_tile(s, q, e, k, 1, format);
}

CLSA_NEON_INLINE void score_rows(scores s[], const float *q, size_t r, size_t e,
                                 const uint8_t *const k[], size_t n,
                                 const enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, e);
    for (size_t i = 0; i < n; i += CLSA_NEON_ROWS) {
        for (size_t t = 0; t < CLSA_NEON_ROWS; t++)
            for (size_t b = 0; b < bytes; b += 64)
                __builtin_prefetch(k[i + t + CLSA_NEON_GATHER] + b);
        for (size_t j = 0; j < r; j += LANES) {
            float(*part)[LANES] = s[j / LANES];
            score_heads(part + i, q + j * e, r - j, e, k + i, format);
            for (size_t t = n; t < i + CLSA_NEON_ROWS; t++)
                vst1q_f32(part[t], vdupq_n_f32(-INFINITY));
        }
    }
}

/* ----------------------------------------------------------------- softmax */

/* s becomes exp(s - max); most and sum are those of each lane. */
static void softmax(scores s, size_t n, float most[LANES], float sum[LANES])
{
    float32x4_t max = vld1q_f32(s[0]), total = vdupq_n_f32(0);
    for (size_t i = 1; i < n; i++)
        max = vmaxq_f32(max, vld1q_f32(s[i]));
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t p[4];
        CLSA_NEON_UNROLL
        for (int t = 0; t < 4; t++)
            p[t] = clsa_neon_exp(vsubq_f32(vld1q_f32(s[i + t]), max));
        CLSA_NEON_UNROLL
        for (int t = 0; t < 4; t++) {
            vst1q_f32(s[i + t], p[t]);
            total = vaddq_f32(total, p[t]);
        }
    }
    vst1q_f32(most, max);
    vst1q_f32(sum, total);
}

/* ------------------------------------------------------------------ values */

/* sum + v * p[h]; h is a constant of the unrolled loop. */
CLSA_NEON_INLINE float32x4_t add_lane(float32x4_t sum, float32x4_t v,
                                      float32x4_t p, const int h)
{
    switch (h) {
    case 0:
        return vfmaq_laneq_f32(sum, v, p, 0);
    case 1:
        return vfmaq_laneq_f32(sum, v, p, 1);
    case 2:
        return vfmaq_laneq_f32(sum, v, p, 2);
    default:
        return vfmaq_laneq_f32(sum, v, p, 3);
    }
}

/*
 * Adds p[i][h] * v[i] to values j .. j + 8 * eights - 1 of `heads` outputs,
 * and prefetches the rows that the next call for these values reads.
 */
CLSA_NEON_INLINE void value_tile(float *out, size_t ldo, const float p[][LANES],
                                 const uint8_t *const v[], size_t n, size_t j,
                                 const int heads, const int eights,
                                 const enum clsa_format format)
{
    const size_t ahead = clsa_format_bytes(format, 1) * j;
    float32x4_t sum[LANES][4];
    CLSA_NEON_UNROLL
    for (int h = 0; h < heads; h++) {
        CLSA_NEON_UNROLL
        for (int k = 0; k < 2 * eights; k++)
            sum[h][k] = vld1q_f32(out + (size_t)h * ldo + j + 4 * k);
    }
    for (size_t i = 0; i < n; i++) {
        float32x4_t x[4], weight = vld1q_f32(p[i]);
        __builtin_prefetch(v[i + CLSA_NEON_GATHER] + ahead);
        clsa_neon_load8(x, v[i], j, format);
        if (eights == 2)
            clsa_neon_load8(x + 2, v[i], j + 8, format);
        CLSA_NEON_UNROLL
        for (int h = 0; h < heads; h++) {
            CLSA_NEON_UNROLL
            for (int k = 0; k < 2 * eights; k++)
                sum[h][k] = add_lane(sum[h][k], x[k], weight, h);
        }
    }
    CLSA_NEON_UNROLL
    for (int h = 0; h < heads; h++) {
        CLSA_NEON_UNROLL
        for (int k = 0; k < 2 * eights; k++)
            vst1q_f32(out + (size_t)h * ldo + j + 4 * k, sum[h][k]);
    }
}

CLSA_NEON_INLINE void value_heads(float *out, size_t r, size_t e,
                                  const float p[][LANES],
                                  const uint8_t *const v[], size_t n, size_t j,
                                  const int eights,
                                  const enum clsa_format format)
{
    if (r >= 4)
        value_tile(out, e + 2, p, v, n, j, 4, eights, format);
    else if (r == 3)
        value_tile(out, e + 2, p, v, n, j, 3, eights, format);
    else if (r == 2)
        value_tile(out, e + 2, p, v, n, j, 2, eights, format);
    else
        value_tile(out, e + 2, p, v, n, j, 1, eights, format);
}

/* A few rows at a time, so that they stay in L1 for all values and heads. */
CLSA_NEON_INLINE void value_rows(float *out, size_t r, size_t e,
                                 const scores s[], const uint8_t *const v[],
                                 size_t n, const enum clsa_format format)
{
    for (size_t i = 0; i < n; i += CLSA_NEON_GATHER) {
        size_t m = n - i < CLSA_NEON_GATHER ? n - i : CLSA_NEON_GATHER;
        for (size_t h = 0; h < r; h += LANES) {
            float *to = out + h * (e + 2);
            const float(*p)[LANES] = s[h / LANES] + i;
            size_t j = 0;
            for (; j + 16 <= e; j += 16)
                value_heads(to, r - h, e, p, v + i, m, j, 2, format);
            if (j < e)
                value_heads(to, r - h, e, p, v + i, m, j, 1, format);
        }
    }
}

/* ------------------------------------------------------------------ kernel */

CLSA_NEON_INLINE void attend(float *out, const float *q, size_t r, size_t e,
                             const struct clsa_rows *rows,
                             const enum clsa_format format)
{
    const uint8_t *at[CLSA_ATTEND_ROWS + SPARE];
    scores s[CLSA_ATTEND_HEADS / LANES];
    addresses(at, rows->k, rows);
    score_rows(s, q, r, e, at, rows->n, format);
    for (size_t j = 0; j < r; j += LANES) {
        float most[LANES], sum[LANES];
        softmax(s[j / LANES], rows->n, most, sum);
        for (size_t h = 0; h < LANES && j + h < r; h++) {
            float *head = out + (j + h) * (e + 2);
            memset(head, 0, e * sizeof *head);
            head[e] = most[h];
            head[e + 1] = sum[h];
        }
    }
    addresses(at, rows->v, rows);
    value_rows(out, r, e, (const scores *)s, at, rows->n, format);
}

#define ATTEND(name, format)                                                   \
    static void attend_##name##_neon(float *out, const float *q, size_t r,     \
                                     size_t e, const struct clsa_rows *rows)   \
    {                                                                          \
        attend(out, q, r, e, rows, format);                                    \
    }

ATTEND(f32, CLSA_F32)
ATTEND(f16, CLSA_F16)
ATTEND(bf16, CLSA_BF16)
ATTEND(q8_0, CLSA_Q8_0)

static void attend_merge_neon(float *y, const float *part, size_t n, size_t ld,
                              size_t e)
{
    float max = part[e], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = fmaxf(max, part[i * ld + e]);
    memset(y, 0, e * sizeof *y);
    for (size_t i = 0; i < n; i++) {
        const float *p = part + i * ld;
        float32x4_t scale = clsa_neon_exp(vdupq_n_f32(p[e] - max));
        sum += vgetq_lane_f32(scale, 0) * p[e + 1];
        for (size_t j = 0; j < e; j += 4) {
            size_t lanes = e - j < 4 ? e - j : 4;
            float32x4_t v = clsa_neon_load_part(y + j, lanes);
            v = vfmaq_f32(v, clsa_neon_load_part(p + j, lanes), scale);
            clsa_neon_store_part(y + j, v, lanes);
        }
    }
    for (size_t j = 0; j < e; j++)
        y[j] /= sum;
}

static void attend_join_neon(float *sum, size_t ld, const float *part, size_t n,
                             size_t e)
{
    for (size_t h = 0; h < n; h++) {
        float *s = sum + h * ld;
        const float *p = part + h * (e + 2);
        const float max = fmaxf(s[e], p[e]);
        const float32x4_t old = clsa_neon_exp(vdupq_n_f32(s[e] - max));
        const float32x4_t new = clsa_neon_exp(vdupq_n_f32(p[e] - max));
        for (size_t j = 0; j < e; j += 4)
            vst1q_f32(s + j, vfmaq_f32(vmulq_f32(old, vld1q_f32(s + j)), new,
                                       vld1q_f32(p + j)));
        s[e] = max;
        s[e + 1] = vgetq_lane_f32(old, 0) * s[e + 1] +
                   vgetq_lane_f32(new, 0) * p[e + 1];
    }
}

void clsa_attend_neon(struct clsa_simd *table)
{
    table->attend[CLSA_F32] = attend_f32_neon;
    table->attend[CLSA_F16] = attend_f16_neon;
    table->attend[CLSA_BF16] = attend_bf16_neon;
    table->attend[CLSA_Q8_0] = attend_q8_0_neon;
    table->attend_merge = attend_merge_neon;
    table->attend_join = attend_join_neon;
}
