/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_q5_1.c: products of Q5_1 weight rows and activation columns, and such
   rows as floats, AVX2. */
#include "simd/avx2/matmul_k.h"

INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    avx2_k_scales(u, block, CLSA_Q5_1_BYTES);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++, block += CLSA_Q5_1_BYTES)
        u->q[p] = avx2_five_bits(block + 8, block + 4);
}

INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    avx2_k_add(s, u, d, avx2_k_dot_fives(u->q, x));
    avx2_k_subtract(s, u, d, sum);
}

#define BLOCK_BYTES    CLSA_Q5_1_BYTES
#define BLOCKS_OF_32   true
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_blocks
#define FACTORS_MINS   true
#define WEIGHT_OFFSET  0
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(q5_1)

void clsa_matmul_q5_1_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q5_1] = clsa_kernel_matmul_q5_1_avx2;
    table->load[CLSA_Q5_1] = load_q5_1_avx2;
}
