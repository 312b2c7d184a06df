/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q8_0 matmul with vpdpbusd, which multiplies u8 by s8: the weights are taken
 * as w + 128, and 128 times the column's block sum is taken off again, in
 * integers.
 */
#include "simd/avx512/dot_vnni.h"
#include "simd/avx512/transpose.h"

#define PACKED_VECTORS   8
#define EXPANDED_VECTORS 8

INLINE void pack_block(__m512i t[PACKED_VECTORS],
                       const uint8_t *const row[LANES], size_t at)
{
    avx512_transpose_16x32(t, row, at + 2);
    UNROLL
    for (int k = 0; k < PACKED_VECTORS; k++)
        t[k] = _mm512_xor_si512(t[k], _mm512_set1_epi8((char)0x80));
}

INLINE void expand_block(__m512i w[EXPANDED_VECTORS],
                         const __m512i t[PACKED_VECTORS])
{
    UNROLL
    for (int k = 0; k < EXPANDED_VECTORS; k++)
        w[k] = t[k];
}

#define QUAD_PARTS 2

/* Pairs of blocks, the second with its last four values in front. */
INLINE void arrange_quad(int8_t *to, const int8_t *from)
{
    for (size_t k = 0; k < QUAD_PARTS; k++, to += 64, from += 64) {
        __builtin_memcpy(to, from, 32);
        __builtin_memcpy(to + 32, from + 60, 4);
        __builtin_memcpy(to + 36, from + 32, 28);
    }
}

/* The first 64 bytes of a pair: values 0..31 and 32..59, and between them the
   scales, where the last four values go. */
INLINE __m512i most_of_pair(const uint8_t *w)
{
    static const uint8_t from[64] = {
        2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,
        0,  1,  34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
        48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
    };
    return _mm512_permutexvar_epi8(_mm512_loadu_si512(from),
                                   _mm512_loadu_si512(w));
}

INLINE __m512i dot_part(const uint8_t *w, const int8_t *x, uint16_t *scales)
{
    const __m512i v = most_of_pair(w);
    int32_t last;
    __builtin_memcpy(&last, w + 64, sizeof last);
    _mm_storeu_si128((__m128i *)scales, _mm512_extracti32x4_epi32(v, 2));
    return _mm512_dpbusd_epi32(
        _mm512_setzero_si512(),
        _mm512_xor_si512(_mm512_mask_set1_epi32(v, 0x100, last),
                         _mm512_set1_epi8((char)0x80)),
        _mm512_load_si512(x));
}

#define BLOCK_BYTES   CLSA_Q8_0_BYTES
#define WEIGHT_OFFSET 128
#define ARRANGE_QUAD  arrange_quad
#define DOT_PART      dot_part
#define LEVEL_BELOW   clsa_kernel_matmul_q8_0_avx512
#include "simd/avx512/matvec_vnni_tmpl.h"

#define BLOCK_BYTES   CLSA_Q8_0_BYTES
#define WEIGHT_OFFSET 128
#define PACK_BLOCK    pack_block
#define EXPAND_BLOCK  expand_block
#define DOT_BLOCK     avx512_dot_block_vnni
#define ONE_COLUMN    matvec
#include "simd/avx512/matmul_block_tmpl.h"

void clsa_kernel_matmul_q8_0_avx512vnni(float *y, size_t ldy, const void *w,
                                        size_t rows, const struct clsa_act *a)
{
    matmul_block(y, ldy, w, rows, a);
}

void clsa_matmul_q8_0_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = clsa_kernel_matmul_q8_0_avx512vnni;
}
