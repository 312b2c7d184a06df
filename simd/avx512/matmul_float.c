/* SPDX-License-Identifier: Apache-2.0 */
/*
 * F32, F16 and BF16 matmul. A product of a row and a column is one vector of
 * sixteen partial sums over ascending j, then the tree of avx512_sum16_ps: the
 * same in each of the tiles, which are 4 rows x 4 columns and 8 x 2, and for
 * sixteen rows after each other of one column, so that there are always sixteen
 * sums, their tree always ends in one vector, and a converted weight serves all
 * columns of a tile.
 *
 * There is no level for AVX512_BF16. vdpbf16ps issues once a cycle like the
 * FMA (Zen 4) and takes twice the products, but f32 activations need three
 * bf16 parts to stay within the bound: three instructions, and the FMA takes
 * two. It flushes subnormals too, as does vcvtneps2bf16, which store_bf16 must
 * not.
 */
#include "simd/avx512/avx512.h"

struct tile {
    const uint8_t *row[LANES];
    const uint8_t *next; /* the next tile's rows to prefetch, or NULL */
    size_t rows;         /* valid ones */
};

/* The sums of R x C products at values j..j+15. */
INLINE void step(__m512 sum[LANES], const struct tile *t,
                 const struct clsa_act *a, size_t c, size_t j, __mmask16 m,
                 const int R, const int C, enum clsa_format format)
{
    __m512 x[4];
    UNROLL
    for (int i = 0; i < C; i++) {
        const float *column = a->x + (c + i) * a->ldx + j;
        x[i] = m == 0xffff ? _mm512_loadu_ps(column)
                           : _mm512_maskz_loadu_ps(m, column);
    }
    UNROLL
    for (int r = 0; r < R; r++) {
        __m512 w = m == 0xffff ? avx512_load16(t->row[r], j, format)
                               : avx512_load_tail(t->row[r], j, m, format);
        UNROLL
        for (int i = 0; i < C; i++)
            sum[i * R + r] = _mm512_fmadd_ps(w, x[i], sum[i * R + r]);
    }
}

INLINE void tile_sums(float *y, size_t ldy, const struct tile *t,
                      const struct clsa_act *a, size_t c, const int R,
                      const int C, enum clsa_format format)
{
    const size_t step_bytes = clsa_format_bytes(format, (size_t)R * LANES);
    const __mmask16 valid = avx512_first_lanes(t->rows);
    __m512 sum[LANES];
    size_t j = 0;

    UNROLL
    for (int i = 0; i < LANES; i++)
        sum[i] = _mm512_setzero_ps();
    for (; j + LANES <= a->len; j += LANES) {
        if (t->next)
            for (size_t at = 0; at < step_bytes; at += 64)
                prefetch_l2(t->next + j / LANES * step_bytes + at);
        step(sum, t, a, c, j, 0xffff, R, C, format);
    }
    if (j < a->len)
        step(sum, t, a, c, j, avx512_first_lanes(a->len - j), R, C, format);
    __m512 all = avx512_sum16_ps(sum);
    UNROLL
    for (int i = 0; i < C; i++) {
        __mmask16 lanes = (__mmask16)(((1u << R) - 1) << (i * R));
        _mm512_mask_storeu_ps(y + (c + i) * ldy, valid,
                              _mm512_maskz_compress_ps(lanes, all));
    }
}

/* The sum of a row and a column before its tree. */
INLINE __m512 row_sum(const uint8_t *row, const float *x, size_t len,
                      enum clsa_format format)
{
    const size_t step_bytes = clsa_format_bytes(format, 2 * LANES);
    __m512 sum = _mm512_setzero_ps();
    size_t j = 0;

