/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_k.h: the loops of the Q4_K and Q6_K matmul, included by matmul_q4_k.h
 * and matmul_q6_k.h, which say how a block is unpacked and multiplied.
 *
 * Sixteen rows make a panel, one row a lane. A block of a panel is unpacked
 * once for all columns, into L1:
 *
 *   q[p][k], lane r  =  values 4k..4k+3 of part p of row r, a byte each
 *
 * so that a dot instruction with four broadcast bytes of the column adds to
 * the sixteen sums, and nothing is ever summed across lanes. Sums of a part
 * times their scale stay below 2^24 and are exact in float. The float sum of a
 * row runs over its parts in ascending order with the roundings of simd/ref,
 * whatever the number of columns: these kernels give the bits of the scalar
 * ones.
 */
#ifndef CLSA_AVX512_MATMUL_K_H
#define CLSA_AVX512_MATMUL_K_H

#include "simd/avx512/transpose.h"

#define PARTS 8 /* of 32 values in a block */
#define STEPS 8 /* of 4 values in a part */
#define WIDE  4 /* most columns of a tile */

/* A block of sixteen rows. */
struct unpacked {
    __m512i q[PARTS][STEPS]; /* Q4_K: 0..15, Q6_K: 0..63 */
    __m512 scale[PARTS][2];  /* Q4_K: [0] only; Q6_K: of the halves of a part */
    __m512 min[PARTS];       /* Q4_K only, as dmin */
    __m512 d, dmin;
};

/* A column at one block of the weights. */
struct column {
    const int8_t *x;
    const float *d;     /* of the block's first part; the next ldd further */
    const int32_t *sum; /* the same */
    int32_t start[16];  /* Q6_K only: what the sums begin with */
};

struct panel {
    const uint8_t *row[LANES];
    const uint8_t *next; /* the weights behind the panel, NULL at the end */
    __mmask16 valid;
};

/* ---------------------------------------------- said by the including file */

#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: bytes of a block"
#endif

/* The block at byte `at` of the rows. */
INLINE void unpack(struct unpacked *u, const uint8_t *const row[LANES],
                   size_t at);

/* Completes a column, of which the pointers are there. */
INLINE void begin_column(struct column *c);

/* sum + part p times the column; w: the values of the part, ofs: p * ldd. */
INLINE __m512 add_part(__m512 sum, const __m512i w[STEPS],
                       const struct unpacked *u, size_t p,
                       const struct column *c, size_t ofs);

/* start + products of 16 values, u8 in w and s8 at x. */
INLINE __m512i dot16(__m512i start, const __m512i w[STEPS / 2],
                     const int8_t *x);

/* ------------------------------------------------------------------- frame */

/* Byte i % 4 of the dwords of v[i / 4]. */
INLINE __m512i byte_of(const __m512i *v, int i)
{
    return _mm512_and_si512(_mm512_srli_epi32(v[i / 4], 8 * (i % 4)),
                            _mm512_set1_epi32(255));
}

INLINE __m512i signed_byte_of(const __m512i *v, int i)
{
    return _mm512_srai_epi32(_mm512_slli_epi32(v[i / 4], 24 - 8 * (i % 4)), 24);
}

INLINE __m512i broadcast4(const int8_t *x)
{
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

/* Columns c.. at block b; the sums rest in y. */
INLINE void tile(float *y, size_t ldy, const struct unpacked *u,
                 const struct clsa_act *a, __mmask16 valid, size_t b, size_t c,
                 const int columns)
{
    struct column col[WIDE];
    __m512 sum[WIDE];
    UNROLL
    for (int j = 0; j < columns; j++) {
        const size_t at = c + (size_t)j;
        col[j].x = a->q + at * a->ldq + b * CLSA_K_BLOCK;
        col[j].d = a->d + b * PARTS * a->ldd + at;
        col[j].sum = a->sum + b * PARTS * a->ldd + at;
        begin_column(&col[j]);
        sum[j] = _mm512_maskz_loadu_ps(valid, y + at * ldy);
    }
    for (size_t p = 0; p < PARTS; p++) {
        __m512i w[STEPS];
        UNROLL
        for (int k = 0; k < STEPS; k++)
            w[k] = u->q[p][k];
        UNROLL
        for (int j = 0; j < columns; j++)
            sum[j] = add_part(sum[j], w, u, p, &col[j], p * a->ldd);
    }
    UNROLL
    for (int j = 0; j < columns; j++)
        _mm512_mask_storeu_ps(y + (c + (size_t)j) * ldy, valid, sum[j]);
}

/* The next panel, at the speed at which this one is used. */
INLINE void prefetch_next(const struct panel *p, size_t b)
{
    const size_t bytes = (size_t)LANES * BLOCK_BYTES;
    if (!p->next)
        return;
    for (size_t at = 0; at < bytes; at += 64)
        prefetch(p->next + b * bytes + at);
}

static void panel_columns(float *y, size_t ldy, const struct panel *p,
                          const struct clsa_act *a)
{
    for (size_t c = 0; c < a->n; c++)
        _mm512_mask_storeu_ps(y + c * ldy, p->valid, _mm512_setzero_ps());
    for (size_t b = 0; b < a->len / CLSA_K_BLOCK; b++) {
        struct unpacked u;
        size_t c = 0;
        prefetch_next(p, b);
        unpack(&u, p->row, b * BLOCK_BYTES);
        for (; c + WIDE <= a->n; c += WIDE)
            tile(y, ldy, &u, a, p->valid, b, c, WIDE);
        for (; c < a->n; c++)
            tile(y, ldy, &u, a, p->valid, b, c, 1);
    }
}

static void matmul_k(float *y, size_t ldy, const void *w, size_t rows,
                     const struct clsa_act *a)
{
    const size_t stride = a->len / CLSA_K_BLOCK * BLOCK_BYTES;
    for (size_t i = 0; i < rows; i += LANES) {
        const uint8_t *first = (const uint8_t *)w + i * stride;
        struct panel p;
        for (size_t r = 0; r < LANES; r++)
            p.row[r] = first + min_size(r, rows - i - 1) * stride;
        p.valid = first_lanes(rows - i);
        p.next = rows - i >= 2 * LANES ? first + LANES * stride : NULL;
        panel_columns(y + i, ldy, &p, a);
    }
}

#endif /* CLSA_AVX512_MATMUL_K_H */
