/* SPDX-License-Identifier: Apache-2.0 */
/*
 * F32, F16 and BF16 weights at level neon: tiles of 4 rows by up to 4 columns,
 * 16 sums in registers. One column is bound by the load of the weights.
 */
#include "simd/neon/matmul.h"
#include "simd/neon/matmul_float_tile.h"

#define TILE(name, format, cols)                                               \
    static void tile_##name##_##cols(float *y, size_t ldy,                     \
                                     const uint8_t *const w[4], size_t valid,  \
                                     const struct clsa_act *a, size_t c)       \
    {                                                                          \
        float32x4_t total[4];                                                  \
        neon_float_tile(total, w, a->x + c * a->ldx, a->ldx, a->len, cols,     \
                        format);                                               \
        UNROLL                                                                 \
        for (size_t k = 0; k < cols; k++)                                      \
            neon_store_part(y + k * ldy, total[k], valid);                     \
    }

#define MATMUL(name, format)                                                   \
    TILE(name, format, 1)                                                      \
    TILE(name, format, 2)                                                      \
    TILE(name, format, 3)                                                      \
    TILE(name, format, 4)                                                      \
    static void matmul_##name##_neon(float *y, size_t ldy, const void *w,      \
                                     size_t rows, const struct clsa_act *a)    \
    {                                                                          \
        static const struct neon_tiles tiles = {                               \
            1,                                                                 \
            4,                                                                 \
            {tile_##name##_1, tile_##name##_2, tile_##name##_3,                \
             tile_##name##_4}};                                                \
        neon_matmul(y, ldy, w, rows, clsa_format_bytes(format, a->len), a,     \
                    &tiles);                                                   \
    }

MATMUL(f32, CLSA_F32)
MATMUL(f16, CLSA_F16)
MATMUL(bf16, CLSA_BF16)

void clsa_matmul_float_neon(struct clsa_simd *table)
{
    table->matmul[CLSA_F32] = matmul_f32_neon;
    table->matmul[CLSA_F16] = matmul_f16_neon;
    table->matmul[CLSA_BF16] = matmul_bf16_neon;
}
