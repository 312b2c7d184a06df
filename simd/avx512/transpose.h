/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transpose.h: the bytes of 16 rows as vectors of one dword a row, for the
 * matmul of weights in blocks (matmul_block_tmpl.h, matmul_k.h,
 * matmul_amx_tmpl.h), for tiles of bf16 and for index keys of several heads.
 */
#ifndef CLSA_AVX512_TRANSPOSE_H
#define CLSA_AVX512_TRANSPOSE_H

#include "simd/avx512/avx512.h"

/* Prefetches part `slot` of `slots` of the lines of `bytes` bytes. */
INLINE void avx512_prefetch_part(const uint8_t *from, size_t bytes, size_t slot,
                                 size_t slots)
{
    const size_t lines = (bytes + 63) / 64;
    const size_t end = (slot + 1) * lines / slots;
    UNROLL
    for (size_t line = slot * lines / slots; line < end; line++)
        prefetch_l2(from + line * 64);
}

/*
 * A word of each row, inserted one by one: sixteen short stores and one load
 * would wait, as they cannot be forwarded.
 */
INLINE __m256i avx512_sixteen_words(const uint8_t *const row[LANES], size_t at)
{
    uint16_t d[LANES];
    UNROLL
    for (int r = 0; r < LANES; r++)
        __builtin_memcpy(&d[r], row[r] + at, sizeof d[r]);
    return _mm256_setr_epi16((short)d[0], (short)d[1], (short)d[2], (short)d[3],
                             (short)d[4], (short)d[5], (short)d[6], (short)d[7],
                             (short)d[8], (short)d[9], (short)d[10],
                             (short)d[11], (short)d[12], (short)d[13],
                             (short)d[14], (short)d[15]);
}

/* Rows r, r+4, r+8, r+12, one in each quarter of a vector. */
INLINE __m512i avx512_load_quarters(const uint8_t *const row[LANES], int r,
                                    size_t at)
{
    return avx512_quarters(row[r] + at, row[r + 4] + at, row[r + 8] + at,
                           row[r + 12] + at);
}

/* 4 x 4 dwords in each quarter of v, turned in place. */
INLINE void avx512_turn_quarters(__m512i v[4])
{
    __m512i ab = _mm512_unpacklo_epi32(v[0], v[1]);
    __m512i cd = _mm512_unpacklo_epi32(v[2], v[3]);
    __m512i ef = _mm512_unpackhi_epi32(v[0], v[1]);
    __m512i gh = _mm512_unpackhi_epi32(v[2], v[3]);
    v[0] = _mm512_unpacklo_epi64(ab, cd);
    v[1] = _mm512_unpackhi_epi64(ab, cd);
    v[2] = _mm512_unpacklo_epi64(ef, gh);
    v[3] = _mm512_unpackhi_epi64(ef, gh);
}

/* t[k], lane r = bytes 4k..4k+3 of row[r] + at. */
INLINE void avx512_transpose_16x16(__m512i t[4],
                                   const uint8_t *const row[LANES], size_t at)
{
    UNROLL
    for (int r = 0; r < 4; r++)
        t[r] = avx512_load_quarters(row, r, at);
    avx512_turn_quarters(t);
}

/* Rows r and r+4, a half each. */
INLINE __m512i avx512_load_halves(const uint8_t *const row[LANES], int r,
                                  size_t at)
{
    return _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256((const void *)(row[r] + at))),
        _mm256_loadu_si256((const void *)(row[r + 4] + at)), 1);
}

/*
 * The same for 32 bytes of a row, t[0..7]: 8 inserts and 24 shuffles, where
 * two of the above would take 24 inserts and 16 shuffles; inserts are dearer.
 */
INLINE void avx512_transpose_16x32(__m512i t[8],
                                   const uint8_t *const row[LANES], size_t at)
{
    __m512i low[4], high[4];
    UNROLL
    for (int r = 0; r < 4; r++) {
        low[r] = avx512_load_halves(row, r, at);
        high[r] = avx512_load_halves(row, r + 8, at);
    }
    avx512_turn_quarters(low);
    avx512_turn_quarters(high);
    UNROLL
    for (int k = 0; k < 4; k++) {
        t[k] = _mm512_shuffle_i32x4(low[k], high[k], 0x88);
        t[k + 4] = _mm512_shuffle_i32x4(low[k], high[k], 0xdd);
    }
}

/* Sixteen vectors of sixteen dwords: rows become columns. */
INLINE void avx512_turn(__m512i v[LANES])
{
    __m512i t[LANES];
    UNROLL
    for (int i = 0; i < LANES; i += 4)
        avx512_turn_quarters(v + i);
    UNROLL
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#endif /* CLSA_AVX512_TRANSPOSE_H */
