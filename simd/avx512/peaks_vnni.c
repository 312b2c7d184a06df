/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer products at the limit of VNNI. vpdpbusd multiplies u8 by s8: full
 * weights are taken as w + 128, and 128 times the sum of x is taken off at the
 * end. Eight chains hide its latency.
 */
#include "simd/avx512/avx512.h"
#include "simd/peaks.h"

#define CHAINS 2 /* per row of weights */

INLINE uint32_t product(const struct clsa_peak_operands *o, __m512i offset)
{
    __m512i row[CLSA_PEAK_ROWS], sum[CLSA_PEAK_ROWS][CHAINS];
    __m512i all = _mm512_setzero_si512();

    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++) {
        int64_t v;
        __builtin_memcpy(&v, o->w[j], sizeof v);
        row[j] = _mm512_xor_si512(_mm512_set1_epi64(v), offset);
        sum[j][0] = sum[j][1] = _mm512_setzero_si512();
    }
    for (size_t i = 0; i < o->n; i += 64 * CHAINS) {
        UNROLL
        for (int k = 0; k < CHAINS; k++) {
            const __m512i v = _mm512_loadu_si512(o->x + i + 64 * k);
            UNROLL
            for (int j = 0; j < CLSA_PEAK_ROWS; j++)
                sum[j][k] = _mm512_dpbusd_epi32(sum[j][k], row[j], v);
        }
    }
    UNROLL
    for (int j = 0; j < CLSA_PEAK_ROWS; j++)
        all = _mm512_add_epi32(all, _mm512_add_epi32(sum[j][0], sum[j][1]));
    return avx512_sum_mod(all);
}

static uint32_t product_full(const struct clsa_peak_operands *o)
{
    return product(o, _mm512_set1_epi8((char)0x80)) -
           CLSA_PEAK_ROWS * 128 * (uint32_t)o->sum;
}

static uint32_t product_nibbles(const struct clsa_peak_operands *o)
{
    return product(o, _mm512_setzero_si512());
}

void clsa_peaks_avx512vnni(struct clsa_peak_loops *loops)
{
    loops->product[0].name = "vpdpbusd, offset 128";
    loops->product[0].full = 1;
    loops->product[0].run = product_full;
    loops->product[1].name = "vpdpbusd";
    loops->product[1].full = 0;
    loops->product[1].run = product_nibbles;
    loops->product[2].name = NULL;
}
