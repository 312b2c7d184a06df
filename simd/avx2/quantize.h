/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantize.h: floats to int8 with AVX2, for the activations and rows of rows.c
 * and the index keys of index.c.
 */
#ifndef CLSA_AVX2_QUANTIZE_H
#define CLSA_AVX2_QUANTIZE_H

#include "simd/avx2/avx2.h"

INLINE __m256 avx2_magnitude(__m256 v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

/* Largest magnitude of n values. */
static inline float avx2_largest(const float *x, size_t n)
{
    __m256 max = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        max = _mm256_max_ps(max, avx2_magnitude(_mm256_loadu_ps(x + i)));
    if (i < n)
        max = _mm256_max_ps(
            max, avx2_magnitude(avx2_load_tail(x, i, n - i, CLSA_F32)));
    return avx2_max(max);
}

/*
 * 32 values to int8. The limits are the second operand of min and max, which
 * is the one returned for a NaN: 0 times an infinite inverse becomes -limit,
 * as fmaxf makes it.
 */
INLINE __m256i avx2_quantize32(const float *x, __m256 inv, float limit)
{
    __m256i v[4];
    UNROLL
    for (int k = 0; k < 4; k++) {
        __m256 f = _mm256_mul_ps(_mm256_loadu_ps(x + 8 * k), inv);
        f = _mm256_max_ps(f, _mm256_set1_ps(-limit));
        f = _mm256_min_ps(f, _mm256_set1_ps(limit));
        v[k] = _mm256_cvtps_epi32(f);
    }
    /* packs work within halves: 0 2 4 6 | 1 3 5 7 groups of four values */
    const __m256i q = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]),
                                         _mm256_packs_epi32(v[2], v[3]));
    return _mm256_permutevar8x32_epi32(
        q, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

#endif /* CLSA_AVX2_QUANTIZE_H */
