/* SPDX-License-Identifier: Apache-2.0 */
/* Q8_0 matmul with tiles of int8. */
#include "simd/avx512/transpose.h"

#define BLOCK_BYTES CLSA_Q8_0_BYTES

INLINE void pack_block(__m512i t[8], const uint8_t *const row[LANES])
{
    __m512i w[8];
    transpose_16x32(w, row, 2);
    UNROLL
    for (int k = 0; k < 8; k++)
        t[k] = w[k];
}

#include "simd/avx512/matmul_amx.h"

void clsa_matmul_q8_0_avx512amx(struct clsa_simd *table)
{
    below = table->matmul[CLSA_Q8_0];
    table->matmul[CLSA_Q8_0] = matmul_amx;
}
