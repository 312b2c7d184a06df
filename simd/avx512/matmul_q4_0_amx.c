/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_0 matmul with tiles of int8. A nibble less 8 is its three lower bits
 * below copies of its inverted fourth: an affine function of the bits, which
 * GFNI has as one instruction.
 */
#include "simd/avx512/transpose.h"

INLINE void pack_block(__m512i t[8], const uint8_t *const row[LANES])
{
    const __m512i low = _mm512_set1_epi64(0x0102040808080808);
    const __m512i high = _mm512_set1_epi64(0x1020408080808080);
    __m512i w[4];
    avx512_transpose_16x16(w, row, 2);
    UNROLL
    for (int k = 0; k < 4; k++) {
        t[k] = _mm512_gf2p8affine_epi64_epi8(w[k], low, 0xf8);
        t[k + 4] = _mm512_gf2p8affine_epi64_epi8(w[k], high, 0xf8);
    }
}

#define BLOCK_BYTES CLSA_Q4_0_BYTES
#define PACK_BLOCK  pack_block
#define LEVEL_BELOW clsa_kernel_matmul_q4_0_avx512vnni
#include "simd/avx512/matmul_amx_tmpl.h"

static void matmul_q4_0_avx512amx(float *y, size_t ldy, const void *w,
                                  size_t rows, const struct clsa_act *a)
{
    matmul_amx(y, ldy, w, rows, a);
}

void clsa_matmul_q4_0_avx512amx(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_0] = matmul_q4_0_avx512amx;
}
