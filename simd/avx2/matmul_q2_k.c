/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_q2_k.c: products of Q2_K weight rows and activation columns, and such
   rows as floats, AVX2. */
#include "simd/avx2/matmul_k.h"

INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    const __m256i pair = _mm256_set1_epi8(3);
    const __m128i both = _mm_loadu_si128((const __m128i *)block);
    const __m128i low = _mm_set1_epi8(15);
    avx2_spread_scales(u->scales, _mm_and_si128(both, low));
    avx2_spread_scales(u->mins, _mm_and_si128(_mm_srli_epi16(both, 4), low));
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++) {
        const __m256i *from = (const __m256i *)(block + 16 + p / 4 * 32);
        u->q[p] = _mm256_and_si256(
            _mm256_srli_epi16(_mm256_loadu_si256(from), 2 * (p % 4)), pair);
    }
    u->d = avx2_block_scale(block + 80);
    u->dmin = avx2_block_scale(block + 82);
}

/* The mins belong to halves of the parts, and so do sums of x with them. */
INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    (void)sum;
    __m256i v[CLSA_K_PARTS], m[CLSA_K_PARTS];
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++) {
        const __m256i a = avx2_k_column(x, p);
        v[p] =
            _mm256_madd_epi16(_mm256_maddubs_epi16(u->q[p], a), u->scales[p]);
        m[p] = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), a),
                                 u->mins[p]);
    }
    avx2_k_add(s, u, d, avx2_isum8(v, false));
    avx2_k_subtract(s, u, d, avx2_isum8(m, false));
}

#define BLOCK_BYTES    CLSA_Q2_K_BYTES
#define BLOCKS_OF_32   false
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_halves
#define FACTORS_MINS   true
#define WEIGHT_OFFSET  0
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(q2_k)

void clsa_matmul_q2_k_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q2_K] = clsa_kernel_matmul_q2_k_avx2;
    table->load[CLSA_Q2_K] = load_q2_k_avx2;
}
