/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_k.h: weights in blocks with parts, for the matmul_*.c files that
 * include matmul_k_tmpl.h: how they are read and multiplied. Eight parts of 32
 * values go together: a block of 256, or eight blocks of 32.
 */
#ifndef CLSA_AVX2_MATMUL_K_H
#define CLSA_AVX2_MATMUL_K_H

#include "simd/avx2/avx2.h"

/* The float sums of a row and a column. */
struct avx2_k_sums {
    __m256 y, minus; /* what is subtracted at the end */
};

/* Eight parts, ready to be multiplied. What a format does not need is not
   set. */
struct avx2_k_block {
    __m256i q[CLSA_K_PARTS];
    __m256i scales[CLSA_K_PARTS]; /* words, one for each two values */
    __m256i mins[CLSA_K_PARTS];   /* the same */
    __m256i scale, min;           /* of the parts */
    __m256 d, dmin;
};

/* ------------------------------------------------------------------ reading */

/* Eight bytes as lanes. */
INLINE __m256i avx2_widen8(uint64_t bytes)
{
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
}

/* The scale, min, d and dmin of a Q4_K or Q5_K block. */
INLINE void avx2_k_head(struct avx2_k_block *u, const uint8_t *block)
{
    uint64_t scale, min;
    clsa_q4_k_words(&scale, &min, block + 4);
    u->scale = avx2_widen8(scale);
    u->min = avx2_widen8(min);
    u->d = avx2_block_scale(block);
    u->dmin = avx2_block_scale(block + 2);
}

/* Nibbles of 32 bytes as parts 2j and 2j + 1. */
INLINE void avx2_k_nibbles(__m256i q[CLSA_K_PARTS], const uint8_t *from)
{
    const __m256i low = _mm256_set1_epi8(15);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p += 2) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(from + 16 * p));
        q[p] = _mm256_and_si256(v, low);
        q[p + 1] = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
    }
}

/* scales[p]: words, of the 16 bytes 2p for the first half of part p, 2p + 1
   for the second one. */
INLINE void avx2_spread_scales(__m256i scales[CLSA_K_PARTS], __m128i bytes)
{
    const __m128i apart =
        _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const __m256i words = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(bytes, apart));
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++)
        scales[p] = _mm256_shuffle_epi8(
            words, _mm256_set1_epi16((short)(2 * p | (2 * p + 1) << 8)));
}

/* The first four bytes of eight blocks. Broadcasts and blends, which leave
   alone the port of the shuffles. */
INLINE __m256i avx2_k_heads(const uint8_t *block, size_t bytes)
{
    __m256i d[CLSA_K_PARTS];
    UNROLL
    for (size_t i = 0; i < CLSA_K_PARTS; i++) {
        int32_t head;
        memcpy(&head, block + i * bytes, sizeof head);
        d[i] = _mm256_set1_epi32(head);
    }
    UNROLL
    for (int i = 0; i < CLSA_K_PARTS; i += 2)
        d[i] = _mm256_blend_epi32(d[i], d[i + 1], 0xaa);
    UNROLL
    for (int i = 0; i < CLSA_K_PARTS; i += 4)
        d[i] = _mm256_blend_epi32(d[i], d[i + 2], 0xcc);
    return _mm256_blend_epi32(d[0], d[4], 0xf0);
}

/* d, and m as -dmin, of eight blocks of 32 that begin with them. */
INLINE void avx2_k_scales(struct avx2_k_block *u, const uint8_t *block,
                          size_t bytes)
{
    const __m256i heads = avx2_k_heads(block, bytes);
    const __m256i words = _mm256_permute4x64_epi64(
        _mm256_packus_epi32(_mm256_and_si256(heads, _mm256_set1_epi32(0xffff)),
                            _mm256_srli_epi32(heads, 16)),
        0xd8);
    u->d = _mm256_cvtph_ps(_mm256_castsi256_si128(words));
    u->dmin = _mm256_xor_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(words, 1)),
                            _mm256_set1_ps(-0.0f));
}

