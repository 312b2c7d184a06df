/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx512.h: what the AVX-512 kernels share: the tuning table, masked and
 * converting loads, sums across lanes, exp, and the overlay functions of the
 * families. Included by the files of simd/avx512 alone.
 *
 * Tails: masked loads and stores never touch memory after the extents. If a
 * kernel takes a fixed group of rows or keys, the group's tail repeats the
 * last one and stores only the valid results, so that every row goes through
 * the same instructions whatever stands beside it.
 */
#ifndef CLSA_AVX512_H
#define CLSA_AVX512_H

#include "simd/x86.h"

#define LANES 16 /* floats of a vector */

/*
 * Tuning. Measured on AMD EPYC (Zen 4, family 25 model 17, 1 MiB L2) if no
 * CPU is named, or on Intel, family 6 model 167; 2 cores, November 2026,
 * gcc 12.
 */
enum {
    /* bytes of float weights kept in L2 while the columns pass by */
    AVX512_FLOAT_CHUNK_BYTES = 256 * 1024,
    /* rows of K that attend prefetches ahead of their use */
    AVX512_ATTEND_AHEAD = 16,
    /* bytes: how far ahead memory that is read as one stream is prefetched,
       into L1. Scan of bf16 keys, share of the read loop: 512 58 %,
       1024 68 %, 1536 80 %, 2560 86 %, 4096 66 % (Intel) */
    AVX512_STREAM_AHEAD = 2560,
    /* the same for the products of one column (4608: a tenth slower), and for
       index keys of a line (2560 and 8192: 1 to 3 % slower; Intel) */
    AVX512_UNIT_AHEAD = 3072,
    AVX512_LINES_AHEAD = 4608,
};

/* What _tile_loadconfig reads: bytes of a row and rows of each tile. */
struct avx512_tiles {
    uint8_t palette, start, zero[14];
    uint16_t bytes[16];
    uint8_t rows[16];
};

/* Mask of the first n lanes, all of them from 16 on. */
INLINE __mmask16 avx512_first_lanes(size_t n)
{
    return n < LANES ? (__mmask16)((1u << n) - 1) : (__mmask16)0xffff;
}

INLINE size_t avx512_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Sum of all lanes modulo 2^32: the reduction of the compilers' headers adds
   signed integers, which may not overflow. */
INLINE uint32_t avx512_sum_mod(__m512i v)
{
    __m256i w = _mm256_add_epi32(_mm512_castsi512_si256(v),
                                 _mm512_extracti64x4_epi64(v, 1));
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(w),
                              _mm256_extracti128_si256(w, 1));

    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(x);
}

INLINE __m512 avx512_bf16_to_f32(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* Values j..j+15 of a row as floats; j % 16 == 0. */
INLINE __m512 avx512_load16(const void *row, size_t j, enum clsa_format format)
{
    const uint16_t *half = (const uint16_t *)row + j;
    const uint8_t *block =
        (const uint8_t *)row + j / CLSA_BLOCK * CLSA_Q8_0_BYTES;
    __m512i q;
    uint16_t d;

    switch (format) {
    case CLSA_F32:
        return _mm512_loadu_ps((const float *)row + j);
    case CLSA_F16:
        return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)half));
    case CLSA_BF16:
        return avx512_bf16_to_f32(_mm256_loadu_si256((const void *)half));
    default:
        __builtin_memcpy(&d, block, sizeof d);
        q = _mm512_cvtepi8_epi32(
            _mm_loadu_si128((const void *)(block + 2 + j % CLSA_BLOCK)));
        return _mm512_mul_ps(_mm512_cvtph_ps(_mm256_set1_epi16((short)d)),
                             _mm512_cvtepi32_ps(q));
    }
}

/* The same with absent lanes zero. Float formats only: blocks have no tail. */
INLINE __m512 avx512_load_tail(const void *row, size_t j, __mmask16 m,
                               enum clsa_format format)
{
    const uint16_t *half = (const uint16_t *)row + j;

    switch (format) {
    case CLSA_F32:
        return _mm512_maskz_loadu_ps(m, (const float *)row + j);
    case CLSA_F16:
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, half));
    case CLSA_BF16:
        return avx512_bf16_to_f32(_mm256_maskz_loadu_epi16(m, half));
    default:
        return _mm512_setzero_ps();
    }
}

/*
 * Sixteen index keys follow each other; after the end, the last one
 * again. This goes on to key i + 1 of `left`, and prefetches what comes later,
 * a line with each key: all at once, they would wait for each other.
 */
INLINE const uint8_t *avx512_next_key(const uint8_t *key, size_t i,
                                      size_t bytes, size_t left, bool fetch)
{
    if (fetch)
        prefetch_l1(key + AVX512_STREAM_AHEAD);
    return i + 1 < left ? key + bytes : key;
}

/* Lane i of the result is the sum of v[i]; one tree, the same for all i. */
INLINE __m512 avx512_sum16_ps(const __m512 v[LANES])
{
    __m512 a[8], b[4], c[2];
    UNROLL
    for (int i = 0; i < 8; i++)
        a[i] = _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]),
                             _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m512d x = _mm512_castps_pd(a[2 * i]);
        __m512d y = _mm512_castps_pd(a[2 * i + 1]);
        b[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                             _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    }
    UNROLL
    for (int i = 0; i < 2; i++)
        c[i] =
            _mm512_add_ps(_mm512_shuffle_f32x4(b[2 * i], b[2 * i + 1], 0x88),
                          _mm512_shuffle_f32x4(b[2 * i], b[2 * i + 1], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(c[0], c[1], 0x88),
                         _mm512_shuffle_f32x4(c[0], c[1], 0xdd));
}

