/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of int8 keys with vpdpbusd, which multiplies u8 by s8. The 16-bit
 * query is taken apart as 256 * high + low with high in -128..127 and low in
 * 0..255:
 *
 *   sum q * k = 256 * (sum (k + 128) * high - 128 * sum high) + sum low * k
 *
 * All of it is modulo 2^32, so only the whole sum has to fit into 32 bits,
 * which the contract of scan_i8 promises.
 */
#include "simd/avx512/scan_i8.h"

#define STEP 64 /* values of a key in one vector */

struct split {
    __m512i high, low;
};

INLINE struct split split_query(const int16_t *q, __mmask64 m)
{
    struct split s;
    __m512i a = _mm512_maskz_loadu_epi16((__mmask32)m, q);
    __m512i b = _mm512_setzero_si512();
    if (m >> 32)
        b = _mm512_maskz_loadu_epi16((__mmask32)(m >> 32), q + 32);
    s.low = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)),
                               _mm512_cvtepi16_epi8(b), 1);
    s.high = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srai_epi16(a, 8))),
        _mm512_cvtepi16_epi8(_mm512_srai_epi16(b, 8)), 1);
    return s;
}

/* Adds the products of 64 values of sixteen keys; m: those present. */
INLINE void step(__m512i sum[LANES], const uint8_t *key, size_t bytes,
                 size_t left, __mmask64 m, struct split q)
{
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    /* -128 * 256 * sum of high, lane by lane */
    const __m512i bias = _mm512_sub_epi32(
        _mm512_setzero_si512(),
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), offset, q.high));
    UNROLL
    for (size_t i = 0; i < LANES; i++) {
        __m512i k =
            ~m ? _mm512_maskz_loadu_epi8(m, key) : _mm512_loadu_si512(key);
        __m512i v =
            _mm512_dpbusd_epi32(bias, _mm512_xor_si512(k, offset), q.high);
        sum[i] = _mm512_add_epi32(
            sum[i], _mm512_dpbusd_epi32(_mm512_slli_epi32(v, 8), q.low, k));
        key = next_key(key, i, bytes, left, true);
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
    for (; j + STEP <= len; j += STEP)
        step(sum, key + j, len, left, ~(__mmask64)0,
             split_query(x + j, ~(__mmask64)0));
    if (j < len) {
        const __mmask64 m = ((__mmask64)1 << (len - j)) - 1;
        step(sum, key + j, len, left, m, split_query(x + j, m));
    }
    return _mm512_cvtepi32_ps(sum16_epi32(sum));
}

static void scan_i8_avx512vnni(float *score, const int8_t *keys,
                               const float *scales, size_t n, size_t len,
                               const struct clsa_index_query *query)
{
    scan_i8(score, keys, scales, n, len, query);
}

void clsa_index_avx512vnni(struct clsa_simd *table)
{
    table->scan_i8 = scan_i8_avx512vnni;
}
