/* SPDX-License-Identifier: Apache-2.0 */
/* Products of bf16 in tiles, scalar: what a tile holds, and the sums. */
#include <string.h>

#include "simd/ref/ref.h"
#include "simd/scalar.h"

static uint16_t tile_value(float x)
{
    uint16_t y = clsa_f32_to_bf16(x);
    return y & 0x7f80 ? y : (uint16_t)(y & 0x8000);
}

static void tile_x_ref(void *to, const float *x, size_t k)
{
    unsigned char *at = to;
    for (size_t j = 0; j < k; j++) {
        const uint16_t v = tile_value(x[j]);
        memcpy(at + j / CLSA_TILE_STEP * CLSA_TILE_BYTES +
                   j % CLSA_TILE_STEP * sizeof v,
               &v, sizeof v);
    }
}

/* Pairs of values: row j / 2 of the tile has those of all sixteen rows. */
static void tile_w_ref(void *to, const float *w, size_t ld, size_t n)
{
    unsigned char *at = to;
    for (size_t r = 0; r < CLSA_TILE_X; r++)
        for (size_t j = 0; j < n; j++) {
            const uint16_t v = tile_value(w[r * ld + j]);
            const size_t pair = j % CLSA_TILE_STEP / 2;
            memcpy(at + j / CLSA_TILE_STEP * CLSA_TILES_BYTES + pair * 64 +
                       r * 4 + j % 2 * sizeof v,
                   &v, sizeof v);
        }
}

static float value_at(const unsigned char *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return clsa_bf16_to_f32(v);
}

/* sum + the products of k values. */
static float sum_of(float sum, const unsigned char *x, const unsigned char *w,
                    size_t k)
{
    for (size_t j = 0; j < k; j++) {
        const size_t step = j / CLSA_TILE_STEP, i = j % CLSA_TILE_STEP;
        sum += value_at(x + step * CLSA_TILE_BYTES + 2 * i) *
               value_at(w + step * CLSA_TILES_BYTES + i / 2 * 64 + i % 2 * 2);
    }
    return sum;
}

static void tile_product_ref(float *y, size_t m, const void *x, size_t x_bytes,
                             const void *w, size_t k, int add)
{
    for (size_t i = 0; i < m; i++) {
        const unsigned char *row = (const unsigned char *)x +
                                   i / CLSA_TILE_X * x_bytes +
                                   i % CLSA_TILE_X * 64;
        for (size_t r = 0; r < CLSA_TILE_W; r++, y++) {
            const unsigned char *column = (const unsigned char *)w +
                                          r / CLSA_TILE_X * CLSA_TILE_BYTES +
                                          r % CLSA_TILE_X * 4;
            *y = sum_of(add ? *y : 0, row, column, k);
        }
    }
}

void clsa_tiles_ref(struct clsa_simd *table)
{
    table->tile_x = tile_x_ref;
    table->tile_w = tile_w_ref;
    table->tile_product = tile_product_ref;
}
