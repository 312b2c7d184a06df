/* SPDX-License-Identifier: Apache-2.0 */
/* combine.c: partial softmaxes of attention combined, AVX-512. */
#include <math.h>

#include "simd/avx512/avx512.h"

static void attend_combine_avx512(float *y, const float *part, size_t n,
                                  size_t ld, size_t e)
{
    float max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxf(max, part[i * ld + e]);
    for (size_t i = 0; i < n; i++) {
        const float *o = part + i * ld;
        __m512 scale = avx512_exp(_mm512_set1_ps(o[e] - max));
        sum += _mm512_cvtss_f32(scale) * o[e + 1];
        for (size_t j = 0; j < e; j += LANES) {
            __mmask16 m = avx512_first_lanes(e - j);
            __m512 v =
                i ? _mm512_maskz_loadu_ps(m, y + j) : _mm512_setzero_ps();
            v = _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps(m, o + j), v);
            _mm512_mask_storeu_ps(y + j, m, v);
        }
    }
    for (size_t j = 0; j < e; j += LANES) {
        __mmask16 m = avx512_first_lanes(e - j);
        __m512 v = _mm512_maskz_loadu_ps(m, y + j);
        _mm512_mask_storeu_ps(y + j, m, _mm512_div_ps(v, _mm512_set1_ps(sum)));
    }
}

static void attend_accumulate_avx512(float *sum, size_t ld, const float *part,
                                     size_t n, size_t e)
{
    float a[LANES] = {0}, b[LANES] = {0}, max[LANES];
    for (size_t h = 0; h < n; h++) {
        a[h] = sum[h * ld + e];
        b[h] = part[h * (e + 2) + e];
    }
    __m512 x = _mm512_loadu_ps(a), y = _mm512_loadu_ps(b);
    __m512 most = _mm512_max_ps(x, y);
    _mm512_storeu_ps(max, most);
    _mm512_storeu_ps(a, avx512_exp(_mm512_sub_ps(x, most)));
    _mm512_storeu_ps(b, avx512_exp(_mm512_sub_ps(y, most)));
    for (size_t h = 0; h < n; h++) {
        float *s = sum + h * ld;
        const float *p = part + h * (e + 2);
        const __m512 old = _mm512_set1_ps(a[h]), new = _mm512_set1_ps(b[h]);
        for (size_t j = 0; j < e; j += LANES) {
            const __mmask16 m = avx512_first_lanes(e - j);
            __m512 v = _mm512_mul_ps(old, _mm512_maskz_loadu_ps(m, s + j));
            v = _mm512_fmadd_ps(new, _mm512_maskz_loadu_ps(m, p + j), v);
            _mm512_mask_storeu_ps(s + j, m, v);
        }
        s[e] = max[h];
        s[e + 1] = a[h] * s[e + 1] + b[h] * p[e + 1];
    }
}

void clsa_combine_avx512(struct clsa_simd *table)
{
    table->attend_combine = attend_combine_avx512;
    table->attend_accumulate = attend_accumulate_avx512;
}
