/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_k.c: rows in blocks of 256 from floats, scalar. The scales and mins of
 * the parts are found one by one (store_search.h) and rounded to whole parts of
 * the block's largest ones; then the q are chosen once more, for the stored
 * scale and min.
 */
#include <math.h>

#include "simd/ref/store_search.h"

#define MOST_PARTS 16

/* A block as whole numbers, before they are packed. */
struct parts {
    uint8_t q[CLSA_K_BLOCK];
    int8_t scale[MOST_PARTS], min[MOST_PARTS];
    uint16_t d, dmin; /* f16 */
};

/* ---------------------------------------------------------------- with mins */

static int8_t share_of(float x, float unit, int most)
{
    return unit > 0 ? (int8_t)fminf(rintf(x / unit), (float)most) : 0;
}

/* `most`: the highest scale or min. */
static void fit_mins(struct parts *b, const float *x,
                     const struct ref_range *range, int most)
{
    const size_t parts = CLSA_K_BLOCK / range->n;
    struct ref_fit f[MOST_PARTS];
    float s = 0, m = 0;
    for (size_t p = 0; p < parts; p++) {
        f[p] = clsa_ref_fit(x + p * range->n, range);
        s = fmaxf(s, f[p].s);
        m = fmaxf(m, f[p].m);
    }
    b->d = clsa_f32_to_f16(s / (float)most);
    b->dmin = clsa_f32_to_f16(m / (float)most);
    const float d = clsa_f16_to_f32(b->d), dmin = clsa_f16_to_f32(b->dmin);
    for (size_t p = 0; p < parts; p++) {
        b->scale[p] = share_of(f[p].s, d, most);
        b->min[p] = share_of(f[p].m, dmin, most);
        const struct ref_fit as = {d * b->scale[p], dmin * b->min[p]};
        for (size_t i = p * range->n; i < (p + 1) * range->n; i++)
            b->q[i] =
                as.s > 0 ? (uint8_t)clsa_ref_level(x[i], as, range->top) : 0;
    }
}

static void pack_six_bits(uint8_t *p, const struct parts *b)
{
    for (size_t j = 0; j < 4; j++) {
        p[j] = (uint8_t)(b->scale[j] | b->scale[j + 4] >> 4 << 6);
        p[j + 4] = (uint8_t)(b->min[j] | b->min[j + 4] >> 4 << 6);
        p[j + 8] =
            (uint8_t)((b->scale[j + 4] & 15) | (b->min[j + 4] & 15) << 4);
    }
}

static void pack_head(uint8_t *block, const struct parts *b)
{
    clsa_write_u16(block, b->d);
    clsa_write_u16(block + 2, b->dmin);
    pack_six_bits(block + 4, b);
}

/* Parts 2j and 2j + 1 are the nibbles of the same 32 bytes. */
static void pack_nibbles(uint8_t *to, const struct parts *b)
{
    for (int i = 0; i < CLSA_K_BLOCK / 2; i++) {
        const uint8_t *q = b->q + i / 32 * 64 + i % 32;
        to[i] = (uint8_t)((q[0] & 15) | (q[32] & 15) << 4);
    }
}

static void store_q4_k_ref(void *y, const float *x, size_t n)
{
    static const struct ref_range range = {32, 15, 0};
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q4_K_BYTES) {
        struct parts b;
        fit_mins(&b, x + i, &range, 63);
        pack_head(block, &b);
        pack_nibbles(block + 16, &b);
    }
}

static void store_q5_k_ref(void *y, const float *x, size_t n)
{
    static const struct ref_range range = {32, 31, 0};
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q5_K_BYTES) {
        struct parts b;
        fit_mins(&b, x + i, &range, 63);
        pack_head(block, &b);
        memset(block + 16, 0, 32);
        for (int j = 0; j < CLSA_K_BLOCK; j++) {
            uint8_t *bits = block + 16 + j % 32;
            *bits = (uint8_t)(*bits | b.q[j] >> 4 << j / 32);
        }
        pack_nibbles(block + 48, &b);
    }
}

/* Bit pairs: byte l of a half has value l of each of its four runs of 32. */
static void pack_pairs(uint8_t *to, const struct parts *b)
{
    for (int i = 0; i < CLSA_K_BLOCK / 4; i++) {
        const uint8_t *q = b->q + i / 32 * 128 + i % 32;
        to[i] = (uint8_t)((q[0] & 3) | (q[32] & 3) << 2 | (q[64] & 3) << 4 |
                          (q[96] & 3) << 6);
    }
}

static void store_q2_k_ref(void *y, const float *x, size_t n)
{
    static const struct ref_range range = {16, 3, 0};
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q2_K_BYTES) {
        struct parts b;
        fit_mins(&b, x + i, &range, 15);
        for (int p = 0; p < 16; p++)
            block[p] = (uint8_t)(b.scale[p] | b.min[p] << 4);
        pack_pairs(block + 16, &b);
        clsa_write_u16(block + 80, b.d);
        clsa_write_u16(block + 82, b.dmin);
    }
}

