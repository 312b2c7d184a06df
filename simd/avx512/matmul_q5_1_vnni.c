/* SPDX-License-Identifier: Apache-2.0 */
/* Q5_1 rows and one or two columns with vpdpbusd. */
#include "simd/avx512/matvec_k.h"

INLINE void unpack(__m512i q[4], const uint8_t *w)
{
    avx512_block_fives(q, w, CLSA_Q5_1_BYTES, 8, 4);
}

#define BLOCK_BYTES  CLSA_Q5_1_BYTES
#define BLOCKS_OF_32 true
#define UNPACK_GROUP unpack
#define PLACES       AVX512_K_BLOCKS
#define FACTORS(f, w0, w1)                                                     \
    avx512_block_factors(f, w0, w1, CLSA_Q5_1_BYTES, true)
#define SCALES        0
#define MINS          1
#define WEIGHT_OFFSET 0
#define LEVEL_BELOW   clsa_kernel_matmul_q5_1_avx2
#include "simd/avx512/matvec_k_tmpl.h"

AVX512_K_KERNEL(q5_1)

void clsa_matmul_q5_1_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_Q5_1] = matmul_q5_1_avx512vnni;
}
