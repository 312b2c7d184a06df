/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_k.h: blocks of sixteen rows of Q4_K or Q6_K weights, and a column that
 * they are multiplied with: what matmul_k_tmpl.h and the files around it share.
 */
#ifndef CLSA_AVX512_MATMUL_K_H
#define CLSA_AVX512_MATMUL_K_H

#include "simd/avx512/transpose.h"

#define AVX512_PART_STEPS 8 /* of 4 values in a part */

/* A block of sixteen rows. q[p][k], lane r: values 4k..4k+3 of part p of row
   r, a byte each. */
struct avx512_k_block {
    __m512i q[CLSA_K_PARTS][AVX512_PART_STEPS]; /* Q4_K: 0..15, Q6_K: 0..63 */
    __m512 scale[CLSA_K_PARTS]
                [2]; /* Q4_K: [0] only; Q6_K: of the halves of a part */
    __m512 min[CLSA_K_PARTS]; /* Q4_K only, as dmin */
    __m512 d, dmin;
};

/* The sums of sixteen rows and a column by part of a block: what simd/avx2 has
   in the lanes of two vectors. */
struct avx512_k_sums {
    __m512 y[CLSA_K_PARTS], minus[CLSA_K_PARTS];
};

/* A column at one block of the weights. */
struct avx512_k_column {
    const int8_t *x;
    const float *d;     /* of the block's first part; the next ldd further */
    const int32_t *sum; /* the same */
    int32_t start[16];  /* Q6_K only: what the sums begin with */
};

/* Byte i % 4 of the dwords of v[i / 4]. */
INLINE __m512i avx512_byte_of(const __m512i *v, int i)
{
    return _mm512_and_si512(_mm512_srli_epi32(v[i / 4], 8 * (i % 4)),
                            _mm512_set1_epi32(255));
}

INLINE __m512i avx512_signed_byte_of(const __m512i *v, int i)
{
    return _mm512_srai_epi32(_mm512_slli_epi32(v[i / 4], 24 - 8 * (i % 4)), 24);
}

INLINE __m512i avx512_broadcast4(const int8_t *x)
{
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

#endif /* CLSA_AVX512_MATMUL_K_H */
