/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx2.h: what the AVX2 kernels share: tuning constants, loads of tails,
 * horizontal sums, exp and half conversions. Private to simd/avx2, whose files
 * are compiled with -mavx2 -mfma -mf16c and run only if the CPU has them.
 */
#ifndef CLSA_AVX2_H
#define CLSA_AVX2_H

#include "simd/scalar.h"
#include "simd/x86.h"

#define LANES 8 /* floats of a vector */

/*
 * Tuning. Measured on an AMD EPYC (Zen 4, 32 KiB L1d, 1 MiB L2), November
 * 2026, against a plain read loop or the kernel's other path in the same run.
 */
enum {
    /* bytes: how far ahead each row of a matrix-vector product prefetches.
       Share of the read loop for q8_0: 1024 72 %, 2048 90 %, 4096 85 % */
    AVX2_AHEAD = 2048,
    /* bytes: the same if memory is read as one stream, into L1. One column
       of q8_0: 512 84 %, 768 87 %, 1536 91 %, 2048 91 %, 3072 92 %, 4608 84 %;
       a scan of i8 keys: 2048 88 %, 3072 83 % (Intel, family 6 model 167) */
    AVX2_STREAM_AHEAD = 2048,
    /* bytes of packed activations: half of L1d */
    AVX2_PACKED_BYTES = 16384,
    /* columns: from here on packing 8 beats one column at a time (q8_0: 45 of
       8 packed columns against 40 Gmac/s) */
    AVX2_PACK_COLUMNS = 7,
    /* rows: how far ahead attention prefetches K and V. Rows in order from
       memory, f32: none 10, K alone 11, both 16 GB/s */
    AVX2_ROWS_AHEAD = 16
};

void clsa_matmul_float_avx2(struct clsa_simd *table);
void clsa_matmul_q8_0_avx2(struct clsa_simd *table);
void clsa_matmul_q4_0_avx2(struct clsa_simd *table);
void clsa_matmul_q4_k_avx2(struct clsa_simd *table);
void clsa_matmul_q6_k_avx2(struct clsa_simd *table);
void clsa_matmul_q4_1_avx2(struct clsa_simd *table);
void clsa_matmul_q5_0_avx2(struct clsa_simd *table);
void clsa_matmul_q5_1_avx2(struct clsa_simd *table);
void clsa_matmul_q2_k_avx2(struct clsa_simd *table);
void clsa_matmul_q3_k_avx2(struct clsa_simd *table);
void clsa_matmul_q5_k_avx2(struct clsa_simd *table);
void clsa_matmul_iq4_nl_avx2(struct clsa_simd *table);
void clsa_matmul_iq4_xs_avx2(struct clsa_simd *table);
void clsa_rows_avx2(struct clsa_simd *table);
void clsa_elementwise_avx2(struct clsa_simd *table);
void clsa_index_avx2(struct clsa_simd *table);
void clsa_index_heads_avx2(struct clsa_simd *table);
void clsa_topk_avx2(struct clsa_simd *table);
void clsa_gather_avx2(struct clsa_simd *table);
void clsa_sampling_avx2(struct clsa_simd *table);
void clsa_attend_avx2(struct clsa_simd *table);
void clsa_score_avx2(struct clsa_simd *table);
void clsa_combine_avx2(struct clsa_simd *table);
void clsa_prefill_attn_avx2(struct clsa_simd *table);

/* To L2, where more lines may be under way than to L1: to L1, attention over
   f32 rows from memory reads 10 instead of 16 GB/s. The compiler may move it.
 */
INLINE void avx2_prefetch_l2(const char *p)
{
    _mm_prefetch(p, _MM_HINT_T1);
}

/* Whether the `step` bytes from `at` on enter a new cache line. */
INLINE bool avx2_enters_line(size_t at, size_t step)
{
    return at % 64 < step;
}

/* Prefetches what comes later in a stream, at byte `at` of each row, line by
   line: all at once, the lines would wait for each other. */
INLINE void avx2_prefetch_line(const char *row, size_t at, size_t step)
{
    if (avx2_enters_line(at, step))
        prefetch_l1(row + at + AVX2_STREAM_AHEAD);
}

