/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q8_0.c: products of Q8_0 weight rows and activation columns, AVX2.
 *
 * Few columns: maddubs takes one unsigned operand: |w| <= 128 is it, and x
 * gets the sign of w. 128 * 127 * 2 fits in 16 bits, so that the sum is exact;
 * weights moved by 128 would saturate.
 *
 * More columns: both sides are widened to 16 bits before the products, x when
 * it is packed and w once for all columns, which leaves vpmaddwd and vpaddd:
 * the same products in fewer instructions.
 */
#include "simd/avx2/matmul_block.h"

#define PACKED_STEPS 16 /* activations are widened to 16 bits */

INLINE __m256i dot_signed(__m256i w, __m256i magnitude, __m256i x)
{
    return _mm256_madd_epi16(
        _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w)),
        _mm256_set1_epi16(1));
}

INLINE __m256i dot_block(const uint8_t *block, __m256i x)
{
    const __m256i w = _mm256_loadu_si256((const __m256i *)(block + 2));
    return dot_signed(w, _mm256_abs_epi8(w), x);
}

/* The weights go through the stack, because a broadcast load is free if the
   arithmetic is the limit, and a shuffle per step is not. */
INLINE void multiply(__m256i sum[AVX2_TILE_ROWS][AVX2_COLUMN_GROUPS],
                     const uint8_t *const w[AVX2_TILE_ROWS], const int8_t *x,
                     const int32_t *minus, int rows, int groups)
{
    int16_t wide[AVX2_TILE_ROWS][CLSA_BLOCK];
    (void)minus;
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int i = 0; i < CLSA_BLOCK; i += 16)
            _mm256_storeu_si256((__m256i *)(wide[r] + i),
                                _mm256_cvtepi8_epi16(_mm_loadu_si128(
                                    (const __m128i *)(w[r] + 2 + i))));
        UNROLL
        for (int g = 0; g < groups; g++)
            sum[r][g] = _mm256_setzero_si256();
    }
    AVX2_IN_MEMORY(wide);
    UNROLL_4
    for (int s = 0; s < PACKED_STEPS; s++) {
        __m256i q[AVX2_COLUMN_GROUPS];
        UNROLL
        for (int g = 0; g < groups; g++) {
            q[g] = _mm256_loadu_si256(
                (const __m256i *)(x + PACKED_STEPS * 32 * g + 32 * s));
            /* or it is loaded again for each row */
            __asm__("" : "+x"(q[g]));
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256i v = avx2_broadcast4(wide[r] + 2 * s);
            UNROLL
            for (int g = 0; g < groups; g++)
                sum[r][g] =
                    _mm256_add_epi32(sum[r][g], _mm256_madd_epi16(v, q[g]));
        }
    }
}

#define BLOCK_BYTES    CLSA_Q8_0_BYTES
#define BLOCK_WORDS    false /* dot_block gives 32-bit sums */
#define PAIR_ROWS      3     /* 8 integer sums; the float ones wait in L1 */
#define DOT_BLOCK      dot_block
#define MULTIPLY_BLOCK multiply
#include "simd/avx2/matmul_block_tmpl.h"

void clsa_kernel_matmul_q8_0_avx2(float *y, size_t ldy, const void *w,
                                  size_t rows, const struct clsa_act *a)
{
    matmul_block(y, ldy, w, rows, a);
}

void clsa_matmul_q8_0_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = clsa_kernel_matmul_q8_0_avx2;
}
