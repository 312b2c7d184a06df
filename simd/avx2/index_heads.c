/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of int8 keys by several heads, AVX2. Eight keys are turned once, so that
 * a lane belongs to a key: four values of each in a vector, which are
 * multiplied by the same four of a head. vpmaddubsw multiplies u8 by s8: |key|
 * by q with the sign of the key. Two products of 127 * 127 fit in 16 bits.
 */
#include <string.h>

#include "simd/avx2/avx2.h"

#define KEYS  8
#define STEP  32 /* values of a key in one turn */
#define QUADS (STEP / 4)
#define GROUP 4 /* heads at a time */

/* Values of eight keys, of which `left` are there; `rest` of them, fewer than
   STEP at the end. */
INLINE void load_keys(__m256i k[KEYS], const int8_t *key, size_t len,
                      size_t left, size_t rest)
{
    int8_t last[STEP] = {0};
    UNROLL
    for (size_t i = 0; i < KEYS; i++) {
        const int8_t *row = key + (i < left ? i : left - 1) * len;
        const int8_t *from = row;
        if (rest < STEP) {
            memcpy(last, row, rest);
            from = last;
        }
        k[i] = _mm256_loadu_si256((const __m256i *)from);
    }
    avx2_transpose8(k);
}

INLINE __m256i quad_of(const int8_t *q)
{
    int32_t quad;
    memcpy(&quad, q, sizeof quad);
    return _mm256_set1_epi32(quad);
}

/* Adds the products of `heads` heads from q on with the same values. */
INLINE void multiply(__m256i sum[GROUP], const __m256i k[QUADS],
                     const int8_t *q, size_t ldq, size_t heads)
{
    const __m256i ones = _mm256_set1_epi16(1);
    UNROLL
    for (size_t j = 0; j < QUADS; j++) {
        const __m256i size = _mm256_abs_epi8(k[j]);
        UNROLL
        for (size_t h = 0; h < heads; h++) {
            const __m256i x =
                _mm256_sign_epi8(quad_of(q + h * ldq + 4 * j), k[j]);
            const __m256i p =
                _mm256_madd_epi16(_mm256_maddubs_epi16(size, x), ones);
            sum[h] = _mm256_add_epi32(sum[h], p);
        }
    }
}

/* sum += weight * max(0, product) of heads h .. h + heads - 1. */
INLINE __m256 add_heads(__m256 total, const int8_t *key, size_t len,
                        size_t left, const struct clsa_index_heads *x, size_t h,
                        size_t heads)
{
    __m256i sum[GROUP], k[KEYS];
    const int8_t *q = x->q + h * x->ldq;
    UNROLL
    for (size_t i = 0; i < heads; i++)
        sum[i] = _mm256_setzero_si256();
    for (size_t j = 0; j < len; j += STEP) {
        load_keys(k, key + j, len, left, len - j);
        multiply(sum, k, q + j, x->ldq, heads);
    }
    UNROLL
    for (size_t i = 0; i < heads; i++) {
        const __m256i p = _mm256_max_epi32(sum[i], _mm256_setzero_si256());
        const __m256 w = _mm256_set1_ps(x->weight[h + i]);
        total = _mm256_add_ps(total, _mm256_mul_ps(w, _mm256_cvtepi32_ps(p)));
    }
    return total;
}

static void scan_heads_avx2(float *score, const int8_t *key,
                            const float *scales, size_t n, size_t len,
                            const struct clsa_index_heads *x)
{
    for (size_t s = 0; s < n; s += KEYS, key += KEYS * len) {
        const size_t left = n - s < KEYS ? n - s : KEYS;
        __m256 sum = _mm256_setzero_ps();
        size_t h = 0;
        for (; h + GROUP <= x->heads; h += GROUP)
            sum = add_heads(sum, key, len, left, x, h, GROUP);
        for (; h < x->heads; h++)
            sum = add_heads(sum, key, len, left, x, h, 1);
        if (left == KEYS) {
            sum = _mm256_mul_ps(sum, _mm256_loadu_ps(scales + s));
            _mm256_storeu_ps(score + s, sum);
        } else {
            sum = _mm256_mul_ps(sum, avx2_load_tail(scales, s, left, CLSA_F32));
            _mm256_maskstore_ps(score + s, avx2_tail_mask(left), sum);
        }
    }
}

void clsa_index_heads_avx2(struct clsa_simd *table)
{
    table->scan_heads = scan_heads_avx2;
}
