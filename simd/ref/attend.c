/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar attention over a list of rows, and the merge of its partials. */
#include <math.h>

#include "simd/ref/ref.h"
#include "simd/scalar.h"

static float value(const void *row, size_t i, enum clsa_format format)
{
    switch (format) {
    case CLSA_F32:
        return ((const float *)row)[i];
    case CLSA_F16:
        return clsa_f16_to_f32(((const uint16_t *)row)[i]);
    case CLSA_BF16:
        return clsa_bf16_to_f32(((const uint16_t *)row)[i]);
    default: {
        const uint8_t *block =
            (const uint8_t *)row + i / CLSA_BLOCK * CLSA_Q8_0_BYTES;
        return clsa_f16_to_f32(clsa_read_u16(block)) *
               (float)(int8_t)block[2 + i % CLSA_BLOCK];
    }
    }
}

static const void *row_at(const void *base, const struct clsa_rows *rows,
                          size_t i)
{
    size_t at = rows->order ? rows->order[i] : i;
    return (const char *)base + at * rows->stride;
}

static void attend_head(float *out, const float *q, size_t e,
                        const struct clsa_rows *rows, enum clsa_format format)
{
    float s[CLSA_ATTEND_ROWS], max = -INFINITY, sum = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const void *k = row_at(rows->k, rows, i);
        s[i] = 0;
        for (size_t j = 0; j < e; j++)
            s[i] += q[j] * value(k, j, format);
        max = fmaxf(max, s[i]);
    }
    for (size_t j = 0; j < e; j++)
        out[j] = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const void *v = row_at(rows->v, rows, i);
        float p = expf(s[i] - max);
        sum += p;
        for (size_t j = 0; j < e; j++)
            out[j] += p * value(v, j, format);
    }
    out[e] = max;
    out[e + 1] = sum;
}

#define ATTEND(name, format)                                                   \
    static void attend_##name##_ref(float *out, const float *q, size_t r,      \
                                    size_t e, const struct clsa_rows *rows)    \
    {                                                                          \
        for (size_t j = 0; j < r; j++)                                         \
            attend_head(out + j * (e + 2), q + j * e, e, rows, format);        \
    }

ATTEND(f32, CLSA_F32)
ATTEND(f16, CLSA_F16)
ATTEND(bf16, CLSA_BF16)
ATTEND(q8_0, CLSA_Q8_0)

#define SCORE(name, format)                                                    \
    static void score_##name##_ref(float *score, const float *x, size_t len,   \
                                   const struct clsa_rows *rows)               \
    {                                                                          \
        for (size_t i = 0; i < rows->n; i++) {                                 \
            const void *k = row_at(rows->k, rows, i);                          \
            score[i] = 0;                                                      \
            for (size_t j = 0; j < len; j++)                                   \
                score[i] += x[j] * value(k, j, format);                        \
        }                                                                      \
    }

SCORE(f32, CLSA_F32)
SCORE(f16, CLSA_F16)
SCORE(bf16, CLSA_BF16)
SCORE(q8_0, CLSA_Q8_0)

static void attend_merge_ref(float *y, const float *part, size_t n, size_t ld,
                             size_t e)
{
    float max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxf(max, part[i * ld + e]);
    for (size_t j = 0; j < e; j++)
        y[j] = 0;
    for (size_t i = 0; i < n; i++) {
        const float *p = part + i * ld;
        float scale = expf(p[e] - max);
        sum += scale * p[e + 1];
        for (size_t j = 0; j < e; j++)
            y[j] += scale * p[j];
    }
    for (size_t j = 0; j < e; j++)
        y[j] /= sum;
}

static void attend_join_ref(float *sum, size_t ld, const float *part, size_t n,
                            size_t e)
{
    for (size_t h = 0; h < n; h++) {
        float *s = sum + h * ld;
        const float *p = part + h * (e + 2);
        const float max = fmaxf(s[e], p[e]);
        const float old = expf(s[e] - max), new = expf(p[e] - max);
        for (size_t j = 0; j < e; j++)
            s[j] = old * s[j] + new *p[j];
        s[e] = max;
        s[e + 1] = old * s[e + 1] + new *p[e + 1];
    }
}

void clsa_attend_ref(struct clsa_simd *table)
{
    table->attend[CLSA_F32] = attend_f32_ref;
    table->attend[CLSA_F16] = attend_f16_ref;
    table->attend[CLSA_BF16] = attend_bf16_ref;
    table->attend[CLSA_Q8_0] = attend_q8_0_ref;
    table->score[CLSA_F32] = score_f32_ref;
    table->score[CLSA_F16] = score_f16_ref;
    table->score[CLSA_BF16] = score_bf16_ref;
    table->score[CLSA_Q8_0] = score_q8_0_ref;
    table->attend_merge = attend_merge_ref;
    table->attend_join = attend_join_ref;
}