/* 0xff where one of the 32 bits at p is set, the lowest first. */
INLINE __m256i avx2_spread_bits(const uint8_t *p)
{
    const __m256i byte = _mm256_setr_epi64x(
        0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
    int32_t bits;
    memcpy(&bits, p, sizeof bits);
    const __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte);
    return _mm256_cmpeq_epi8(_mm256_and_si256(v, bit), bit);
}

/* 32 nibbles with a fifth bit each, 0..31. */
INLINE __m256i avx2_five_bits(const uint8_t *nibbles, const uint8_t *bits)
{
    return _mm256_or_si256(
        avx2_nibbles(nibbles - 2),
        _mm256_and_si256(avx2_spread_bits(bits), _mm256_set1_epi8(16)));
}

/* The values that nibbles choose. */
INLINE __m256i avx2_iq4_values(__m256i nibbles)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)clsa_iq4_values);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(v), nibbles);
}

/* ----------------------------------------------------------------- products */

INLINE __m256i avx2_k_column(const int8_t *x, int p)
{
    return _mm256_loadu_si256((const __m256i *)(x + CLSA_BLOCK * p));
}

/* The sums of the parts for q 0..15: a maddubs gives at most 15 * 127 * 2 =
   3810, and the eight that avx2_isum8 adds fit in 16 bits (30480). */
INLINE __m256i avx2_k_dot_nibbles(const __m256i q[CLSA_K_PARTS],
                                  const int8_t *x)
{
    __m256i v[CLSA_K_PARTS];
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++)
        v[p] = _mm256_maddubs_epi16(q[p], avx2_k_column(x, p));
    return _mm256_madd_epi16(avx2_isum8(v, true), _mm256_set1_epi16(1));
}

/* For q 0..31: the four of 31 * 127 * 2 = 7874 that two additions bring
   together fit in 16 bits (31496). */
INLINE __m256i avx2_k_dot_fives(const __m256i q[CLSA_K_PARTS], const int8_t *x)
{
    const __m256i one = _mm256_set1_epi16(1);
    __m256i v[CLSA_K_PARTS], four[2];
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++)
        v[p] = _mm256_maddubs_epi16(q[p], avx2_k_column(x, p));
    avx2_isum4(four, v, true);
    four[0] = _mm256_madd_epi16(four[0], one);
    four[1] = _mm256_madd_epi16(four[1], one);
    return avx2_isum2(four, false);
}

/* For q with a sign: maddubs takes their magnitude, and x with their sign; at
   most 127 * 127 * 2 = 32258. `scales`: words that multiply the pairs. */
INLINE __m256i avx2_k_dot_signed(const __m256i q[CLSA_K_PARTS],
                                 const __m256i *scales, const int8_t *x)
{
    __m256i v[CLSA_K_PARTS];
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++)
        v[p] = _mm256_madd_epi16(
            _mm256_maddubs_epi16(_mm256_abs_epi8(q[p]),
                                 _mm256_sign_epi8(avx2_k_column(x, p), q[p])),
            scales ? scales[p] : _mm256_set1_epi16(1));
    return avx2_isum8(v, false);
}

/* y + d_w * d_a * the exact sums of the parts */
INLINE void avx2_k_add(struct avx2_k_sums *s, const struct avx2_k_block *u,
                       __m256 d, __m256i sums)
{
    s->y =
        _mm256_fmadd_ps(_mm256_mul_ps(u->d, d), _mm256_cvtepi32_ps(sums), s->y);
}

INLINE void avx2_k_subtract(struct avx2_k_sums *s, const struct avx2_k_block *u,
                            __m256 d, __m256i sums)
{
    s->minus = _mm256_fmadd_ps(_mm256_mul_ps(u->dmin, d),
                               _mm256_cvtepi32_ps(sums), s->minus);
}

/* ------------------------------------------------------------------- floats */

