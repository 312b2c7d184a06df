/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of index keys and filter of candidates. Sixteen keys at a time, one
 * vector of partial sums a key, one tree over them (sum16_*): a key's score
 * is the same wherever it stands.
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

/*
 * The ranks of the candidates of one vector are packed in registers and
 * stored under a mask: the compressing store is microcode on Zen 4, and a
 * whole vector could reach behind the end of out.
 */
INLINE void store_ranks(uint64_t *out, __m512i key, __m512i low, unsigned count)
{
    const unsigned stored = (1u << count) - 1;
    __m512i k = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(key));
    __m512i l = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(low));
    _mm512_mask_storeu_epi64(out, (__mmask8)stored,
                             _mm512_or_si512(_mm512_slli_epi64(k, 32), l));
    if (count <= 8)
        return;
    k = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(key, 1));
    l = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(low, 1));
    _mm512_mask_storeu_epi64(out + 8, (__mmask8)(stored >> 8),
                             _mm512_or_si512(_mm512_slli_epi64(k, 32), l));
}

static size_t filter_avx512(uint64_t *out, const float *score, size_t n,
                            uint32_t first, float threshold)
{
    const __m512i lane =
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i top = _mm512_set1_epi32(INT32_MIN);
    const __m512 limit = _mm512_set1_ps(threshold);
    size_t m = 0;
    for (size_t s = 0; s < n; s += LANES) {
        __mmask16 valid = first_lanes(n - s);
        __m512 v = _mm512_maskz_loadu_ps(valid, score + s);
        __mmask16 take = _mm512_mask_cmp_ps_mask(valid, v, limit, _CMP_GE_OQ);
        if (!take)
            continue;
        /* as clsa_rank: -0 becomes +0, then order as unsigned integers */
        __m512i u = _mm512_castps_si512(_mm512_add_ps(v, _mm512_setzero_ps()));
        __m512i flip = _mm512_or_si512(_mm512_srai_epi32(u, 31), top);
        __m512i position = _mm512_add_epi32(
            lane, _mm512_set1_epi32((int32_t)(first + (uint32_t)s)));
        __m512i low = _mm512_xor_si512(position, _mm512_set1_epi32(-1));
        unsigned count = (unsigned)__builtin_popcount(take);
        store_ranks(
            out + m,
            _mm512_maskz_compress_epi32(take, _mm512_xor_si512(u, flip)),
            _mm512_maskz_compress_epi32(take, low), count);
        m += count;
    }
    return m;
}

void clsa_index_avx512(struct clsa_simd *table)
{
    table->scan_f32 = scan_f32_avx512;
    table->scan_bf16 = clsa_scan_bf16_avx512;
    table->scan_i8 = scan_i8_avx512;
    table->filter = filter_avx512;
}
