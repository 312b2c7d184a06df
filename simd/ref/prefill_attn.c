/* SPDX-License-Identifier: Apache-2.0 */
/* prefill_attn.c: online softmax of a tile of scores, scalar. */
#include <math.h>

#include "simd/ref/ref.h"

static void online_query(float *p, size_t begin, size_t end, float *max,
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

static void softmax_online_ref(float *p, size_t n, const uint8_t *begin,
                               const uint8_t *end, float *max, float *sum,
                               float *scale)
{
    for (size_t i = 0; i < n; i++)
        online_query(p + i * CLSA_TILE_KEYS, begin[i], end[i], max + i, sum + i,
                     scale + i);
}

static void scale_add_ref(float *y, const float *x, const float *scale,
                          size_t n, size_t len)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = i * len; j < (i + 1) * len; j++)
            y[j] = scale[i] * y[j] + x[j];
}

void clsa_prefill_attn_ref(struct clsa_simd *table)
{
    table->softmax_online = softmax_online_ref;
    table->scale_add = scale_add_ref;
}
