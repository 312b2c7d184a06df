/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_q6_k.c: products of Q6_K weight rows and activation columns, and such
   rows as floats, AVX2. A
   part comes to at most 128 * 32 * 127 * 32 < 2^24, which is exact in float. */
#include "simd/avx2/matmul_k.h"

/* The 32 is subtracted from the weights. */
INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    const __m256i low = _mm256_set1_epi8(15), two = _mm256_set1_epi8(0x30);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++) {
        const int half = p / 4, part = p % 4;
        const __m256i *nibbles =
            (const __m256i *)(block + 64 * half + 32 * (part % 2));
        const __m256i pairs =
            _mm256_loadu_si256((const __m256i *)(block + 128 + 32 * half));
        __m256i v = _mm256_loadu_si256(nibbles);
        if (part >= 2)
            v = _mm256_srli_epi16(v, 4);
        v = _mm256_and_si256(v, low);
        const __m256i top = part < 2 ? _mm256_slli_epi16(pairs, 4 - 2 * part)
                                     : _mm256_srli_epi16(pairs, 2 * part - 4);
        v = _mm256_or_si256(v, _mm256_and_si256(top, two));
        u->q[p] = _mm256_sub_epi8(v, _mm256_set1_epi8(32));
    }
    avx2_spread_scales(u->scales,
                       _mm_loadu_si128((const __m128i *)(block + 192)));
    u->d = avx2_block_scale(block + 208);
}

INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    (void)sum;
    avx2_k_add(s, u, d, avx2_k_dot_signed(u->q, u->scales, x));
}

#define BLOCK_BYTES    CLSA_Q6_K_BYTES
#define BLOCKS_OF_32   false
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_halves
#define FACTORS_MINS   false
#define WEIGHT_OFFSET  0
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(q6_k)

void clsa_matmul_q6_k_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q6_K] = clsa_kernel_matmul_q6_k_avx2;
    table->load[CLSA_Q6_K] = load_q6_k_avx2;
}
