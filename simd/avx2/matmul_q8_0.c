/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q8_0.c: products of Q8_0 weight rows and activation columns, AVX2.
 *
 * maddubs takes one unsigned operand: |w| <= 128 is it, and x gets the sign of
 * w. 128 * 127 * 2 fits in 16 bits, so that the sum is exact; weights moved by
 * 128 would saturate.
 */
#include "simd/simd.h"

#define BLOCK_BYTES CLSA_Q8_0_BYTES
#define WORDS       false
#define ROWS_OF_2   2 /* 4 integer and 4 float sums, the rest operands */

#include "simd/avx2/matmul_block.h"

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

INLINE __m256i broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

/* The magnitudes go through the stack, because a broadcast load is free where
   the arithmetic is the limit, and one more instruction per step is not. */
INLINE void multiply(__m256i sum[ROWS][GROUPS], const uint8_t *const w[ROWS],
                     const int8_t *x, const int32_t *minus, int rows,
                     int groups)
{
    uint8_t magnitude[ROWS][CLSA_BLOCK];
    (void)minus;
    UNROLL
    for (int r = 0; r < rows; r++) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(w[r] + 2));
        _mm256_storeu_si256((__m256i *)magnitude[r], _mm256_abs_epi8(v));
        UNROLL
        for (int g = 0; g < groups; g++)
            sum[r][g] = _mm256_setzero_si256();
    }
    UNROLL
    for (int s = 0; s < STEPS; s++) {
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256i v = broadcast4(w[r] + 2 + 4 * s);
            const __m256i m = broadcast4(magnitude[r] + 4 * s);
            UNROLL
            for (int g = 0; g < groups; g++) {
                const __m256i *q = (const __m256i *)(x + 256 * g + 32 * s);
                sum[r][g] = _mm256_add_epi32(
                    sum[r][g], dot_signed(v, m, _mm256_loadu_si256(q)));
            }
        }
    }
}

static void matmul_q8_0_avx2(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a);
}

void clsa_avx2_matmul_q8_0(struct clsa_simd *table)
{
    table->matmul[CLSA_Q8_0] = matmul_q8_0_avx2;
}
