/* SPDX-License-Identifier: Apache-2.0 */
/* Loops at the limits of the machine, AVX-512. */
#include "simd/avx512/avx512.h"
#include "simd/peaks.h"

#define VECTORS 4 /* of x in flight, per row of weights */

static uint32_t read_avx512(const void *p, size_t bytes, size_t ahead)
{
    const char *from = p;
    __m512i sum[4];

    UNROLL
    for (int i = 0; i < 4; i++)
        sum[i] = _mm512_setzero_si512();
    for (size_t at = 0; at < bytes; at += 256) {
        UNROLL
        for (int i = 0; i < 4; i++) {
            if (ahead)
                _mm_prefetch(from + at + ahead + 64 * i, _MM_HINT_T0);
            sum[i] = _mm512_add_epi32(sum[i],
                                      _mm512_loadu_si512(from + at + 64 * i));
        }
    }
    return avx512_sum_mod(_mm512_add_epi32(_mm512_add_epi32(sum[0], sum[1]),
                                           _mm512_add_epi32(sum[2], sum[3])));
}

static float fma_avx512(const float *x, size_t n,
                        const float w[CLSA_PEAK_FMA_ROWS])
{
    __m512 row[CLSA_PEAK_FMA_ROWS], sum[CLSA_PEAK_FMA_ROWS][VECTORS];
    __m512 all = _mm512_setzero_ps();

    UNROLL
    for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++) {
        row[j] = _mm512_set1_ps(w[j]);
        UNROLL
        for (int k = 0; k < VECTORS; k++)
            sum[j][k] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < n; i += 16 * VECTORS) {
        UNROLL
        for (int k = 0; k < VECTORS; k++) {
            __m512 v = _mm512_loadu_ps(x + i + 16 * k);
            /* or the compiler loads it once for each row */
            __asm__("" : "+v"(v));
            UNROLL
            for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++)
                sum[j][k] = _mm512_fmadd_ps(v, row[j], sum[j][k]);
        }
    }
    UNROLL
    for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++) {
        UNROLL
        for (int k = 0; k < VECTORS; k++)
            all = _mm512_add_ps(all, sum[j][k]);
    }
    return _mm512_reduce_add_ps(all);
}

/* The pattern of a row in all of a vector. */
INLINE __m512i pattern(const int8_t w[CLSA_PEAK_PATTERN])
{
    int64_t v;
    __builtin_memcpy(&v, w, sizeof v);
    return _mm512_set1_epi64(v);
}

INLINE uint32_t sum_rows(const __m512i sum[CLSA_PEAK_ROWS])
{
    return avx512_sum_mod(_mm512_add_epi32(_mm512_add_epi32(sum[0], sum[1]),
                                           _mm512_add_epi32(sum[2], sum[3])));
}

/* |w| unsigned, and x negated under the mask of w's signs. */
static uint32_t product_sign(const struct clsa_peak_operands *o)
{
    const __m512i zero = _mm512_setzero_si512(), ones = _mm512_set1_epi16(1);
    __m512i row[CLSA_PEAK_ROWS], sum[CLSA_PEAK_ROWS];
    __mmask64 sign[CLSA_PEAK_ROWS];

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        row[j] = _mm512_abs_epi8(pattern(o->w[j]));
        sign[j] = _mm512_movepi8_mask(pattern(o->w[j]));
        sum[j] = zero;
    }
    for (size_t i = 0; i < o->n; i += 64) {
        const __m512i v = _mm512_loadu_si512(o->x + i);
        UNROLL
        for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
            const __m512i s = _mm512_mask_sub_epi8(v, sign[j], zero, v);
            sum[j] = _mm512_add_epi32(
                sum[j],
                _mm512_madd_epi16(_mm512_maddubs_epi16(row[j], s), ones));
        }
    }
    return sum_rows(sum);
}

/* Four maddubs of nibbles add up to 4 * 2 * 15 * 127 = 15240 at most. */
static uint32_t product_nibbles(const struct clsa_peak_operands *o)
{
    const __m512i ones = _mm512_set1_epi16(1);
    __m512i row[CLSA_PEAK_ROWS], sum[CLSA_PEAK_ROWS], words[CLSA_PEAK_ROWS];

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        row[j] = pattern(o->w[j]);
        sum[j] = _mm512_setzero_si512();
    }
    for (size_t i = 0; i < o->n; i += 256) {
        UNROLL
        for (int k = 0; k < 4; k++) {
            const __m512i v = _mm512_loadu_si512(o->x + i + 64 * k);
            UNROLL
            for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
                const __m512i p = _mm512_maddubs_epi16(row[j], v);
                words[j] = k ? _mm512_add_epi16(words[j], p) : p;
            }
        }
        UNROLL
        for (int j = 0; j < CLSA_PEAK_ROWS; j++)
            sum[j] =
                _mm512_add_epi32(sum[j], _mm512_madd_epi16(words[j], ones));
    }
    return sum_rows(sum);
}

void clsa_peaks_avx512(struct clsa_peak_loops *loops)
{
    loops->read = read_avx512;
    loops->fma = fma_avx512;
    loops->product[0].name = "vpsubb+vpmaddubsw+vpmaddwd+vpaddd";
    loops->product[0].full = 1;
    loops->product[0].run = product_sign;
    loops->product[1].name = "vpmaddubsw+vpaddw";
    loops->product[1].full = 0;
    loops->product[1].run = product_nibbles;
    loops->product[2].name = NULL;
}
