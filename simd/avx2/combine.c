/* SPDX-License-Identifier: Apache-2.0 */
/* combine.c: partial softmaxes of attention combined, AVX2. */
#include <math.h>

#include "simd/avx2/avx2.h"

static void attend_combine_avx2(float *y, const float *part, size_t n,
                                size_t ld, size_t e)
{
    float max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxf(max, part[i * ld + e]);
    for (size_t i = 0; i < n; i++) {
        const float *p = part + i * ld;
        const __m256 scale = avx2_exp(_mm256_set1_ps(p[e] - max));
        sum += _mm256_cvtss_f32(scale) * p[e + 1];
        for (size_t j = 0; j < e; j += 8) {
            const __m256 y8 = i ? _mm256_loadu_ps(y + j) : _mm256_setzero_ps();
            _mm256_storeu_ps(
                y + j, _mm256_fmadd_ps(scale, _mm256_loadu_ps(p + j), y8));
        }
    }
    const __m256 scale = _mm256_set1_ps(1.0f / sum);
    for (size_t j = 0; j < e; j += 8)
        _mm256_storeu_ps(y + j, _mm256_mul_ps(_mm256_loadu_ps(y + j), scale));
}

static void attend_accumulate_avx2(float *sum, size_t ld, const float *part,
                                   size_t n, size_t e)
{
    for (size_t h = 0; h < n; h++) {
        float *s = sum + h * ld;
        const float *p = part + h * (e + 2);
        const float max = fmaxf(s[e], p[e]);
        const __m256 old = avx2_exp(_mm256_set1_ps(s[e] - max));
        const __m256 new = avx2_exp(_mm256_set1_ps(p[e] - max));
        for (size_t j = 0; j < e; j += 8) {
            const __m256 y = _mm256_mul_ps(old, _mm256_loadu_ps(s + j));
            _mm256_storeu_ps(s + j,
                             _mm256_fmadd_ps(new, _mm256_loadu_ps(p + j), y));
        }
        s[e] = max;
        s[e + 1] =
            _mm256_cvtss_f32(old) * s[e + 1] + _mm256_cvtss_f32(new) * p[e + 1];
    }
}

void clsa_combine_avx2(struct clsa_simd *table)
{
    table->attend_combine = attend_combine_avx2;
    table->attend_accumulate = attend_accumulate_avx2;
}
