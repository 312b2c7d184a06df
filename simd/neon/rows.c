/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c: conversions between floats and the row formats, and quantization of
 * activations, NEON. All bit-exact: the same operations as the scalar kernels
 * in the same order. maxnm and minnm are fmaxf and fminf, NaN rules included.
 */
#include "simd/neon/quantize.h"
#include "simd/scalar.h"

static float largest32(const float *x)
{
    float32x4_t max = neon_largest16(vdupq_n_f32(0), x);
    return vmaxnmvq_f32(neon_largest16(max, x + 16));
}

/* q has 32 bytes; returns their sum. */
static int32_t quantize32(int8_t *q, const float *x, float inverse)
{
    int8x16_t a = neon_quantize16(x, inverse, 127.0f);
    int8x16_t b = neon_quantize16(x + 16, inverse, 127.0f);
    vst1q_s8(q, a);
    vst1q_s8(q + 16, b);
    return vaddlvq_s8(a) + vaddlvq_s8(b);
}

static void quantize_neon(int8_t *q, float *d, int32_t *sum, size_t ldd,
                          const float *x, size_t len)
{
    for (size_t b = 0; b < len / CLSA_BLOCK; b++) {
        const float *v = x + b * CLSA_BLOCK;
        struct neon_quantum unit = neon_quantum(largest32(v), 127.0f);
        d[b * ldd] = unit.scale;
        sum[b * ldd] = quantize32(q + b * CLSA_BLOCK, v, unit.inverse);
    }
}

static void store_q8_0_neon(void *y, const float *x, size_t n)
{
    uint8_t *block = y;
    for (size_t b = 0; b < n / CLSA_BLOCK; b++, block += CLSA_Q8_0_BYTES) {
        const float *v = x + b * CLSA_BLOCK;
        struct neon_quantum unit = neon_quantum(largest32(v), 127.0f);
        clsa_write_u16(block, clsa_f32_to_f16(unit.scale));
        quantize32((int8_t *)block + 2, v, unit.inverse);
    }
}

static void load_f16_neon(float *y, const void *x, size_t n)
{
    const uint16_t *h = x;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float32x4_t v[2];
        neon_load8(v, x, i, CLSA_F16);
        vst1q_f32(y + i, v[0]);
        vst1q_f32(y + i + 4, v[1]);
    }
    for (; i < n; i++)
        y[i] = clsa_f16_to_f32(h[i]);
}

static void load_bf16_neon(float *y, const void *x, size_t n)
{
    const uint16_t *h = x;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float32x4_t v[2];
        neon_load8(v, x, i, CLSA_BF16);
        vst1q_f32(y + i, v[0]);
        vst1q_f32(y + i + 4, v[1]);
    }
    for (; i < n; i++)
        y[i] = clsa_bf16_to_f32(h[i]);
}

INLINE void load_scaled16(float *y, int8x16_t q, float32x4_t d)
{
    float32x4_t v[4];
    neon_scale8(v, vget_low_s8(q), d);
    neon_scale8(v + 2, vget_high_s8(q), d);
    UNROLL
    for (int i = 0; i < 4; i++)
        vst1q_f32(y + 4 * i, v[i]);
}

static void load_q8_0_neon(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q8_0_BYTES) {
        const int8_t *q = (const int8_t *)block + 2;
        float32x4_t d = neon_scale(block);
        load_scaled16(y + i, vld1q_s8(q), d);
        load_scaled16(y + i + 16, vld1q_s8(q + 16), d);
    }
}

static void load_q4_0_neon(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    const int8x16_t zero = vdupq_n_s8(8);
    for (size_t i = 0; i < n; i += CLSA_BLOCK, block += CLSA_Q4_0_BYTES) {
        float32x4_t d = neon_scale(block);
        uint8x16_t q = vld1q_u8(block + 2);
        int8x16_t low = vreinterpretq_s8_u8(vandq_u8(q, vdupq_n_u8(15)));
        int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(q, 4));
        load_scaled16(y + i, vsubq_s8(low, zero), d);
        load_scaled16(y + i + 16, vsubq_s8(high, zero), d);
    }
}

static void store_f16_neon(void *y, const float *x, size_t n)
{
    uint16_t *h = y;
    const float32x4_t most = vdupq_n_f32(65504.0f);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t v = vld1q_f32(x + i);
        v = vminq_f32(vmaxq_f32(v, vnegq_f32(most)), most);
        vst1_u16(h + i, vreinterpret_u16_f16(vcvt_f16_f32(v)));
    }
    for (; i < n; i++)
        h[i] = clsa_f32_to_f16(x[i]);
}

/* Adding 0x7fff and the last bit that stays rounds to even. x is finite. */
static void store_bf16_neon(void *y, const float *x, size_t n)
{
    uint16_t *h = y;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        uint32x4_t u = vreinterpretq_u32_f32(vld1q_f32(x + i));
        uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
        u = vaddq_u32(vaddq_u32(u, odd), vdupq_n_u32(0x7fff));
        vst1_u16(h + i, vshrn_n_u32(u, 16));
    }
    for (; i < n; i++)
        h[i] = clsa_f32_to_bf16(x[i]);
}

void clsa_rows_neon(struct clsa_simd *table)
{
    table->quantize = quantize_neon;
    table->load[CLSA_F16] = load_f16_neon;
    table->load[CLSA_BF16] = load_bf16_neon;
    table->load[CLSA_Q8_0] = load_q8_0_neon;
    table->load[CLSA_Q4_0] = load_q4_0_neon;
    table->store[CLSA_F16] = store_f16_neon;
    table->store[CLSA_BF16] = store_bf16_neon;
    table->store[CLSA_Q8_0] = store_q8_0_neon;
}
