/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_q6_k.c: Q6_K rows from and to floats.
 *
 * A part of 16 values is s * (q - 32) with q = 0..63. `store` tries scales
 * around that which makes the value of largest magnitude -32, refits each to
 * the rounded values by least squares, and keeps the one of least squared
 * error. The scales of a block are then rounded to 8 bits of the largest one,
 * and the q are chosen once more for what is really stored.
 */
#include <math.h>

#include "simd/ref/ref.h"
#include "simd/scalar.h"

#define PART  16
#define PARTS (CLSA_K_BLOCK / PART)
#define REACH 9 /* scales are tried in steps of 0.1 of -32 +- 0.1 * REACH */

static void load_q6_k_ref(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q6_K_BYTES) {
        const float d = clsa_f16_to_f32(clsa_read_u16(block + 208));
        const int8_t *scale = (const int8_t *)block + 192;
        for (unsigned j = 0; j < CLSA_K_BLOCK; j++)
            *y++ = d * scale[j / PART] *
                   (float)((int)clsa_q6_k_value(block, j) - 32);
    }
}

/* q - 32 of a value, to nearest even by way of the bits of a sum; s not 0. */
static inline float level(float x, float s)
{
    float q = x / s;
    q = q > -32.0f ? q : -32.0f;
    q = q < 31.0f ? q : 31.0f;
    return q + 0x1.8p23f - 0x1.8p23f;
}

/* Squared error of a part, and the least-squares scale for its levels. */
static double square_error(const float *x, float s, float *better)
{
    double sum = 0, xq = 0, q2 = 0;
    for (size_t i = 0; i < PART; i++) {
        const double q = (double)level(x[i], s), v = (double)x[i];
        const double e = (double)s * q - v;
        sum += e * e;
        xq += v * q;
        q2 += q * q;
    }
    *better = q2 > 0 ? (float)(xq / q2) : s;
    return sum;
}

static float fit_part(const float *x)
{
    float peak = x[0], best, next;
    for (size_t i = 1; i < PART; i++)
        if (fabsf(x[i]) > fabsf(peak))
            peak = x[i];
    if (!(fabsf(peak) > CLSA_QUANT_MIN))
        return 0;
    best = peak / -32.0f;
    double least = square_error(x, best, &next);
    for (int t = -REACH; t <= REACH; t++) {
        float s, better, last;
        square_error(x, peak / (-32.0f + 0.1f * (float)t), &better);
        s = better != 0 ? better : best;
        const double error = square_error(x, s, &last);
        if (error < least) {
            least = error;
            best = s;
        }
    }
    return best;
}

static void pack(uint8_t *block, unsigned i, unsigned q)
{
    const unsigned half = i / 128, part = i / 32 % 4, l = i % 32;
    uint8_t *low = block + half * 64 + part % 2 * 32 + l;
    uint8_t *high = block + 128 + half * 32 + l;
    *low = (uint8_t)(*low | (q & 15) << (part < 2 ? 0 : 4));
    *high = (uint8_t)(*high | q >> 4 << 2 * part);
}

static void store_block(uint8_t *block, const float *x)
{
    float s[PARTS], peak = 0;
    for (size_t p = 0; p < PARTS; p++) {
        s[p] = fit_part(x + p * PART);
        if (fabsf(s[p]) > fabsf(peak))
            peak = s[p];
    }
    memset(block, 0, CLSA_Q6_K_BYTES);
    clsa_write_u16(block + 208, clsa_f32_to_f16(peak / -128.0f));
    const float d = clsa_f16_to_f32(clsa_read_u16(block + 208));
    for (size_t p = 0; p < PARTS; p++) {
        const float scale =
            d != 0 ? fmaxf(fminf(rintf(s[p] / d), 127.0f), -128.0f) : 0;
        block[192 + p] = (uint8_t)(int8_t)scale;
        for (size_t i = 0; i < PART; i++) {
            const float q = scale != 0 ? level(x[p * PART + i], d * scale) : 0;
            pack(block, (unsigned)(p * PART + i), (unsigned)((int)q + 32));
        }
    }
}

static void store_q6_k_ref(void *y, const float *x, size_t n)
{
    uint8_t *block = y;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q6_K_BYTES)
        store_block(block, x + i);
}

void clsa_rows_q6_k_ref(struct clsa_simd *table)
{
    table->load[CLSA_Q6_K] = load_q6_k_ref;
    table->store[CLSA_Q6_K] = store_q6_k_ref;
}
