/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in blocks with parts at level neon: products in 16 bits. */
#include "simd/neon/matmul_parts.h"

NEON_PARTS_FORMATS(NEON_PARTS_MATMUL, neon)

/* A row as floats, bit for bit as in simd/ref: the products are exact. */
INLINE void load(float *y, const uint8_t *x, size_t n, enum clsa_format format)
{
    const struct clsa_format_size size = clsa_format_size(format);
    const int halves = neon_halves(format), k = size.values > CLSA_BLOCK;
    for (size_t i = 0; i < n; i += size.values, x += size.bytes) {
        const uint8_t *const same[4] = {x, x, x, x};
        struct neon_head h;
        neon_read_head(&h, same, 0, format);
        const float d = vgetq_lane_f32(h.d, 0);
        const float dmin = neon_mins(format) ? vgetq_lane_f32(h.dmin, 0) : 0;
        for (size_t half = 0; half < size.values / 16; half += 2) {
            int8x16_t q[2];
            neon_part_values(q, x, half / 2, format);
            UNROLL
            for (size_t j = 0; j < 2; j++) {
                const size_t at = halves ? half + j : half / 2;
                neon_load16(y + i + (half + j) * 16, q[j],
                            k ? d * h.scale[at][0] : d,
                            k ? dmin * h.min[at][0] : dmin);
            }
        }
    }
}

#define LOAD(name, format, level)                                              \
    static void load_##name##_##level(float *y, const void *x, size_t n)       \
    {                                                                          \
        load(y, x, n, format);                                                 \
    }

NEON_PARTS_FORMATS(LOAD, neon)

void clsa_matmul_parts_neon(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_1] = matmul_q4_1_neon;
    table->matmul[CLSA_Q5_0] = matmul_q5_0_neon;
    table->matmul[CLSA_Q5_1] = matmul_q5_1_neon;
    table->matmul[CLSA_Q2_K] = matmul_q2_k_neon;
    table->matmul[CLSA_Q3_K] = matmul_q3_k_neon;
    table->matmul[CLSA_Q5_K] = matmul_q5_k_neon;
    table->matmul[CLSA_IQ4_NL] = matmul_iq4_nl_neon;
    table->matmul[CLSA_IQ4_XS] = matmul_iq4_xs_neon;
    table->load[CLSA_Q4_1] = load_q4_1_neon;
    table->load[CLSA_Q5_0] = load_q5_0_neon;
    table->load[CLSA_Q5_1] = load_q5_1_neon;
    table->load[CLSA_Q2_K] = load_q2_k_neon;
    table->load[CLSA_Q3_K] = load_q3_k_neon;
    table->load[CLSA_Q5_K] = load_q5_k_neon;
    table->load[CLSA_IQ4_NL] = load_iq4_nl_neon;
    table->load[CLSA_IQ4_XS] = load_iq4_xs_neon;
}
