/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of int8 keys by several heads, NEON: sixteen products at a time, of
 * which two of 127 * 127 fit in 16 bits.
 */
#include <string.h>

#include "simd/neon/neon.h"

INLINE int32x4_t add_products(int32x4_t sum, int8x16_t a, int8x16_t b)
{
    const int16x8_t p = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    return vpadalq_s16(sum, vmlal_s8(p, vget_high_s8(a), vget_high_s8(b)));
}

/* q is 0 from len on. */
INLINE int32_t dot(const int8_t *q, const int8_t *key, size_t len)
{
    int32x4_t sum = vdupq_n_s32(0);
    size_t j = 0;
    for (; j + 16 <= len; j += 16)
        sum = add_products(sum, vld1q_s8(q + j), vld1q_s8(key + j));
    if (j < len) {
        int8_t last[16] = {0};
        memcpy(last, key + j, len - j);
        sum = add_products(sum, vld1q_s8(q + j), vld1q_s8(last));
    }
    return vaddvq_s32(sum);
}

static void scan_heads_neon(float *score, const int8_t *key,
                            const float *scales, size_t n, size_t len,
                            const struct clsa_index_heads *query)
{
    for (size_t s = 0; s < n; s++, key += len) {
        float sum = 0;
        for (size_t h = 0; h < query->heads; h++) {
            const int32_t p = dot(query->q + h * query->ldq, key, len);
            sum += query->weight[h] * (float)(p > 0 ? p : 0);
        }
        score[s] = sum * scales[s];
    }
}

void clsa_index_heads_neon(struct clsa_simd *table)
{
    table->scan_heads = scan_heads_neon;
}
