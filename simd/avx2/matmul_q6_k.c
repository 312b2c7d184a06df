/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q6_k.c: products of Q6_K weight rows and activation columns, AVX2.
 *
 * The 32 is subtracted from the weights, and maddubs takes their magnitude and
 * x with their sign: at most 32 * 127 * 2 = 8128. The scales of the two halves
 * of a part multiply these 16-bit sums in a madd; a part comes to at most
 * 128 * 32 * 127 * 32 < 2^24, which is exact in float.
 */
#include "simd/simd.h"

#define BLOCK_BYTES CLSA_Q6_K_BYTES

#include "simd/avx2/matmul_k.h"

INLINE __m256i two_scales(const uint8_t *scale)
{
    return _mm256_setr_m128i(_mm_set1_epi16((int8_t)scale[0]),
                             _mm_set1_epi16((int8_t)scale[1]));
}

INLINE void unpack(struct unpacked *u, const uint8_t *block)
{
    const __m256i low = _mm256_set1_epi8(15), two = _mm256_set1_epi8(0x30);
    UNROLL
    for (int p = 0; p < PARTS; p++) {
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
        u->scales[p] = two_scales(block + 192 + 2 * p);
    }
    u->d = clsa_block_scale(block + 208);
}

INLINE void multiply(struct sums *s, const struct unpacked *u, const int8_t *x,
                     __m256 d, __m256i sum)
{
    __m256i v[PARTS];
    (void)sum;
    UNROLL
    for (int p = 0; p < PARTS; p++) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(x + 32 * p));
        const __m256i dot = _mm256_maddubs_epi16(_mm256_abs_epi8(u->q[p]),
                                                 _mm256_sign_epi8(a, u->q[p]));
        v[p] = _mm256_madd_epi16(dot, u->scales[p]);
    }
    s->y = _mm256_fmadd_ps(_mm256_mul_ps(u->d, d),
                           _mm256_cvtepi32_ps(clsa_isum8(v, false)), s->y);
}

static void matmul_q6_k_avx2(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a);
}

void clsa_avx2_matmul_q6_k(struct clsa_simd *table)
{
    table->matmul[CLSA_Q6_K] = matmul_q6_k_avx2;
}
