/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_q5_k.c: products of Q5_K weight rows and activation columns, and such
   rows as floats, AVX2. */
#include "simd/avx2/matmul_k.h"

/* The fifth bits of part p are bits p of 32 bytes. */
INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    const __m256i five = _mm256_set1_epi8(16);
    const __m256i bits = _mm256_loadu_si256((const __m256i *)(block + 16));
    avx2_k_head(u, block);
    avx2_k_nibbles(u->q, block + 48);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++) {
        const __m256i v = p < 4 ? _mm256_slli_epi16(bits, 4 - p)
                                : _mm256_srli_epi16(bits, p - 4);
        u->q[p] = _mm256_or_si256(u->q[p], _mm256_and_si256(v, five));
    }
}

INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    const __m256i dot = avx2_k_dot_fives(u->q, x);
    avx2_k_add(s, u, d, _mm256_mullo_epi32(u->scale, dot));
    avx2_k_subtract(s, u, d, _mm256_mullo_epi32(u->min, sum));
}

#define BLOCK_BYTES    CLSA_Q5_K_BYTES
#define BLOCKS_OF_32   false
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_parts
#define FACTORS_MINS   true
#define WEIGHT_OFFSET  0
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(q5_k)

void clsa_matmul_q5_k_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q5_K] = clsa_kernel_matmul_q5_k_avx2;
    table->load[CLSA_Q5_K] = load_q5_k_avx2;
}
