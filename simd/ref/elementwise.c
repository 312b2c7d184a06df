/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar RMSNorm, rotary embedding, gate and addition. */
#include <math.h>

#include "simd/ref/ref.h"

static void rms_norm_ref(float *y, const float *x, const float *w, size_t n,
                         float eps)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    float scale = 1.0f / sqrtf(sum / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * (w ? w[i] : 1.0f);
}

static void rope_ref(float *x, const float *cos, const float *sin, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cos[i] - b * sin[i];
        x[i + half] = b * cos[i] + a * sin[i];
    }
}

static void silu_mul_ref(float *y, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

static void gelu_mul_ref(float *y, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float g = gate[i];
        const float u = CLSA_GELU_SCALE * (g + CLSA_GELU_CUBE * g * g * g);
        y[i] = g / (1.0f + expf(-2.0f * u)) * up[i];
    }
}

static void softcap_ref(float *x, size_t n, float cap)
{
    for (size_t i = 0; i < n; i++)
        x[i] = cap * tanhf(x[i] / cap);
}

static void add_ref(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void rescale_ref(float *y, size_t ldy, const int32_t *x, size_t ldx,
                        size_t n, size_t rows, const float *scale,
                        const float *row_scale, const int32_t *minus, int add)
{
    for (size_t c = 0; c < n; c++)
        for (size_t i = 0; i < rows; i++) {
            float v = (float)(x[c * ldx + i] - minus[i]) * row_scale[i];
            y[c * ldy + i] = (add ? y[c * ldy + i] : 0.0f) + v * scale[c];
        }
}

void clsa_elementwise_ref(struct clsa_simd *table)
{
    table->rms_norm = rms_norm_ref;
    table->rope = rope_ref;
    table->silu_mul = silu_mul_ref;
    table->gelu_mul = gelu_mul_ref;
    table->softcap = softcap_ref;
    table->add = add_ref;
    table->rescale = rescale_ref;
}
