/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c: conversions between floats and the row formats, and quantisation of
 * activations and index keys, with AVX2. The same bits as the scalar kernels:
 * one division per block, one multiplication and one rounding per value.
 */

#include "simd/avx2/avx2.h"

/* ------------------------------------------------------------ quantisation */

INLINE __m256 magnitude(__m256 v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

/* Largest magnitude of n values. */
static float largest(const float *x, size_t n)
{
    __m256 max = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        max = _mm256_max_ps(max, magnitude(_mm256_loadu_ps(x + i)));
    if (i < n)
        max = _mm256_max_ps(max,
                            magnitude(clsa_load_tail(x, i, n - i, CLSA_F32)));
    return clsa_max(max);
}

INLINE float quantum(float max, float limit)
{
    return max > CLSA_QUANT_MIN ? max / limit : 0.0f;
}

INLINE float inverse(float max, float limit)
{
    return max > CLSA_QUANT_MIN ? limit / max : 0.0f;
}

/*
 * 32 values to int8. The limits are the second operand of min and max, which
 * is the one returned for a NaN: 0 times an infinite inverse becomes -limit,
 * as fmaxf makes it.
 */
INLINE __m256i quantize32(const float *x, __m256 inv, float limit)
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
        const float max = largest(x, CLSA_BLOCK);
        const __m256i v =
            quantize32(x, _mm256_set1_ps(inverse(max, 127.0f)), 127.0f);
        d[b * ldd] = quantum(max, 127.0f);
        sum[b * ldd] = sum_i8(v);
        _mm256_storeu_si256((__m256i *)(q + b * CLSA_BLOCK), v);
    }
}

static void quantize_row_avx2(int8_t *q, float *scale, const float *x,
                              size_t len, float limit)
{
    const float max = largest(x, len);
    const __m256 inv = _mm256_set1_ps(inverse(max, limit));
    size_t i = 0;
    *scale = quantum(max, limit);
    for (; i + 32 <= len; i += 32)
        _mm256_storeu_si256((__m256i *)(q + i), quantize32(x + i, inv, limit));
    if (i < len) {
        float rest[32] = {0};
        int8_t bytes[32];
        memcpy(rest, x + i, (len - i) * sizeof *x);
        _mm256_storeu_si256((__m256i *)bytes, quantize32(rest, inv, limit));
        memcpy(q + i, bytes, len - i);
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
        _mm256_storeu_ps(y + i, clsa_load8(x, i, format));
    if (i < n)
        _mm256_maskstore_ps(y + i, clsa_tail_mask(n - i),
                            clsa_load_tail(x, i, n - i, format));
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
        const __m256 d = clsa_block_scale(block);
        store_scaled(y + i, _mm_loadu_si128(q), d);
        store_scaled(y + i + 16, _mm_loadu_si128(q + 1), d);
    }
}

static void load_q4_0_avx2(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q4_0_BYTES) {
        const __m256i q =
            _mm256_sub_epi8(clsa_nibbles(block), _mm256_set1_epi8(8));
        const __m256 d = clsa_block_scale(block);
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
        const __m256 v = clsa_load_tail(x, i, n - i, CLSA_F32);
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
        const float max = largest(x + i, CLSA_BLOCK);
        clsa_write_u16(block, clsa_f32_to_f16(quantum(max, 127.0f)));
        _mm256_storeu_si256(
            (__m256i *)(block + 2),
            quantize32(x + i, _mm256_set1_ps(inverse(max, 127.0f)), 127.0f));
    }
}

void clsa_avx2_rows(struct clsa_simd *table)
{
    table->quantize = quantize_avx2;
    table->quantize_row = quantize_row_avx2;
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
