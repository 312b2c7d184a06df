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
        __m512 v = _mm512_maskz_loadu_ps(avx512_first_lanes(n - i), x + i);
        a = _mm512_fmadd_ps(v, v, a);
    }
    float sum = _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));
    const __m512 scale = _mm512_set1_ps(1.0f / sqrtf(sum / (float)n + eps));
    for (i = 0; i < n; i += LANES) {
        __mmask16 m = avx512_first_lanes(n - i);
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
        __mmask16 m = avx512_first_lanes(half - i);
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
        __mmask16 m = avx512_first_lanes(n - i);
        __m512 g = _mm512_maskz_loadu_ps(m, gate + i);
        __m512 e = avx512_exp(_mm512_sub_ps(_mm512_setzero_ps(), g));
        g = _mm512_div_ps(g, _mm512_add_ps(one, e));
        _mm512_mask_storeu_ps(
            y + i, m, _mm512_mul_ps(g, _mm512_maskz_loadu_ps(m, up + i)));
    }
}

static void gelu_mul_avx512(float *y, const float *gate, const float *up,
                            size_t n)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 cube = _mm512_set1_ps(CLSA_GELU_CUBE);
    const __m512 scale = _mm512_set1_ps(-2.0f * CLSA_GELU_SCALE);
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 m = avx512_first_lanes(n - i);
        __m512 g = _mm512_maskz_loadu_ps(m, gate + i);
        __m512 u =
            _mm512_fmadd_ps(_mm512_mul_ps(cube, g), _mm512_mul_ps(g, g), g);
        __m512 e = avx512_exp(_mm512_mul_ps(scale, u));
        g = _mm512_div_ps(g, _mm512_add_ps(one, e));
        _mm512_mask_storeu_ps(
            y + i, m, _mm512_mul_ps(g, _mm512_maskz_loadu_ps(m, up + i)));
    }
}

static void softcap_avx512(float *x, size_t n, float cap)
{
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 m = avx512_first_lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(m, x + i);
        _mm512_mask_storeu_ps(x + i, m, avx512_softcap(v, cap));
    }
}

static void add_avx512(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 m = avx512_first_lanes(n - i);
        _mm512_mask_storeu_ps(y + i, m,
                              _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + i),
                                            _mm512_maskz_loadu_ps(m, x + i)));
    }
}

/* Up to 64 rows, whose constants stay in registers while the columns pass by:
   y lies far apart from column to column. */
INLINE void rescale_rows(float *y, size_t ldy, const int32_t *x, size_t ldx,
                         size_t n, size_t rows, const float *scale,
                         const float *row_scale, const int32_t *minus, int add)
{
    __mmask16 m[4];
    __m512i less[4];
    __m512 by[4];
    UNROLL
    for (int t = 0; t < 4; t++) {
        const size_t i = (size_t)t * LANES;
        m[t] = i < rows ? avx512_first_lanes(rows - i) : 0;
        less[t] = _mm512_maskz_loadu_epi32(m[t], minus + i);
        by[t] = _mm512_maskz_loadu_ps(m[t], row_scale + i);
    }
    for (size_t c = 0; c < n; c++, y += ldy, x += ldx) {
        const __m512 s = _mm512_set1_ps(scale[c]);
        UNROLL
        for (int t = 0; t < 4; t++) {
            const size_t i = (size_t)t * LANES;
            __m512 v = _mm512_cvtepi32_ps(_mm512_sub_epi32(
                _mm512_maskz_loadu_epi32(m[t], x + i), less[t]));
            v = _mm512_mul_ps(_mm512_mul_ps(v, by[t]), s);
            v = _mm512_add_ps(add ? _mm512_maskz_loadu_ps(m[t], y + i)
                                  : _mm512_setzero_ps(),
                              v);
            _mm512_mask_storeu_ps(y + i, m[t], v);
        }
    }
}

static void rescale_avx512(float *y, size_t ldy, const int32_t *x, size_t ldx,
                           size_t n, size_t rows, const float *scale,
                           const float *row_scale, const int32_t *minus,
                           int add)
{
    for (size_t i = 0; i < rows; i += 4 * LANES) {
        const size_t some = avx512_min_size(rows - i, 4 * LANES);
        if (add)
            rescale_rows(y + i, ldy, x + i, ldx, n, some, scale, row_scale + i,
                         minus + i, 1);
        else
            rescale_rows(y + i, ldy, x + i, ldx, n, some, scale, row_scale + i,
                         minus + i, 0);
    }
}

void clsa_elementwise_avx512(struct clsa_simd *table)
{
    table->rms_norm = rms_norm_avx512;
    table->rope = rope_avx512;
    table->silu_mul = silu_mul_avx512;
    table->gelu_mul = gelu_mul_avx512;
    table->softcap = softcap_avx512;
    table->add = add_avx512;
    table->rescale = rescale_avx512;
}
