/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_q3_k.c: products of Q3_K weight rows and activation columns, and such
   rows as floats, AVX2. */
#include "simd/avx2/matmul_k.h"

/* clsa_q3_k_scales in a register. */
INLINE __m128i six_bit_scales(const uint8_t *p)
{
    uint64_t low;
    uint32_t high;
    memcpy(&low, p, sizeof low);
    memcpy(&high, p + 8, sizeof high);
    const __m128i nibbles =
        _mm_set_epi64x((long long)(low >> 4), (long long)low);
    const __m128i pairs = _mm_setr_epi32((int)(high << 4), (int)(high << 2),
                                         (int)high, (int)(high >> 2));
    const __m128i six = _mm_or_si128(_mm_and_si128(nibbles, _mm_set1_epi8(15)),
                                     _mm_and_si128(pairs, _mm_set1_epi8(0x30)));
    return _mm_sub_epi8(six, _mm_set1_epi8(32));
}

/* Where the third bit is not set, 4 is taken off. */
INLINE void unpack(struct avx2_k_block *u, const uint8_t *block)
{
    const __m256i pair = _mm256_set1_epi8(3), third = _mm256_set1_epi8(4);
    const __m256i bits = _mm256_loadu_si256((const __m256i *)block);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++) {
        const __m256i *from = (const __m256i *)(block + 32 + p / 4 * 32);
        const __m256i v =
            _mm256_srli_epi16(_mm256_loadu_si256(from), 2 * (p % 4));
        const __m256i top = p < 2 ? _mm256_slli_epi16(bits, 2 - p)
                                  : _mm256_srli_epi16(bits, p - 2);
        u->q[p] = _mm256_sub_epi8(_mm256_and_si256(v, pair),
                                  _mm256_andnot_si256(top, third));
    }
    avx2_spread_scales(u->scales, six_bit_scales(block + 96));
    u->d = avx2_block_scale(block + 108);
}

INLINE void multiply(struct avx2_k_sums *s, const struct avx2_k_block *u,
                     const int8_t *x, __m256 d, __m256i sum)
{
    (void)sum;
    avx2_k_add(s, u, d, avx2_k_dot_signed(u->q, u->scales, x));
}

#define BLOCK_BYTES    CLSA_Q3_K_BYTES
#define BLOCKS_OF_32   false
#define UNPACK_BLOCK   unpack
#define MULTIPLY_BLOCK multiply
#define FACTORS        avx2_factors_halves
#define FACTORS_MINS   false
#define WEIGHT_OFFSET  0
#include "simd/avx2/matmul_k_tmpl.h"

AVX2_K_KERNELS(q3_k)

void clsa_matmul_q3_k_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_Q3_K] = clsa_kernel_matmul_q3_k_avx2;
    table->load[CLSA_Q3_K] = load_q3_k_avx2;
}
