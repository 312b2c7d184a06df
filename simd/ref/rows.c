/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c: conversions between floats and the row formats, scalar. */
#include <math.h>

#include "simd/ref/ref.h"
#include "simd/scalar.h"

static void quantize_ref(int8_t *q, float *d, int32_t *sum, size_t ldd,
                         const float *x, size_t len)
{
    for (size_t b = 0; b < len / CLSA_BLOCK; b++) {
        const float *v = x + b * CLSA_BLOCK;
        float max = ref_largest(v, CLSA_BLOCK);
        d[b * ldd] = clsa_quant_scale(max, 127.0f);
        sum[b * ldd] =
            ref_quantize(q + b * CLSA_BLOCK, v, CLSA_BLOCK, max, 127.0f);
    }
}

static void load_f32_ref(float *y, const void *x, size_t n)
{
    memcpy(y, x, n * sizeof *y);
}

static void load_f16_ref(float *y, const void *x, size_t n)
{
    const uint16_t *h = x;
    for (size_t i = 0; i < n; i++)
        y[i] = clsa_f16_to_f32(h[i]);
}

static void load_bf16_ref(float *y, const void *x, size_t n)
{
    const uint16_t *h = x;
    for (size_t i = 0; i < n; i++)
        y[i] = clsa_bf16_to_f32(h[i]);
}

static void load_q8_0_ref(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t b = 0; b < n / CLSA_BLOCK; b++, block += CLSA_Q8_0_BYTES) {
        float d = clsa_f16_to_f32(clsa_read_u16(block));
        for (size_t i = 0; i < CLSA_BLOCK; i++)
            y[b * CLSA_BLOCK + i] = d * (float)(int8_t)block[2 + i];
    }
}

static void load_q4_0_ref(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t b = 0; b < n / CLSA_BLOCK; b++, block += CLSA_Q4_0_BYTES) {
        float d = clsa_f16_to_f32(clsa_read_u16(block));
        for (size_t i = 0; i < CLSA_BLOCK / 2; i++) {
            y[b * CLSA_BLOCK + i] = d * (float)((block[2 + i] & 15) - 8);
            y[b * CLSA_BLOCK + 16 + i] = d * (float)((block[2 + i] >> 4) - 8);
        }
    }
}

static void store_f32_ref(void *y, const float *x, size_t n)
{
    memcpy(y, x, n * sizeof *x);
}

static void store_f16_ref(void *y, const float *x, size_t n)
{
    uint16_t *h = y;
    for (size_t i = 0; i < n; i++)
        h[i] = clsa_f32_to_f16(x[i]);
}

static void store_bf16_ref(void *y, const float *x, size_t n)
{
    uint16_t *h = y;
    for (size_t i = 0; i < n; i++)
        h[i] = clsa_f32_to_bf16(x[i]);
}

static void store_q8_0_ref(void *y, const float *x, size_t n)
{
    uint8_t *block = y;
    for (size_t b = 0; b < n / CLSA_BLOCK; b++, block += CLSA_Q8_0_BYTES) {
        float max = ref_largest(x + b * CLSA_BLOCK, CLSA_BLOCK);
        clsa_write_u16(block, clsa_f32_to_f16(clsa_quant_scale(max, 127.0f)));
        ref_quantize((int8_t *)block + 2, x + b * CLSA_BLOCK, CLSA_BLOCK, max,
                     127.0f);
    }
}

static void store_q4_0_ref(void *y, const float *x, size_t n)
{
    uint8_t *block = y;
    for (size_t b = 0; b < n / CLSA_BLOCK; b++, block += CLSA_Q4_0_BYTES) {
        const float *v = x + b * CLSA_BLOCK;
        float peak = v[0];
        for (size_t i = 1; i < CLSA_BLOCK; i++)
            if (fabsf(v[i]) > fabsf(peak))
                peak = v[i];
        float inverse = fabsf(peak) > CLSA_QUANT_MIN ? -8.0f / peak : 0.0f;
        uint8_t q[CLSA_BLOCK];
        for (size_t i = 0; i < CLSA_BLOCK; i++)
            q[i] = (uint8_t)fminf(floorf(v[i] * inverse + 8.5f), 15.0f);
        clsa_write_u16(block, clsa_f32_to_f16(inverse ? peak / -8.0f : 0.0f));
        for (size_t i = 0; i < CLSA_BLOCK / 2; i++)
            block[2 + i] = (uint8_t)(q[i] | q[i + 16] << 4);
    }
}

void clsa_rows_ref(struct clsa_simd *table)
{
    table->quantize = quantize_ref;
    table->load[CLSA_F32] = load_f32_ref;
    table->load[CLSA_F16] = load_f16_ref;
    table->load[CLSA_BF16] = load_bf16_ref;
    table->load[CLSA_Q8_0] = load_q8_0_ref;
    table->load[CLSA_Q4_0] = load_q4_0_ref;
    table->store[CLSA_F32] = store_f32_ref;
    table->store[CLSA_F16] = store_f16_ref;
    table->store[CLSA_BF16] = store_bf16_ref;
    table->store[CLSA_Q8_0] = store_q8_0_ref;
    table->store[CLSA_Q4_0] = store_q4_0_ref;
}
