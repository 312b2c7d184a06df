/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elementwise.c: RMSNorm, rotary embedding, gate and addition with AVX2.
 * Any length: the last n % 8 values go through masked loads and stores.
 */
#include <math.h>

#include "simd/avx2/avx2.h"

static float sum_of_squares(const float *x, size_t n)
{
    __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(),
                   _mm256_setzero_ps(), _mm256_setzero_ps()};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        UNROLL
        for (int k = 0; k < 4; k++) {
            const __m256 v = _mm256_loadu_ps(x + i + 8 * k);
            s[k] = _mm256_fmadd_ps(v, v, s[k]);
        }
    }
    for (; i + 8 <= n; i += 8) {
        const __m256 v = _mm256_loadu_ps(x + i);
        s[0] = _mm256_fmadd_ps(v, v, s[0]);
    }
    if (i < n) {
        const __m256 v = avx2_load_tail(x, i, n - i, CLSA_F32);
        s[1] = _mm256_fmadd_ps(v, v, s[1]);
    }
    return avx2_sum(
        _mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));
}

static void rms_norm_avx2(float *y, const float *x, const float *w, size_t n,
                          float eps)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    const __m256 scale =
        _mm256_set1_ps(1.0f / sqrtf(sum_of_squares(x, n) / (float)n + eps));
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), scale);
        const __m256 weight = w ? _mm256_loadu_ps(w + i) : one;
        _mm256_storeu_ps(y + i, _mm256_mul_ps(v, weight));
    }
    if (i < n) {
        const __m256i mask = avx2_tail_mask(n - i);
        const __m256 v = _mm256_mul_ps(_mm256_maskload_ps(x + i, mask), scale);
        const __m256 weight = w ? _mm256_maskload_ps(w + i, mask) : one;
        _mm256_maskstore_ps(y + i, mask, _mm256_mul_ps(v, weight));
    }
}

/* Without FMA, so that the bits are the same as in the scalar kernel. */
INLINE void rotate(__m256 *a, __m256 *b, __m256 c, __m256 s)
{
    const __m256 x = *a;
    *a = _mm256_sub_ps(_mm256_mul_ps(x, c), _mm256_mul_ps(*b, s));
    *b = _mm256_add_ps(_mm256_mul_ps(*b, c), _mm256_mul_ps(x, s));
}

static void rope_avx2(float *x, const float *cos, const float *sin, size_t half)
{
    size_t i = 0;
    for (; i + 8 <= half; i += 8) {
        __m256 a = _mm256_loadu_ps(x + i);
        __m256 b = _mm256_loadu_ps(x + i + half);
        rotate(&a, &b, _mm256_loadu_ps(cos + i), _mm256_loadu_ps(sin + i));
        _mm256_storeu_ps(x + i, a);
        _mm256_storeu_ps(x + i + half, b);
    }
    if (i < half) {
        const __m256i mask = avx2_tail_mask(half - i);
        __m256 a = _mm256_maskload_ps(x + i, mask);
        __m256 b = _mm256_maskload_ps(x + i + half, mask);
        rotate(&a, &b, _mm256_maskload_ps(cos + i, mask),
               _mm256_maskload_ps(sin + i, mask));
        _mm256_maskstore_ps(x + i, mask, a);
        _mm256_maskstore_ps(x + i + half, mask, b);
    }
}

/* gate / (1 + exp(minus)). As in the scalar kernel, exp overflows to infinity
   and the quotient is -0 where minus is above about 88.7. */
