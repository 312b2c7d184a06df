/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q4_k.c: products of Q4_K weight rows and activation columns, AVX2.
 *
 * A maddubs gives at most 15 * 127 * 2 = 3810, and the eight that clsa_isum8
 * adds fit in 16 bits (30480).
 */
#include "simd/simd.h"

#define BLOCK_BYTES CLSA_Q4_K_BYTES

#include "simd/avx2/matmul_k.h"

INLINE __m256i widen8(const uint8_t p[PARTS])
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

INLINE void unpack(struct unpacked *u, const uint8_t *block)
{
    const __m256i low = _mm256_set1_epi8(15);
    uint8_t scale[PARTS], min[PARTS];
    UNROLL
    for (int p = 0; p < PARTS; p += 2) {
        const __m256i v =
            _mm256_loadu_si256((const __m256i *)(block + 16 + 16 * p));
        u->q[p] = _mm256_and_si256(v, low);
        u->q[p + 1] = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
    }
    clsa_q4_k_scales(scale, min, block + 4);
    u->scale = widen8(scale);
    u->min = widen8(min);
    u->d = clsa_block_scale(block);
    u->dmin = clsa_block_scale(block + 2);
}

INLINE void multiply(struct sums *s, const struct unpacked *u, const int8_t *x,
                     __m256 d, __m256i sum)
{
    __m256i v[PARTS];
    UNROLL
    for (int p = 0; p < PARTS; p++)
        v[p] = _mm256_maddubs_epi16(
            u->q[p], _mm256_loadu_si256((const __m256i *)(x + 32 * p)));
    const __m256i dot =
        _mm256_madd_epi16(clsa_isum8(v, true), _mm256_set1_epi16(1));
    s->y = _mm256_fmadd_ps(
        _mm256_mul_ps(u->d, d),
        _mm256_cvtepi32_ps(_mm256_mullo_epi32(u->scale, dot)), s->y);
    s->minus = _mm256_fmadd_ps(
        _mm256_mul_ps(u->dmin, d),
        _mm256_cvtepi32_ps(_mm256_mullo_epi32(u->min, sum)), s->minus);
}

static void matmul_q4_k_avx2(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a);
}

void clsa_avx2_matmul_q4_k(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_K] = matmul_q4_k_avx2;
}
