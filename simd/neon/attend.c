/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of the query heads of one KV head at level neon, in three passes:
 * scores, softmax, sum of V rows. Heads go four at a time, a head to a lane,
 * and share each load and conversion of K and V.
 *
 * Lists are gathered from anywhere: the row addresses are made once, with
 * copies of the last one after them, so that prefetching ahead and groups of
 * four rows need no bounds. Scores of such copies are -infinity, which adds 0.
 *
 * A score has four lanes over ascending values; out and the sum of weights add
 * the rows one by one in ascending order.
 */
#include <math.h>

#include "simd/neon/neon.h"

#define SPARE (NEON_GATHER + NEON_ROWS)

typedef float scores[CLSA_ATTEND_ROWS][LANES]; /* of LANES heads */

_Static_assert(CLSA_ATTEND_HEADS / LANES * sizeof(scores) <=
                   CLSA_KERNEL_SCRATCH,
               "simd.h");

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
INLINE void score_tile(float s[][LANES], const float *q, size_t e,
                       const uint8_t *const k[], const int heads,
                       const enum clsa_format format)
{
    float32x4_t sum[4][LANES];
    UNROLL
    for (int t = 0; t < 4; t++)
        sum[t][0] = sum[t][1] = sum[t][2] = sum[t][3] = vdupq_n_f32(0);
    for (size_t j = 0; j < e; j += 8) {
        float32x4_t v[4][2];
        UNROLL
        for (int t = 0; t < 4; t++)
            neon_load8(v[t], k[t], j, format);
        UNROLL
        for (int h = 0; h < heads; h++) {
            float32x4_t x0 = vld1q_f32(q + (size_t)h * e + j);
            float32x4_t x1 = vld1q_f32(q + (size_t)h * e + j + 4);
            UNROLL
            for (int t = 0; t < 4; t++)
                sum[t][h] = vfmaq_f32(sum[t][h], v[t][0], x0);
            UNROLL
            for (int t = 0; t < 4; t++)
                sum[t][h] = vfmaq_f32(sum[t][h], v[t][1], x1);
        }
    }
    UNROLL
    for (int t = 0; t < 4; t++)
        vst1q_f32(s[t], neon_sums(sum[t]));
}

INLINE void score_heads(float s[][LANES], const float *q, size_t r, size_t e,
                        const uint8_t *const k[], const enum clsa_format format)
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

INLINE void score_rows(scores s[], const float *q, size_t r, size_t e,
                       const uint8_t *const k[], size_t n,
                       const enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, e);
    for (size_t i = 0; i < n; i += NEON_ROWS) {
        for (size_t t = 0; t < NEON_ROWS; t++)
            for (size_t b = 0; b < bytes; b += 64)
                __builtin_prefetch(k[i + t + NEON_GATHER] + b);
        for (size_t j = 0; j < r; j += LANES) {
            float(*part)[LANES] = s[j / LANES];
            score_heads(part + i, q + j * e, r - j, e, k + i, format);
            for (size_t t = n; t < i + NEON_ROWS; t++)
                vst1q_f32(part[t], vdupq_n_f32(-INFINITY));
        }
    }
}

/* ----------------------------------------------------------------- softmax */

/* Scores of n rows, bounded. */
static void cap_scores(scores s, size_t n, float cap)
{
    for (size_t i = 0; i < n; i++)
        vst1q_f32(s[i], neon_softcap(vld1q_f32(s[i]), cap));
}

/* s becomes exp(s - max); most and sum: of each lane. */
static void softmax(scores s, size_t n, float most[LANES], float sum[LANES])
{
    float32x4_t max = vld1q_f32(s[0]), total = vdupq_n_f32(0);
    for (size_t i = 1; i < n; i++)
        max = vmaxq_f32(max, vld1q_f32(s[i]));
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t p[4];
        UNROLL
        for (int t = 0; t < 4; t++)
            p[t] = neon_exp(vsubq_f32(vld1q_f32(s[i + t]), max));
        UNROLL
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
INLINE float32x4_t add_lane(float32x4_t sum, float32x4_t v, float32x4_t p,
                            const int h)
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
INLINE void value_tile(float *out, size_t ldo, const float p[][LANES],
                       const uint8_t *const v[], size_t n, size_t j,
                       const int heads, const int eights,
                       const enum clsa_format format)
{
    const size_t ahead = clsa_format_bytes(format, 1) * j;
    float32x4_t sum[LANES][4];
    UNROLL
    for (int h = 0; h < heads; h++) {
        UNROLL
        for (int k = 0; k < 2 * eights; k++)
            sum[h][k] = vld1q_f32(out + (size_t)h * ldo + j + 4 * k);
    }
    for (size_t i = 0; i < n; i++) {
        float32x4_t x[4], weight = vld1q_f32(p[i]);
        __builtin_prefetch(v[i + NEON_GATHER] + ahead);
        neon_load8(x, v[i], j, format);
        if (eights == 2)
            neon_load8(x + 2, v[i], j + 8, format);
        UNROLL
        for (int h = 0; h < heads; h++) {
            UNROLL
            for (int k = 0; k < 2 * eights; k++)
                sum[h][k] = add_lane(sum[h][k], x[k], weight, h);
        }
    }
    UNROLL
    for (int h = 0; h < heads; h++) {
        UNROLL
        for (int k = 0; k < 2 * eights; k++)
            vst1q_f32(out + (size_t)h * ldo + j + 4 * k, sum[h][k]);
    }
}

INLINE void value_heads(float *out, size_t r, size_t e, const float p[][LANES],
                        const uint8_t *const v[], size_t n, size_t j,
                        const int eights, const enum clsa_format format)
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
INLINE void value_rows(float *out, size_t r, size_t e, const scores s[],
                       const uint8_t *const v[], size_t n,
                       const enum clsa_format format)
{
    for (size_t i = 0; i < n; i += NEON_GATHER) {
        size_t m = n - i < NEON_GATHER ? n - i : NEON_GATHER;
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

INLINE void attend(float *out, const float *q, size_t r, size_t e,
                   const struct clsa_rows *rows, const enum clsa_format format)
{
    const uint8_t *at[CLSA_ATTEND_ROWS + SPARE];
    scores *s = rows->scratch;
    addresses(at, rows->k, rows);
    score_rows(s, q, r, e, at, rows->n, format);
    for (size_t j = 0; j < r; j += LANES) {
        float most[LANES], sum[LANES];
        if (rows->cap > 0)
            cap_scores(s[j / LANES], rows->n, rows->cap);
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

CLSA_ROW_FORMATS(ATTEND)

#define FILL(name, format) table->attend[format] = attend_##name##_neon;

void clsa_attend_neon(struct clsa_simd *table)
{
    CLSA_ROW_FORMATS(FILL)
}
