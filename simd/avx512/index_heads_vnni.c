/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of int8 keys by several heads with vpdpbusd. Sixteen keys are turned
 * once, so that a lane belongs to a key: four values of each in a vector, which
 * are multiplied by the same four of a head. Nothing is added across lanes, and
 * a key is read once for all heads.
 *
 * vpdpbusd multiplies u8 by s8: keys get 128 more, and the sums of a head begin
 * at -128 * sum q.
 */
#include <string.h>

#include "simd/avx512/transpose.h"

#define STEP  64 /* values of a key in one turn */
#define QUADS (STEP / 4)
#define GROUP 8 /* heads at a time */

/* Values of sixteen keys, of which `left` are there, with an offset of 128. */
INLINE void load_keys(__m512i k[QUADS], const uint8_t *key, size_t len,
                      size_t left, __mmask64 m)
{
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    UNROLL
    for (size_t i = 0; i < LANES; i++) {
        k[i] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(m, key), offset);
        prefetch_l1(key + AVX512_LINES_AHEAD);
        key = avx512_next_key(key, i, len, left, false);
    }
    avx512_turn(k);
}

INLINE __m512i quad_of(const int8_t *q)
{
    int32_t quad;
    memcpy(&quad, q, sizeof quad);
    return _mm512_set1_epi32(quad);
}

/* Adds the products of `heads` heads from q on with the same values. */
INLINE void multiply(__m512i sum[GROUP], const __m512i k[QUADS],
                     const int8_t *q, size_t ldq, size_t heads)
{
    UNROLL
    for (size_t j = 0; j < QUADS; j++) {
        UNROLL
        for (size_t h = 0; h < heads; h++)
            sum[h] =
                _mm512_dpbusd_epi32(sum[h], k[j], quad_of(q + h * ldq + 4 * j));
    }
}

/* sum += weight * max(0, product) of heads h .. h + heads - 1. */
INLINE __m512 add_heads(__m512 total, const uint8_t *key, size_t len,
                        size_t left, const struct clsa_index_heads *x, size_t h,
                        size_t heads)
{
    __m512i sum[GROUP], k[QUADS];
    const int8_t *q = x->q + h * x->ldq;
    UNROLL
    for (size_t i = 0; i < heads; i++)
        sum[i] = _mm512_set1_epi32(-128 * x->sum[h + i]);
    for (size_t j = 0; j < len; j += STEP) {
        const __mmask64 m =
            len - j < STEP ? ((__mmask64)1 << (len - j)) - 1 : ~(__mmask64)0;
        load_keys(k, key + j, len, left, m);
        multiply(sum, k, q + j, x->ldq, heads);
    }
    UNROLL
    for (size_t i = 0; i < heads; i++) {
        const __m512i p = _mm512_max_epi32(sum[i], _mm512_setzero_si512());
        const __m512 w = _mm512_set1_ps(x->weight[h + i]);
        total = _mm512_add_ps(total, _mm512_mul_ps(w, _mm512_cvtepi32_ps(p)));
    }
    return total;
}

static void scan_heads_avx512vnni(float *score, const int8_t *keys,
                                  const float *scales, size_t n, size_t len,
                                  const struct clsa_index_heads *x)
{
    const uint8_t *key = (const uint8_t *)keys;
    for (size_t s = 0; s < n; s += LANES, key += LANES * len) {
        const size_t left = avx512_min_size(n - s, LANES);
        const __mmask16 valid = avx512_first_lanes(left);
        __m512 sum = _mm512_setzero_ps();
        size_t h = 0;
        for (; h + GROUP <= x->heads; h += GROUP)
            sum = add_heads(sum, key, len, left, x, h, GROUP);
        for (; h < x->heads; h++)
            sum = add_heads(sum, key, len, left, x, h, 1);
        const __m512 d = _mm512_maskz_loadu_ps(valid, scales + s);
        _mm512_mask_storeu_ps(score + s, valid, _mm512_mul_ps(sum, d));
    }
}

void clsa_index_heads_avx512vnni(struct clsa_simd *table)
{
    table->scan_heads = scan_heads_avx512vnni;
}
