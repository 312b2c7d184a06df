/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q8_0.c: products of Q8_0 weight rows and activation columns, scalar:
 * the exact sum of each block, then one sum of blocks in float, ascending.
 */
#include "simd/ref/ref.h"
#include "simd/scalar.h"

/* Integer sum of one block; x has 32 values. */
static int32_t dot_block(const uint8_t *block, const int8_t *x)
{
    const int8_t *q = (const int8_t *)block + 2;
    int32_t sum = 0;
    for (int j = 0; j < CLSA_BLOCK; j++)
        sum += q[j] * x[j];
    return sum;
}

static void matmul_q8_0_ref(float *y, size_t ldy, const void *w, size_t rows,
                            const struct clsa_act *a)
{
    const size_t blocks = a->len / CLSA_BLOCK;
    for (size_t i = 0; i < rows; i++) {
        const uint8_t *row = (const uint8_t *)w + i * blocks * CLSA_Q8_0_BYTES;
        for (size_t c = 0; c < a->n; c++) {
            const int8_t *q = a->q + c * a->ldq;
            float sum = 0;
            for (size_t b = 0; b < blocks; b++) {
                const uint8_t *block = row + b * CLSA_Q8_0_BYTES;
                float d = clsa_f16_to_f32(clsa_read_u16(block));
                sum += d * a->d[b * a->ldd + c] *
                       (float)dot_block(block, q + b * CLSA_BLOCK);
            }
            y[c * ldy + i] = sum;
        }
    }
}

void clsa_matmul_q8_0_ref(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = matmul_q8_0_ref;
}
