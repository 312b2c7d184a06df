/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefill_attn.c: online softmax of a tile of scores, eight keys at a time,
 * AVX2.
 */
#include <math.h>
#include <string.h>

#include "simd/avx2/avx2.h"

/* All ones in the lanes of keys j..j+7 that lie in begin..end-1. */
INLINE __m256 seen_keys(int j, int begin, int end)
{
    const __m256i key = _mm256_add_epi32(
        _mm256_set1_epi32(j), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_castsi256_ps(
        _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(begin), key),
                            _mm256_cmpgt_epi32(_mm256_set1_epi32(end), key)));
}

static void online_query(float *p, int begin, int end, float *max, float *sum,
                         float *scale)
{
    __m256 most = _mm256_set1_ps(*max), all = _mm256_setzero_ps();
    for (int j = 0; j < CLSA_TILE_KEYS; j += 8)
        most =
            _mm256_max_ps(most, _mm256_blendv_ps(most, _mm256_loadu_ps(p + j),
                                                 seen_keys(j, begin, end)));
    const float new_max = avx2_max(most);
    most = _mm256_set1_ps(new_max);
    for (int j = 0; j < CLSA_TILE_KEYS; j += 8) {
        const __m256 v =
            _mm256_and_ps(avx2_exp(_mm256_sub_ps(_mm256_loadu_ps(p + j), most)),
                          seen_keys(j, begin, end));
        _mm256_storeu_ps(p + j, v);
        all = _mm256_add_ps(all, v);
    }
    *scale = *max == -INFINITY
                 ? 0.0f
                 : _mm256_cvtss_f32(
                       avx2_exp(_mm256_sub_ps(_mm256_set1_ps(*max), most)));
    *sum = *sum * *scale + avx2_sum(all);
    *max = new_max;
}

static void softmax_online_avx2(float *p, size_t n, const uint8_t *begin,
                                const uint8_t *end, float *max, float *sum,
                                float *scale)
{
    for (size_t i = 0; i < n; i++, p += CLSA_TILE_KEYS) {
        if (begin[i] < end[i]) {
            online_query(p, begin[i], end[i], max + i, sum + i, scale + i);
            continue;
        }
        scale[i] = 1;
        memset(p, 0, CLSA_TILE_KEYS * sizeof *p);
    }
}

static void scale_add_avx2(float *y, const float *x, const float *scale,
                           size_t n, size_t len)
{
    for (size_t i = 0; i < n; i++, y += len, x += len)
        for (size_t j = 0; j < len; j += 8)
            _mm256_storeu_ps(y + j, _mm256_fmadd_ps(_mm256_set1_ps(scale[i]),
                                                    _mm256_loadu_ps(y + j),
                                                    _mm256_loadu_ps(x + j)));
}

void clsa_prefill_attn_avx2(struct clsa_simd *table)
{
    table->softmax_online = softmax_online_avx2;
    table->scale_add = scale_add_avx2;
}
