/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_float.c: products of f32, f16 and bf16 weight rows and activation
 * columns with AVX2.
 *
 * Each (row, column) has one accumulator of 8 lanes, fed in ascending order
 * and summed once, whatever the tile: the bits do not depend on n.
 */
#include "simd/avx2/avx2.h"

/*
 * Tile of rows x columns. 3 x 4 keeps 12 sums in 16 registers and needs 7
 * loads for 12 FMAs; 4 x 1 has four row streams for a product that waits for
 * memory. Both hide the latency of the FMA at the rate that limits them.
 */
enum { TILE_ROWS = 3, TILE_COLUMNS = 4, STREAMS = 4 };

struct operands {
    const char *w;
    size_t bytes; /* of a weight row */
    const float *x;
    size_t ldx, len;
};

INLINE void tile(float *y, size_t ldy, const struct operands *o, int rows,
                 int cols, enum clsa_format format)
{
    __m256 sum[STREAMS][TILE_COLUMNS], v[STREAMS];
    const size_t size = format == CLSA_F32 ? 4 : 2;
    size_t j = 0;
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int c = 0; c < cols; c++)
            sum[r][c] = _mm256_setzero_ps();
    }
    for (; j + 8 <= o->len; j += 8) {
        if (avx2_enters_line(j * size, 8 * size)) {
            const size_t p = avx2_ahead(j * size, o->bytes, (size_t)rows);
            UNROLL
            for (int r = 0; r < rows; r++)
                avx2_prefetch_l2(o->w + (size_t)r * o->bytes + p);
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            const char *row = o->w + (size_t)r * o->bytes;
            v[r] = avx2_load8(row, j, format);
        }
        UNROLL
        for (int c = 0; c < cols; c++) {
            const __m256 x = _mm256_loadu_ps(o->x + (size_t)c * o->ldx + j);
            UNROLL
            for (int r = 0; r < rows; r++)
                sum[r][c] = _mm256_fmadd_ps(v[r], x, sum[r][c]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        const char *row = o->w + (size_t)r * o->bytes;
        UNROLL
        for (int c = 0; c < cols; c++) {
            const float *x = o->x + (size_t)c * o->ldx;
            __m256 s = sum[r][c];
            if (j < o->len)
                s = _mm256_fmadd_ps(avx2_load_tail(row, j, o->len - j, format),
                                    avx2_load_tail(x, j, o->len - j, CLSA_F32),
                                    s);
            y[(size_t)c * ldy + (size_t)r] = avx2_sum(s);
        }
    }
}

/* All columns of `rows` rows: the rows stay in L1 or L2 between the tiles. */
INLINE void stripe(float *y, size_t ldy, struct operands o, size_t n, int rows,
                   enum clsa_format format)
{
    size_t c = 0;
    if (rows <= TILE_ROWS)
        for (; c + TILE_COLUMNS <= n;
             c += TILE_COLUMNS, o.x += TILE_COLUMNS * o.ldx)
            tile(y + c * ldy, ldy, &o, rows, TILE_COLUMNS, format);
    for (; c < n; c++, o.x += o.ldx)
        tile(y + c * ldy, ldy, &o, rows, 1, format);
}

INLINE void matmul(float *y, size_t ldy, const void *w, size_t rows,
                   const struct clsa_act *a, enum clsa_format format)
{
    struct operands o = {w, clsa_format_bytes(format, a->len), a->x, a->ldx,
                         a->len};
    size_t i = 0;
    if (a->n < TILE_COLUMNS)
        for (; i + STREAMS <= rows; i += STREAMS, o.w += STREAMS * o.bytes)
            stripe(y + i, ldy, o, a->n, STREAMS, format);
    for (; i + TILE_ROWS <= rows; i += TILE_ROWS, o.w += TILE_ROWS * o.bytes)
        stripe(y + i, ldy, o, a->n, TILE_ROWS, format);
    for (; i < rows; i++, o.w += o.bytes)
        stripe(y + i, ldy, o, a->n, 1, format);
}

static void matmul_f32_avx2(float *y, size_t ldy, const void *w, size_t rows,
                            const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a, CLSA_F32);
}

static void matmul_f16_avx2(float *y, size_t ldy, const void *w, size_t rows,
                            const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a, CLSA_F16);
}

static void matmul_bf16_avx2(float *y, size_t ldy, const void *w, size_t rows,
                             const struct clsa_act *a)
{
    matmul(y, ldy, w, rows, a, CLSA_BF16);
}

void clsa_matmul_float_avx2(struct clsa_simd *table)
{
    table->matmul[CLSA_F32] = matmul_f32_avx2;
    table->matmul[CLSA_F16] = matmul_f16_avx2;
    table->matmul[CLSA_BF16] = matmul_bf16_avx2;
}
