/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matvec_k.h: weights in blocks with parts, 256 values at a time, for the VNNI
 * files that include matvec_k_tmpl.h: how they are read.
 */
#ifndef CLSA_AVX512_MATVEC_K_H
#define CLSA_AVX512_MATVEC_K_H

#include "simd/avx512/avx512.h"
#include "simd/scalar.h"

/* Factors of two groups of 256 values, lane 8 g + p: part p of group g. What a
   format does not need is not set. */
struct avx512_k_factors {
    __m512 d, dmin;
    __m512 scale, min; /* of the parts */
};

/* Nibbles and what `turns`, of 64 bits each, bring to the bits of the mask. */
INLINE __m512i avx512_upper_bits(__m512i nibbles, __m512i bits, __m512i turns,
                                 const int mask)
{
    return _mm512_ternarylogic_epi32(nibbles, _mm512_rolv_epi64(bits, turns),
                                     _mm512_set1_epi8((char)mask), 0xf8);
}

INLINE void avx512_split_nibbles(__m512i to[2], __m512i v)
{
    const __m512i low = _mm512_set1_epi8(15);
    to[0] = _mm512_and_si512(v, low);
    to[1] = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
}

/* The first sixteen bytes of four blocks. */
INLINE __m512i avx512_four_blocks(const uint8_t *w, size_t bytes)
{
    return avx512_quarters(w, w + bytes, w + 2 * bytes, w + 3 * bytes);
}

/* ------------------------------------------------------------ Q4_K and Q5_K */

/* Nibbles of 128 bytes: vectors 0 and 1 are the halves of parts 0, 2, 4, 6, the
   others those of parts 1, 3, 5, 7. */
INLINE void avx512_k_nibbles(__m512i q[4], const uint8_t *w)
{
    const __m512i a = _mm512_loadu_si512(w), b = _mm512_loadu_si512(w + 64);
    __m512i first[2], second[2];
    avx512_split_nibbles(first, _mm512_shuffle_i32x4(a, b, 0x88));
    avx512_split_nibbles(second, _mm512_shuffle_i32x4(a, b, 0xdd));
    q[0] = first[0];
    q[1] = second[0];
    q[2] = first[1];
    q[3] = second[1];
}

/* Places of sixteen values in the vectors of avx512_k_nibbles. */
#define AVX512_K_NIBBLES                                                       \
    {                                                                          \
        0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15                   \
    }

/* Half words 0 and 8 of v, eight times each, as floats. */
INLINE __m512 avx512_two_halves(__m256i v, const int at)
{
    const __m256i from = _mm256_set_m128i(_mm_set1_epi16((short)(8 + at)),
                                          _mm_set1_epi16((short)at));
    return _mm512_cvtph_ps(_mm256_permutexvar_epi16(from, v));
}

/* Bytes at from + p, and 16 more for the second group, as floats. */
INLINE __m512 avx512_two_octets(__m512i bytes, const int first,
                                const int second)
{
    const __m512i from = _mm512_add_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 32, 33, 34, 35, 0, 1, 2, 3, 32, 33, 34,
                          35),
        _mm512_setr_epi32(first, first, first, first, first, first, first,
                          first, second, second, second, second, second, second,
                          second, second));
    return _mm512_cvtepi32_ps(
        _mm512_maskz_permutexvar_epi8(0x1111111111111111, from, bytes));
}

/* d, dmin and what clsa_q4_k_words takes apart, of two blocks at once. */
INLINE void avx512_k_heads(struct avx512_k_factors *f, const uint8_t *w0,
                           const uint8_t *w1)
{
    const __m256i v = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const void *)w0)),
        _mm_loadu_si128((const void *)w1), 1);
    const __m256i six = _mm256_set1_epi32(0x3f3f3f3f);
    const __m256i four = _mm256_set1_epi32(0x0f0f0f0f);
    const __m256i top = _mm256_set1_epi32(0x30303030);
    const __m256i last =
        _mm256_srlv_epi32(_mm256_shuffle_epi32(v, 0xff),
                          _mm256_setr_epi32(0, 0, 4, 0, 0, 0, 4, 0));
    const __m256i low = _mm256_and_si256(v, six);
    const __m256i high =
        _mm256_or_si256(_mm256_and_si256(last, four),
                        _mm256_and_si256(_mm256_srli_epi32(v, 2), top));
    /* bytes 4..7 of each lane: scales, 8..11: mins, and 32 further on those of
       the upper four parts */
    const __m512i bytes =
        _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    f->d = avx512_two_halves(v, 0);
    f->dmin = avx512_two_halves(v, 1);
    f->scale = avx512_two_octets(bytes, 4, 20);
    f->min = avx512_two_octets(bytes, 8, 24);
}

