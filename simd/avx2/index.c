/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: index keys: quantization, scan and filter of scores, AVX2.
 *
 * A scan takes eight keys at a time, one vector of partial sums each, and adds
 * across the lanes of all eight at once. A last group of fewer keys reads its
 * last key again instead of memory after it, and drops the surplus scores.
 */
#include "simd/avx2/quantize.h"

enum { KEYS = 8 };

static void quantize_row_avx2(int8_t *q, float *scale, const float *x,
                              size_t len, float limit)
{
    const float max = avx2_largest(x, len);
    const __m256 inv = _mm256_set1_ps(clsa_quant_inverse(max, limit));
    size_t i = 0;
    *scale = clsa_quant_scale(max, limit);
    for (; i + 32 <= len; i += 32)
        _mm256_storeu_si256((__m256i *)(q + i),
                            avx2_quantize32(x + i, inv, limit));
    if (i < len) {
        float rest[32] = {0};
        int8_t bytes[32];
        memcpy(rest, x + i, (len - i) * sizeof *x);
        _mm256_storeu_si256((__m256i *)bytes,
                            avx2_quantize32(rest, inv, limit));
        memcpy(q + i, bytes, len - i);
    }
}

/* Where the keys of a group of `left` lie. */
INLINE void point(const char *key[KEYS], const void *first, size_t bytes,
                  size_t left)
{
    UNROLL
    for (size_t k = 0; k < KEYS; k++)
        key[k] = (const char *)first + bytes * (k < left ? k : left - 1);
}

INLINE void store_scores(float *score, __m256 v, size_t left)
{
    if (left >= KEYS)
        _mm256_storeu_ps(score, v);
    else
        _mm256_maskstore_ps(score, avx2_tail_mask(left), v);
}

/* -------------------------------------------------------------- float keys */

INLINE __m256 score_float(const char *const key[KEYS], size_t len,
                          const float *x, enum clsa_format format)
{
    __m256 sum[KEYS];
    size_t j = 0;
    UNROLL
    for (int k = 0; k < KEYS; k++)
        sum[k] = _mm256_setzero_ps();
    if (format == CLSA_BF16)
        for (; j + 16 <= len; j += 16)
            avx2_dot16_bf16(sum, key, x, j, true);
    for (; j + 8 <= len; j += 8) {
        const __m256 q = _mm256_loadu_ps(x + j);
        UNROLL
        for (int k = 0; k < KEYS; k++) {
            avx2_prefetch_line(key[k], clsa_format_bytes(format, j),
                               clsa_format_bytes(format, 8));
            sum[k] = _mm256_fmadd_ps(avx2_load8(key[k], j, format), q, sum[k]);
        }
    }
    if (j < len) {
        const __m256 q = avx2_load_tail(x, j, len - j, CLSA_F32);
        UNROLL
        for (int k = 0; k < KEYS; k++)
            sum[k] = _mm256_fmadd_ps(avx2_load_tail(key[k], j, len - j, format),
                                     q, sum[k]);
    }
    return avx2_sum8(sum);
}

static void scan_f32_avx2(float *score, const float *key, size_t n, size_t len,
                          const struct clsa_index_query *query)
{
    for (size_t s = 0; s < n; s += KEYS) {
        const char *group[KEYS];
        point(group, key + s * len, len * sizeof *key, n - s);
        store_scores(score + s, score_float(group, len, query->x, CLSA_F32),
                     n - s);
    }
}

static void scan_bf16_avx2(float *score, const uint16_t *key, size_t n,
                           size_t len, const struct clsa_index_query *query)
{
    for (size_t s = 0; s < n; s += KEYS) {
        const char *group[KEYS];
        point(group, key + s * len, len * sizeof *key, n - s);
        store_scores(score + s, score_float(group, len, query->x, CLSA_BF16),
                     n - s);
    }
}

/* --------------------------------------------------------------- int8 keys */

INLINE __m256i madd_key(__m128i key, __m256i q)
{
    return _mm256_madd_epi16(_mm256_cvtepi8_epi16(key), q);
}

static __m256i tail_i8(const char *key, const int16_t *q, size_t n)
{
    int8_t k[16] = {0};
    int16_t x[16] = {0};
    memcpy(k, key, n);
    memcpy(x, q, n * sizeof *x);
    return madd_key(_mm_loadu_si128((const __m128i *)k),
                    _mm256_loadu_si256((const __m256i *)x));
}

INLINE __m256i score_i8(const char *const key[KEYS], size_t len,
                        const int16_t *q)
{
    __m256i sum[KEYS];
    size_t j = 0;
    UNROLL
    for (int k = 0; k < KEYS; k++)
        sum[k] = _mm256_setzero_si256();
    for (; j + 16 <= len; j += 16) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(q + j));
        UNROLL
        for (int k = 0; k < KEYS; k++) {
            const __m128i v = _mm_loadu_si128((const __m128i *)(key[k] + j));
            avx2_prefetch_line(key[k], j, 16);
            sum[k] = _mm256_add_epi32(sum[k], madd_key(v, x));
        }
    }
    if (j < len)
        for (int k = 0; k < KEYS; k++)
            sum[k] =
                _mm256_add_epi32(sum[k], tail_i8(key[k] + j, q + j, len - j));
    return avx2_isum8(sum, false);
}

static void scan_i8_avx2(float *score, const int8_t *key, const float *scales,
                         size_t n, size_t len,
                         const struct clsa_index_query *query)
{
    const __m256 scale = _mm256_set1_ps(query->scale);
    for (size_t s = 0; s < n; s += KEYS) {
        const char *group[KEYS];
        const size_t left = n - s;
        point(group, key + s * len, len, left);
        const __m256 d = left >= KEYS
                             ? _mm256_loadu_ps(scales + s)
                             : avx2_load_tail(scales, s, left, CLSA_F32);
        const __m256 sum = _mm256_cvtepi32_ps(score_i8(group, len, query->q));
        store_scores(score + s, _mm256_mul_ps(_mm256_mul_ps(scale, d), sum),
                     left);
    }
}

/* ------------------------------------------------------------------ filter */

/* One bit for each of 8 scores that passes. */
INLINE unsigned passing(const float *score, __m256 threshold)
{
    return (unsigned)_mm256_movemask_ps(
        _mm256_cmp_ps(_mm256_loadu_ps(score), threshold, _CMP_GE_OQ));
}

/* Few scores pass, so that the common case is four comparisons and a jump. */
static size_t filter_avx2(uint64_t *out, const float *score, size_t n,
                          uint32_t first, float threshold)
{
    const __m256 t = _mm256_set1_ps(threshold);
    size_t m = 0, s = 0;
    for (; s + 32 <= n; s += 32) {
        uint32_t bits = passing(score + s, t) | passing(score + s + 8, t) << 8 |
                        passing(score + s + 16, t) << 16 |
                        passing(score + s + 24, t) << 24;
        for (; bits; bits &= bits - 1) {
            const size_t i = s + (unsigned)__builtin_ctz(bits);
            out[m++] = clsa_rank(score[i], first + (uint32_t)i);
        }
    }
    for (; s < n; s++)
        if (score[s] >= threshold)
            out[m++] = clsa_rank(score[s], first + (uint32_t)s);
    return m;
}

void clsa_index_avx2(struct clsa_simd *table)
{
    table->quantize_row = quantize_row_avx2;
    table->scan_f32 = scan_f32_avx2;
    table->scan_bf16 = scan_bf16_avx2;
    table->scan_i8 = scan_i8_avx2;
    table->filter = filter_avx2;
}