INLINE __m256 logistic(__m256 gate, __m256 minus)
{
    const __m256 top = _mm256_set1_ps(0x1.62e42ep6f); /* 88.7228 */
    const __m256 e = _mm256_blendv_ps(avx2_exp(_mm256_min_ps(minus, top)),
                                      _mm256_set1_ps(INFINITY),
                                      _mm256_cmp_ps(minus, top, _CMP_GT_OQ));
    return _mm256_div_ps(gate, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
}

INLINE __m256 silu(__m256 gate)
{
    return logistic(gate, _mm256_sub_ps(_mm256_setzero_ps(), gate));
}

INLINE __m256 gelu(__m256 gate)
{
    const __m256 cube = _mm256_set1_ps(CLSA_GELU_CUBE);
    const __m256 scale = _mm256_set1_ps(-2.0f * CLSA_GELU_SCALE);
    const __m256 u = _mm256_fmadd_ps(_mm256_mul_ps(cube, gate),
                                     _mm256_mul_ps(gate, gate), gate);
    return logistic(gate, _mm256_mul_ps(scale, u));
}

static void silu_mul_avx2(float *y, const float *gate, const float *up,
                          size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_mul_ps(silu(_mm256_loadu_ps(gate + i)),
                                              _mm256_loadu_ps(up + i)));
    if (i < n) {
        const __m256i mask = avx2_tail_mask(n - i);
        _mm256_maskstore_ps(
            y + i, mask,
            _mm256_mul_ps(silu(_mm256_maskload_ps(gate + i, mask)),
                          _mm256_maskload_ps(up + i, mask)));
    }
}

static void gelu_mul_avx2(float *y, const float *gate, const float *up,
                          size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_mul_ps(gelu(_mm256_loadu_ps(gate + i)),
                                              _mm256_loadu_ps(up + i)));
    if (i < n) {
        const __m256i mask = avx2_tail_mask(n - i);
        _mm256_maskstore_ps(
            y + i, mask,
            _mm256_mul_ps(gelu(_mm256_maskload_ps(gate + i, mask)),
                          _mm256_maskload_ps(up + i, mask)));
    }
}

static void softcap_avx2(float *x, size_t n, float cap)
{
    for (size_t i = 0; i < n; i += 8) {
        const __m256i mask = avx2_tail_mask(n - i < 8 ? n - i : 8);
        _mm256_maskstore_ps(x + i, mask,
                            avx2_softcap(_mm256_maskload_ps(x + i, mask), cap));
    }
}

static void add_avx2(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i),
                                              _mm256_loadu_ps(x + i)));
    for (; i < n; i++)
        y[i] += x[i];
}

/* Sums of 8 rows at x of one column, scaled. */
INLINE __m256 scaled(__m256i x, __m256i minus, __m256 row_scale, float scale)
{
    const __m256 v = _mm256_cvtepi32_ps(_mm256_sub_epi32(x, minus));
    return _mm256_mul_ps(_mm256_mul_ps(v, row_scale), _mm256_set1_ps(scale));
}

static void rescale_avx2(float *y, size_t ldy, const int32_t *x, size_t ldx,
                         size_t n, size_t rows, const float *scale,
                         const float *row_scale, const int32_t *minus, int add)
{
    for (size_t i = 0; i < rows; i += 8) {
        const __m256i mask = avx2_tail_mask(rows - i < 8 ? rows - i : 8);
        const __m256i less = _mm256_maskload_epi32(minus + i, mask);
        const __m256 by = _mm256_maskload_ps(row_scale + i, mask);
        for (size_t c = 0; c < n; c++) {
            const __m256i v = _mm256_maskload_epi32(x + c * ldx + i, mask);
            float *to = y + c * ldy + i;
            const __m256 old =
                add ? _mm256_maskload_ps(to, mask) : _mm256_setzero_ps();
            _mm256_maskstore_ps(
                to, mask, _mm256_add_ps(old, scaled(v, less, by, scale[c])));
        }
    }
}

void clsa_elementwise_avx2(struct clsa_simd *table)
{
    table->rms_norm = rms_norm_avx2;
    table->rope = rope_avx2;
    table->silu_mul = silu_mul_avx2;
    table->gelu_mul = gelu_mul_avx2;
    table->softcap = softcap_avx2;
    table->add = add_avx2;
    table->rescale = rescale_avx2;
}
