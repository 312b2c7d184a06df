/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split.h: values of a row for attend.c, AVX512_SPLIT at a time as a pair of
 * vectors. bf16 gives the even ones, then the odd ones: two instructions
 * convert them where four would keep their order.
 */
#ifndef CLSA_AVX512_SPLIT_H
#define CLSA_AVX512_SPLIT_H

#include "simd/avx512/avx512.h"

#define AVX512_SPLIT 32 /* values that are converted at once */

/* Two vectors of the n values from j on, of which only the first 32 count;
   absent ones are 0. */
INLINE void avx512_load_split(__m512 v[2], const void *row, size_t j, size_t n,
                              enum clsa_format format)
{
    const uint16_t *half = (const uint16_t *)row + j;
    if (format == CLSA_BF16) {
        __m512i x = n >= AVX512_SPLIT
                        ? _mm512_loadu_si512(half)
                        : _mm512_maskz_loadu_epi16((1u << n) - 1, half);
        v[0] = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
        v[1] = _mm512_castsi512_ps(
            _mm512_and_si512(x, _mm512_set1_epi32((int)0xffff0000)));
    } else if (n >= AVX512_SPLIT) {
        v[0] = avx512_load16(row, j, format);
        v[1] = avx512_load16(row, j + LANES, format);
    } else {
        v[0] = avx512_load_tail(row, j, avx512_first_lanes(n), format);
        v[1] = n > LANES
                   ? avx512_load_tail(row, j + LANES,
                                      avx512_first_lanes(n - LANES), format)
                   : _mm512_setzero_ps();
    }
}

/* The values of v that `first` names, and the ones `step` after each. */
INLINE void avx512_permute_pair(__m512 v[2], __m512i first, int step)
{
    const __m512 a = v[0], b = v[1];
    v[0] = _mm512_permutex2var_ps(a, first, b);
    v[1] = _mm512_permutex2var_ps(
        a, _mm512_add_epi32(first, _mm512_set1_epi32(step)), b);
}

/* Floats to the order of load_split, and back. */
INLINE void avx512_split(__m512 v[2], enum clsa_format format)
{
    if (format == CLSA_BF16)
        avx512_permute_pair(v,
                            _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18,
                                              20, 22, 24, 26, 28, 30),
                            1);
}

INLINE void avx512_unsplit(__m512 v[2], enum clsa_format format)
{
    if (format == CLSA_BF16)
        avx512_permute_pair(v,
                            _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                              5, 21, 6, 22, 7, 23),
                            8);
}

#endif /* CLSA_AVX512_SPLIT_H */
