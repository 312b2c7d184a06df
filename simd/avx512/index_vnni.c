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
#include "simd/avx512/avx512.h"

#define STEP 64 /* values of a key in one vector */

struct query_bytes {
    __m512i high, low;
};

INLINE struct query_bytes split_query(const int16_t *q, __mmask64 m)
{
    struct query_bytes s;
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

/* -128 * sum of high, lane by lane. */
INLINE __m512i bias_of(struct query_bytes q)
{
    return _mm512_sub_epi32(_mm512_setzero_si512(),
                            _mm512_dpbusd_epi32(_mm512_setzero_si512(),
                                                _mm512_set1_epi8((char)0x80),
                                                q.high));
}

INLINE __m512i dot_key(__m512i k, __m512i offset, __m512i bias,
                       struct query_bytes q)
{
    const __m512i v =
        _mm512_dpbusd_epi32(bias, _mm512_xor_si512(k, offset), q.high);
    return _mm512_dpbusd_epi32(_mm512_slli_epi32(v, 8), q.low, k);
}

/* Adds the products of 64 values of sixteen keys; m: the ones present. */
INLINE void step(__m512i sum[LANES], const uint8_t *key, size_t bytes,
                 size_t left, __mmask64 m, struct query_bytes q)
{
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    const __m512i bias = bias_of(q);
    UNROLL
    for (size_t i = 0; i < LANES; i++) {
        __m512i k =
            ~m ? _mm512_maskz_loadu_epi8(m, key) : _mm512_loadu_si512(key);
        sum[i] = _mm512_add_epi32(sum[i], dot_key(k, offset, bias, q));
        key = avx512_next_key(key, i, bytes, left, true);
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
    return _mm512_cvtepi32_ps(avx512_sum16_epi32(sum));
}

#define GROUP_I8 group_i8
#include "simd/avx512/scan_i8_tmpl.h"

/* ----------------------------------------------- keys of 64 values, a line */

/* Sixteen keys on their way to one vector of sums, as avx512_sum16_epi32 goes
 * it. */
struct sums {
    __m512i a[8], b[4], c[2], all;
};

/* Step i of 15. */
INLINE void add_up(struct sums *t, const __m512i v[LANES], size_t i)
{
    if (i < 8) {
        t->a[i] = avx512_add_pairs(v[2 * i], v[2 * i + 1]);
        PIN(t->a[i]);
    } else if (i < 12) {
        const __m512i *a = t->a + 2 * (i - 8);
        t->b[i - 8] = avx512_add_halves(a[0], a[1]);
        PIN(t->b[i - 8]);
    } else if (i < 14) {
        t->c[i - 12] =
            avx512_add_lanes(t->b[2 * (i - 12)], t->b[2 * (i - 12) + 1]);
        PIN(t->c[i - 12]);
    } else if (i == 14) {
        t->all = avx512_add_lanes(t->c[0], t->c[1]);
        PIN(t->all);
    }
}

INLINE void store_sums(float *score, const float *scales, float scale,
                       __m512i sums)
{
    const __m512 d =
        _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_loadu_ps(scales));
    _mm512_storeu_ps(score, _mm512_mul_ps(d, _mm512_cvtepi32_ps(sums)));
}

/* n keys, a multiple of sixteen, at least one. Sixteen are added up in steps
   between the reads of the next ones, see matvec_vnni_tmpl.h. */
static void scan_lines(float *score, const uint8_t *key, const float *scales,
                       size_t n, const struct clsa_index_query *query)
{
    const struct query_bytes q = split_query(query->q, ~(__mmask64)0);
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    const __m512i bias = bias_of(q);
    __m512i before[LANES] = {0}, now[LANES];
    struct sums t;

    for (size_t s = 0; s < n; s += LANES) {
        UNROLL
        for (size_t i = 0; i < LANES; i++, key += STEP) {
            now[i] = dot_key(_mm512_loadu_si512(key), offset, bias, q);
            prefetch_l1(key + AVX512_LINES_AHEAD);
            PIN(now[i]);
            add_up(&t, before, i);
        }
        if (s)
            store_sums(score + s - LANES, scales + s - LANES, query->scale,
                       t.all);
        UNROLL
        for (size_t i = 0; i < LANES; i++)
            before[i] = now[i];
    }
    UNROLL
    for (size_t i = 0; i < LANES; i++)
        add_up(&t, before, i);
    store_sums(score + n - LANES, scales + n - LANES, query->scale, t.all);
}

static void scan_i8_avx512vnni(float *score, const int8_t *keys,
                               const float *scales, size_t n, size_t len,
                               const struct clsa_index_query *query)
{
    const size_t done = len == STEP ? n / LANES * LANES : 0;
    if (done)
        scan_lines(score, (const uint8_t *)keys, scales, done, query);
    scan_i8(score + done, keys + done * len, scales + done, n - done, len,
            query);
}

void clsa_index_avx512vnni(struct clsa_simd *table)
{
    table->scan_i8 = scan_i8_avx512vnni;
}
