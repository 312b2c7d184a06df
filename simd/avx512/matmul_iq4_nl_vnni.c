/* SPDX-License-Identifier: Apache-2.0 */
/* IQ4_NL rows and one or two columns with vpdpbusd. */
#include "simd/avx512/matvec_k.h"

INLINE void unpack(__m512i q[4], const uint8_t *w)
{
    const uint8_t *second = w + 4 * CLSA_IQ4_NL_BYTES;
    avx512_iq4_eight(q, avx512_four_blocks(w + 2, CLSA_IQ4_NL_BYTES),
                     avx512_four_blocks(second + 2, CLSA_IQ4_NL_BYTES));
}

#define BLOCK_BYTES  CLSA_IQ4_NL_BYTES
#define BLOCKS_OF_32 true
#define UNPACK_GROUP unpack
#define PLACES       AVX512_K_BLOCKS
#define FACTORS(f, w0, w1)                                                     \
    avx512_block_factors(f, w0, w1, CLSA_IQ4_NL_BYTES, false)
#define SCALES        0
#define MINS          0
#define WEIGHT_OFFSET 128
#define LEVEL_BELOW   clsa_kernel_matmul_iq4_nl_avx2
#include "simd/avx512/matvec_k_tmpl.h"

AVX512_K_KERNEL(iq4_nl)

void clsa_matmul_iq4_nl_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_IQ4_NL] = matmul_iq4_nl_avx512vnni;
}
