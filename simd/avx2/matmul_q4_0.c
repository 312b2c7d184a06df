/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q4_0.c: products of Q4_0 weight rows and activation columns, AVX2.
 *
 * Nibbles are unsigned, 0..15, and the offset of -8 is applied to the integer
 * sum of the block through the sum of its activations. A maddubs gives at most
 * 15 * 127 * 2 = 3810, so that eight of them add up in 16 bits (30480) before
 * they are widened once.
 */
#include "simd/simd.h"

#define BLOCK_BYTES CLSA_Q4_0_BYTES
#define WORDS       true
#define WIDE        false
#define ROWS_OF_2   4 /* 8 sums of words; the float ones wait in L1 */

#include "simd/avx2/matmul_block.h"

INLINE __m256i dot_block(const uint8_t *block, __m256i x)
{
    return _mm256_maddubs_epi16(clsa_nibbles(block), x);
}

INLINE void multiply(__m256i sum[ROWS][GROUPS], const uint8_t *const w[ROWS],
                     const int8_t *x, const int32_t *minus, int rows,
                     int groups)
{
    uint8_t nibbles[ROWS][CLSA_BLOCK];
    UNROLL
    for (int r = 0; r < rows; r++)
        _mm256_storeu_si256((__m256i *)nibbles[r], clsa_nibbles(w[r]));
    IN_MEMORY(nibbles);
    UNROLL
    for (int s = 0; s < STEPS; s++) {
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256i v = broadcast4(nibbles[r] + 4 * s);
            UNROLL
            for (int g = 0; g < groups; g++) {
                const __m256i *q =
                    (const __m256i *)(x + GROUP_BYTES * g + 32 * s);
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

static void matmul_q4_0_avx2(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a);
}

void clsa_avx2_matmul_q4_0(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_0] = matmul_q4_0_avx2;
}
