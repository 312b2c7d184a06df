/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_blocks.c: Q4_1, Q5_0, Q5_1 and IQ4_NL rows from floats, scalar. The q
 * are chosen for the scale and min as stored, after they were rounded to f16.
 */
#include "simd/ref/store_search.h"

static float write_half(uint8_t *to, float x)
{
    clsa_write_u16(to, clsa_f32_to_f16(x));
    return clsa_f16_to_f32(clsa_read_u16(to));
}

static void pack_nibbles(uint8_t *to, const uint8_t q[CLSA_BLOCK])
{
    for (int i = 0; i < 16; i++)
        to[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

static void pack_fifth_bits(uint8_t *to, const uint8_t q[CLSA_BLOCK])
{
    uint32_t bits = 0;
    for (int i = 0; i < CLSA_BLOCK; i++)
        bits |= (uint32_t)(q[i] >> 4) << i;
    memcpy(to, &bits, sizeof bits);
}

/* d and m of a block with a min, and its q. */
static void with_min(uint8_t *block, uint8_t q[CLSA_BLOCK], const float *x,
                     float top)
{
    const struct ref_range range = {CLSA_BLOCK, top, 1};
    struct ref_fit f = clsa_ref_fit(x, &range);
    f.s = write_half(block, f.s);
    f.m = -write_half(block + 2, -f.m);
    for (int i = 0; i < CLSA_BLOCK; i++)
        q[i] = f.s > 0 ? (uint8_t)clsa_ref_level(x[i], f, top) : 0;
}

static void store_q4_1_ref(void *y, const float *x, size_t n)
{
    uint8_t *block = y, q[CLSA_BLOCK];
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q4_1_BYTES) {
        with_min(block, q, x + i, 15);
        pack_nibbles(block + 4, q);
    }
}

static void store_q5_1_ref(void *y, const float *x, size_t n)
{
    uint8_t *block = y, q[CLSA_BLOCK];
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q5_1_BYTES) {
        with_min(block, q, x + i, 31);
        pack_fifth_bits(block + 4, q);
        pack_nibbles(block + 8, q);
    }
}

static void store_q5_0_ref(void *y, const float *x, size_t n)
{
    static const struct ref_grid grid = {CLSA_BLOCK, -16, 15, 0.1f, NULL};
    uint8_t *block = y, q[CLSA_BLOCK];
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q5_0_BYTES) {
        const float s = write_half(block, clsa_ref_fit_grid(x + i, &grid));
        for (size_t j = 0; j < CLSA_BLOCK; j++)
            q[j] = (uint8_t)(16 + (s != 0 ? (int)clsa_ref_grid_level(x[i + j],
                                                                     s, &grid)
                                          : 0));
        pack_fifth_bits(block + 2, q);
        pack_nibbles(block + 6, q);
    }
}

static void store_iq4_nl_ref(void *y, const float *x, size_t n)
{
    static const struct ref_grid grid = {CLSA_BLOCK, -127, 113, 1,
                                         clsa_iq4_values};
    uint8_t *block = y, q[CLSA_BLOCK];
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_IQ4_NL_BYTES) {
        const float s = write_half(block, clsa_ref_fit_grid(x + i, &grid));
        for (size_t j = 0; j < CLSA_BLOCK; j++)
            q[j] = clsa_ref_iq4_level(x[i + j], s, &grid);
        pack_nibbles(block + 2, q);
    }
}

void clsa_store_blocks_ref(struct clsa_simd *table)
{
    table->store[CLSA_Q4_1] = store_q4_1_ref;
    table->store[CLSA_Q5_0] = store_q5_0_ref;
    table->store[CLSA_Q5_1] = store_q5_1_ref;
    table->store[CLSA_IQ4_NL] = store_iq4_nl_ref;
}
