/* SPDX-License-Identifier: Apache-2.0 */
/* index.c: index keys: quantization, scan and filter of scores, scalar. */
#include "simd/ref/ref.h"
#include "simd/scalar.h"

static void quantize_row_ref(int8_t *q, float *scale, const float *x,
                             size_t len, float limit)
{
    float max = ref_largest(x, len);
    *scale = clsa_quant_scale(max, limit);
    ref_quantize(q, x, len, max, limit);
}

static void scan_f32_ref(float *score, const float *key, size_t n, size_t len,
                         const struct clsa_index_query *query)
{
    for (size_t s = 0; s < n; s++, key += len) {
        float sum = 0;
        for (size_t j = 0; j < len; j++)
            sum += query->x[j] * key[j];
        score[s] = sum;
    }
}

static void scan_bf16_ref(float *score, const uint16_t *key, size_t n,
                          size_t len, const struct clsa_index_query *query)
{
    for (size_t s = 0; s < n; s++, key += len) {
        float sum = 0;
        for (size_t j = 0; j < len; j++)
            sum += query->x[j] * clsa_bf16_to_f32(key[j]);
        score[s] = sum;
    }
}

static void scan_i8_ref(float *score, const int8_t *key, const float *scales,
                        size_t n, size_t len,
                        const struct clsa_index_query *query)
{
    for (size_t s = 0; s < n; s++, key += len) {
        int32_t sum = 0;
        for (size_t j = 0; j < len; j++)
            sum += query->q[j] * key[j];
        score[s] = query->scale * scales[s] * (float)sum;
    }
}

static size_t filter_ref(uint64_t *out, const float *score, size_t n,
                         uint32_t first, float threshold)
{
    size_t m = 0;
    for (size_t s = 0; s < n; s++)
        if (score[s] >= threshold)
            out[m++] = clsa_rank(score[s], first + (uint32_t)s);
    return m;
}

void clsa_index_ref(struct clsa_simd *table)
{
    table->quantize_row = quantize_row_ref;
    table->scan_f32 = scan_f32_ref;
    table->scan_bf16 = scan_bf16_ref;
    table->scan_i8 = scan_i8_ref;
    table->filter = filter_ref;
}
