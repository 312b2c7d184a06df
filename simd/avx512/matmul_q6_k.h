/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q6_k.h: blocks of Q6_K in the loops of matmul_k.h, for the levels
 * whose files say what dot16 is. Weights stay 0..63; 32 times the sum of the
 * column's 16 values is taken off the sums, which begin with it.
 */
#define BLOCK_BYTES CLSA_Q6_K_BYTES

#include "simd/avx512/matmul_k.h"

/* Parts 2h + b and 2h + b + 2 of four, of nibbles and bit pairs. */
INLINE void unpack_parts(struct unpacked *u, size_t p, const __m512i low[STEPS],
                         const __m512i high[STEPS], const int b)
{
    const __m512i nibble = _mm512_set1_epi8(15), pair = _mm512_set1_epi8(0x30);
    UNROLL
    for (int k = 0; k < STEPS; k++) {
        const __m512i first = _mm512_slli_epi16(high[k], 4 - 2 * b);
        const __m512i third = _mm512_srli_epi16(high[k], 2 * b);
        u->q[p][k] = _mm512_or_si512(_mm512_and_si512(low[k], nibble),
                                     _mm512_and_si512(first, pair));
        u->q[p + 2][k] = _mm512_or_si512(
            _mm512_and_si512(_mm512_srli_epi16(low[k], 4), nibble),
            _mm512_and_si512(third, pair));
    }
}

INLINE void unpack(struct unpacked *u, const uint8_t *const row[LANES],
                   size_t at)
{
    __m512i scale[4];
    transpose_16x16(scale, row, at + 192);
    UNROLL
    for (int i = 0; i < 2 * PARTS; i++)
        u->scale[i / 2][i % 2] = _mm512_cvtepi32_ps(signed_byte_of(scale, i));
    u->d = _mm512_cvtph_ps(sixteen_words(row, at + 208));
    for (size_t half = 0; half < 2; half++) {
        __m512i low[STEPS], high[STEPS];
        transpose_16x32(high, row, at + 128 + 32 * half);
        transpose_16x32(low, row, at + 64 * half);
        unpack_parts(u, 4 * half, low, high, 0);
        transpose_16x32(low, row, at + 64 * half + 32);
        unpack_parts(u, 4 * half + 1, low, high, 1);
    }
}

/* start[4 * (i % 4) + i / 4] = -32 times the sum of values 16i..16i+15. */
INLINE void begin_column(struct column *c)
{
    __m512i v[4], two[2];
    UNROLL
    for (int k = 0; k < 4; k++)
        v[k] = _mm512_madd_epi16(
            _mm512_maddubs_epi16(_mm512_set1_epi8(1),
                                 _mm512_loadu_si512(c->x + 64 * k)),
            _mm512_set1_epi16(1));
    UNROLL
    for (int k = 0; k < 2; k++)
        two[k] = add_pairs_epi32(v[2 * k], v[2 * k + 1]);
    const __m512i sum = add_halves_epi32(two[0], two[1]);
    _mm512_storeu_si512(c->start, _mm512_sub_epi32(_mm512_setzero_si512(),
                                                   _mm512_slli_epi32(sum, 5)));
}

/* The exact sum of half `h` of part p. */
INLINE __m512 dot_half(const __m512i w[STEPS], const struct column *c, size_t p,
                       size_t h)
{
    const size_t i = 2 * p + h;
    return _mm512_cvtepi32_ps(
        dot16(_mm512_set1_epi32(c->start[4 * (i % 4) + i / 4]),
              w + h * STEPS / 2, c->x + 16 * i));
}

INLINE __m512 add_part(__m512 sum, const __m512i w[STEPS],
                       const struct unpacked *u, size_t p,
                       const struct column *c, size_t ofs)
{
    const __m512 d = _mm512_mul_ps(u->d, _mm512_set1_ps(c->d[ofs]));
    const __m512 first = _mm512_mul_ps(dot_half(w, c, p, 0), u->scale[p][0]);
    const __m512 dot =
        _mm512_fmadd_ps(dot_half(w, c, p, 1), u->scale[p][1], first);
    return _mm512_add_ps(sum, _mm512_mul_ps(d, dot));
}
