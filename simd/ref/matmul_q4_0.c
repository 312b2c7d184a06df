/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q4_0.c: products of Q4_0 weight rows and activation columns, scalar.
 */
#include "simd/ref/matmul_block.h"
#include "simd/ref/ref.h"

/* Integer sum of one block; x has 32 values. */
static int32_t dot_block(const uint8_t *block, const int8_t *x)
{
    int32_t sum = 0;
    for (int j = 0; j < CLSA_BLOCK / 2; j++) {
        sum += ((block[2 + j] & 15) - 8) * x[j];
        sum += ((block[2 + j] >> 4) - 8) * x[j + CLSA_BLOCK / 2];
    }
    return sum;
}

static void matmul_q4_0_ref(float *y, size_t ldy, const void *w, size_t rows,
                            const struct clsa_act *a)
{
    ref_multiply_blocks(y, ldy, w, rows, a, CLSA_Q4_0_BYTES, dot_block);
}

void clsa_matmul_q4_0_ref(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_0] = matmul_q4_0_ref;
}
