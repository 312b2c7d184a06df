/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_q5_0.c: products of Q5_0 weight rows and activation columns, and such
   rows as floats, AVX2. */
#include "simd/avx2/matmul_k.h"

INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    avx2_k_scales(u, block, CLSA_Q5_0_BYTES);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++, block += CLSA_Q5_0_BYTES)
        u->q[p] = avx2_five_bits(block + 6, block + 2);
}

/* The 16 is taken off the exact sums. */
INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    avx2_k_add(
        s, u, d,
        _mm256_sub_epi32(avx2_k_dot_fives(u->q, x), _mm256_slli_epi32(sum, 4)));
}

#define BLOCK_BYTES    CLSA_Q5_0_BYTES
#define BLOCKS_OF_32   true
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_blocks
#define FACTORS_MINS   false
#define WEIGHT_OFFSET  16
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(q5_0)

void clsa_matmul_q5_0_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q5_0] = clsa_kernel_matmul_q5_0_avx2;
    table->load[CLSA_Q5_0] = load_q5_0_avx2;
}