/*
 * Which byte to prefetch at byte `at` of each of `rows` rows that are read side
 * by side: AVX2_AHEAD further, and after the end of the rows the heads of
 * the next group, because what follows a row there is its neighbor.
 */
INLINE size_t avx2_ahead(size_t at, size_t bytes, size_t rows)
{
    const size_t most = AVX2_AHEAD;
    const size_t p = at + (most < bytes ? most : bytes);
    return p < bytes ? p : p + (rows - 1) * bytes;
}

/* ------------------------------------------------------------------ tails */

/* All ones in the first n < 8 lanes: for masked loads and stores, which touch
   no memory in the other lanes. */
INLINE __m256i avx2_tail_mask(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

/* ---------------------------------------------------------------- formats */

INLINE __m256 avx2_load8_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

INLINE __m256 avx2_load8_bf16(const void *p)
{
    const __m256i v = _mm256_cvtepu16_epi32(_mm_loadu_si128(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}

/* Values i..i+7 of a row in a float format. */
INLINE __m256 avx2_load8(const void *row, size_t i, enum clsa_format format)
{
    switch (format) {
    case CLSA_F16:
        return avx2_load8_f16((const uint16_t *)row + i);
    case CLSA_BF16:
        return avx2_load8_bf16((const uint16_t *)row + i);
    default:
        return _mm256_loadu_ps((const float *)row + i);
    }
}

/* The last n < 8 values of a row from i on, then zeros. */
INLINE __m256 avx2_load_tail(const void *row, size_t i, size_t n,
                             enum clsa_format format)
{
    uint16_t half[8] = {0};
    if (format == CLSA_F32)
        return _mm256_maskload_ps((const float *)row + i, avx2_tail_mask(n));
    memcpy(half, (const uint16_t *)row + i, n * sizeof *half);
    return avx2_load8(half, 0, format);
}

/* The scale at the head of a block, in all lanes. */
INLINE __m256 avx2_block_scale(const void *block)
{
    return _mm256_set1_ps(_cvtsh_ss(clsa_read_u16(block)));
}

/* 32 nibbles of a Q4_0 block as bytes 0..15, in the order of the values. */
INLINE __m256i avx2_nibbles(const uint8_t *block)
{
    const __m128i packed = _mm_loadu_si128((const __m128i *)(block + 2));
    const __m256i shift = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
    const __m256i both = _mm256_broadcastsi128_si256(packed);
    return _mm256_and_si256(_mm256_srlv_epi32(both, shift),
                            _mm256_set1_epi8(15));
}

/* ------------------------------------------------------------- horizontal */

INLINE float avx2_max(__m256 v)
{
    __m128 s =
        _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/*
 * Sums of eight vectors: lane i of the result is the sum of v[i], added in the
 * same order for each i. Blends take the place of half of the shuffles, of
 * which most CPUs execute one per cycle.
 */
INLINE __m256 avx2_sum8(const __m256 v[8])
{
    __m256 two[4], four[2];
    UNROLL
    for (int i = 0; i < 4; i++)
        two[i] = _mm256_add_ps(_mm256_blend_ps(v[2 * i], v[2 * i + 1], 0xcc),
                               _mm256_shuffle_ps(v[2 * i], v[2 * i + 1], 0x4e));
    UNROLL
    for (int i = 0; i < 2; i++)
        four[i] =
            _mm256_add_ps(_mm256_shuffle_ps(two[2 * i], two[2 * i + 1], 0x88),
                          _mm256_shuffle_ps(two[2 * i], two[2 * i + 1], 0xdd));
    return _mm256_add_ps(_mm256_blend_ps(four[0], four[1], 0xf0),
                         _mm256_permute2f128_ps(four[0], four[1], 0x21));
}

INLINE __m256i avx2_add_words(__m256i a, __m256i b, bool words)
{
    return words ? _mm256_add_epi16(a, b) : _mm256_add_epi32(a, b);
}

/* Two of the three additions of avx2_isum8. */
INLINE void avx2_isum4(__m256i four[2], const __m256i v[8], bool words)
{
    __m256i two[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        two[i] = avx2_add_words(
            _mm256_blend_epi32(v[2 * i], v[2 * i + 1], 0xcc),
            _mm256_alignr_epi8(v[2 * i + 1], v[2 * i], 8), words);
    UNROLL
    for (int i = 0; i < 2; i++) {
        const __m256 a = _mm256_castsi256_ps(two[2 * i]);
        const __m256 b = _mm256_castsi256_ps(two[2 * i + 1]);
        four[i] = avx2_add_words(
            _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)),
            _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), words);
    }
}

/* The third one. */
INLINE __m256i avx2_isum2(const __m256i four[2], bool words)
{
    return avx2_add_words(_mm256_blend_epi32(four[0], four[1], 0xf0),
                          _mm256_permute2x128_si256(four[0], four[1], 0x21),
                          words);
}

/* The same as avx2_sum8 for integers of 32 bits, or for pairs of 16-bit ones
   (words) whose two sums stay apart in the halves of each lane. */
INLINE __m256i avx2_isum8(const __m256i v[8], bool words)
{
    __m256i four[2];
    avx2_isum4(four, v, words);
    return avx2_isum2(four, words);
}

/* ------------------------------------------------------------------- rows */

/*
 * 16 values of eight bf16 rows: a shift and a mask make the even and the odd
 * ones, at half the cost of widening in order. The query is rearranged to
 * match, once for all rows. `stream`: the rows follow each other.
 */
INLINE void avx2_dot16_bf16(__m256 sum[8], const char *const row[8],
                            const float *x, size_t j, bool stream)
{
    const __m256 lo = _mm256_loadu_ps(x + j), hi = _mm256_loadu_ps(x + j + 8);
    const __m256 a = _mm256_permute2f128_ps(lo, hi, 0x20);
    const __m256 b = _mm256_permute2f128_ps(lo, hi, 0x31);
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    const __m256 even = _mm256_shuffle_ps(a, b, 0x88);
    const __m256 odd = _mm256_shuffle_ps(a, b, 0xdd);
    UNROLL
    for (int r = 0; r < 8; r++) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(row[r] + 2 * j));
        if (stream)
            avx2_prefetch_line(row[r], 2 * j, 32);
        const __m256i e = _mm256_slli_epi32(v, 16);
        const __m256i o = _mm256_and_si256(v, high);
        sum[r] = _mm256_fmadd_ps(_mm256_castsi256_ps(e), even, sum[r]);
        sum[r] = _mm256_fmadd_ps(_mm256_castsi256_ps(o), odd, sum[r]);
    }
}

