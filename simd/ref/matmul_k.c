/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_k.c: scalar products of Q4_K and Q6_K weight rows and activation
 * columns. A block of weights meets eight blocks of activations; each pair has
 * one exact integer sum, which is added in float in ascending order.
 */
#include "simd/ref/ref.h"
#include "simd/scalar.h"

#define PARTS (CLSA_K_BLOCK / CLSA_BLOCK)

/* Adds a block to the sum of column c; `b` is the first activation block. */
static float add_q4_k(float sum, const uint8_t *w, const struct clsa_act *a,
                      size_t b, size_t c)
{
    const float d = clsa_f16_to_f32(clsa_read_u16(w));
    const float dmin = clsa_f16_to_f32(clsa_read_u16(w + 2));
    const int8_t *x = a->q + c * a->ldq + b * CLSA_BLOCK;
    uint8_t scale[PARTS], min[PARTS];
    clsa_q4_k_scales(scale, min, w + 4);
    for (size_t p = 0; p < PARTS; p++, x += CLSA_BLOCK) {
        const uint8_t *q = w + 16 + p / 2 * CLSA_BLOCK;
        const size_t at = (b + p) * a->ldd + c;
        int32_t dot = 0;
        for (size_t j = 0; j < CLSA_BLOCK; j++)
            dot += (p % 2 ? q[j] >> 4 : q[j] & 15) * x[j];
        sum += d * a->d[at] * (float)(scale[p] * dot);
        sum -= dmin * a->d[at] * (float)(min[p] * a->sum[at]);
    }
    return sum;
}

static float add_q6_k(float sum, const uint8_t *w, const struct clsa_act *a,
                      size_t b, size_t c)
{
    const float d = clsa_f16_to_f32(clsa_read_u16(w + 208));
    const int8_t *scale = (const int8_t *)w + 192;
    const int8_t *x = a->q + c * a->ldq + b * CLSA_BLOCK;
    for (unsigned p = 0; p < PARTS; p++) {
        int32_t dot = 0;
        for (unsigned i = p * CLSA_BLOCK; i < (p + 1) * CLSA_BLOCK; i++)
            dot += scale[i / 16] * ((int)clsa_q6_k_value(w, i) - 32) * x[i];
        sum += d * a->d[(b + p) * a->ldd + c] * (float)dot;
    }
    return sum;
}

#define MATMUL_K(format, size)                                                 \
    static void matmul_##format##_ref(float *y, size_t ldy, const void *w,     \
                                      size_t rows, const struct clsa_act *a)   \
    {                                                                          \
        const size_t blocks = a->len / CLSA_K_BLOCK;                           \
        const uint8_t *row = w;                                                \
        for (size_t i = 0; i < rows; i++, row += blocks * (size))              \
            for (size_t c = 0; c < a->n; c++) {                                \
                float sum = 0;                                                 \
                for (size_t b = 0; b < blocks; b++)                            \
                    sum =                                                      \
                        add_##format(sum, row + b * (size), a, b * PARTS, c);  \
                y[c * ldy + i] = sum;                                          \
            }                                                                  \
    }

MATMUL_K(q4_k, CLSA_Q4_K_BYTES)
MATMUL_K(q6_k, CLSA_Q6_K_BYTES)

void clsa_matmul_k_ref(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_K] = matmul_q4_k_ref;
    table->matmul[CLSA_Q6_K] = matmul_q6_k_ref;
}
