/* SPDX-License-Identifier: Apache-2.0 */
/* Q5_K rows and one or two columns with vpdpbusd. */
#include "simd/avx512/matvec_k.h"

INLINE void unpack(__m512i q[4], const uint8_t *w)
{
    /* turns that bring bit 2 j of the bytes of lane j to bit 4, and bit
       2 j + 1 */
    const __m512i even = _mm512_setr_epi64(4, 4, 2, 2, 0, 0, 62, 62);
    const __m512i odd = _mm512_setr_epi64(3, 3, 1, 1, 63, 63, 61, 61);
    avx512_k_nibbles(q, w + 48);
    UNROLL
    for (int h = 0; h < 2; h++) {
        const __m512i bits = _mm512_broadcast_i32x4(
            _mm_loadu_si128((const void *)(w + 16 + 16 * h)));
        q[h] = avx512_upper_bits(q[h], bits, even, 16);
        q[2 + h] = avx512_upper_bits(q[2 + h], bits, odd, 16);
    }
}

INLINE void factors(struct avx512_k_factors *f, const uint8_t *w0,
                    const uint8_t *w1)
{
    avx512_k_heads(f, w0, w1);
}

#define BLOCK_BYTES   CLSA_Q5_K_BYTES
#define BLOCKS_OF_32  false
#define UNPACK_GROUP  unpack
#define PLACES        AVX512_K_NIBBLES
#define FACTORS       factors
#define SCALES        1
#define MINS          2
#define WEIGHT_OFFSET 0
#define LEVEL_BELOW   clsa_kernel_matmul_q5_k_avx2
#include "simd/avx512/matvec_k_tmpl.h"

AVX512_K_KERNEL(q5_k)

void clsa_matmul_q5_k_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_Q5_K] = matmul_q5_k_avx512vnni;
}
