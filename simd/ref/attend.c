/* SPDX-License-Identifier: Apache-2.0 */
/* attend.c: attention over a list of rows, scalar. */
#include <math.h>

#include "simd/ref/ref.h"

static void attend_head(float *out, const float *q, size_t e,
                        const struct clsa_rows *rows, enum clsa_format format)
{
    float s[CLSA_ATTEND_ROWS], max = -INFINITY, sum = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const void *k = ref_row(rows->k, rows, i);
        s[i] = 0;
        for (size_t j = 0; j < e; j++)
            s[i] += q[j] * ref_value(k, j, format);
        if (rows->cap > 0)
            s[i] = rows->cap * tanhf(s[i] / rows->cap);
        max = fmaxf(max, s[i]);
    }
    for (size_t j = 0; j < e; j++)
        out[j] = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const void *v = ref_row(rows->v, rows, i);
        float p = expf(s[i] - max);
        sum += p;
        for (size_t j = 0; j < e; j++)
            out[j] += p * ref_value(v, j, format);
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

CLSA_ROW_FORMATS(ATTEND)

#define FILL(name, format) table->attend[format] = attend_##name##_ref;

void clsa_attend_ref(struct clsa_simd *table)
{
    CLSA_ROW_FORMATS(FILL)
}
