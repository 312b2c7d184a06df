/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ref.h: what the scalar kernels share, and the families that they come in.
 * They are the specification of the table in simd.h: plain loops, sums in
 * ascending order. Private to simd/ref.
 */
#ifndef CLSA_REF_H
#define CLSA_REF_H

#include <math.h>

#include "simd/scalar.h"
#include "simd/simd.h"

/* Value i of a cache row. */
static inline float ref_value(const void *row, size_t i,
                              enum clsa_format format)
{
    switch (format) {
    case CLSA_F32:
        return ((const float *)row)[i];
    case CLSA_F16:
        return clsa_f16_to_f32(((const uint16_t *)row)[i]);
    case CLSA_BF16:
        return clsa_bf16_to_f32(((const uint16_t *)row)[i]);
    default: {
        const uint8_t *block =
            (const uint8_t *)row + i / CLSA_BLOCK * CLSA_Q8_0_BYTES;
        return clsa_f16_to_f32(clsa_read_u16(block)) *
               (float)(int8_t)block[2 + i % CLSA_BLOCK];
    }
    }
}

/* Row i of a list, at k or v. */
static inline const void *ref_row(const void *base,
                                  const struct clsa_rows *rows, size_t i)
{
    size_t at = rows->order ? rows->order[i] : i;
    return (const char *)base + at * rows->stride;
}

static inline float ref_largest(const float *x, size_t n)
{
    float max = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxf(max, fabsf(x[i]));
    return max;
}

/* Quantizes n values whose largest magnitude is `max`; returns their sum. */
static inline int32_t ref_quantize(int8_t *q, const float *x, size_t n,
                                   float max, float limit)
{
    float inverse = clsa_quant_inverse(max, limit);
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        float v = fminf(fmaxf(rintf(x[i] * inverse), -limit), limit);
        q[i] = (int8_t)v;
        sum += q[i];
    }
    return sum;
}

void clsa_matmul_float_ref(struct clsa_simd *table);
void clsa_matmul_q8_0_ref(struct clsa_simd *table);
void clsa_matmul_q4_0_ref(struct clsa_simd *table);
void clsa_matmul_parts_ref(struct clsa_simd *table);
void clsa_rows_ref(struct clsa_simd *table);
void clsa_store_blocks_ref(struct clsa_simd *table);
void clsa_store_k_ref(struct clsa_simd *table);
void clsa_elementwise_ref(struct clsa_simd *table);
void clsa_index_ref(struct clsa_simd *table);
void clsa_index_heads_ref(struct clsa_simd *table);
void clsa_tiles_ref(struct clsa_simd *table);
void clsa_topk_ref(struct clsa_simd *table);
void clsa_gather_ref(struct clsa_simd *table);
void clsa_sampling_ref(struct clsa_simd *table);
void clsa_attend_ref(struct clsa_simd *table);
void clsa_score_ref(struct clsa_simd *table);
void clsa_combine_ref(struct clsa_simd *table);
void clsa_prefill_attn_ref(struct clsa_simd *table);

#endif /* CLSA_REF_H */
