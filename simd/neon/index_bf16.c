/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of bf16 index keys at level neon_bf16. bfdot takes pairs of products
 * without any conversion of the keys; the query is split into bf16 parts
 * (bf16_split.h) once for all keys. bfdot rounds its sums to odd, at most 2^-23
 * of them, so the sums of the parts are kept apart until the end.
 */
#include "simd/bf16_split.h"
#include "simd/neon/neon.h"

/* Adds eight values of four keys, from value j of the chunk on. */
INLINE void scan_step(float32x4_t sum[3][4], const uint16_t *const at[4],
                      const struct clsa_bf16_split *q, size_t j,
                      const int parts)
{
    UNROLL
    for (int p = 0; p < parts; p++) {
        bfloat16x8_t part = vreinterpretq_bf16_u16(vld1q_u16(q->part[p] + j));
        UNROLL
        for (int t = 0; t < 4; t++)
            sum[p][t] = vbfdotq_f32(
                sum[p][t], vreinterpretq_bf16_u16(vld1q_u16(at[t])), part);
    }
}

/* Four sums over n values of the query; the last n % 8 of the keys come from
   copies padded with zeros. */
INLINE float32x4_t scan_keys(const uint16_t *const key[4],
                             const struct clsa_bf16_split *q, size_t n,
                             const int parts)
{
    float32x4_t sum[3][4];
    const uint16_t *at[4] = {key[0], key[1], key[2], key[3]};
    size_t j = 0;
    UNROLL
    for (int p = 0; p < parts; p++)
        for (int t = 0; t < 4; t++)
            sum[p][t] = vdupq_n_f32(0);
    for (; j + 8 <= n; j += 8) {
        scan_step(sum, at, q, j, parts);
        for (int t = 0; t < 4; t++)
            at[t] += 8;
    }
    if (j < n) {
        uint16_t last[4][8] = {{0}};
        for (int t = 0; t < 4; t++) {
            memcpy(last[t], at[t], (n - j) * sizeof *at[t]);
            at[t] = last[t];
        }
        scan_step(sum, at, q, j, parts);
    }
    UNROLL
    for (int p = parts - 1; p > 0; p--)
        for (int t = 0; t < 4; t++)
            sum[p - 1][t] = vaddq_f32(sum[p - 1][t], sum[p][t]);
    return neon_sums(sum[0]);
}

/* Values from..from+count of all keys, added to the scores so far. */
INLINE void scan_chunk(float *score, const uint16_t *keys, size_t n, size_t len,
                       const struct clsa_bf16_split *q, size_t from,
                       size_t count, const int parts)
{
    for (size_t s = 0; s < n; s += NEON_ROWS) {
        const uint16_t *row[NEON_ROWS];
        size_t valid = n - s < NEON_ROWS ? n - s : NEON_ROWS;
        for (size_t t = 0; t < NEON_ROWS; t++)
            row[t] = keys + (s + (t < valid ? t : valid - 1)) * len + from;
        float32x4_t total = scan_keys(row, q, count, parts);
        if (from)
            total = vaddq_f32(neon_load_part(score + s, valid), total);
        neon_store_part(score + s, total, valid);
    }
}

static void scan_bf16_neon_bf16(float *score, const uint16_t *keys, size_t n,
                                size_t len,
                                const struct clsa_index_query *query)
{
    struct clsa_bf16_split q;
    for (size_t from = 0; from < len; from += CLSA_BF16_CHUNK) {
        const size_t left = len - from;
        const size_t count = left < CLSA_BF16_CHUNK ? left : CLSA_BF16_CHUNK;
        clsa_bf16_split(&q, query->x + from, count,
                        len < CLSA_BF16_FEW ? 3 : 2);
        if (len < CLSA_BF16_FEW)
            scan_chunk(score, keys, n, len, &q, from, count, 3);
        else
            scan_chunk(score, keys, n, len, &q, from, count, 2);
    }
}

void clsa_index_neon_bf16(struct clsa_simd *table)
{
    table->scan_bf16 = scan_bf16_neon_bf16;
}