/* Value i of half h (16 values) is s[h] * q - m[h]; without mins m is 0. */
struct avx2_factors {
    float s[2 * CLSA_K_PARTS], m[2 * CLSA_K_PARTS];
};

/* Lane p, twice. */
INLINE void avx2_store_twice(float to[2 * CLSA_K_PARTS], __m256 v)
{
    const __m256 low = _mm256_unpacklo_ps(v, v),
                 high = _mm256_unpackhi_ps(v, v);
    _mm256_storeu_ps(to, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(to + 8, _mm256_permute2f128_ps(low, high, 0x31));
}

/* Of blocks of 32. */
INLINE void avx2_factors_blocks(struct avx2_factors *f,
                                const struct avx2_k_block *u, bool mins)
{
    avx2_store_twice(f->s, u->d);
    avx2_store_twice(f->m, mins ? u->dmin : _mm256_setzero_ps());
}

/* With scales, and maybe mins, of parts. */
INLINE void avx2_factors_parts(struct avx2_factors *f,
                               const struct avx2_k_block *u, bool mins)
{
    avx2_store_twice(f->s, _mm256_mul_ps(u->d, _mm256_cvtepi32_ps(u->scale)));
    avx2_store_twice(f->m,
                     mins ? _mm256_mul_ps(u->dmin, _mm256_cvtepi32_ps(u->min))
                          : _mm256_setzero_ps());
}

/* With scales, and maybe mins, of halves of parts. */
INLINE void avx2_factors_halves(struct avx2_factors *f,
                                const struct avx2_k_block *u, bool mins)
{
    const float d = _mm256_cvtss_f32(u->d);
    const float dmin = mins ? _mm256_cvtss_f32(u->dmin) : 0;
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++) {
        f->s[2 * p] = d * (short)_mm256_extract_epi16(u->scales[p], 0);
        f->s[2 * p + 1] = d * (short)_mm256_extract_epi16(u->scales[p], 8);
        f->m[2 * p] = mins ? dmin * _mm256_extract_epi16(u->mins[p], 0) : 0;
        f->m[2 * p + 1] = mins ? dmin * _mm256_extract_epi16(u->mins[p], 8) : 0;
    }
}

/* 256 values, less `offset` before they are scaled. */
INLINE void avx2_k_floats(float *y, const struct avx2_k_block *u,
                          const struct avx2_factors *f, int offset)
{
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++) {
        const __m256i q =
            _mm256_sub_epi8(u->q[p], _mm256_set1_epi8((char)offset));
        UNROLL
        for (int h = 0; h < 2; h++) {
            const __m128i half =
                h ? _mm256_extracti128_si256(q, 1) : _mm256_castsi256_si128(q);
            const __m256 s = _mm256_set1_ps(f->s[2 * p + h]);
            const __m256 m = _mm256_set1_ps(f->m[2 * p + h]);
            const __m256 low = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(half));
            const __m256 high = _mm256_cvtepi32_ps(
                _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(half, half)));
            float *to = y + CLSA_BLOCK * p + 16 * h;
            _mm256_storeu_ps(to, _mm256_sub_ps(_mm256_mul_ps(s, low), m));
            _mm256_storeu_ps(to + 8, _mm256_sub_ps(_mm256_mul_ps(s, high), m));
        }
    }
}

/* The kernels of a format, made from what matmul_k_tmpl.h defined for it. */
#define AVX2_K_KERNELS(name)                                                   \
    void clsa_kernel_matmul_##name##_avx2(float *y, size_t ldy, const void *w, \
                                          size_t rows,                         \
                                          const struct clsa_act *a)            \
    {                                                                          \
        matmul_k(y, ldy, w, rows, a);                                          \
    }                                                                          \
                                                                               \
    static void load_##name##_avx2(float *y, const void *x, size_t n)          \
    {                                                                          \
        load_k(y, x, n);                                                       \
    }

#endif /* CLSA_AVX2_MATMUL_K_H */
