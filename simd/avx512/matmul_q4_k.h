/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_q4_k.h: blocks of Q4_K in the loops of matmul_k.h, for the levels
 * whose files say what dot16 is.
 */
#define BLOCK_BYTES CLSA_Q4_K_BYTES

#include "simd/avx512/matmul_k.h"

/* The 6-bit scales and mins as clsa_q4_k_scales takes them apart, a dword of
   four bytes in a lane; t: the first 16 bytes of the blocks. */
INLINE void unpack_scales(struct unpacked *u, const __m512i t[4])
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
    for (int p = 0; p < PARTS; p++) {
        u->scale[p][0] = _mm512_cvtepi32_ps(byte_of(scale, p));
        u->min[p] = _mm512_cvtepi32_ps(byte_of(min, p));
    }
}

INLINE void unpack(struct unpacked *u, const uint8_t *const row[LANES],
                   size_t at)
{
    const __m512i low = _mm512_set1_epi8(15);
    __m512i head[4];
    transpose_16x16(head, row, at);
    u->d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head[0]));
    u->dmin =
        _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(head[0], 16)));
    unpack_scales(u, head);
    for (size_t p = 0; p < PARTS; p += 2) {
        __m512i t[STEPS];
        transpose_16x32(t, row, at + 16 + p / 2 * CLSA_BLOCK);
        UNROLL
        for (int k = 0; k < STEPS; k++) {
            u->q[p][k] = _mm512_and_si512(t[k], low);
            u->q[p + 1][k] = _mm512_and_si512(_mm512_srli_epi16(t[k], 4), low);
        }
    }
}

INLINE void begin_column(struct column *c)
{
    (void)c;
}

INLINE __m512 add_part(__m512 sum, const __m512i w[STEPS],
                       const struct unpacked *u, size_t p,
                       const struct column *c, size_t ofs)
{
    const int8_t *x = c->x + p * CLSA_BLOCK;
    const __m512 d = _mm512_set1_ps(c->d[ofs]);
    const __m512i dot = dot16(dot16(_mm512_setzero_si512(), w, x),
                              w + STEPS / 2, x + CLSA_BLOCK / 2);
    const __m512 scaled =
        _mm512_mul_ps(_mm512_cvtepi32_ps(dot), u->scale[p][0]);
    const __m512 minus =
        _mm512_mul_ps(u->min[p], _mm512_set1_ps((float)c->sum[ofs]));
    sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_mul_ps(u->d, d), scaled));
    return _mm512_sub_ps(sum, _mm512_mul_ps(_mm512_mul_ps(u->dmin, d), minus));
}
