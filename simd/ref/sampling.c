/* SPDX-License-Identifier: Apache-2.0 */
/* sampling.c: argmax and softmax, scalar. */
#include <math.h>

#include "simd/ref/ref.h"

static size_t argmax_ref(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static float softmax_ref(float *y, const float *x, size_t n, float scale)
{
    const float max = x[argmax_ref(x, n)];
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += y[i] = expf((x[i] - max) * scale);
    return sum;
}

void clsa_sampling_ref(struct clsa_simd *table)
{
    table->argmax = argmax_ref;
    table->softmax = softmax_ref;
}