/* ---------------------------------------------------------- blocks of 32 */

/* Places of the vectors of four blocks each: halves of parts 0..3, of 4..7. */
#define AVX512_K_BLOCKS                                                        \
    {                                                                          \
        0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15                   \
    }

/* The first dwords of eight blocks and of eight others. Broadcasts under a
   mask, which leave alone the port of the shuffles. */
INLINE __m512i avx512_block_heads(const uint8_t *w0, const uint8_t *w1,
                                  size_t bytes)
{
    __m512i v = _mm512_setzero_si512();
    UNROLL
    for (size_t i = 0; i < LANES; i++) {
        int32_t head;
        __builtin_memcpy(&head, (i < 8 ? w0 + i * bytes : w1 + (i - 8) * bytes),
                         sizeof head);
        v = _mm512_mask_set1_epi32(v, (__mmask16)(1u << i), head);
    }
    return v;
}

/* d, and m as -dmin where there are any. */
INLINE void avx512_block_factors(struct avx512_k_factors *f, const uint8_t *w0,
                                 const uint8_t *w1, size_t bytes, bool mins)
{
    const __m512i heads = avx512_block_heads(w0, w1, bytes);
    f->d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(heads));
    if (!mins)
        return;
    const __m512i m = _mm512_srli_epi32(heads, 16);
    f->dmin = _mm512_xor_ps(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(m)),
                            _mm512_set1_ps(-0.0f));
}

/* The fifth bits of halves h of four blocks; w: of those of the first. */
INLINE __mmask64 avx512_block_fifths(const uint8_t *w, size_t bytes,
                                     const int h)
{
    uint64_t bits = 0;
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        uint16_t sixteen;
        __builtin_memcpy(&sixteen, w + i * bytes + 2 * h, sizeof sixteen);
        bits |= (uint64_t)sixteen << 16 * i;
    }
    return bits;
}

/* Eight blocks of nibbles with fifth bits, which begin at the offsets. */
INLINE void avx512_block_fives(__m512i q[4], const uint8_t *w, size_t bytes,
                               size_t nibbles, size_t fifths)
{
    const __m512i five = _mm512_set1_epi8(16);
    UNROLL
    for (int k = 0; k < 4; k += 2, w += 4 * bytes) {
        avx512_split_nibbles(q + k, avx512_four_blocks(w + nibbles, bytes));
        UNROLL
        for (int h = 0; h < 2; h++)
            q[k + h] = _mm512_mask_add_epi8(
                q[k + h], avx512_block_fifths(w + fifths, bytes, h), q[k + h],
                five);
    }
}

/* ------------------------------------------------------ values from a table */

/* What nibbles choose, 128 more than it is. */
INLINE __m512i avx512_iq4_values(__m512i nibbles)
{
    const __m128i v =
        _mm_xor_si128(_mm_loadu_si128((const void *)clsa_iq4_values),
                      _mm_set1_epi8((char)0x80));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(v), nibbles);
}

INLINE void avx512_iq4_eight(__m512i q[4], __m512i first, __m512i second)
{
    avx512_split_nibbles(q, first);
    avx512_split_nibbles(q + 2, second);
    UNROLL
    for (int k = 0; k < 4; k++)
        q[k] = avx512_iq4_values(q[k]);
}

/* The kernel of a format, made from what matvec_k_tmpl.h defined for it. */
#define AVX512_K_KERNEL(name)                                                  \
    static void matmul_##name##_avx512vnni(float *y, size_t ldy,               \
                                           const void *w, size_t rows,         \
                                           const struct clsa_act *a)           \
    {                                                                          \
        matvec_k(y, ldy, w, rows, a);                                          \
    }

#endif /* CLSA_AVX512_MATVEC_K_H */
