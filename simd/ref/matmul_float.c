/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_float.c: products of F32, F16 and BF16 weight rows and activation
 * columns, scalar: one sum in float, ascending.
 */
#include "simd/ref/ref.h"
#include "simd/scalar.h"

static float value_f32(const void *w, size_t i)
{
    return ((const float *)w)[i];
}

static float value_f16(const void *w, size_t i)
{
    return clsa_f16_to_f32(((const uint16_t *)w)[i]);
}

static float value_bf16(const void *w, size_t i)
{
    return clsa_bf16_to_f32(((const uint16_t *)w)[i]);
}

#define MATMUL(format, size)                                                   \
    static void matmul_##format##_ref(float *y, size_t ldy, const void *w,     \
                                      size_t rows, const struct clsa_act *a)   \
    {                                                                          \
        for (size_t i = 0; i < rows; i++) {                                    \
            const char *row = (const char *)w + i * a->len * (size);           \
            for (size_t c = 0; c < a->n; c++) {                                \
                const float *x = a->x + c * a->ldx;                            \
                float sum = 0;                                                 \
                for (size_t j = 0; j < a->len; j++)                            \
                    sum += value_##format(row, j) * x[j];                      \
                y[c * ldy + i] = sum;                                          \
            }                                                                  \
        }                                                                      \
    }

MATMUL(f32, 4)
MATMUL(f16, 2)
MATMUL(bf16, 2)

void clsa_matmul_float_ref(struct clsa_simd *table)
{
    table->matmul[CLSA_F32] = matmul_f32_ref;
    table->matmul[CLSA_F16] = matmul_f16_ref;
    table->matmul[CLSA_BF16] = matmul_bf16_ref;
}
