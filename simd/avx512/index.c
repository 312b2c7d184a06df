/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of index keys. Sixteen keys at a time, one vector of partial sums a
 * key, one tree over them (sum16_*): a key's score is the same wherever it
 * stands.
 */
#include "simd/avx512/avx512.h"

INLINE void scan_float(float *score, const void *keys, size_t n, size_t len,
                       const float *x, enum clsa_format format)
{
    for (size_t s = 0; s < n; s += LANES) {
        const uint8_t *key[LANES];
        __m512 sum[LANES];
        size_t j = 0;
        sixteen_keys(key, keys, s, n, clsa_format_bytes(format, len));
        UNROLL
        for (int i = 0; i < LANES; i++)
            sum[i] = _mm512_setzero_ps();
        for (; j + LANES <= len; j += LANES) {
            __m512 v = _mm512_loadu_ps(x + j);
            UNROLL
            for (int i = 0; i < LANES; i++)
                sum[i] = _mm512_fmadd_ps(load16(key[i], j, format), v, sum[i]);
        }
        if (j < len) {
            __mmask16 m = first_lanes(len - j);
            __m512 v = _mm512_maskz_loadu_ps(m, x + j);
            UNROLL
            for (int i = 0; i < LANES; i++)
                sum[i] =
                    _mm512_fmadd_ps(load_tail(key[i], j, m, format), v, sum[i]);
        }
        _mm512_mask_storeu_ps(score + s, first_lanes(n - s), sum16_ps(sum));
    }
}

static void scan_f32_avx512(float *score, const float *key, size_t n,
                            size_t len, const struct clsa_index_query *query)
{
    scan_float(score, key, n, len, query->x, CLSA_F32);
}

void clsa_scan_bf16_avx512(float *score, const uint16_t *key, size_t n,
                           size_t len, const struct clsa_index_query *query)
{
    scan_float(score, key, n, len, query->x, CLSA_BF16);
}

static void scan_i8_avx512(float *score, const int8_t *keys,
                           const float *scales, size_t n, size_t len,
                           const struct clsa_index_query *query)
{
    const __m512 scale = _mm512_set1_ps(query->scale);
    for (size_t s = 0; s < n; s += LANES) {
        const uint8_t *key[LANES];
        __m512i sum[LANES];
        sixteen_keys(key, keys, s, n, len);
        UNROLL
        for (int i = 0; i < LANES; i++)
            sum[i] = _mm512_setzero_si512();
        for (size_t j = 0; j < len; j += 32) {
            __mmask32 m =
                len - j < 32 ? (1u << (len - j)) - 1 : (__mmask32)0xffffffff;
            __m512i q = _mm512_maskz_loadu_epi16(m, query->q + j);
            UNROLL
            for (int i = 0; i < LANES; i++) {
                __m256i k = _mm256_maskz_loadu_epi8(m, key[i] + j);
                sum[i] = _mm512_add_epi32(
                    sum[i], _mm512_madd_epi16(_mm512_cvtepi8_epi16(k), q));
            }
        }
        __mmask16 valid = first_lanes(n - s);
        __m512 d =
            _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(valid, scales + s));
        _mm512_mask_storeu_ps(
            score + s, valid,
            _mm512_mul_ps(d, _mm512_cvtepi32_ps(sum16_epi32(sum))));
    }
}

void clsa_index_avx512(struct clsa_simd *table)
{
    table->scan_f32 = scan_f32_avx512;
    table->scan_bf16 = clsa_scan_bf16_avx512;
    table->scan_i8 = scan_i8_avx512;
}
