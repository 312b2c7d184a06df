/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of bf16 in tiles of AMX. Four tiles of sums meet two tiles of x and
 * two of w: 32 rows of x and 32 of w, STEPS steps at a time, so that what is
 * read of w stays in L1 while the rows of x go by.
 */
#include "simd/avx512/transpose.h"

enum { STEPS = 8, ROWS = 2 * CLSA_TILE_X };

static void tile_x_avx512amx(void *to, const float *x, size_t k)
{
    unsigned char *at = to;
    for (size_t j = 0; j < k; j += CLSA_TILE_STEP, at += CLSA_TILE_BYTES)
        _mm512_storeu_si512(
            at, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + j + LANES),
                                             _mm512_loadu_ps(x + j)));
}

/* 32 values of sixteen rows, as pairs, become columns. */
static void tile_w_avx512amx(void *to, const float *w, size_t ld, size_t n)
{
    unsigned char *at = to;
    for (size_t j = 0; j < n; j += CLSA_TILE_STEP, at += CLSA_TILES_BYTES) {
        __m512i v[LANES];
        UNROLL
        for (size_t r = 0; r < LANES; r++)
            v[r] = (__m512i)_mm512_cvtne2ps_pbh(
                _mm512_loadu_ps(w + r * ld + j + LANES),
                _mm512_loadu_ps(w + r * ld + j));
        avx512_turn(v);
        UNROLL
        for (size_t r = 0; r < LANES; r++)
            _mm512_storeu_si512(at + r * 64, v[r]);
    }
}

/* Tiles 0..3: sums, 4 and 5: x, 6 and 7: w; all are whole. */
static void set_tiles(void)
{
    const struct avx512_tiles tiles = {
        .palette = 1,
        .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    FENCE;
    _tile_loadconfig(&tiles);
}

INLINE void begin_sums(const float *y, int add)
{
    const size_t ld = CLSA_TILE_W * sizeof *y;
    FENCE;
    if (add) {
        _tile_loadd(0, y, ld);
        _tile_loadd(1, y + CLSA_TILE_X, ld);
        _tile_loadd(2, y + CLSA_TILE_X * CLSA_TILE_W, ld);
        _tile_loadd(3, y + CLSA_TILE_X * CLSA_TILE_W + CLSA_TILE_X, ld);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
}

INLINE void keep_sums(float *y)
{
    const size_t ld = CLSA_TILE_W * sizeof *y;
    _tile_stored(0, y, ld);
    _tile_stored(1, y + CLSA_TILE_X, ld);
    _tile_stored(2, y + CLSA_TILE_X * CLSA_TILE_W, ld);
    _tile_stored(3, y + CLSA_TILE_X * CLSA_TILE_W + CLSA_TILE_X, ld);
    FENCE;
}

/* 32 rows of x by 32 of w. */
INLINE void multiply(float *y, const unsigned char *x, size_t x_bytes,
                     const unsigned char *w, size_t steps, int add)
{
    begin_sums(y, add);
    for (size_t s = 0; s < steps; s++) {
        _tile_loadd(6, w, 64);
        _tile_loadd(4, x, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, x + x_bytes, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_loadd(7, w + CLSA_TILE_BYTES, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
        x += CLSA_TILE_BYTES;
        w += CLSA_TILES_BYTES;
    }
    keep_sums(y);
}

static void tile_product_avx512amx(float *y, size_t m, const void *x,
                                   size_t x_bytes, const void *w, size_t k,
                                   int add)
{
    const unsigned char *from = x, *by = w;
    const size_t all = k / CLSA_TILE_STEP;
    set_tiles();
    for (size_t s = 0; s < all; s += STEPS) {
        const size_t steps = avx512_min_size(all - s, STEPS);
        for (size_t i = 0; i < m; i += ROWS)
            for (size_t half = 0; half < 2; half++)
                multiply(y + i * CLSA_TILE_W + half * ROWS,
                         from + i / CLSA_TILE_X * x_bytes + s * CLSA_TILE_BYTES,
                         x_bytes,
                         by + s * CLSA_TILES_BYTES + half * 2 * CLSA_TILE_BYTES,
                         steps, add || s > 0);
    }
    _tile_release();
}

void clsa_tiles_avx512amx(struct clsa_simd *table)
{
    table->tiles = "bf16";
    table->tile_x = tile_x_avx512amx;
    table->tile_w = tile_w_avx512amx;
    table->tile_product = tile_product_avx512amx;
}
