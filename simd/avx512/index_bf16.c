/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of bf16 index keys at level avx512bf16. vdpbf16ps takes pairs of
 * products without any conversion of the keys; the query is split into two
 * bf16 parts (bf16_split.h), once for all keys. The products are exact and the
 * sums are rounded to nearest; what is below 2^-126 counts as zero, as the
 * contract allows. Sixteen keys at a time, as in index.c.
 *
 * Keys that would need three parts stay with the FMA of index.c: 1024 keys of
 * 64 values took 5.0 us so, and take 3.2 (Intel, family 6 model 167).
 */
#include "simd/avx512/avx512.h"
#include "simd/bf16_split.h"

#define QUERY_PARTS 2              /* bf16 parts of the query */
#define STEP        CLSA_BF16_STEP /* values of a key in one vector */

/* The type of the operands differs between compilers' headers. */
INLINE __m512bh as_bf16(__m512i v)
{
    __m512bh h;
    __builtin_memcpy(&h, &v, sizeof h);
    return h;
}

/* sum[i] += key[i] * the parts from value j of the chunk on; m: the values
   present. */
INLINE void step(__m512 sum[LANES], const uint8_t *key, size_t bytes,
                 size_t left, const struct clsa_bf16_split *q, size_t j,
                 __mmask32 m)
{
    __m512bh x[QUERY_PARTS];
    UNROLL
    for (int p = 0; p < QUERY_PARTS; p++)
        x[p] = as_bf16(_mm512_loadu_si512(q->part[p] + j));
    UNROLL
    for (size_t i = 0; i < LANES; i++) {
        const uint8_t *at = key + 2 * j;
        __m512bh k = as_bf16(~m ? _mm512_maskz_loadu_epi16(m, at)
                                : _mm512_loadu_si512(at));
        UNROLL
        for (int p = 0; p < QUERY_PARTS; p++)
            sum[i] = _mm512_dpbf16_ps(sum[i], k, x[p]);
        key = avx512_next_key(key, i, bytes, left, true);
    }
}

/* Sixteen sums over n values of the query. */
INLINE __m512 scan_keys(const uint8_t *key, size_t bytes, size_t left,
                        const struct clsa_bf16_split *q, size_t n)
{
    __m512 sum[LANES];
    size_t j = 0;
    UNROLL
    for (int i = 0; i < LANES; i++)
        sum[i] = _mm512_setzero_ps();
    for (; j + STEP <= n; j += STEP)
        step(sum, key, bytes, left, q, j, ~(__mmask32)0);
    if (j < n)
        step(sum, key, bytes, left, q, j, ((__mmask32)1 << (n - j)) - 1);
    return avx512_sum16_ps(sum);
}

/* Values from..from+count of all keys, added to the scores so far. */
static void scan_chunk(float *score, const uint16_t *keys, size_t n, size_t len,
                       const struct clsa_bf16_split *q, size_t from,
                       size_t count)
{
    for (size_t s = 0; s < n; s += LANES) {
        const uint8_t *key = (const uint8_t *)(keys + s * len + from);
        const __mmask16 valid = avx512_first_lanes(n - s);
        __m512 total =
            n - s >= LANES
                ? scan_keys(key, len * sizeof *keys, LANES, q, count)
                : scan_keys(key, len * sizeof *keys, n - s, q, count);
        if (from)
            total =
                _mm512_add_ps(_mm512_maskz_loadu_ps(valid, score + s), total);
        _mm512_mask_storeu_ps(score + s, valid, total);
    }
}

static void scan_bf16_avx512bf16(float *score, const uint16_t *keys, size_t n,
                                 size_t len,
                                 const struct clsa_index_query *query)
{
    struct clsa_bf16_split q;
    if (len < CLSA_BF16_FEW) {
        clsa_kernel_scan_bf16_avx512(score, keys, n, len, query);
        return;
    }
    for (size_t from = 0; from < len; from += CLSA_BF16_CHUNK) {
        const size_t count = avx512_min_size(len - from, CLSA_BF16_CHUNK);
        clsa_bf16_split(&q, query->x + from, count, QUERY_PARTS);
        scan_chunk(score, keys, n, len, &q, from, count);
    }
}

void clsa_index_avx512bf16(struct clsa_simd *table)
{
    table->scan_bf16 = scan_bf16_avx512bf16;
}
