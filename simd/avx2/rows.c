/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c: conversions between floats and the row formats, and quantization of
 * activations, AVX2. The same bits as the scalar kernels: one division per
 * block, one multiplication and one rounding per value.
 */
#include "simd/avx2/quantize.h"

/* ------------------------------------------------------------ quantization */

/* Sum of 32 int8. */
INLINE int32_t sum_i8(__m256i q)
{
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
    const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(quads),
                              _mm256_extracti128_si256(quads, 1));
    s = _mm_add_epi32(s, _mm_unpackhi_epi64(s, s));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 1)));
}

static void quantize_avx2(int8_t *q, float *d, int32_t *sum, size_t ldd,
                          const float *x, size_t len)
{
    for (size_t b = 0; b < len / CLSA_BLOCK; b++, x += CLSA_BLOCK) {
        const float max = avx2_largest(x, CLSA_BLOCK);
        const __m256i v = avx2_quantize32(
            x, _mm256_set1_ps(clsa_quant_inverse(max, 127.0f)), 127.0f);
        d[b * ldd] = clsa_quant_scale(max, 127.0f);
        sum[b * ldd] = sum_i8(v);
        _mm256_storeu_si256((__m256i *)(q + b * CLSA_BLOCK), v);
    }
}

/* -------------------------------------------------------------------- load */

static void load_f32_avx2(float *y, const void *x, size_t n)
{
    memcpy(y, x, n * sizeof *y);
}

INLINE void load_half(float *y, const void *x, size_t n,
                      enum clsa_format format)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, avx2_load8(x, i, format));
    if (i < n)
        _mm256_maskstore_ps(y + i, avx2_tail_mask(n - i),
                            avx2_load_tail(x, i, n - i, format));
}

static void load_f16_avx2(float *y, const void *x, size_t n)
{
    load_half(y, x, n, CLSA_F16);
}

static void load_bf16_avx2(float *y, const void *x, size_t n)
{
    load_half(y, x, n, CLSA_BF16);
}

/* 16 int8 times a scale. */
INLINE void store_scaled(float *y, __m128i q, __m256 d)
{
    const __m256i lo = _mm256_cvtepi8_epi32(q);
    const __m256i hi = _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(q, q));
    _mm256_storeu_ps(y, _mm256_mul_ps(d, _mm256_cvtepi32_ps(lo)));
    _mm256_storeu_ps(y + 8, _mm256_mul_ps(d, _mm256_cvtepi32_ps(hi)));
}

static void load_q8_0_avx2(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q8_0_BYTES) {
        const __m128i *q = (const __m128i *)(block + 2);
        const __m256 d = avx2_block_scale(block);
        store_scaled(y + i, _mm_loadu_si128(q), d);
        store_scaled(y + i + 16, _mm_loadu_si128(q + 1), d);
    }
}

static void load_q4_0_avx2(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q4_0_BYTES) {
        const __m256i q =
            _mm256_sub_epi8(avx2_nibbles(block), _mm256_set1_epi8(8));
        const __m256 d = avx2_block_scale(block);
        store_scaled(y + i, _mm256_castsi256_si128(q), d);
        store_scaled(y + i + 16, _mm256_extracti128_si256(q, 1), d);
    }
}

/* ------------------------------------------------------------------- store */

static void store_f32_avx2(void *y, const float *x, size_t n)
{
    memcpy(y, x, n * sizeof *x);
}

/* Saturates first: the conversion alone would round up to infinity. */
INLINE __m128i to_f16(__m256 v)
{
    v = _mm256_max_ps(v, _mm256_set1_ps(-65504.0f));
    v = _mm256_min_ps(v, _mm256_set1_ps(65504.0f));
    return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* Integer rounding to nearest even; x is finite. */
INLINE __m128i to_bf16(__m256 v)
{
    const __m256i u = _mm256_castps_si256(v);
    const __m256i odd =
        _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i h = _mm256_srli_epi32(_mm256_add_epi32(u, up), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(h),
                            _mm256_extracti128_si256(h, 1));
}

INLINE __m128i to_half(__m256 v, enum clsa_format format)
{
    return format == CLSA_F16 ? to_f16(v) : to_bf16(v);
}

INLINE void store_half(uint16_t *y, const float *x, size_t n,
                       enum clsa_format format)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(y + i),
                         to_half(_mm256_loadu_ps(x + i), format));
    if (i < n) {
        uint16_t rest[8];
        const __m256 v = avx2_load_tail(x, i, n - i, CLSA_F32);
        _mm_storeu_si128((__m128i *)rest, to_half(v, format));
        memcpy(y + i, rest, (n - i) * sizeof *y);
    }
}

static void store_f16_avx2(void *y, const float *x, size_t n)
{
    store_half(y, x, n, CLSA_F16);
}

static void store_bf16_avx2(void *y, const float *x, size_t n)
{
    store_half(y, x, n, CLSA_BF16);
}

static void store_q8_0_avx2(void *y, const float *x, size_t n)
{
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q8_0_BYTES) {
        const float max = avx2_largest(x + i, CLSA_BLOCK);
        clsa_write_u16(block, clsa_f32_to_f16(clsa_quant_scale(max, 127.0f)));
        _mm256_storeu_si256(
            (__m256i *)(block + 2),
            avx2_quantize32(x + i,
                            _mm256_set1_ps(clsa_quant_inverse(max, 127.0f)),
                            127.0f));
    }
}

void clsa_rows_avx2(struct clsa_simd *table)
{
    table->quantize = quantize_avx2;
    table->load[CLSA_F32] = load_f32_avx2;
    table->load[CLSA_F16] = load_f16_avx2;
    table->load[CLSA_BF16] = load_bf16_avx2;
    table->load[CLSA_Q8_0] = load_q8_0_avx2;
    table->load[CLSA_Q4_0] = load_q4_0_avx2;
    table->store[CLSA_F32] = store_f32_avx2;
    table->store[CLSA_F16] = store_f16_avx2;
    table->store[CLSA_BF16] = store_bf16_avx2;
    table->store[CLSA_Q8_0] = store_q8_0_avx2;
}
