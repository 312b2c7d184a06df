/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q4_K and Q6_K rows to floats at level neon, bit for bit as in simd/ref:
 * the products are exact, and nothing but the subtraction of Q4_K rounds.
 */
#include "simd/neon/matmul_k.h"

static void load_q4_k_neon(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q4_K_BYTES) {
        const float d = clsa_f16_to_f32(clsa_read_u16(block));
        const float dmin = clsa_f16_to_f32(clsa_read_u16(block + 2));
        uint8_t scale[CLSA_K_PARTS], min[CLSA_K_PARTS];
        clsa_q4_k_scales(scale, min, block + 4);
        for (size_t p = 0; p < CLSA_K_PARTS; p += 2)
            for (size_t j = 0; j < CLSA_BLOCK; j += 16) {
                uint8x16_t q = vld1q_u8(block + 16 + p / 2 * CLSA_BLOCK + j);
                float *to = y + i + p * CLSA_BLOCK + j;
                neon_load16(to,
                            vreinterpretq_s8_u8(vandq_u8(q, vdupq_n_u8(15))),
                            d * scale[p], dmin * min[p]);
                neon_load16(to + CLSA_BLOCK,
                            vreinterpretq_s8_u8(vshrq_n_u8(q, 4)),
                            d * scale[p + 1], dmin * min[p + 1]);
            }
    }
}

static void load_q6_k_neon(float *y, const void *x, size_t n)
{
    const uint8_t *block = x;
    for (size_t i = 0; i < n; i += CLSA_K_BLOCK, block += CLSA_Q6_K_BYTES) {
        const float d = clsa_f16_to_f32(clsa_read_u16(block + 208));
        const int8_t *scale = (const int8_t *)block + 192;
        for (size_t p = 0; p < CLSA_K_PARTS; p++) {
            float *to = y + i + p * CLSA_BLOCK;
            int8x16_t q[2];
            neon_q6_k_load(q, block, p);
            neon_load16(to, q[0], d * scale[2 * p], 0);
            neon_load16(to + 16, q[1], d * scale[2 * p + 1], 0);
        }
    }
}

void clsa_rows_k_neon(struct clsa_simd *table)
{
    table->load[CLSA_Q4_K] = load_q4_k_neon;
    table->load[CLSA_Q6_K] = load_q6_k_neon;
}
