/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c: conversions between floats and the row formats, and quantization of
 * activations, AVX-512: the bits of simd/ref/rows.c. F32 rows are copies, which
 * the level below makes as well.
 */
#include "simd/avx512/quantize.h"
#include "simd/scalar.h"

INLINE float largest_block(const float *x)
{
    return _mm512_reduce_max_ps(
        _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x)),
                      _mm512_abs_ps(_mm512_loadu_ps(x + LANES))));
}

/* One block; returns the vectors' lane-wise sum. */
INLINE __m512i quantize_block(int8_t *q, const float *x, float max)
{
    const __m512 inverse = _mm512_set1_ps(clsa_quant_inverse(max, 127.0f));
    __m512i low = avx512_quantize16(_mm512_loadu_ps(x), inverse, 127.0f);
    __m512i high =
        avx512_quantize16(_mm512_loadu_ps(x + LANES), inverse, 127.0f);
    _mm_storeu_si128((void *)q, _mm512_cvtepi32_epi8(low));
    _mm_storeu_si128((void *)(q + LANES), _mm512_cvtepi32_epi8(high));
    return _mm512_add_epi32(low, high);
}

static void quantize_avx512(int8_t *q, float *d, int32_t *sum, size_t ldd,
                            const float *x, size_t len)
{
    for (size_t b = 0; b < len / CLSA_BLOCK; b++) {
        float max = largest_block(x + b * CLSA_BLOCK);
        d[b * ldd] = clsa_quant_scale(max, 127.0f);
        sum[b * ldd] = _mm512_reduce_add_epi32(
            quantize_block(q + b * CLSA_BLOCK, x + b * CLSA_BLOCK, max));
    }
}

INLINE void load_half(float *y, const void *x, size_t n,
                      enum clsa_format format)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        _mm512_storeu_ps(y + i, avx512_load16(x, i, format));
    if (i < n) {
        __mmask16 m = avx512_first_lanes(n - i);
        _mm512_mask_storeu_ps(y + i, m, avx512_load_tail(x, i, m, format));
    }
}

static void load_f16_avx512(float *y, const void *x, size_t n)
{
    load_half(y, x, n, CLSA_F16);
}

static void load_bf16_avx512(float *y, const void *x, size_t n)
{
    load_half(y, x, n, CLSA_BF16);
}

static void load_q8_0_avx512(float *y, const void *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        _mm512_storeu_ps(y + i, avx512_load16(x, i, CLSA_Q8_0));
}

static void load_q4_0_avx512(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q4_0_BYTES) {
        __m512 d =
            _mm512_cvtph_ps(_mm256_set1_epi16((short)clsa_read_u16(block)));
        __m512i q =
            _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(block + 2)));
        __m512i low = _mm512_and_si512(q, _mm512_set1_epi32(15));
        __m512i high = _mm512_srli_epi32(q, 4);
        const __m512i eight = _mm512_set1_epi32(8);
        low = _mm512_sub_epi32(low, eight);
        high = _mm512_sub_epi32(high, eight);
        _mm512_storeu_ps(y + i, _mm512_mul_ps(d, _mm512_cvtepi32_ps(low)));
        _mm512_storeu_ps(y + i + LANES,
                         _mm512_mul_ps(d, _mm512_cvtepi32_ps(high)));
    }
}

INLINE __m256i to_f16(__m512 x)
{
    x = _mm512_min_ps(_mm512_set1_ps(65504.0f), x);
    x = _mm512_max_ps(_mm512_set1_ps(-65504.0f), x);
    return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

INLINE __m256i to_bf16(__m512 x)
{
    const __m512i one = _mm512_set1_epi32(1);
    __m512i u = _mm512_castps_si512(x);
    __m512i top = _mm512_srli_epi32(u, 16);
    __m512i odd = _mm512_and_si512(top, one);
    __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    __m512i round = _mm512_srli_epi32(_mm512_add_epi32(u, bias), 16);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(
        _mm512_mask_or_epi32(round, nan, top, _mm512_set1_epi32(0x40)));
}

INLINE void store_half(void *y, const float *x, size_t n,
                       __m256i (*convert)(__m512))
{
    uint16_t *h = y;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        _mm256_storeu_si256((void *)(h + i), convert(_mm512_loadu_ps(x + i)));
    if (i < n) {
        __mmask16 m = avx512_first_lanes(n - i);
        _mm256_mask_storeu_epi16(h + i, m,
                                 convert(_mm512_maskz_loadu_ps(m, x + i)));
    }
}

static void store_f16_avx512(void *y, const float *x, size_t n)
{
    store_half(y, x, n, to_f16);
}

static void store_bf16_avx512(void *y, const float *x, size_t n)
{
    store_half(y, x, n, to_bf16);
}

static void store_q8_0_avx512(void *y, const float *x, size_t n)
{
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q8_0_BYTES) {
        float max = largest_block(x + i);
        clsa_write_u16(block, clsa_f32_to_f16(clsa_quant_scale(max, 127.0f)));
        quantize_block((int8_t *)block + 2, x + i, max);
    }
}

void clsa_rows_avx512(struct clsa_simd *table)
{
    table->quantize = quantize_avx512;
    table->load[CLSA_F16] = load_f16_avx512;
    table->load[CLSA_BF16] = load_bf16_avx512;
    table->load[CLSA_Q8_0] = load_q8_0_avx512;
    table->load[CLSA_Q4_0] = load_q4_0_avx512;
    table->store[CLSA_F16] = store_f16_avx512;
    table->store[CLSA_BF16] = store_bf16_avx512;
    table->store[CLSA_Q8_0] = store_q8_0_avx512;
}
