/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_block.h: what matmul_q8_0.c and matmul_q4_0.c need for the functions
 * that they give to matmul_block_tmpl.h.
 */
#ifndef CLSA_AVX2_MATMUL_BLOCK_H
#define CLSA_AVX2_MATMUL_BLOCK_H

#include "simd/avx2/avx2.h"

#define AVX2_TILE_ROWS     4 /* most rows of a tile */
#define AVX2_COLUMN_GROUPS 2 /* most groups of 8 columns of a tile */

/* Four bytes, in all lanes. */
INLINE __m256i avx2_broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

/* What was stored is loaded from there: otherwise the compiler keeps it in a
   register and shifts it for each broadcast. */
#define AVX2_IN_MEMORY(array) __asm__("" : "+m"(array))

#endif /* CLSA_AVX2_MATMUL_BLOCK_H */
