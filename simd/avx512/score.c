/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of K rows by one query. Sixteen rows at a time, one vector of partial
 * sums a row, the tree of avx512_sum16_ps over them: a row's score is the same
 * wherever it stands. After the last row comes the last one again. While a
 * group is read, the next one is prefetched, line by line: rows are strides
 * apart, which the hardware follows within a page only.
 */
#include "simd/avx512/avx512.h"

struct group {
    const uint8_t *row[LANES], *next[LANES];
};

static void point(const uint8_t *row[LANES], const struct clsa_rows *rows,
                  size_t first)
{
    for (size_t r = 0; r < LANES; r++) {
        const size_t i = avx512_min_size(first + r, rows->n - 1);
        row[r] = (const uint8_t *)rows->k +
                 (rows->order ? rows->order[i] : i) * rows->stride;
    }
}

/* Adds the products of 16 values of all rows; m: the ones present. */
INLINE void add_float(__m512 sum[LANES], const struct group *g, const float *x,
                      size_t j, __mmask16 m, bool fetch,
                      enum clsa_format format)
{
    const __m512 v = m == 0xffff ? avx512_load16(x, j, CLSA_F32)
                                 : avx512_load_tail(x, j, m, CLSA_F32);
    UNROLL
    for (int r = 0; r < LANES; r++) {
        if (fetch)
            prefetch_l2(g->next[r] + j * clsa_format_bytes(format, 1));
        sum[r] = _mm512_fmadd_ps(
            m == 0xffff ? avx512_load16(g->row[r], j, format)
                        : avx512_load_tail(g->row[r], j, m, format),
            v, sum[r]);
    }
}

INLINE void add_floats(__m512 sum[LANES], const struct group *g, const float *x,
                       size_t len, enum clsa_format format)
{
    const size_t line = 64 / clsa_format_bytes(format, 1);
    size_t j = 0;
    for (; j + LANES <= len; j += LANES)
        if (j % line == 0)
            add_float(sum, g, x, j, 0xffff, true, format);
        else
            add_float(sum, g, x, j, 0xffff, false, format);
    if (j < len)
        add_float(sum, g, x, j, avx512_first_lanes(len - j), true, format);
}

/* 16 bytes as floats. */
INLINE __m512 bytes16(const uint8_t *q)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)q)));
}

/* Adds the products of all blocks of all rows, Q8_0. */
INLINE void add_blocks(__m512 sum[LANES], const struct group *g, const float *x,
                       size_t len)
{
    for (size_t j = 0; j < len; j += CLSA_BLOCK) {
        const size_t at = j / CLSA_BLOCK * CLSA_Q8_0_BYTES;
        const __m512 lo = _mm512_loadu_ps(x + j);
        const __m512 hi = _mm512_loadu_ps(x + j + LANES);
        UNROLL
        for (int r = 0; r < LANES; r++) {
            const uint8_t *block = g->row[r] + at;
            uint16_t d;
            __builtin_memcpy(&d, block, sizeof d);
            prefetch_l2(g->next[r] + at);
            __m512 part = _mm512_mul_ps(bytes16(block + 2), lo);
            part = _mm512_fmadd_ps(bytes16(block + 2 + LANES), hi, part);
            sum[r] = _mm512_fmadd_ps(
                _mm512_cvtph_ps(_mm256_set1_epi16((short)d)), part, sum[r]);
        }
    }
}

INLINE void score(float *y, const float *x, size_t len,
                  const struct clsa_rows *rows, enum clsa_format format)
{
    struct group g;
    point(g.next, rows, 0);
    for (size_t i = 0; i < rows->n; i += LANES) {
        __m512 sum[LANES];
        __builtin_memcpy(g.row, g.next, sizeof g.row);
        point(g.next, rows, i + LANES);
        UNROLL
        for (int r = 0; r < LANES; r++)
            sum[r] = _mm512_setzero_ps();
        if (format == CLSA_Q8_0)
            add_blocks(sum, &g, x, len);
        else
            add_floats(sum, &g, x, len, format);
        _mm512_mask_storeu_ps(y + i, avx512_first_lanes(rows->n - i),
                              avx512_sum16_ps(sum));
    }
}

#define SCORE(name, format)                                                    \
    static void score_##name##_avx512(float *y, const float *x, size_t len,    \
                                      const struct clsa_rows *rows)            \
    {                                                                          \
        score(y, x, len, rows, format);                                        \
    }

CLSA_ROW_FORMATS(SCORE)

#define FILL(name, format) table->score[format] = score_##name##_avx512;

void clsa_score_avx512(struct clsa_simd *table)
{
    CLSA_ROW_FORMATS(FILL)
}
