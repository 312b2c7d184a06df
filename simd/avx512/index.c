/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: index keys: quantization and scan, AVX-512. Sixteen keys at a time,
 * one vector of partial sums a key, one tree over them (sum16_*): a key's score
 * is the same wherever it stands.
 */
#include "simd/avx512/quantize.h"

static void quantize_row_avx512(int8_t *q, float *scale, const float *x,
                                size_t len, float limit)
{
    __m512 most = _mm512_setzero_ps();
    for (size_t i = 0; i < len; i += LANES)
        most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_maskz_loadu_ps(
                                       avx512_first_lanes(len - i), x + i)));
    float max = _mm512_reduce_max_ps(most);
    const __m512 inverse = _mm512_set1_ps(clsa_quant_inverse(max, limit));
    *scale = clsa_quant_scale(max, limit);
    for (size_t i = 0; i < len; i += LANES) {
        __mmask16 m = avx512_first_lanes(len - i);
        _mm512_mask_cvtepi32_storeu_epi8(
            q + i, m,
            avx512_quantize16(_mm512_maskz_loadu_ps(m, x + i), inverse, limit));
    }
}

/* Adds the products of 16 values of sixteen keys; m: the ones present. */
INLINE void add_float(__m512 sum[LANES], const uint8_t *key, size_t bytes,
                      size_t left, const float *x, __mmask16 m, bool fetch,
                      enum clsa_format format)
{
    const __m512 v =
        m == 0xffff ? _mm512_loadu_ps(x) : _mm512_maskz_loadu_ps(m, x);
    UNROLL
    for (size_t i = 0; i < LANES; i++) {
        const __m512 k = m == 0xffff ? avx512_load16(key, 0, format)
                                     : avx512_load_tail(key, 0, m, format);
        sum[i] = _mm512_fmadd_ps(k, v, sum[i]);
        key = avx512_next_key(key, i, bytes, left, fetch);
    }
}

INLINE __m512 group_float(const uint8_t *key, size_t len, size_t left,
                          const float *x, enum clsa_format format)
{
    const size_t size = clsa_format_bytes(format, 1), bytes = len * size;
    __m512 sum[LANES];
    size_t j = 0;
    UNROLL
    for (int i = 0; i < LANES; i++)
        sum[i] = _mm512_setzero_ps();
    for (; j + LANES <= len; j += LANES)
        if (j * size % 64 == 0)
            add_float(sum, key + j * size, bytes, left, x + j, 0xffff, true,
                      format);
        else
            add_float(sum, key + j * size, bytes, left, x + j, 0xffff, false,
                      format);
    if (j < len)
        add_float(sum, key + j * size, bytes, left, x + j,
                  avx512_first_lanes(len - j), true, format);
    return avx512_sum16_ps(sum);
}

INLINE void scan_float(float *score, const void *keys, size_t n, size_t len,
                       const float *x, enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, len);
    const uint8_t *key = keys;
    size_t s = 0;
    for (; s + LANES <= n; s += LANES)
        _mm512_storeu_ps(score + s,
                         group_float(key + s * bytes, len, LANES, x, format));
    if (s < n)
        _mm512_mask_storeu_ps(
            score + s, avx512_first_lanes(n - s),
            group_float(key + s * bytes, len, n - s, x, format));
}

static void scan_f32_avx512(float *score, const float *key, size_t n,
                            size_t len, const struct clsa_index_query *query)
{
    scan_float(score, key, n, len, query->x, CLSA_F32);
}

void clsa_kernel_scan_bf16_avx512(float *score, const uint16_t *key, size_t n,
                                  size_t len,
                                  const struct clsa_index_query *query)
{
    scan_float(score, key, n, len, query->x, CLSA_BF16);
}

/* Adds the products of 32 values of sixteen keys; m: the ones present. */
INLINE void add_i8(__m512i sum[LANES], const uint8_t *key, size_t bytes,
                   size_t left, const int16_t *x, __mmask32 m, bool fetch)
{
    const __m512i q = _mm512_maskz_loadu_epi16(m, x);
    UNROLL
    for (size_t i = 0; i < LANES; i++) {
        const __m256i k = ~m ? _mm256_maskz_loadu_epi8(m, key)
                             : _mm256_loadu_si256((const __m256i *)key);
        sum[i] = _mm512_add_epi32(
            sum[i], _mm512_madd_epi16(_mm512_cvtepi8_epi16(k), q));
        key = avx512_next_key(key, i, bytes, left, fetch);
    }
}

INLINE __m512 group_i8(const uint8_t *key, size_t len, size_t left,
                       const int16_t *x)
{
    __m512i sum[LANES];
    size_t j = 0;
    UNROLL
    for (int i = 0; i < LANES; i++)
        sum[i] = _mm512_setzero_si512();
    for (; j + 32 <= len; j += 32)
        if (j % 64 == 0)
            add_i8(sum, key + j, len, left, x + j, ~(__mmask32)0, true);
        else
            add_i8(sum, key + j, len, left, x + j, ~(__mmask32)0, false);
    if (j < len)
        add_i8(sum, key + j, len, left, x + j, ((__mmask32)1 << (len - j)) - 1,
               true);
    return _mm512_cvtepi32_ps(avx512_sum16_epi32(sum));
}

#define GROUP_I8 group_i8
#include "simd/avx512/scan_i8_tmpl.h"

static void scan_i8_avx512(float *score, const int8_t *keys,
                           const float *scales, size_t n, size_t len,
                           const struct clsa_index_query *query)
{
    scan_i8(score, keys, scales, n, len, query);
}

void clsa_index_avx512(struct clsa_simd *table)
{
    table->quantize_row = quantize_row_avx512;
    table->scan_f32 = scan_f32_avx512;
    table->scan_bf16 = clsa_kernel_scan_bf16_avx512;
    table->scan_i8 = scan_i8_avx512;
}
