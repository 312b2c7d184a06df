/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_i8.h: the scan of int8 keys, included by index.c and index_vnni.c, which
 * say how sixteen keys are multiplied.
 */
#ifndef CLSA_AVX512_SCAN_I8_H
#define CLSA_AVX512_SCAN_I8_H

#include "simd/avx512/avx512.h"

/* Said by the including file: the sums of sixteen keys, of which `left` are
   there. */
INLINE __m512 group_i8(const uint8_t *key, size_t len, size_t left,
                       const int16_t *x);

INLINE void scan_i8(float *score, const int8_t *keys, const float *scales,
                    size_t n, size_t len, const struct clsa_index_query *query)
{
    const __m512 scale = _mm512_set1_ps(query->scale);
    const uint8_t *key = (const uint8_t *)keys;
    size_t s = 0;
    for (; s + LANES <= n; s += LANES)
        _mm512_storeu_ps(
            score + s,
            _mm512_mul_ps(_mm512_mul_ps(scale, _mm512_loadu_ps(scales + s)),
                          group_i8(key + s * len, len, LANES, query->q)));
    if (s < n) {
        const __mmask16 valid = first_lanes(n - s);
        const __m512 d = _mm512_maskz_loadu_ps(valid, scales + s);
        _mm512_mask_storeu_ps(
            score + s, valid,
            _mm512_mul_ps(_mm512_mul_ps(scale, d),
                          group_i8(key + s * len, len, n - s, query->q)));
    }
}

#endif /* CLSA_AVX512_SCAN_I8_H */
