/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefill_attn.c: online softmax of a tile of scores, AVX-512: the four
 * registers of a query stay.
 */
#include <math.h>
#include <string.h>

#include "simd/avx512/avx512.h"

#define TILE_VECTORS (CLSA_TILE_KEYS / LANES)

/* Keys begin..end-1 as bits. */
INLINE uint64_t seen_keys(size_t begin, size_t end)
{
    return (UINT64_MAX >> (CLSA_TILE_KEYS - end)) & (UINT64_MAX << begin);
}

INLINE void online_query(float *p, uint64_t seen, float *max, float *sum,
                         float *scale)
{
    __m512 v[TILE_VECTORS], most = _mm512_set1_ps(*max),
                            all = _mm512_setzero_ps();
    __mmask16 m[TILE_VECTORS];
    UNROLL
    for (int t = 0; t < TILE_VECTORS; t++) {
        m[t] = (__mmask16)(seen >> (t * LANES));
        v[t] = _mm512_loadu_ps(p + t * LANES);
        most = _mm512_mask_max_ps(most, m[t], most, v[t]);
    }
    const float new_max = _mm512_reduce_max_ps(most);
    most = _mm512_set1_ps(new_max);
    UNROLL
    for (int t = 0; t < TILE_VECTORS; t++) {
        v[t] = _mm512_maskz_mov_ps(m[t], avx512_exp(_mm512_sub_ps(v[t], most)));
        _mm512_storeu_ps(p + t * LANES, v[t]);
        all = _mm512_add_ps(all, v[t]);
    }
    /* -INFINITY: avx512_exp gives 0 */
    *scale =
        _mm512_cvtss_f32(avx512_exp(_mm512_sub_ps(_mm512_set1_ps(*max), most)));
    *sum = *sum * *scale + _mm512_reduce_add_ps(all);
    *max = new_max;
}

static void softmax_online_avx512(float *p, size_t n, const uint8_t *begin,
                                  const uint8_t *end, float *max, float *sum,
                                  float *scale)
{
    for (size_t i = 0; i < n; i++, p += CLSA_TILE_KEYS) {
        if (begin[i] < end[i]) {
            online_query(p, seen_keys(begin[i], end[i]), max + i, sum + i,
                         scale + i);
            continue;
        }
        scale[i] = 1;
        memset(p, 0, CLSA_TILE_KEYS * sizeof *p);
    }
}

static void scale_add_avx512(float *y, const float *x, const float *scale,
                             size_t n, size_t len)
{
    for (size_t i = 0; i < n; i++, y += len, x += len)
        for (size_t j = 0; j < len; j += LANES) {
            const __mmask16 m = avx512_first_lanes(len - j);
            _mm512_mask_storeu_ps(
                y + j, m,
                _mm512_fmadd_ps(_mm512_set1_ps(scale[i]),
                                _mm512_maskz_loadu_ps(m, y + j),
                                _mm512_maskz_loadu_ps(m, x + j)));
        }
}

void clsa_prefill_attn_avx512(struct clsa_simd *table)
{
    table->softmax_online = softmax_online_avx512;
    table->scale_add = scale_add_avx512;
}