/* ------------------------------------------------------------- without mins */

/* Scales are -most..most-1; q is v - low, or which of the values v is. */
static void fit_grid(struct parts *b, const float *x,
                     const struct ref_grid *grid, int most)
{
    const size_t parts = CLSA_K_BLOCK / grid->n;
    const float top = (float)most;
    float s[MOST_PARTS], peak = 0;
    for (size_t p = 0; p < parts; p++) {
        s[p] = clsa_ref_fit_grid(x + p * grid->n, grid);
        if (fabsf(s[p]) > fabsf(peak))
            peak = s[p];
    }
    b->d = clsa_f32_to_f16(peak / -top);
    const float d = clsa_f16_to_f32(b->d);
    for (size_t p = 0; p < parts; p++) {
        const float scale =
            d != 0 ? fmaxf(fminf(rintf(s[p] / d), top - 1), -top) : 0;
        b->scale[p] = (int8_t)scale;
        for (size_t i = p * grid->n; i < (p + 1) * grid->n; i++)
            b->q[i] =
                grid->values ? clsa_ref_iq4_level(x[i], d * scale, grid)
                : scale != 0
                    ? (uint8_t)(clsa_ref_grid_level(x[i], d * scale, grid) -
                                grid->low)
                    : (uint8_t)-grid->low;
    }
}

static void store_q6_k_ref(void *y, const float *x, size_t n)
{
    static const struct ref_grid grid = {16, -32, 31, 0.1f, NULL};
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q6_K_BYTES) {
        struct parts b;
        fit_grid(&b, x + i, &grid, 128);
        for (int j = 0; j < 128; j++) {
            const uint8_t *q = b.q + j / 64 * 128 + j % 64;
            block[j] = (uint8_t)((q[0] & 15) | (q[64] & 15) << 4);
        }
        for (int j = 0; j < CLSA_K_BLOCK; j++)
            b.q[j] >>= 4;
        pack_pairs(block + 128, &b);
        memcpy(block + 192, b.scale, 16);
        clsa_write_u16(block + 208, b.d);
    }
}

static void pack_q3_scales(uint8_t *p, const int8_t scale[16])
{
    memset(p, 0, 12);
    for (int j = 0; j < 16; j++) {
        const unsigned s = (unsigned)(scale[j] + 32);
        p[j % 8] = (uint8_t)(p[j % 8] | (s & 15) << (j < 8 ? 0 : 4));
        p[8 + j % 4] = (uint8_t)(p[8 + j % 4] | s >> 4 << 2 * (j / 4));
    }
}

static void store_q3_k_ref(void *y, const float *x, size_t n)
{
    static const struct ref_grid grid = {16, -4, 3, 0.1f, NULL};
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q3_K_BYTES) {
        struct parts b;
        fit_grid(&b, x + i, &grid, 32);
        memset(block, 0, 32);
        for (int j = 0; j < CLSA_K_BLOCK; j++)
            block[j % 32] = (uint8_t)(block[j % 32] | b.q[j] >> 2 << j / 32);
        pack_pairs(block + 32, &b);
        pack_q3_scales(block + 96, b.scale);
        clsa_write_u16(block + 108, b.d);
    }
}

static void store_iq4_xs_ref(void *y, const float *x, size_t n)
{
    static const struct ref_grid grid = {32, -127, 113, 1, clsa_iq4_values};
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_IQ4_XS_BYTES) {
        struct parts b;
        unsigned high = 0;
        fit_grid(&b, x + i, &grid, 32);
        clsa_write_u16(block, b.d);
        memset(block + 4, 0, 4);
        for (int p = 0; p < CLSA_K_PARTS; p++) {
            const unsigned s = (unsigned)(b.scale[p] + 32);
            uint8_t *low = block + 4 + p / 2;
            *low = (uint8_t)(*low | (s & 15) << (p % 2 ? 4 : 0));
            high |= s >> 4 << 2 * p;
        }
        clsa_write_u16(block + 2, (uint16_t)high);
        for (int j = 0; j < CLSA_K_BLOCK / 2; j++) {
            const uint8_t *q = b.q + j / 16 * 32 + j % 16;
            block[8 + j] = (uint8_t)(q[0] | q[16] << 4);
        }
    }
}

void clsa_store_k_ref(struct clsa_simd *table)
{
    table->store[CLSA_Q2_K] = store_q2_k_ref;
    table->store[CLSA_Q3_K] = store_q3_k_ref;
    table->store[CLSA_Q4_K] = store_q4_k_ref;
    table->store[CLSA_Q5_K] = store_q5_k_ref;
    table->store[CLSA_Q6_K] = store_q6_k_ref;
    table->store[CLSA_IQ4_XS] = store_iq4_xs_ref;
}
