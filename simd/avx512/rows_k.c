/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_K and Q6_K rows to floats, bit for bit as in simd/ref: the products
 * are exact, and nothing but the subtraction of Q4_K rounds.
 */
#include "simd/avx512/avx512.h"
#include "simd/scalar.h"

/* Sixteen bytes as lanes. */
INLINE __m512i widen(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
}

/* The sixteen values of a part: its nibbles choose from them. */
INLINE __m512 values_of(float s, float m)
{
    const __m512 q =
        _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_sub_ps(_mm512_mul_ps(_mm512_set1_ps(s), q),
                         _mm512_set1_ps(m));
}

/* Two parts, whose nibbles share 32 bytes. vpermps looks at 4 bits of a
   lane. */
INLINE void load_q4_k_parts(float *y, const uint8_t *q, __m512 low, __m512 high)
{
    UNROLL
    for (int i = 0; i < CLSA_BLOCK; i += LANES) {
        const __m512i v = widen(q + i);
        _mm512_storeu_ps(y + i, _mm512_permutexvar_ps(v, low));
        _mm512_storeu_ps(y + CLSA_BLOCK + i,
                         _mm512_permutexvar_ps(_mm512_srli_epi32(v, 4), high));
    }
}

static void load_q4_k_avx512(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q4_K_BYTES) {
        const float d = _cvtsh_ss(clsa_read_u16(block));
        const float dmin = _cvtsh_ss(clsa_read_u16(block + 2));
        uint8_t scale[CLSA_K_PARTS], min[CLSA_K_PARTS];
        clsa_q4_k_scales(scale, min, block + 4);
        for (size_t p = 0; p < CLSA_K_PARTS; p += 2)
            load_q4_k_parts(y + i + p * CLSA_BLOCK,
                            block + 16 + p / 2 * CLSA_BLOCK,
                            values_of(d * scale[p], dmin * min[p]),
                            values_of(d * scale[p + 1], dmin * min[p + 1]));
    }
}

/* Bits 4 and 5 of 64 values, of two parts that have them there. */
INLINE __m512i upper_bits(__m256i low, __m256i high)
{
    return _mm512_and_si512(
        _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1),
        _mm512_set1_epi8(0x30));
}

/* 64 values, four of whose scales follow each other. */
INLINE void store_q6_k(float *y, __m512i q, float d, const int8_t *scale)
{
    int8_t v[64];
    _mm512_storeu_si512(v, _mm512_sub_epi8(q, _mm512_set1_epi8(32)));
    UNROLL
    for (int i = 0; i < 64; i += LANES)
        _mm512_storeu_ps(
            y + i, _mm512_mul_ps(_mm512_set1_ps(d * scale[i / LANES]),
                                 _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
                                     _mm_loadu_si128((const void *)(v + i))))));
}

/* Half a block: 64 bytes of nibbles, 32 of upper bits, 8 scales. */
INLINE void load_q6_k_half(float *y, const uint8_t *low, const uint8_t *high,
                           float d, const int8_t *scale)
{
    const __m512i l = _mm512_loadu_si512(low), mask = _mm512_set1_epi8(15);
    const __m256i h = _mm256_loadu_si256((const void *)high);
    const __m512i first =
        upper_bits(_mm256_slli_epi16(h, 4), _mm256_slli_epi16(h, 2));
    const __m512i second = upper_bits(h, _mm256_srli_epi16(h, 2));
    store_q6_k(y, _mm512_or_si512(_mm512_and_si512(l, mask), first), d, scale);
    store_q6_k(y + 64,
               _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(l, 4), mask),
                               second),
               d, scale + 4);
}

static void load_q6_k_avx512(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q6_K_BYTES) {
        const float d = _cvtsh_ss(clsa_read_u16(block + 208));
        const int8_t *scale = (const int8_t *)block + 192;
        load_q6_k_half(y + i, block, block + 128, d, scale);
        load_q6_k_half(y + i + 128, block + 64, block + 160, d, scale + 8);
    }
}

void clsa_rows_k_avx512(struct clsa_simd *table)
{
    table->load[CLSA_Q4_K] = load_q4_k_avx512;
    table->load[CLSA_Q6_K] = load_q6_k_avx512;
}
