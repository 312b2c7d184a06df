/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_0 matmul with vpdpbusd: the nibbles are the unsigned side, and 8 times
 * the column's block sum is taken off again, in integers.
 */
#include "simd/avx512/dot_vnni.h"
#include "simd/avx512/transpose.h"

#define PACKED_VECTORS   4
#define EXPANDED_VECTORS 8

INLINE void pack_block(__m512i t[PACKED_VECTORS],
                       const uint8_t *const row[LANES], size_t at)
{
    avx512_transpose_16x16(t, row, at + 2);
}

INLINE void expand_block(__m512i w[EXPANDED_VECTORS],
                         const __m512i t[PACKED_VECTORS])
{
    const __m512i low = _mm512_set1_epi8(15);
    UNROLL
    for (int k = 0; k < PACKED_VECTORS; k++) {
        w[k] = _mm512_and_si512(t[k], low);
        w[k + 4] = _mm512_and_si512(_mm512_srli_epi16(t[k], 4), low);
    }
}

#define QUAD_PARTS 1

/* Values that are low nibbles, 16 of each block, then the others. */
INLINE void arrange_quad(int8_t *to, const int8_t *from)
{
    for (size_t half = 0; half < 2; half++)
        for (size_t b = 0; b < AVX512_QUAD; b++)
            __builtin_memcpy(to + (half * AVX512_QUAD + b) * 16,
                             from + b * CLSA_BLOCK + half * 16, 16);
}

/* From the first three of four blocks: their nibbles, a block a lane; in the
   last lane the scales of all. */
INLINE __m512i three_blocks(const uint8_t *w)
{
    static const uint8_t from[64] = {
        2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
        16, 17, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
        32, 33, 34, 35, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
        48, 49, 50, 51, 52, 53, 0,  1,  18, 19, 36, 37, 54, 55,
    };
    return _mm512_permutexvar_epi8(_mm512_loadu_si512(from),
                                   _mm512_loadu_si512(w));
}

INLINE __m512i dot_part(const uint8_t *w, const int8_t *x, uint16_t *scales)
{
    const __m512i low = _mm512_set1_epi8(15), v = three_blocks(w);
    const __m512i all = _mm512_inserti32x4(
        v, _mm_loadu_si128((const __m128i *)(w + 3 * CLSA_Q4_0_BYTES + 2)), 3);
    const __m512i dot =
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_and_si512(all, low),
                            _mm512_load_si512(x));
    _mm_storeu_si128((__m128i *)scales, _mm512_extracti32x4_epi32(v, 3));
    return _mm512_dpbusd_epi32(dot,
                               _mm512_and_si512(_mm512_srli_epi16(all, 4), low),
                               _mm512_load_si512(x + 64));
}

#define BLOCK_BYTES   CLSA_Q4_0_BYTES
#define WEIGHT_OFFSET 8
#define ARRANGE_QUAD  arrange_quad
#define DOT_PART      dot_part
#define LEVEL_BELOW   clsa_kernel_matmul_q4_0_avx512
#include "simd/avx512/matvec_vnni_tmpl.h"

#define BLOCK_BYTES   CLSA_Q4_0_BYTES
#define WEIGHT_OFFSET 8
#define PACK_BLOCK    pack_block
#define EXPAND_BLOCK  expand_block
#define DOT_BLOCK     avx512_dot_block_vnni
#define ONE_COLUMN    matvec
#include "simd/avx512/matmul_block_tmpl.h"

void clsa_kernel_matmul_q4_0_avx512vnni(float *y, size_t ldy, const void *w,
                                        size_t rows, const struct clsa_act *a)
{
    matmul_block(y, ldy, w, rows, a);
}

void clsa_matmul_q4_0_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_0] = clsa_kernel_matmul_q4_0_avx512vnni;
}
