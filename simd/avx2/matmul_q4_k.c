/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_q4_k.c: products of Q4_K weight rows and activation columns, and such
   rows as floats, AVX2. */
#include "simd/avx2/matmul_k.h"

INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    avx2_k_head(u, block);
    avx2_k_nibbles(u->q, block + 16);
}

INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    const __m256i dot = avx2_k_dot_nibbles(u->q, x);
    avx2_k_add(s, u, d, _mm256_mullo_epi32(u->scale, dot));
    avx2_k_subtract(s, u, d, _mm256_mullo_epi32(u->min, sum));
}

#define BLOCK_BYTES    CLSA_Q4_K_BYTES
#define BLOCKS_OF_32   false
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_parts
#define FACTORS_MINS   true
#define WEIGHT_OFFSET  0
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(q4_k)

void clsa_matmul_q4_k_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_K] = clsa_kernel_matmul_q4_k_avx2;
    table->load[CLSA_Q4_K] = load_q4_k_avx2;
}
