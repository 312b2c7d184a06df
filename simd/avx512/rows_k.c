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

INLINE void load_q4_k_part(float *y, const uint8_t *q, unsigned shift, float s,
                           float m)
{
    UNROLL
    for (int i = 0; i < CLSA_BLOCK; i += LANES) {
        const __m512i v = _mm512_and_si512(
            _mm512_srli_epi32(widen(q + i), shift), _mm512_set1_epi32(15));
        const __m512 scaled =
            _mm512_mul_ps(_mm512_set1_ps(s), _mm512_cvtepi32_ps(v));
        _mm512_storeu_ps(y + i, _mm512_sub_ps(scaled, _mm512_set1_ps(m)));
    }
}

static void load_q4_k_avx512(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q4_K_BYTES) {
        const float d = clsa_f16_to_f32(clsa_read_u16(block));
        const float dmin = clsa_f16_to_f32(clsa_read_u16(block + 2));
        uint8_t scale[CLSA_K_PARTS], min[CLSA_K_PARTS];
        clsa_q4_k_scales(scale, min, block + 4);
        for (size_t p = 0; p < CLSA_K_PARTS; p++)
            load_q4_k_part(y + i + p * CLSA_BLOCK,
                           block + 16 + p / 2 * CLSA_BLOCK, p % 2 ? 4 : 0,
                           d * scale[p], dmin * min[p]);
    }
}

static void load_q6_k_avx512(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q6_K_BYTES) {
        const float d = clsa_f16_to_f32(clsa_read_u16(block + 208));
        for (unsigned j = 0; j < CLSA_K_BLOCK; j += LANES) {
            const unsigned half = j / 128, part = j / 32 % 4, l = j % 32;
            const __m512i low =
                _mm512_and_si512(_mm512_srli_epi32(widen(block + 64 * half +
                                                         32 * (part % 2) + l),
                                                   part < 2 ? 0 : 4),
                                 _mm512_set1_epi32(15));
            const __m512i high = _mm512_and_si512(
                _mm512_srli_epi32(widen(block + 128 + 32 * half + l), 2 * part),
                _mm512_set1_epi32(3));
            const __m512i q = _mm512_sub_epi32(
                _mm512_or_si512(low, _mm512_slli_epi32(high, 4)),
                _mm512_set1_epi32(32));
            const float s = d * (int8_t)block[192 + j / LANES];
            _mm512_storeu_ps(y + i + j, _mm512_mul_ps(_mm512_set1_ps(s),
                                                      _mm512_cvtepi32_ps(q)));
        }
    }
}

void clsa_rows_k_avx512(struct clsa_simd *table)
{
    table->load[CLSA_Q4_K] = load_q4_k_avx512;
    table->load[CLSA_Q6_K] = load_q6_k_avx512;
}
