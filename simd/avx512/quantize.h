/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantize.h: floats to integers with AVX-512, for the activations and rows of
 * rows.c and the index keys of index.c.
 */
#ifndef CLSA_AVX512_QUANTIZE_H
#define CLSA_AVX512_QUANTIZE_H

#include "simd/avx512/avx512.h"
#include "simd/scalar.h"

/*
 * The clamp stands before the rounding, which is the same for whole bounds.
 * Its order of operands makes -limit of NaN, as fmaxf does: 127 / max overflows
 * below 3.8e-37, and 0 times infinity appears.
 */
INLINE __m512i avx512_quantize16(__m512 x, __m512 inverse, float limit)
{
    __m512 v = _mm512_mul_ps(x, inverse);
    v = _mm512_max_ps(v, _mm512_set1_ps(-limit));
    v = _mm512_min_ps(v, _mm512_set1_ps(limit));
    return _mm512_cvtps_epi32(v);
}

#endif /* CLSA_AVX512_QUANTIZE_H */
