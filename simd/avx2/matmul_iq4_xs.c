/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_iq4_xs.c: products of IQ4_XS weight rows and activation columns, and
   such rows as floats, AVX2. A part comes to at most 32 * 127 * 127 * 32 <
   2^24, which is exact in float.
 */
#include "simd/avx2/matmul_k.h"

/* clsa_iq4_xs_scales in a register. */
INLINE __m256i six_bit_scales(const uint8_t *block)
{
    uint32_t low;
    memcpy(&low, block + 4, sizeof low);
    const __m256i nibble = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i pair = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    const __m256i l =
        _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32((int)low), nibble),
                         _mm256_set1_epi32(15));
    const __m256i h = _mm256_and_si256(
        _mm256_srlv_epi32(_mm256_set1_epi32(clsa_read_u16(block + 2)), pair),
        _mm256_set1_epi32(3));
    return _mm256_sub_epi32(_mm256_or_si256(l, _mm256_slli_epi32(h, 4)),
                            _mm256_set1_epi32(32));
}

INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    u->scale = six_bit_scales(block);
    u->d = avx2_block_scale(block);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++)
        u->q[p] = avx2_iq4_values(avx2_nibbles(block + 6 + 16 * p));
}

INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    (void)sum;
    const __m256i dot = avx2_k_dot_signed(u->q, NULL, x);
    avx2_k_add(s, u, d, _mm256_mullo_epi32(u->scale, dot));
}

#define BLOCK_BYTES    CLSA_IQ4_XS_BYTES
#define BLOCKS_OF_32   false
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_parts
#define FACTORS_MINS   false
#define WEIGHT_OFFSET  0
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(iq4_xs)

void clsa_matmul_iq4_xs_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_IQ4_XS] = clsa_kernel_matmul_iq4_xs_avx2;
    table->load[CLSA_IQ4_XS] = load_iq4_xs_avx2;
}
