/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q4_k_tmpl.h: the products of Q4_K weight rows and columns, a template
 * on top of matmul_k_tmpl.h. matmul_q4_k.c and matmul_q4_k_vnni.c define before
 * they include it:
 *
 *   DOT16  function: start + products of 16 values, u8 in w and s8 at x
 *
 * It defines matmul_k(), and undefines DOT16.
 */
#ifndef DOT16
#error "DOT16: see above"
#endif

/* The 6-bit scales and mins as clsa_q4_k_scales takes them apart, a dword of
   four bytes in a lane; t: the first 16 bytes of the blocks. */
INLINE void unpack_scales(struct avx512_k_block *u, const __m512i t[4])
{
    const __m512i six = _mm512_set1_epi32(0x3f3f3f3f);
    const __m512i four = _mm512_set1_epi32(0x0f0f0f0f);
    const __m512i top = _mm512_set1_epi32(0x30303030);
    const __m512i scale[2] = {
        _mm512_and_si512(t[1], six),
        _mm512_or_si512(_mm512_and_si512(t[3], four),
                        _mm512_and_si512(_mm512_srli_epi32(t[1], 2), top))};
    const __m512i min[2] = {
        _mm512_and_si512(t[2], six),
        _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(t[3], 4), four),
                        _mm512_and_si512(_mm512_srli_epi32(t[2], 2), top))};
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++) {
        u->scale[p][0] = _mm512_cvtepi32_ps(avx512_byte_of(scale, p));
        u->min[p] = _mm512_cvtepi32_ps(avx512_byte_of(min, p));
    }
}

INLINE void unpack(struct avx512_k_block *u, const uint8_t *const row[LANES],
                   size_t at)
{
    const __m512i low = _mm512_set1_epi8(15);
    __m512i head[4];
    avx512_transpose_16x16(head, row, at);
    u->d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head[0]));
    u->dmin =
        _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(head[0], 16)));
    unpack_scales(u, head);
    for (size_t p = 0; p < CLSA_K_PARTS; p += 2) {
        __m512i t[AVX512_PART_STEPS];
        avx512_transpose_16x32(t, row, at + 16 + p / 2 * CLSA_BLOCK);
        UNROLL
        for (int k = 0; k < AVX512_PART_STEPS; k++) {
            u->q[p][k] = _mm512_and_si512(t[k], low);
            u->q[p + 1][k] = _mm512_and_si512(_mm512_srli_epi16(t[k], 4), low);
        }
    }
}

INLINE void begin_column(struct avx512_k_column *c)
{
    (void)c;
}

INLINE void add_part(struct avx512_k_sums *s,
                     const __m512i w[AVX512_PART_STEPS],
                     const struct avx512_k_block *u, size_t p,
                     const struct avx512_k_column *c, size_t ofs)
{
    const int8_t *x = c->x + p * CLSA_BLOCK;
    const __m512 d = _mm512_set1_ps(c->d[ofs]);
    const __m512i dot = DOT16(DOT16(_mm512_setzero_si512(), w, x),
                              w + AVX512_PART_STEPS / 2, x + CLSA_BLOCK / 2);
    const __m512 scaled =
        _mm512_mul_ps(_mm512_cvtepi32_ps(dot), u->scale[p][0]);
    const __m512 minus =
        _mm512_mul_ps(u->min[p], _mm512_set1_ps((float)c->sum[ofs]));
    s->y[p] = _mm512_fmadd_ps(_mm512_mul_ps(u->d, d), scaled, s->y[p]);
    s->minus[p] =
        _mm512_fmadd_ps(_mm512_mul_ps(u->dmin, d), minus, s->minus[p]);
}

#define BLOCK_BYTES  CLSA_Q4_K_BYTES
#define UNPACK_BLOCK unpack
#define BEGIN_COLUMN begin_column
#define ADD_PART     add_part
#include "simd/avx512/matmul_k_tmpl.h"

#undef DOT16