/* Sixteen bytes at each of four places. */
INLINE __m512i avx512_quarters(const uint8_t *a, const uint8_t *b,
                               const uint8_t *c, const uint8_t *d)
{
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)a));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)b), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)c), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)d), 3);
}

/* The sums of pairs of values of v and w in turns. */
INLINE __m512i avx512_add_pairs(__m512i v, __m512i w)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(v, w),
                            _mm512_unpackhi_epi32(v, w));
}

/* The sums of the halves of lanes of 128 bits, a lane of v and one of w in
   turns. */
INLINE __m512i avx512_add_halves(__m512i v, __m512i w)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi64(v, w),
                            _mm512_unpackhi_epi64(v, w));
}

/* The sums of pairs of lanes of 128 bits, first of v, then of w. */
INLINE __m512i avx512_add_lanes(__m512i v, __m512i w)
{
    return _mm512_add_epi32(_mm512_shuffle_i32x4(v, w, 0x88),
                            _mm512_shuffle_i32x4(v, w, 0xdd));
}

INLINE __m512i avx512_sum16_epi32(const __m512i v[LANES])
{
    __m512i a[8], b[4], c[2];
    UNROLL
    for (int i = 0; i < 8; i++)
        a[i] = avx512_add_pairs(v[2 * i], v[2 * i + 1]);
    UNROLL
    for (int i = 0; i < 4; i++)
        b[i] = avx512_add_halves(a[2 * i], a[2 * i + 1]);
    UNROLL
    for (int i = 0; i < 2; i++)
        c[i] = avx512_add_lanes(b[2 * i], b[2 * i + 1]);
    return avx512_add_lanes(c[0], c[1]);
}

/*
 * exp(x), rel 3e-7; 0 below about -104, infinity above 88.7. Cody-Waite
 * reduction to |r| <= ln(2)/2, Taylor to r^6. The clamp keeps r small where
 * the result is 0 or infinity anyway.
 */
INLINE __m512 avx512_exp(__m512 x)
{
    x = _mm512_max_ps(x, _mm512_set1_ps(-110.0f));
    x = _mm512_min_ps(x, _mm512_set1_ps(100.0f));
    __m512 n =
        _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)),
                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 p = _mm512_set1_ps(1.0f / 720);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* cap tanh(x / cap) */
INLINE __m512 avx512_softcap(__m512 x, float cap)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 e = avx512_exp(_mm512_div_ps(x, _mm512_set1_ps(0.5f * cap)));
    __m512 rest = _mm512_div_ps(_mm512_set1_ps(2.0f), _mm512_add_ps(e, one));
    return _mm512_mul_ps(_mm512_sub_ps(one, rest), _mm512_set1_ps(cap));
}

/* level avx512 */
void clsa_matmul_float_avx512(struct clsa_simd *table);
void clsa_matmul_q8_0_avx512(struct clsa_simd *table);
void clsa_matmul_q4_0_avx512(struct clsa_simd *table);
void clsa_matmul_q4_k_avx512(struct clsa_simd *table);
void clsa_matmul_q6_k_avx512(struct clsa_simd *table);
void clsa_rows_avx512(struct clsa_simd *table);
void clsa_rows_k_avx512(struct clsa_simd *table);
void clsa_elementwise_avx512(struct clsa_simd *table);
void clsa_index_avx512(struct clsa_simd *table);
void clsa_gather_avx512(struct clsa_simd *table);
void clsa_attend_avx512(struct clsa_simd *table);
void clsa_score_avx512(struct clsa_simd *table);
void clsa_combine_avx512(struct clsa_simd *table);
void clsa_prefill_attn_avx512(struct clsa_simd *table);

/* level avx512vnni */
void clsa_matmul_q8_0_avx512vnni(struct clsa_simd *table);
void clsa_matmul_q4_0_avx512vnni(struct clsa_simd *table);
void clsa_matmul_q4_k_avx512vnni(struct clsa_simd *table);
void clsa_matmul_q6_k_avx512vnni(struct clsa_simd *table);
void clsa_matmul_q4_1_avx512vnni(struct clsa_simd *table);
void clsa_matmul_q5_0_avx512vnni(struct clsa_simd *table);
void clsa_matmul_q5_1_avx512vnni(struct clsa_simd *table);
void clsa_matmul_q5_k_avx512vnni(struct clsa_simd *table);
void clsa_matmul_iq4_nl_avx512vnni(struct clsa_simd *table);
void clsa_matmul_iq4_xs_avx512vnni(struct clsa_simd *table);
void clsa_index_avx512vnni(struct clsa_simd *table);
void clsa_index_heads_avx512vnni(struct clsa_simd *table);

/* level avx512bf16 */
void clsa_index_avx512bf16(struct clsa_simd *table);

/* level avx512amx */
void clsa_matmul_q8_0_avx512amx(struct clsa_simd *table);
void clsa_matmul_q4_0_avx512amx(struct clsa_simd *table);
void clsa_tiles_avx512amx(struct clsa_simd *table);

#endif /* CLSA_AVX512_H */
