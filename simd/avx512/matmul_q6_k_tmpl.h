/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q6_k_tmpl.h: the products of Q6_K weight rows and columns, a template
 * on top of matmul_k_tmpl.h. matmul_q6_k.c and matmul_q6_k_vnni.c define before
 * they include it:
 *
 *   DOT16  function: start + products of 16 values, u8 in w and s8 at x
 *
 * It defines matmul_k(), and undefines DOT16.
 *
 * Weights stay 0..63; 32 times the sum of the column's 16 values is taken off
 * the sums, which begin with it.
 */
#ifndef DOT16
#error "DOT16: see above"
#endif

/* Parts 2h + b and 2h + b + 2 of four, of nibbles and bit pairs. */
INLINE void unpack_parts(struct avx512_k_block *u, size_t p,
                         const __m512i low[AVX512_PART_STEPS],
                         const __m512i high[AVX512_PART_STEPS], const int b)
{
    const __m512i nibble = _mm512_set1_epi8(15), pair = _mm512_set1_epi8(0x30);
    UNROLL
    for (int k = 0; k < AVX512_PART_STEPS; k++) {
        const __m512i first = _mm512_slli_epi16(high[k], 4 - 2 * b);
        const __m512i third = _mm512_srli_epi16(high[k], 2 * b);
        u->q[p][k] = _mm512_or_si512(_mm512_and_si512(low[k], nibble),
                                     _mm512_and_si512(first, pair));
        u->q[p + 2][k] = _mm512_or_si512(
            _mm512_and_si512(_mm512_srli_epi16(low[k], 4), nibble),
            _mm512_and_si512(third, pair));
    }
}

INLINE void unpack(struct avx512_k_block *u, const uint8_t *const row[LANES],
                   size_t at)
{
    __m512i scale[4];
    avx512_transpose_16x16(scale, row, at + 192);
    UNROLL
    for (int i = 0; i < 2 * CLSA_K_PARTS; i++)
        u->scale[i / 2][i % 2] =
            _mm512_cvtepi32_ps(avx512_signed_byte_of(scale, i));
    u->d = _mm512_cvtph_ps(avx512_sixteen_words(row, at + 208));
    for (size_t half = 0; half < 2; half++) {
        __m512i low[AVX512_PART_STEPS], high[AVX512_PART_STEPS];
        avx512_transpose_16x32(high, row, at + 128 + 32 * half);
        avx512_transpose_16x32(low, row, at + 64 * half);
        unpack_parts(u, 4 * half, low, high, 0);
        avx512_transpose_16x32(low, row, at + 64 * half + 32);
        unpack_parts(u, 4 * half + 1, low, high, 1);
    }
}

/* start[4 * (i % 4) + i / 4] = -32 times the sum of values 16i..16i+15. */
INLINE void begin_column(struct avx512_k_column *c)
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
        two[k] = avx512_add_pairs(v[2 * k], v[2 * k + 1]);
    const __m512i sum = avx512_add_halves(two[0], two[1]);
    _mm512_storeu_si512(c->start, _mm512_sub_epi32(_mm512_setzero_si512(),
                                                   _mm512_slli_epi32(sum, 5)));
}

/* The exact sum of half `h` of part p. */
INLINE __m512 dot_half(const __m512i w[AVX512_PART_STEPS],
                       const struct avx512_k_column *c, size_t p, size_t h)
{
    const size_t i = 2 * p + h;
    return _mm512_cvtepi32_ps(
        DOT16(_mm512_set1_epi32(c->start[4 * (i % 4) + i / 4]),
              w + h * AVX512_PART_STEPS / 2, c->x + 16 * i));
}

INLINE void add_part(struct avx512_k_sums *s,
                     const __m512i w[AVX512_PART_STEPS],
                     const struct avx512_k_block *u, size_t p,
                     const struct avx512_k_column *c, size_t ofs)
{
    const __m512 d = _mm512_mul_ps(u->d, _mm512_set1_ps(c->d[ofs]));
    const __m512 first = _mm512_mul_ps(dot_half(w, c, p, 0), u->scale[p][0]);
    const __m512 dot =
        _mm512_fmadd_ps(dot_half(w, c, p, 1), u->scale[p][1], first);
    s->y[p] = _mm512_fmadd_ps(d, dot, s->y[p]);
}

#define BLOCK_BYTES  CLSA_Q6_K_BYTES
#define UNPACK_BLOCK unpack
#define BEGIN_COLUMN begin_column
#define ADD_PART     add_part
#include "simd/avx512/matmul_k_tmpl.h"

#undef DOT16
