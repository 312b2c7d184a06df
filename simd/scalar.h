/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scalar.h: conversions of single values, used by the scalar kernels, by the
 * tails of the others and by the tests. Exact, round to nearest even.
 */
#ifndef CLSA_SCALAR_H
#define CLSA_SCALAR_H

#include <stdint.h>
#include <string.h>

#include "simd/simd.h"

static inline float clsa_bits_to_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t clsa_f32_to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float clsa_bf16_to_f32(uint16_t h)
{
    return clsa_bits_to_f32((uint32_t)h << 16);
}

static inline uint16_t clsa_f32_to_bf16(float f)
{
    uint32_t u = clsa_f32_to_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40); /* NaN stays one */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float clsa_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    if (magnitude >= 0x0f800000u) /* infinity or NaN */
        return clsa_bits_to_f32(sign | magnitude | 0x70000000u);
    /* 2^112 moves the exponent, and makes normal numbers of subnormal ones */
    float f = clsa_bits_to_f32(magnitude) * 0x1p112f;
    return clsa_bits_to_f32(sign | clsa_f32_to_bits(f));
}

/* Saturates at +-65504: caches hold no infinities. NaN stays NaN. */
static inline uint16_t clsa_f32_to_f16(float f)
{
    uint32_t u = clsa_f32_to_bits(f), sign = u >> 16 & 0x8000;
    u &= 0x7fffffffu;
    if (u > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00);
    if (u >= 0x477ff000u) /* 65520 and more would round to infinity */
        return (uint16_t)(sign | 0x7bff);
    if (u < 0x38800000u) { /* subnormal: the addition does the rounding */
        float magic = clsa_bits_to_f32(u) + 0.5f;
        return (uint16_t)(sign | (clsa_f32_to_bits(magic) - 0x3f000000u));
    }
    u += 0xfff + (u >> 13 & 1);
    return (uint16_t)(sign | (u - 0x38000000u) >> 13);
}

static inline uint16_t clsa_read_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void clsa_write_u16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

/* The scale of values up to `max` that are quantized to -limit..limit, and the
   factor that quantizes them. */
static inline float clsa_quant_scale(float max, float limit)
{
    return max > CLSA_QUANT_MIN ? max / limit : 0.0f;
}

static inline float clsa_quant_inverse(float max, float limit)
{
    return max > CLSA_QUANT_MIN ? limit / max : 0.0f;
}

/*
 * The 6-bit scales and mins of the 8 parts of a Q4_K block, from its 12 bytes
 * p: part j < 4 has the low 6 bits of p[j] and p[j+4]; part j >= 4 has the two
 * nibbles of p[j+4], the low one for the scale, and the upper two bits of
 * p[j-4] and of p[j] above them. As words, part j in byte j: who stores them as
 * halves and loads them as a whole waits for memory.
 */
static inline void clsa_q4_k_words(uint64_t *scale, uint64_t *min,
                                   const uint8_t *p)
{
    const uint32_t six = 0x3f3f3f3f, four = 0x0f0f0f0f, top = 0x30303030;
    uint32_t s, m, both;
    memcpy(&s, p, sizeof s);
    memcpy(&m, p + 4, sizeof m);
    memcpy(&both, p + 8, sizeof both);
    *scale = (uint64_t)((both & four) | (s >> 2 & top)) << 32 | (s & six);
    *min = (uint64_t)((both >> 4 & four) | (m >> 2 & top)) << 32 | (m & six);
}

static inline void clsa_q4_k_scales(uint8_t scale[8], uint8_t min[8],
                                    const uint8_t *p)
{
    uint64_t s, m;
    clsa_q4_k_words(&s, &m, p);
    memcpy(scale, &s, sizeof s);
    memcpy(min, &m, sizeof m);
}

/* Value i < 256 of a Q6_K block as 0..63: each half of 128 values has 64 bytes
   of nibbles and 32 of bit pairs. */
static inline unsigned clsa_q6_k_value(const uint8_t *block, unsigned i)
{
    const unsigned half = i / 128, part = i / 32 % 4, l = i % 32;
    const unsigned low = block[half * 64 + part % 2 * 32 + l];
    const unsigned high = block[128 + half * 32 + l];
    return (part < 2 ? low & 15 : low >> 4) | (high >> 2 * part & 3) << 4;
}

/*
 * The 6-bit scales of the 16 parts of a Q3_K block, from its 12 bytes p, less
 * 32: part j has a nibble of p[j % 8], the high one from 8 on, and bits 2 (j /
 * 4) and the next of p[8 + j % 4] above it.
 */
static inline void clsa_q3_k_scales(int8_t scale[16], const uint8_t *p)
{
    for (int j = 0; j < 16; j++) {
        const int low = p[j % 8] >> (j < 8 ? 0 : 4) & 15;
        const int high = p[8 + j % 4] >> 2 * (j / 4) & 3;
        scale[j] = (int8_t)((low | high << 4) - 32);
    }
}

/* Value i < 256 of a Q3_K block as 0..7: each half of 128 values has 32 bytes
   of pairs; bit i / 32 of byte i % 32 of the first 32 is the third one. */
static inline unsigned clsa_q3_k_value(const uint8_t *block, unsigned i)
{
    const unsigned low = block[32 + i / 128 * 32 + i % 32] >> 2 * (i / 32 % 4);
    const unsigned high = block[i % 32] >> i / 32;
    return (low & 3) | (high & 1) << 2;
}

/* What the nibbles of IQ4_NL and IQ4_XS stand for. */
static const int8_t clsa_iq4_values[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* The 6-bit scales of the 8 parts of an IQ4_XS block, less 32: part p has a
   nibble of byte 4 + p / 2, and bits 2p and 2p + 1 of the 16 at byte 2. */
static inline void clsa_iq4_xs_scales(int8_t scale[8], const uint8_t *block)
{
    const unsigned high = clsa_read_u16(block + 2);
    for (int p = 0; p < 8; p++) {
        const unsigned low = block[4 + p / 2] >> (p % 2 ? 4 : 0) & 15;
        scale[p] = (int8_t)((int)(low | (high >> 2 * p & 3) << 4) - 32);
    }
}

#endif /* CLSA_SCALAR_H */
