/* SPDX-License-Identifier: Apache-2.0 */
/* Scan of int8 keys by several heads, scalar. */
#include "simd/ref/ref.h"

static int32_t dot_i8(const int8_t *a, const int8_t *b, size_t len)
{
    int32_t sum = 0;
    for (size_t j = 0; j < len; j++)
        sum += a[j] * b[j];
    return sum;
}

static void scan_heads_ref(float *score, const int8_t *key, const float *scales,
                           size_t n, size_t len,
                           const struct clsa_index_heads *query)
{
    for (size_t s = 0; s < n; s++, key += len) {
        float sum = 0;
        for (size_t h = 0; h < query->heads; h++) {
            const int32_t p = dot_i8(query->q + h * query->ldq, key, len);
            sum += query->weight[h] * (float)(p > 0 ? p : 0);
        }
        score[s] = sum * scales[s];
    }
}

void clsa_index_heads_ref(struct clsa_simd *table)
{
    table->scan_heads = scan_heads_ref;
}
