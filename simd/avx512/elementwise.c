/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RMSNorm, rotary embedding, gate and addition. Rotary embedding and addition
 * round like the scalar versions; the others stay within their bounds.
 */
#include <math.h>

#include "simd/avx512/avx512.h"

static void rms_norm_avx512(float *y, const float *x, const float *w, size_t n,
                            float eps)
{
    __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        __m512 v0 = _mm512_loadu_ps(x + i);
        __m512 v1 = _mm512_loadu_ps(x + i + LANES);
        __m512 v2 = _mm512_loadu_ps(x + i + 2 * LANES);
        __m512 v3 = _mm512_loadu_ps(x + i + 3 * LANES);
        a = _mm512_fmadd_ps(v0, v0, a);
        b = _mm512_fmadd_ps(v1, v1, b);
        c = _mm512_fmadd_ps(v2, v2, c);
        d = _mm512_fmadd_ps(v3, v3, d);
    }
    for (; i < n; i += LANES) {
        __m512 v = _mm512_maskz_loadu_ps(first_lanes(n - i), x + i);
        a = _mm512_fmadd_ps(v, v, a);
    }
    float sum = _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));
    const __m512 scale = _mm512_set1_ps(1.0f / sqrtf(sum / (float)n + eps));
    for (i = 0; i < n; i += LANES) {
        __mmask16 m = first_lanes(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), scale);
        if (w)
            v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(m, w + i));
        _mm512_mask_storeu_ps(y + i, m, v);
    }
}

static void rope_avx512(float *x, const float *cos, const float *sin,
                        size_t half)
{
    for (size_t i = 0; i < half; i += LANES) {
        __mmask16 m = first_lanes(half - i);
        __m512 a = _mm512_maskz_loadu_ps(m, x + i);
        __m512 b = _mm512_maskz_loadu_ps(m, x + i + half);
        __m512 c = _mm512_maskz_loadu_ps(m, cos + i);
        __m512 s = _mm512_maskz_loadu_ps(m, sin + i);
        _mm512_mask_storeu_ps(
            x + i, m, _mm512_sub_ps(_mm512_mul_ps(a, c), _mm512_mul_ps(b, s)));
        _mm512_mask_storeu_ps(
            x + i + half, m,
            _mm512_add_ps(_mm512_mul_ps(b, c), _mm512_mul_ps(a, s)));
    }
}

static void silu_mul_avx512(float *y, const float *gate, const float *up,
                            size_t n)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 m = first_lanes(n - i);
        __m512 g = _mm512_maskz_loadu_ps(m, gate + i);
        __m512 e = exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), g));
        g = _mm512_div_ps(g, _mm512_add_ps(one, e));
        _mm512_mask_storeu_ps(
            y + i, m, _mm512_mul_ps(g, _mm512_maskz_loadu_ps(m, up + i)));
    }
}

static void add_avx512(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 m = first_lanes(n - i);
        _mm512_mask_storeu_ps(y + i, m,
                              _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + i),
                                            _mm512_maskz_loadu_ps(m, x + i)));
    }
}

static void rescale_avx512(float *y, size_t ldy, const int32_t *x, size_t ldx,
                           size_t n, size_t rows, const float *scale,
                           const float *row_scale, const int32_t *minus,
                           int add)
{
    for (size_t i = 0; i < rows; i += LANES) {
        const __mmask16 m = first_lanes(rows - i), old = add ? m : 0;
        const __m512i less = _mm512_maskz_loadu_epi32(m, minus + i);
        const __m512 by = _mm512_maskz_loadu_ps(m, row_scale + i);
        for (size_t c = 0; c < n; c++) {
            float *to = y + c * ldy + i;
            __m512 v = _mm512_cvtepi32_ps(_mm512_sub_epi32(
                _mm512_maskz_loadu_epi32(m, x + c * ldx + i), less));
            v = _mm512_mul_ps(_mm512_mul_ps(v, by), _mm512_set1_ps(scale[c]));
            _mm512_mask_storeu_ps(
                to, m, _mm512_add_ps(_mm512_maskz_loadu_ps(old, to), v));
        }
    }
}

void clsa_elementwise_avx512(struct clsa_simd *table)
{
    table->rms_norm = rms_norm_avx512;
    table->rope = rope_avx512;
    table->silu_mul = silu_mul_avx512;
    table->add = add_avx512;
    table->rescale = rescale_avx512;
}
