/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar online softmax of a tile of scores. */
#include <math.h>

#include "simd/ref/ref.h"

static void soften_query(float *p, size_t begin, size_t end, float *max,
                         float *sum, float *scale)
{
    float m = *max, all = 0;
    for (size_t j = begin; j < end; j++)
        m = fmaxf(m, p[j]);
    for (size_t j = 0; j < CLSA_TILE_KEYS; j++) {
        p[j] = j >= begin && j < end ? expf(p[j] - m) : 0.0f;
        all += p[j];
    }
    *scale = begin < end ? expf(*max - m) : 1.0f;
    *sum = *sum * *scale + all;
    *max = m;
}

static void soften_ref(float *p, size_t n, const uint8_t *begin,
                       const uint8_t *end, float *max, float *sum, float *scale)
{
    for (size_t i = 0; i < n; i++)
        soften_query(p + i * CLSA_TILE_KEYS, begin[i], end[i], max + i, sum + i,
                     scale + i);
}

static void blend_ref(float *y, const float *x, const float *scale, size_t n,
                      size_t len)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = i * len; j < (i + 1) * len; j++)
            y[j] = scale[i] * y[j] + x[j];
}

void clsa_tile_ref(struct clsa_simd *table)
{
    table->soften = soften_ref;
    table->blend = blend_ref;
}
