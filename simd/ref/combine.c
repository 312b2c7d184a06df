/* SPDX-License-Identifier: Apache-2.0 */
/* combine.c: partial softmaxes of attention combined, scalar. */
#include <math.h>

#include "simd/ref/ref.h"

static void attend_combine_ref(float *y, const float *part, size_t n, size_t ld,
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

static void attend_accumulate_ref(float *sum, size_t ld, const float *part,
                                  size_t n, size_t e)
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

void clsa_combine_ref(struct clsa_simd *table)
{
    table->attend_combine = attend_combine_ref;
    table->attend_accumulate = attend_accumulate_ref;
}
