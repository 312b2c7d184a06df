/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops at the limits of the machine, AVX2. Twelve sums hide the latency of
 * an FMA (4 or 5 cycles, two per cycle); integer sums need one cycle.
 */
#include "simd/avx2/avx2.h"
#include "simd/peaks.h"

#define VECTORS 4 /* of x in flight, per row of weights */

static uint32_t sum_words(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v),
                              _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(s);
}

INLINE __m256i load(const void *p)
{
    return _mm256_loadu_si256(p);
}

static uint32_t read_avx2(const void *p, size_t bytes, size_t ahead)
{
    const char *from = p;
    __m256i sum[8];

    UNROLL
    for (int i = 0; i < 8; i++)
        sum[i] = _mm256_setzero_si256();
    for (size_t at = 0; at < bytes; at += 256) {
        if (ahead) {
            UNROLL
            for (int i = 0; i < 4; i++)
                _mm_prefetch(from + at + ahead + 64 * i, _MM_HINT_T0);
        }
        UNROLL
        for (int i = 0; i < 8; i++)
            sum[i] = _mm256_add_epi32(sum[i], load(from + at + 32 * i));
    }
    UNROLL
    for (int i = 1; i < 8; i++)
        sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    return sum_words(sum[0]);
}

static float fma_avx2(const float *x, size_t n,
                      const float w[CLSA_PEAK_FMA_ROWS])
{
    __m256 row[CLSA_PEAK_FMA_ROWS], sum[CLSA_PEAK_FMA_ROWS][VECTORS];
    __m256 all = _mm256_setzero_ps();

    UNROLL
    for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++) {
        row[j] = _mm256_set1_ps(w[j]);
        UNROLL
        for (int k = 0; k < VECTORS; k++)
            sum[j][k] = _mm256_setzero_ps();
    }
    for (size_t i = 0; i < n; i += 8 * VECTORS) {
        UNROLL
        for (int k = 0; k < VECTORS; k++) {
            const __m256 v = _mm256_loadu_ps(x + i + 8 * k);
            UNROLL
            for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++)
                sum[j][k] = _mm256_fmadd_ps(v, row[j], sum[j][k]);
        }
    }
    UNROLL
    for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++) {
        UNROLL
        for (int k = 0; k < VECTORS; k++)
            all = _mm256_add_ps(all, sum[j][k]);
    }
    return avx2_sum(all);
}

/* The pattern of a row in all of a vector. */
INLINE __m256i pattern(const int8_t w[CLSA_PEAK_PATTERN])
{
    int64_t v;
    memcpy(&v, w, sizeof v);
    return _mm256_set1_epi64x(v);
}

INLINE __m256i widen(__m256i words)
{
    return _mm256_madd_epi16(words, _mm256_set1_epi16(1));
}

INLINE uint32_t sum_rows(const __m256i sum[CLSA_PEAK_ROWS])
{
    return sum_words(_mm256_add_epi32(_mm256_add_epi32(sum[0], sum[1]),
                                      _mm256_add_epi32(sum[2], sum[3])));
}

/* |w| unsigned, and x with the sign of w: 127 * 127 * 2 fits in 16 bits. */
static uint32_t product_sign(const struct clsa_peak_operands *o)
{
    __m256i row[CLSA_PEAK_ROWS], magnitude[CLSA_PEAK_ROWS];
    __m256i sum[CLSA_PEAK_ROWS];

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        row[j] = pattern(o->w[j]);
        magnitude[j] = _mm256_abs_epi8(row[j]);
        sum[j] = _mm256_setzero_si256();
    }
    for (size_t i = 0; i < o->n; i += 32) {
        const __m256i v = load(o->x + i);
        UNROLL
        for (int j = 0; j < CLSA_PEAK_ROWS; j++)
            sum[j] = _mm256_add_epi32(
                sum[j], widen(_mm256_maddubs_epi16(
                            magnitude[j], _mm256_sign_epi8(v, row[j]))));
    }
    return sum_rows(sum);
}

/* Both operands widened to 16 bits, the rows before the loop. */
static uint32_t product_madd(const struct clsa_peak_operands *o)
{
    __m256i row[CLSA_PEAK_ROWS], sum[CLSA_PEAK_ROWS];

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        row[j] = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(pattern(o->w[j])));
        sum[j] = _mm256_setzero_si256();
    }
    for (size_t i = 0; i < o->n; i += 16) {
        const __m256i v =
            _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(o->x + i)));
        UNROLL
        for (int j = 0; j < CLSA_PEAK_ROWS; j++)
            sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(row[j], v));
    }
    return sum_rows(sum);
}

/* Eight maddubs of nibbles add up to 8 * 2 * 15 * 127 = 30480 at most. */
static uint32_t product_nibbles(const struct clsa_peak_operands *o)
{
    __m256i row[CLSA_PEAK_ROWS], sum[CLSA_PEAK_ROWS], words[CLSA_PEAK_ROWS];

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        row[j] = pattern(o->w[j]);
        sum[j] = _mm256_setzero_si256();
    }
    for (size_t i = 0; i < o->n; i += 256) {
        UNROLL
        for (int k = 0; k < 8; k++) {
            const __m256i v = load(o->x + i + 32 * k);
            UNROLL
            for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
                const __m256i p = _mm256_maddubs_epi16(row[j], v);
                words[j] = k ? _mm256_add_epi16(words[j], p) : p;
            }
        }
        UNROLL
        for (int j = 0; j < CLSA_PEAK_ROWS; j++)
            sum[j] = _mm256_add_epi32(sum[j], widen(words[j]));
    }
    return sum_rows(sum);
}

void clsa_peaks_avx2(struct clsa_peak_loops *loops)
{
    loops->read = read_avx2;
    loops->fma = fma_avx2;
    loops->product[0].name = "vpsignb+vpmaddubsw+vpmaddwd+vpaddd";
    loops->product[0].full = 1;
    loops->product[0].run = product_sign;
    loops->product[1].name = "vpmovsxbw+vpmaddwd+vpaddd";
    loops->product[1].full = 1;
    loops->product[1].run = product_madd;
    loops->product[2].name = "vpmaddubsw+vpaddw";
    loops->product[2].full = 0;
    loops->product[2].run = product_nibbles;
    loops->product[3].name = NULL;
}