/* -------------------------------------------------------------------- exp */

/*
 * exp(x) for x <= 88.72, rel 2e-7; 0 below the smallest normal number.
 * x = n ln 2 + r, |r| <= ln 2 / 2; the polynomial is the minimax one of
 * degree 5 with p(0) = 1 (rel 9.2e-8); n goes straight into the exponent.
 */
INLINE __m256 avx2_exp(__m256 x)
{
    const __m256 low = _mm256_set1_ps(-0x1.5d58ap6f); /* -87.3365 */
    const __m256 magic = _mm256_set1_ps(0x1.8p23f);   /* n in the low bits */
    const __m256 v = _mm256_max_ps(x, low);
    const __m256 t = _mm256_fmadd_ps(v, _mm256_set1_ps(0x1.715476p0f), magic);
    const __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), v);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
    __m256 p = _mm256_set1_ps(0x1.0fa7d6p-7f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.573adp-5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555a6ep-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffdc4p-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffff6p-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    p = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
    return _mm256_and_ps(p, _mm256_cmp_ps(x, low, _CMP_GE_OQ));
}

/* cap tanh(x / cap) */
INLINE __m256 avx2_softcap(__m256 x, float cap)
{
    const __m256 one = _mm256_set1_ps(1.0f), top = _mm256_set1_ps(80.0f);
    const __m256 z = _mm256_div_ps(x, _mm256_set1_ps(0.5f * cap));
    const __m256 e = avx2_exp(_mm256_min_ps(z, top));
    const __m256 rest =
        _mm256_div_ps(_mm256_set1_ps(2.0f), _mm256_add_ps(e, one));
    return _mm256_mul_ps(_mm256_sub_ps(one, rest), _mm256_set1_ps(cap));
}

/* Row i of the result holds the 32-bit lane i of all rows. */
INLINE void avx2_transpose8(__m256i v[8])
{
    __m256i a[8], b[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        v[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

#endif /* CLSA_AVX2_H */
