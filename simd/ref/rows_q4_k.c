/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_q4_k.c: Q4_K rows from and to floats.
 *
 * A part of 32 values is s * q - m with q = 0..15 and m >= 0. `store` tries
 * scales around (max - min) / 15, for each of them fits s and m to the rounded
 * q by least squares, and keeps the pair of least squared error. Scales and
 * mins of a block are then rounded to 6 bits of its largest ones, and the q
 * are chosen once more for what is really stored.
 */
#include <math.h>

#include "simd/ref/ref.h"
#include "simd/scalar.h"

#define PARTS  (CLSA_K_BLOCK / CLSA_BLOCK)
#define TRIES  21 /* scales of a part that are tried */
#define LEVELS 15 /* highest q */
#define SIX    63 /* highest scale or min */

static void load_q4_k_ref(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q4_K_BYTES) {
        const float d = clsa_f16_to_f32(clsa_read_u16(block));
        const float dmin = clsa_f16_to_f32(clsa_read_u16(block + 2));
        uint8_t scale[PARTS], min[PARTS];
        clsa_q4_k_scales(scale, min, block + 4);
        for (size_t p = 0; p < PARTS; p++) {
            const uint8_t *q = block + 16 + p / 2 * CLSA_BLOCK;
            for (size_t j = 0; j < CLSA_BLOCK; j++)
                *y++ = d * scale[p] * (float)(p % 2 ? q[j] >> 4 : q[j] & 15) -
                       dmin * min[p];
        }
    }
}

/* How a part is written: s * q - m. */
struct fit {
    float s, m;
};

/* q of one value, to nearest even by way of the bits of a sum; s > 0. */
static inline float level(float x, struct fit f)
{
    float q = (x + f.m) / f.s;
    q = q > 0 ? q : 0;
    q = q < (float)LEVELS ? q : (float)LEVELS;
    return q + 0x1.8p23f - 0x1.8p23f;
}

static double square_error(const float *x, struct fit f)
{
    double sum = 0;
    for (size_t i = 0; i < CLSA_BLOCK; i++) {
        const double e = (double)(f.s * level(x[i], f) - f.m) - (double)x[i];
        sum += e * e;
    }
    return sum;
}

/* The least-squares s and m for the q that f gives; f where there is none. */
static struct fit refit(const float *x, struct fit f)
{
    double q1 = 0, q2 = 0, x1 = 0, xq = 0;
    for (size_t i = 0; i < CLSA_BLOCK; i++) {
        const double q = (double)level(x[i], f), v = (double)x[i];
        q1 += q;
        q2 += q * q;
        x1 += v;
        xq += v * q;
    }
    const double det = CLSA_BLOCK * q2 - q1 * q1;
    double s = det > 0 ? (CLSA_BLOCK * xq - q1 * x1) / det : 0;
    double m = det > 0 ? (q1 * xq - q2 * x1) / det : 0;
    if (m < 0 && q2 > 0) { /* mins are not negative: through the origin */
        m = 0;
        s = xq / q2;
    }
    return s > 0 ? (struct fit){(float)s, (float)m} : f;
}

static struct fit fit_part(const float *x)
{
    float low = 0, high = x[0];
    for (size_t i = 0; i < CLSA_BLOCK; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    if (!(high - low > CLSA_QUANT_MIN)) /* all the same and not above 0 */
        return (struct fit){0, -low};
    if (isinf(high - low))
        return (struct fit){0, 0}; /* no f16 could scale them */
    struct fit best = {(high - low) / LEVELS, -low};
    double least = square_error(x, best);
    for (int t = 0; t < TRIES; t++) {
        const float steps = (float)LEVELS - 1.0f + 0.1f * (float)t;
        struct fit f = refit(x, (struct fit){(high - low) / steps, -low});
        const double error = square_error(x, f);
        if (error < least) {
            least = error;
            best = f;
        }
    }
    return best;
}

static uint8_t six_bits(float x, float unit)
{
    return unit > 0 ? (uint8_t)fminf(rintf(x / unit), (float)SIX) : 0;
}

static void pack_scales(uint8_t *p, const uint8_t *scale, const uint8_t *min)
{
    for (size_t j = 0; j < 4; j++) {
        p[j] = (uint8_t)(scale[j] | scale[j + 4] >> 4 << 6);
        p[j + 4] = (uint8_t)(min[j] | min[j + 4] >> 4 << 6);
        p[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
    }
}

static void pack_levels(uint8_t *q, const float *x, struct fit f, int shift)
{
    for (size_t i = 0; i < CLSA_BLOCK; i++) {
        const unsigned v = f.s > 0 ? (unsigned)level(x[i], f) : 0;
        q[i] = (uint8_t)(q[i] | v << shift);
    }
}

static void store_block(uint8_t *block, const float *x)
{
    struct fit f[PARTS];
    uint8_t scale[PARTS], min[PARTS];
    float s = 0, m = 0;
    for (size_t p = 0; p < PARTS; p++) {
        f[p] = fit_part(x + p * CLSA_BLOCK);
        s = fmaxf(s, f[p].s);
        m = fmaxf(m, f[p].m);
    }
    memset(block, 0, CLSA_Q4_K_BYTES);
    clsa_write_u16(block, clsa_f32_to_f16(s / SIX));
    clsa_write_u16(block + 2, clsa_f32_to_f16(m / SIX));
    const float d = clsa_f16_to_f32(clsa_read_u16(block));
    const float dmin = clsa_f16_to_f32(clsa_read_u16(block + 2));
    for (size_t p = 0; p < PARTS; p++) {
        scale[p] = six_bits(f[p].s, d);
        min[p] = six_bits(f[p].m, dmin);
        pack_levels(block + 16 + p / 2 * CLSA_BLOCK, x + p * CLSA_BLOCK,
                    (struct fit){d * scale[p], dmin * min[p]}, p % 2 ? 4 : 0);
    }
    pack_scales(block + 4, scale, min);
}

static void store_q4_k_ref(void *y, const float *x, size_t n)
{
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q4_K_BYTES)
        store_block(block, x + i);
}

void clsa_rows_q4_k_ref(struct clsa_simd *table)
{
    table->load[CLSA_Q4_K] = load_q4_k_ref;
    table->store[CLSA_Q4_K] = store_q4_k_ref;
}
