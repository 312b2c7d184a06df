/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q4_0.c: products of Q4_0 weight rows and activation columns, AVX2.
 *
 * Nibbles are unsigned, 0..15, and the offset of -8 is applied to the integer
 * sum of the block through the sum of its activations. A maddubs gives at most
 * 15 * 127 * 2 = 3810, so that eight of them add up in 16 bits (30480) before
 * they are widened once.
 */
#include "simd/avx2/matmul_block.h"

#define PACKED_STEPS 8

INLINE __m256i dot_block(const uint8_t *block, __m256i x)
{
    return _mm256_maddubs_epi16(avx2_nibbles(block), x);
}

INLINE void multiply(__m256i sum[AVX2_TILE_ROWS][AVX2_COLUMN_GROUPS],
                     const uint8_t *const w[AVX2_TILE_ROWS], const int8_t *x,
                     const int32_t *minus, int rows, int groups)
{
    uint8_t nibbles[AVX2_TILE_ROWS][CLSA_BLOCK];
    UNROLL
    for (int r = 0; r < rows; r++)
        _mm256_storeu_si256((__m256i *)nibbles[r], avx2_nibbles(w[r]));
    AVX2_IN_MEMORY(nibbles);
    UNROLL
    for (int s = 0; s < PACKED_STEPS; s++) {
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256i v = avx2_broadcast4(nibbles[r] + 4 * s);
            UNROLL
            for (int g = 0; g < groups; g++) {
                const __m256i *q =
                    (const __m256i *)(x + PACKED_STEPS * 32 * g + 32 * s);
                const __m256i p =
                    _mm256_maddubs_epi16(v, _mm256_loadu_si256(q));
                sum[r][g] = s ? _mm256_add_epi16(sum[r][g], p) : p;
            }
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int g = 0; g < groups; g++) {
            const __m256i m =
                _mm256_loadu_si256((const __m256i *)(minus + g * LANES));
            sum[r][g] = _mm256_add_epi32(
                _mm256_madd_epi16(sum[r][g], _mm256_set1_epi16(1)), m);
        }
    }
}

#define BLOCK_BYTES    CLSA_Q4_0_BYTES
#define BLOCK_WORDS    true
#define PAIR_ROWS      4 /* 8 sums of words; the float ones wait in L1 */
#define DOT_BLOCK      dot_block
#define MULTIPLY_BLOCK multiply
#include "simd/avx2/matmul_block_tmpl.h"

void clsa_kernel_matmul_q4_0_avx2(float *y, size_t ldy, const void *w,
                                  size_t rows, const struct clsa_act *a)
{
    matmul_block(y, ldy, w, rows, a);
}

void clsa_matmul_q4_0_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_0] = clsa_kernel_matmul_q4_0_avx2;
}
