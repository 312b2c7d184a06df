/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_iq4_nl.c: products of IQ4_NL weight rows and activation columns, and
   such rows as floats, AVX2.
 */
#include "simd/avx2/matmul_k.h"

INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    avx2_k_scales(u, block, CLSA_IQ4_NL_BYTES);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++, block += CLSA_IQ4_NL_BYTES)
        u->q[p] = avx2_iq4_values(avx2_nibbles(block));
}

INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    (void)sum;
    avx2_k_add(s, u, d, avx2_k_dot_signed(u->q, NULL, x));
}

#define BLOCK_BYTES    CLSA_IQ4_NL_BYTES
#define BLOCKS_OF_32   true
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_blocks
#define FACTORS_MINS   false
#define WEIGHT_OFFSET  0
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(iq4_nl)

void clsa_matmul_iq4_nl_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_IQ4_NL] = clsa_kernel_matmul_iq4_nl_avx2;
    table->load[CLSA_IQ4_NL] = load_iq4_nl_avx2;
}
