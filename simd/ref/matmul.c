/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar products of weight rows and activation columns. */
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

/* Float weights: one sum in float, ascending. */
#define MATMUL_FLOAT(format, size)                                             \
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

MATMUL_FLOAT(f32, 4)
MATMUL_FLOAT(f16, 2)
MATMUL_FLOAT(bf16, 2)

/* Integer sum of one block; x has 32 values. */
static int32_t dot_q8_0(const uint8_t *block, const int8_t *x)
{
    const int8_t *q = (const int8_t *)block + 2;
    int32_t sum = 0;
    for (int j = 0; j < CLSA_BLOCK; j++)
        sum += q[j] * x[j];
    return sum;
}

static int32_t dot_q4_0(const uint8_t *block, const int8_t *x)
{
    int32_t sum = 0;
    for (int j = 0; j < CLSA_BLOCK / 2; j++) {
        sum += ((block[2 + j] & 15) - 8) * x[j];
        sum += ((block[2 + j] >> 4) - 8) * x[j + CLSA_BLOCK / 2];
    }
    return sum;
}

/* Block weights: exact sum of each block, then one sum of blocks in float. */
#define MATMUL_BLOCK(format, size)                                             \
    static void matmul_##format##_ref(float *y, size_t ldy, const void *w,     \
                                      size_t rows, const struct clsa_act *a)   \
    {                                                                          \
        const size_t blocks = a->len / CLSA_BLOCK;                             \
        for (size_t i = 0; i < rows; i++) {                                    \
            const uint8_t *row = (const uint8_t *)w + i * blocks * (size);     \
            for (size_t c = 0; c < a->n; c++) {                                \
                const int8_t *q = a->q + c * a->ldq;                           \
                float sum = 0;                                                 \
                for (size_t b = 0; b < blocks; b++) {                          \
                    const uint8_t *block = row + b * (size);                   \
                    float d = clsa_f16_to_f32(clsa_read_u16(block));           \
                    sum += d * a->d[b * a->ldd + c] *                          \
                           (float)dot_##format(block, q + b * CLSA_BLOCK);     \
                }                                                              \
                y[c * ldy + i] = sum;                                          \
            }                                                                  \
        }                                                                      \
    }

MATMUL_BLOCK(q8_0, CLSA_Q8_0_BYTES)
MATMUL_BLOCK(q4_0, CLSA_Q4_0_BYTES)

void clsa_matmul_ref(struct clsa_simd *table)
{
    table->matmul[CLSA_F32] = matmul_f32_ref;
    table->matmul[CLSA_F16] = matmul_f16_ref;
    table->matmul[CLSA_BF16] = matmul_bf16_ref;
    table->matmul[CLSA_Q8_0] = matmul_q8_0_ref;
    table->matmul[CLSA_Q4_0] = matmul_q4_0_ref;
}
