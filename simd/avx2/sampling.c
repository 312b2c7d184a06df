/* SPDX-License-Identifier: Apache-2.0 */
/* sampling.c: argmax and softmax, AVX2. */
#include <math.h>

#include "simd/avx2/avx2.h"

static float max_of(const float *x, size_t n)
{
    __m256 m = _mm256_set1_ps(-INFINITY);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        m = _mm256_max_ps(m, _mm256_loadu_ps(x + i));
    float max = avx2_max(m);
    for (; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static size_t argmax_avx2(const float *x, size_t n)
{
    const float max = max_of(x, n);
    const __m256 m = _mm256_set1_ps(max);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256 equal =
            _mm256_cmp_ps(_mm256_loadu_ps(x + i), m, _CMP_EQ_OQ);
        const int bits = _mm256_movemask_ps(equal);
        if (bits)
            return i + (size_t)__builtin_ctz((unsigned)bits);
    }
    while (i < n && x[i] != max)
        i++;
    return i < n ? i : 0;
}

static float softmax_avx2(float *y, const float *x, size_t n, float scale)
{
    const __m256 max = _mm256_set1_ps(max_of(x, n));
    const __m256 s = _mm256_set1_ps(scale);
    __m256 sum = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256 t = _mm256_sub_ps(_mm256_loadu_ps(x + i), max);
        const __m256 p = avx2_exp(_mm256_mul_ps(t, s));
        _mm256_storeu_ps(y + i, p);
        sum = _mm256_add_ps(sum, p);
    }
    if (i < n) {
        const __m256i mask = avx2_tail_mask(n - i);
        const __m256 t = _mm256_sub_ps(_mm256_maskload_ps(x + i, mask), max);
        const __m256 p = _mm256_and_ps(avx2_exp(_mm256_mul_ps(t, s)),
                                       _mm256_castsi256_ps(mask));
        _mm256_maskstore_ps(y + i, mask, p);
        sum = _mm256_add_ps(sum, p);
    }
    return avx2_sum(sum);
}

void clsa_sampling_avx2(struct clsa_simd *table)
{
    table->argmax = argmax_avx2;
    table->softmax = softmax_avx2;
}
