/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: index keys: quantization, scan and filter of scores, NEON. Keys go
 * four at a time, as rows of a matmul with one column; keys that are not there
 * repeat the last one.
 */
#include "simd/neon/quantize.h"
#include "simd/neon/matmul_float_tile.h"

static void quantize_row_neon(int8_t *q, float *scale, const float *x,
                              size_t len, float limit)
{
    size_t whole = len & ~(size_t)15, rest = len - whole;
    float last[16] = {0};
    memcpy(last, x + whole, rest * sizeof *x);
    float32x4_t max = neon_largest16(vdupq_n_f32(0), last);
    for (size_t j = 0; j < whole; j += 16)
        max = neon_largest16(max, x + j);
    struct neon_quantum unit = neon_quantum(vmaxnmvq_f32(max), limit);
    *scale = unit.scale;
    for (size_t j = 0; j < whole; j += 16)
        vst1q_s8(q + j, neon_quantize16(x + j, unit.inverse, limit));
    int8_t bytes[16];
    vst1q_s8(bytes, neon_quantize16(last, unit.inverse, limit));
    memcpy(q + whole, bytes, rest);
}

INLINE void scan_float(float *score, const void *key, size_t n, const float *x,
                       size_t len, const enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, len);
    for (size_t s = 0; s < n; s += NEON_ROWS) {
        const uint8_t *row[NEON_ROWS];
        size_t valid = n - s < NEON_ROWS ? n - s : NEON_ROWS;
        for (size_t t = 0; t < NEON_ROWS; t++)
            row[t] = (const uint8_t *)key +
                     (s + (t < valid ? t : valid - 1)) * bytes;
        float32x4_t total[4];
        neon_float_tile(total, row, x, 0, len, 1, format);
        neon_store_part(score + s, total[0], valid);
    }
}

static void scan_f32_neon(float *score, const float *key, size_t n, size_t len,
                          const struct clsa_index_query *query)
{
    scan_float(score, key, n, query->x, len, CLSA_F32);
}

static void scan_bf16_neon(float *score, const uint16_t *key, size_t n,
                           size_t len, const struct clsa_index_query *query)
{
    scan_float(score, key, n, query->x, len, CLSA_BF16);
}

/* Adds values j .. j+7 of four keys; two sums each for shorter chains. */
INLINE void scan_i8_step(int32x4_t sum[4][2], const int8_t *const key[4],
                         const int16_t *q, size_t j)
{
    int16x8_t x = vld1q_s16(q + j);
    UNROLL
    for (int t = 0; t < 4; t++) {
        int16x8_t k = vmovl_s8(vld1_s8(key[t] + j));
        sum[t][0] = vmlal_s16(sum[t][0], vget_low_s16(k), vget_low_s16(x));
        sum[t][1] = vmlal_high_s16(sum[t][1], k, x);
    }
}

/* Sums over lanes cannot overflow: |q| * 127 * len < 2^31. */
static int32x4_t scan_i8_keys(const int8_t *const key[4], const int16_t *q,
                              size_t len)
{
    int32x4_t sum[4][2], total[4];
    size_t j = 0;
    UNROLL
    for (int t = 0; t < 4; t++)
        sum[t][0] = sum[t][1] = vdupq_n_s32(0);
    for (; j + 8 <= len; j += 8)
        scan_i8_step(sum, key, q, j);
    if (j < len) {
        int8_t last[4][8] = {{0}};
        int16_t x[8] = {0};
        const int8_t *const at[4] = {last[0], last[1], last[2], last[3]};
        memcpy(x, q + j, (len - j) * sizeof *q);
        for (int t = 0; t < 4; t++)
            memcpy(last[t], key[t] + j, len - j);
        scan_i8_step(sum, at, x, 0);
    }
    UNROLL
    for (int t = 0; t < 4; t++)
        total[t] = vaddq_s32(sum[t][0], sum[t][1]);
    return neon_sums_s32(total);
}

void clsa_kernel_scan_i8_neon(float *score, const int8_t *key,
                              const float *scales, size_t n, size_t len,
                              const struct clsa_index_query *query)
{
    for (size_t s = 0; s < n; s += NEON_ROWS) {
        const int8_t *row[NEON_ROWS];
        size_t valid = n - s < NEON_ROWS ? n - s : NEON_ROWS;
        for (size_t t = 0; t < NEON_ROWS; t++)
            row[t] = key + (s + (t < valid ? t : valid - 1)) * len;
        float32x4_t d = neon_load_part(scales + s, valid);
        int32x4_t sum = scan_i8_keys(row, query->q, len);
        d = vmulq_f32(vmulq_n_f32(d, query->scale), vcvtq_f32_s32(sum));
        neon_store_part(score + s, d, valid);
    }
}

/* Few scores of a scan pass; 16 that all fail cost one test. */
static size_t filter_neon(uint64_t *out, const float *score, size_t n,
                          uint32_t first, float threshold)
{
    const float32x4_t least = vdupq_n_f32(threshold);
    size_t m = 0, s = 0;
    while (s < n) {
        size_t end = n;
        if (n - s >= 16) {
            const float *v = score + s;
            uint32x4_t a = vorrq_u32(vcgeq_f32(vld1q_f32(v), least),
                                     vcgeq_f32(vld1q_f32(v + 4), least));
            uint32x4_t b = vorrq_u32(vcgeq_f32(vld1q_f32(v + 8), least),
                                     vcgeq_f32(vld1q_f32(v + 12), least));
            end = s + 16;
            if (!vmaxvq_u32(vorrq_u32(a, b))) {
                s = end;
                continue;
            }
        }
        for (; s < end; s++)
            if (score[s] >= threshold)
                out[m++] = clsa_rank(score[s], first + (uint32_t)s);
    }
    return m;
}

void clsa_index_neon(struct clsa_simd *table)
{
    table->quantize_row = quantize_row_neon;
    table->scan_f32 = scan_f32_neon;
    table->scan_bf16 = scan_bf16_neon;
    table->scan_i8 = clsa_kernel_scan_i8_neon;
    table->filter = filter_neon;
}
