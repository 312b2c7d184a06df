/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_k.h: the frame of the Q4_K and Q6_K products, included by their
 * files, which say how a block is unpacked and multiplied.
 *
 * The lanes are the eight parts of 32 values of a block, which have one
 * activation block each: eight products are added across at once, and a block
 * takes one conversion, one scale and one FMA. The lanes are summed at the end
 * of the row. One way for any number of rows and columns, so that each result
 * has the same bits in any company; a block is unpacked once for all columns
 * of a group.
 */
#ifndef CLSA_AVX2_MATMUL_K_H
#define CLSA_AVX2_MATMUL_K_H

#include "simd/avx2/avx2.h"

#define PARTS   8 /* of 32 values in a block */
#define COLUMNS 4 /* most columns of a group */

/* The float sums of a row and a column. */
struct sums {
    __m256 y, minus; /* what is subtracted at the end: Q4_K only */
};

/* A block, ready to be multiplied. */
struct unpacked {
    __m256i q[PARTS];      /* Q4_K: 0..15, Q6_K: -32..31 */
    __m256i scales[PARTS]; /* Q6_K: words, one scale per 16 values */
    __m256i scale, min;    /* Q4_K: of the parts */
    __m256 d, dmin;
};

/* ---------------------------------------------- said by the including file */

#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: bytes of a block"
#endif

INLINE void unpack(struct unpacked *u, const uint8_t *block);

/* Adds a block times 256 values x; d and sum are those of their 8 blocks. */
INLINE void multiply(struct sums *s, const struct unpacked *u, const int8_t *x,
                     __m256 d, __m256i sum);

/* ------------------------------------------------------------------- frame */

/* Every `ld`th of 8 values. */
INLINE __m256i pick8(const void *p, size_t ld)
{
    const int ofs = (int)ld;
    if (ld == 1)
        return _mm256_loadu_si256(p);
    return _mm256_i32gather_epi32(p,
                                  _mm256_setr_epi32(0, ofs, 2 * ofs, 3 * ofs,
                                                    4 * ofs, 5 * ofs, 6 * ofs,
                                                    7 * ofs),
                                  4);
}

INLINE void row_columns(float *y, size_t ldy, const uint8_t *row,
                        const struct clsa_act *a, size_t from, int columns)
{
    struct sums s[COLUMNS];
    UNROLL
    for (int c = 0; c < columns; c++)
        s[c].y = s[c].minus = _mm256_setzero_ps();
    for (size_t b = 0; b < a->len / CLSA_K_BLOCK; b++, row += BLOCK_BYTES) {
        struct unpacked u;
        for (size_t p = 0; p < BLOCK_BYTES; p += 64)
            clsa_prefetch((const char *)row + CLSA_AVX2_AHEAD + p);
        unpack(&u, row);
        UNROLL
        for (int c = 0; c < columns; c++) {
            const size_t at = from + (size_t)c;
            const size_t scale = b * PARTS * a->ldd + at;
            multiply(&s[c], &u, a->q + at * a->ldq + b * CLSA_K_BLOCK,
                     _mm256_castsi256_ps(pick8(a->d + scale, a->ldd)),
                     pick8(a->sum + scale, a->ldd));
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        y[(from + (size_t)c) * ldy] =
            clsa_sum(_mm256_sub_ps(s[c].y, s[c].minus));
}

INLINE void matmul(float *y, size_t ldy, const void *w, size_t rows,
                   const struct clsa_act *a)
{
    const size_t bytes = a->len / CLSA_K_BLOCK * BLOCK_BYTES;
    const uint8_t *row = w;
    for (size_t i = 0; i < rows; i++, row += bytes) {
        size_t c = 0;
        for (; c + COLUMNS <= a->n; c += COLUMNS)
            row_columns(y + i, ldy, row, a, c, COLUMNS);
        for (; c < a->n; c++)
            row_columns(y + i, ldy, row, a, c, 1);
    }
}

#endif /* CLSA_AVX2_MATMUL_K_H */