    for (; j + 2 * LANES <= len; j += 2 * LANES) {
        for (size_t at = 0; at < step_bytes; at += 64)
            prefetch_l1(row + j / LANES * (step_bytes / 2) +
                        AVX512_STREAM_AHEAD + at);
        sum = _mm512_fmadd_ps(avx512_load16(row, j, format),
                              _mm512_loadu_ps(x + j), sum);
        sum = _mm512_fmadd_ps(avx512_load16(row, j + LANES, format),
                              _mm512_loadu_ps(x + j + LANES), sum);
    }
    for (; j < len; j += LANES) {
        __mmask16 m = avx512_first_lanes(len - j);
        sum = _mm512_fmadd_ps(avx512_load_tail(row, j, m, format),
                              _mm512_maskz_loadu_ps(m, x + j), sum);
    }
    return sum;
}

/* One column: rows follow each other, a single stream of memory. */
INLINE void one_column(float *y, const void *w, size_t rows, const float *x,
                       size_t len, enum clsa_format format)
{
    const size_t stride = clsa_format_bytes(format, len);
    for (size_t i = 0; i < rows; i += LANES) {
        const size_t left = avx512_min_size(rows - i, LANES);
        __m512 sum[LANES];
        for (size_t r = 0; r < LANES; r++)
            sum[r] = r < left ? row_sum((const uint8_t *)w + (i + r) * stride,
                                        x, len, format)
                              : _mm512_setzero_ps();
        _mm512_mask_storeu_ps(y + i, avx512_first_lanes(left),
                              avx512_sum16_ps(sum));
    }
}

/* `rows` rows x C columns from c on, R rows at a time. */
INLINE void columns(float *y, size_t ldy, const void *w, size_t rows,
                    const struct clsa_act *a, size_t c, const int R,
                    const int C, enum clsa_format format)
{
    const size_t stride = clsa_format_bytes(format, a->len);
    for (size_t i = 0; i < rows; i += R) {
        const uint8_t *first = (const uint8_t *)w + i * stride;
        struct tile t;
        for (size_t r = 0; r < (size_t)R; r++)
            t.row[r] = first + avx512_min_size(r, rows - i - 1) * stride;
        t.rows = avx512_min_size(rows - i, R);
        /* later columns find the weights in L2 */
        t.next =
            c == 0 && rows - i >= 2 * (size_t)R ? first + R * stride : NULL;
        tile_sums(y + i, ldy, &t, a, c, R, C, format);
    }
}

INLINE void matmul(float *y, size_t ldy, const void *w, size_t rows,
                   const struct clsa_act *a, enum clsa_format format)
{
    const size_t stride = clsa_format_bytes(format, a->len);
    size_t chunk =
        a->len ? AVX512_FLOAT_CHUNK_BYTES / stride / LANES * LANES : LANES;
    if (chunk < LANES)
        chunk = LANES;
    for (size_t i = 0; i < rows; i += chunk) {
        const uint8_t *first = (const uint8_t *)w + i * stride;
        size_t count = avx512_min_size(rows - i, chunk), c = 0;
        for (; c + 4 <= a->n; c += 4)
            columns(y + i, ldy, first, count, a, c, 4, 4, format);
        for (; c + 2 <= a->n; c += 2)
            columns(y + i, ldy, first, count, a, c, 8, 2, format);
        for (; c < a->n; c++)
            one_column(y + c * ldy + i, first, count, a->x + c * a->ldx, a->len,
                       format);
    }
}

static void matmul_f32_avx512(float *y, size_t ldy, const void *w, size_t rows,
                              const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a, CLSA_F32);
}

static void matmul_f16_avx512(float *y, size_t ldy, const void *w, size_t rows,
                              const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a, CLSA_F16);
}

static void matmul_bf16_avx512(float *y, size_t ldy, const void *w, size_t rows,
                               const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a, CLSA_BF16);
}

void clsa_matmul_float_avx512(struct clsa_simd *table)
{
    table->matmul[CLSA_F32] = matmul_f32_avx512;
    table->matmul[CLSA_F16] = matmul_f16_avx512;
    table->matmul[CLSA_BF16] = matmul_bf16_avx512;
}
