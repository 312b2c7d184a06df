/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q8_0 matmul without VNNI: vpmaddubsw of |w| and of the column with the sign
 * of w, which a masked subtraction gives. A pair sum is at most 2 * 128 * 127
 * and does not saturate. A third faster than both sides widened to 16 bits
 * for vpmaddwd (8 and 16 columns).
 */
#include "simd/avx512/transpose.h"

#define PACKED_VECTORS   8
#define EXPANDED_VECTORS 16

INLINE void pack_block(__m512i t[PACKED_VECTORS],
                       const uint8_t *const row[LANES], size_t at)
{
    avx512_transpose_16x32(t, row, at + 2);
}

/* w[k]: the weights, for their signs; w[k + 8]: their magnitudes. */
INLINE void expand_block(__m512i w[EXPANDED_VECTORS],
                         const __m512i t[PACKED_VECTORS])
{
    UNROLL
    for (int k = 0; k < PACKED_VECTORS; k++) {
        w[k] = t[k];
        w[k + 8] = _mm512_abs_epi8(t[k]);
    }
}

INLINE __m512i dot_block(const __m512i w[EXPANDED_VECTORS], const int8_t *q,
                         int32_t start, const int columns)
{
    const __m512i zero = _mm512_setzero_si512(), ones = _mm512_set1_epi16(1);
    __m512i dot = zero;

    (void)start, (void)columns;
    UNROLL
    for (int k = 0; k < PACKED_VECTORS; k++) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * k, sizeof four);
        __m512i x = _mm512_set1_epi32(four);
        x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w[k]), zero, x);
        __m512i pairs = _mm512_maddubs_epi16(w[k + 8], x);
        dot = _mm512_add_epi32(dot, _mm512_madd_epi16(pairs, ones));
    }
    return dot;
}

#define BLOCK_BYTES   CLSA_Q8_0_BYTES
#define WEIGHT_OFFSET 0
#define PACK_BLOCK    pack_block
#define EXPAND_BLOCK  expand_block
#define DOT_BLOCK     dot_block
#define ONE_COLUMN    clsa_kernel_matmul_q8_0_avx2
#include "simd/avx512/matmul_block_tmpl.h"

void clsa_kernel_matmul_q8_0_avx512(float *y, size_t ldy, const void *w,
                                    size_t rows, const struct clsa_act *a)
{
    matmul_block(y, ldy, w, rows, a);
}

void clsa_matmul_q8_0_avx512(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = clsa_kernel_matmul_q8_0_avx512;
}
