/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of int8 index keys at level neon_dotprod. The query is split on the way
 * into signed bytes, q = 256 * high + low, low its low byte as -128..127; then
 * one sdot each, eight keys at a time. high is a byte for q <= 32639 only:
 * larger values, which a limit near 2^15 allows, take the kernel of level
 * neon. The sums are exact modulo 2^32, and the total fits.
 */
#include "simd/neon/neon.h"

#define KEYS 8

/* Adds values j .. j+15 of all keys. */
INLINE void scan_step(int32x4_t high[KEYS], int32x4_t low[KEYS],
                      const int8_t *const key[KEYS], const int16_t *q, size_t j)
{
    int16x8_t a = vld1q_s16(q + j), b = vld1q_s16(q + j + 8);
    /* the rounding of the shift carries what a negative low byte takes off */
    int8x16_t xh = vcombine_s8(vrshrn_n_s16(a, 8), vrshrn_n_s16(b, 8));
    int8x16_t xl = vcombine_s8(vmovn_s16(a), vmovn_s16(b));
    UNROLL
    for (int t = 0; t < KEYS; t++) {
        int8x16_t k = vld1q_s8(key[t] + j);
        high[t] = vdotq_s32(high[t], k, xh);
        low[t] = vdotq_s32(low[t], k, xl);
    }
}

/* Adds the last n = len - j < 16 values, from copies padded with zeros. */
INLINE void scan_tail(int32x4_t high[KEYS], int32x4_t low[KEYS],
                      const int8_t *const key[KEYS], const int16_t *q, size_t j,
                      size_t n)
{
    int8_t last[KEYS][16] = {{0}};
    int16_t x[16] = {0};
    const int8_t *at[KEYS];
    memcpy(x, q + j, n * sizeof *q);
    for (int t = 0; t < KEYS; t++) {
        memcpy(last[t], key[t] + j, n);
        at[t] = last[t];
    }
    scan_step(high, low, at, x, 0);
}

/* sum[0]: keys 0..3, sum[1]: keys 4..7. */
static void scan_keys(int32x4_t sum[2], const int8_t *const key[KEYS],
                      const int16_t *q, size_t len)
{
    int32x4_t high[KEYS], low[KEYS];
    size_t j = 0;
    UNROLL
    for (int t = 0; t < KEYS; t++)
        high[t] = low[t] = vdupq_n_s32(0);
    for (; j + 16 <= len; j += 16)
        scan_step(high, low, key, q, j);
    if (j < len)
        scan_tail(high, low, key, q, j, len - j);
    UNROLL
    for (int t = 0; t < KEYS; t++)
        low[t] = vaddq_s32(low[t], vshlq_n_s32(high[t], 8));
    sum[0] = neon_sums_s32(low);
    sum[1] = neon_sums_s32(low + 4);
}

static int fits(const int16_t *q, size_t len)
{
    int16x8_t most = vdupq_n_s16(0);
    size_t j = 0;
    for (; j + 8 <= len; j += 8)
        most = vmaxq_s16(most, vld1q_s16(q + j));
    int max = vmaxvq_s16(most);
    for (; j < len; j++)
        max = q[j] > max ? q[j] : max;
    return max <= 127 * 256 + 127;
}

static void scan_i8_neon_dotprod(float *score, const int8_t *key,
                                 const float *scales, size_t n, size_t len,
                                 const struct clsa_index_query *query)
{
    if (!fits(query->q, len)) {
        clsa_kernel_scan_i8_neon(score, key, scales, n, len, query);
        return;
    }
    for (size_t s = 0; s < n; s += KEYS) {
        const int8_t *row[KEYS];
        size_t valid = n - s < KEYS ? n - s : KEYS;
        for (size_t t = 0; t < KEYS; t++)
            row[t] = key + (s + (t < valid ? t : valid - 1)) * len;
        int32x4_t sum[2];
        scan_keys(sum, row, query->q, len);
        for (size_t h = 0; h < 2 && 4 * h < valid; h++) {
            size_t part = valid - 4 * h < 4 ? valid - 4 * h : 4;
            float32x4_t d = neon_load_part(scales + s + 4 * h, part);
            d = vmulq_n_f32(d, query->scale);
            d = vmulq_f32(d, vcvtq_f32_s32(sum[h]));
            neon_store_part(score + s + 4 * h, d, part);
        }
    }
}

void clsa_index_neon_dotprod(struct clsa_simd *table)
{
    table->scan_i8 = scan_i8_neon_dotprod;
}
