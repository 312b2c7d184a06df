/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer products at the limit of AMX. A tile of 16 x 64 values meets 16 rows
 * of weights, so there are four copies of the four rows. That would be over
 * before the tiles are configured: all is done PASSES times.
 */
#include "simd/avx512/avx512.h"
#include "simd/peaks.h"

enum { PASSES = 64, COPIES = LANES / CLSA_PEAK_ROWS, TILE = 1024 };

/* Tiles 0 and 1: sums of whole tiles of x and of units, which have four rows,
   2 and 3: x of both, 4: weights. */
static void set_tiles(void)
{
    const struct avx512_tiles tiles = {.palette = 1,
                                       .bytes = {64, 64, 64, 64, 64},
                                       .rows = {16, 4, 16, 4, 16}};
    FENCE;
    _tile_loadconfig(&tiles);
}

/* Four bytes of row l % 4 in lane l, of the pattern in turns. */
static void load_weights(const struct clsa_peak_operands *o)
{
    int8_t w[16][LANES][4];
    for (int k = 0; k < 16; k++)
        for (int l = 0; l < LANES; l++)
            __builtin_memcpy(w[k][l], o->w[l % CLSA_PEAK_ROWS] + 4 * (k % 2),
                             4);
    FENCE;
    _tile_loadd(4, w, sizeof w[0]);
    FENCE;
}

static void add_values(const struct clsa_peak_operands *o)
{
    size_t i = 0;
    _tile_zero(0);
    _tile_zero(1);
    for (; i + TILE <= o->n; i += TILE) {
        _tile_loadd(2, o->x + i, 64);
        _tile_dpbssd(0, 2, 4);
    }
    for (; i < o->n; i += CLSA_PEAK_UNIT) {
        _tile_loadd(3, o->x + i, 64);
        _tile_dpbssd(1, 3, 4);
    }
}

static uint32_t product_tiles(const struct clsa_peak_operands *o)
{
    int32_t sum[LANES + 4][LANES];
    __m512i all = _mm512_setzero_si512();

    set_tiles();
    load_weights(o);
    for (int pass = 0; pass < PASSES; pass++)
        add_values(o);
    _tile_stored(0, sum, sizeof sum[0]);
    _tile_stored(1, sum + LANES, sizeof sum[0]);
    _tile_release();
    for (int r = 0; r < LANES + 4; r++)
        all = _mm512_add_epi32(all, _mm512_loadu_si512(sum[r]));
    return avx512_sum_mod(_mm512_maskz_mov_epi32(0xf, all));
}

/* Before the products of the level below. */
void clsa_peaks_avx512amx(struct clsa_peak_loops *loops)
{
    for (int i = CLSA_PEAK_PRODUCTS; i > 0; i--)
        loops->product[i] = loops->product[i - 1];
    loops->product[CLSA_PEAK_PRODUCTS].name = NULL;
    loops->product[0].name = "tdpbssd";
    loops->product[0].full = 1;
    loops->product[0].again = PASSES * COPIES - 1;
    loops->product[0].run = product_tiles;
}
