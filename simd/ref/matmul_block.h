/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_block.h: products of weight rows in blocks of 32 with one scale and
 * activation columns, scalar: the exact sum of each block, then one sum of
 * blocks in float, ascending.
 */
#ifndef CLSA_REF_MATMUL_BLOCK_H
#define CLSA_REF_MATMUL_BLOCK_H

#include "simd/scalar.h"
#include "simd/simd.h"

/* Blocks of `bytes` bytes, the scale in f16 first; dot: the integer sum of one
   block and 32 activations. */
static inline void
ref_multiply_blocks(float *y, size_t ldy, const void *w, size_t rows,
                    const struct clsa_act *a, size_t bytes,
                    int32_t (*dot)(const uint8_t *block, const int8_t *x))
{
    const size_t blocks = a->len / CLSA_BLOCK;
    for (size_t i = 0; i < rows; i++) {
        const uint8_t *row = (const uint8_t *)w + i * blocks * bytes;
        for (size_t c = 0; c < a->n; c++) {
            const int8_t *q = a->q + c * a->ldq;
            float sum = 0;
            for (size_t b = 0; b < blocks; b++) {
                const uint8_t *block = row + b * bytes;
                float d = clsa_f16_to_f32(clsa_read_u16(block));
                sum += d * a->d[b * a->ldd + c] *
                       (float)dot(block, q + b * CLSA_BLOCK);
            }
            y[c * ldy + i] = sum;
        }
    }
}

#endif /* CLSA_REF_MATMUL_BLOCK_H */
