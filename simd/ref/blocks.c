/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c: the formats of blocks with parts, taken apart. */
#include "simd/ref/blocks.h"

static float half_at(const uint8_t *p)
{
    return clsa_f16_to_f32(clsa_read_u16(p));
}

/* Both halves of a block of 32 have the same scale, 1, and min. */
static void plain(struct ref_block *u, float d, float dmin)
{
    u->d = d;
    u->dmin = dmin;
    u->scale[0] = u->scale[1] = 1;
    u->min[0] = u->min[1] = 1;
}

static void no_mins(struct ref_block *u)
{
    u->dmin = 0;
    memset(u->min, 0, sizeof u->min);
}

/* 32 nibbles: the low ones of 16 bytes, then the high ones. */
static void nibbles(int8_t *q, const uint8_t *from)
{
    for (int i = 0; i < 16; i++) {
        q[i] = (int8_t)(from[i] & 15);
        q[i + 16] = (int8_t)(from[i] >> 4);
    }
}

static void fifth_bits(int8_t *q, const uint8_t *from)
{
    uint32_t bits;
    memcpy(&bits, from, sizeof bits);
    for (int i = 0; i < CLSA_BLOCK; i++)
        q[i] = (int8_t)(q[i] | (bits >> i & 1) << 4);
}

static void unpack_q4_1(struct ref_block *u, const uint8_t *block)
{
    plain(u, half_at(block), -half_at(block + 2));
    nibbles(u->q, block + 4);
}

static void unpack_q5_0(struct ref_block *u, const uint8_t *block)
{
    plain(u, half_at(block), 0);
    nibbles(u->q, block + 6);
    fifth_bits(u->q, block + 2);
    for (int i = 0; i < CLSA_BLOCK; i++)
        u->q[i] = (int8_t)(u->q[i] - 16);
}

static void unpack_q5_1(struct ref_block *u, const uint8_t *block)
{
    plain(u, half_at(block), -half_at(block + 2));
    nibbles(u->q, block + 8);
    fifth_bits(u->q, block + 4);
}

static void choose(int8_t *q, size_t n)
{
    for (size_t i = 0; i < n; i++)
        q[i] = clsa_iq4_values[q[i]];
}

static void unpack_iq4_nl(struct ref_block *u, const uint8_t *block)
{
    plain(u, half_at(block), 0);
    nibbles(u->q, block + 2);
    choose(u->q, CLSA_BLOCK);
}

/* d, dmin, scales and mins of Q4_K and Q5_K. */
static void head_k(struct ref_block *u, const uint8_t *block)
{
    uint8_t scale[CLSA_K_PARTS], min[CLSA_K_PARTS];
    clsa_q4_k_scales(scale, min, block + 4);
    u->d = half_at(block);
    u->dmin = half_at(block + 2);
    for (int i = 0; i < 2 * CLSA_K_PARTS; i++) {
        u->scale[i] = scale[i / 2];
        u->min[i] = min[i / 2];
    }
}

/* Parts 2j and 2j + 1 are the nibbles of the same 32 bytes. */
static void nibbles_k(int8_t *q, const uint8_t *from)
{
    for (int i = 0; i < CLSA_K_BLOCK; i++) {
        const uint8_t two = from[i / 64 * 32 + i % 32];
        q[i] = (int8_t)(i / 32 % 2 ? two >> 4 : two & 15);
    }
}

static void unpack_q4_k(struct ref_block *u, const uint8_t *block)
{
    head_k(u, block);
    nibbles_k(u->q, block + 16);
}

static void unpack_q5_k(struct ref_block *u, const uint8_t *block)
{
    head_k(u, block);
    nibbles_k(u->q, block + 48);
    for (int i = 0; i < CLSA_K_BLOCK; i++)
        u->q[i] = (int8_t)(u->q[i] | (block[16 + i % 32] >> i / 32 & 1) << 4);
}

static void unpack_q6_k(struct ref_block *u, const uint8_t *block)
{
    u->d = half_at(block + 208);
    no_mins(u);
    for (int i = 0; i < 16; i++)
        u->scale[i] = (int8_t)block[192 + i];
    for (unsigned i = 0; i < CLSA_K_BLOCK; i++)
        u->q[i] = (int8_t)((int)clsa_q6_k_value(block, i) - 32);
}

static void unpack_q3_k(struct ref_block *u, const uint8_t *block)
{
    int8_t scale[16];
    u->d = half_at(block + 108);
    no_mins(u);
    clsa_q3_k_scales(scale, block + 96);
    for (int i = 0; i < 16; i++)
        u->scale[i] = scale[i];
    for (unsigned i = 0; i < CLSA_K_BLOCK; i++)
        u->q[i] = (int8_t)((int)clsa_q3_k_value(block, i) - 4);
}

static void unpack_q2_k(struct ref_block *u, const uint8_t *block)
{
    u->d = half_at(block + 80);
    u->dmin = half_at(block + 82);
    for (int i = 0; i < 16; i++) {
        u->scale[i] = block[i] & 15;
        u->min[i] = block[i] >> 4;
    }
    for (int i = 0; i < CLSA_K_BLOCK; i++)
        u->q[i] =
            (int8_t)(block[16 + i / 128 * 32 + i % 32] >> 2 * (i / 32 % 4) & 3);
}

static void unpack_iq4_xs(struct ref_block *u, const uint8_t *block)
{
    int8_t scale[CLSA_K_PARTS];
    u->d = half_at(block);
    no_mins(u);
    clsa_iq4_xs_scales(scale, block);
    for (int i = 0; i < 16; i++)
        u->scale[i] = scale[i / 2];
    for (int p = 0; p < CLSA_K_PARTS; p++)
        nibbles(u->q + p * CLSA_BLOCK, block + 8 + 16 * p);
    choose(u->q, CLSA_K_BLOCK);
}

ref_unpack *clsa_ref_unpack(enum clsa_format format)
{
    static ref_unpack *const list[CLSA_FORMATS] = {
        [CLSA_Q4_K] = unpack_q4_k,     [CLSA_Q6_K] = unpack_q6_k,
        [CLSA_Q4_1] = unpack_q4_1,     [CLSA_Q5_0] = unpack_q5_0,
        [CLSA_Q5_1] = unpack_q5_1,     [CLSA_Q5_K] = unpack_q5_k,
        [CLSA_Q3_K] = unpack_q3_k,     [CLSA_Q2_K] = unpack_q2_k,
        [CLSA_IQ4_NL] = unpack_iq4_nl, [CLSA_IQ4_XS] = unpack_iq4_xs,
    };
    return list[format];
}
