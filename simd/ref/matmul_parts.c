/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_parts.c: products of weight rows in blocks with parts and activation
 * columns, and such rows as floats, scalar. Each block of 32 activations meets
 * 32 weights: two exact integer sums, with scales and with mins, which are
 * added in float in ascending order.
 */
#include "simd/ref/blocks.h"
#include "simd/ref/ref.h"

/* Adds part p of a block to the sum of column c; b: the activation block. */
static float add_part(float sum, const struct ref_block *u, size_t p,
                      const struct clsa_act *a, size_t b, size_t c)
{
    const int8_t *x = a->q + c * a->ldq + b * CLSA_BLOCK;
    const float d = a->d[b * a->ldd + c];
    int32_t dot = 0, min = 0;
    for (size_t j = 0; j < CLSA_BLOCK; j++) {
        const size_t i = p * CLSA_BLOCK + j;
        dot += u->scale[i / REF_HALF] * u->q[i] * x[j];
        min += u->min[i / REF_HALF] * x[j];
    }
    sum += u->d * d * (float)dot;
    sum -= u->dmin * d * (float)min;
    return sum;
}

static void multiply(float *y, size_t ldy, const uint8_t *w, size_t rows,
                     const struct clsa_act *a, enum clsa_format format)
{
    ref_unpack *const unpack = clsa_ref_unpack(format);
    const struct clsa_format_size size = clsa_format_size(format);
    const size_t parts = size.values / CLSA_BLOCK;
    for (size_t i = 0; i < rows; i++) {
        for (size_t c = 0; c < a->n; c++)
            y[c * ldy + i] = 0;
        for (size_t b = 0; b < a->len / size.values; b++, w += size.bytes) {
            struct ref_block u;
            unpack(&u, w);
            for (size_t c = 0; c < a->n; c++)
                for (size_t p = 0; p < parts; p++)
                    y[c * ldy + i] =
                        add_part(y[c * ldy + i], &u, p, a, b * parts + p, c);
        }
    }
}

static void load(float *y, const uint8_t *x, size_t n, enum clsa_format format)
{
    ref_unpack *const unpack = clsa_ref_unpack(format);
    const struct clsa_format_size size = clsa_format_size(format);
    for (size_t b = 0; b < n / size.values; b++, x += size.bytes) {
        struct ref_block u;
        unpack(&u, x);
        for (size_t i = 0; i < size.values; i++)
            *y++ = u.d * u.scale[i / REF_HALF] * (float)u.q[i] -
                   u.dmin * u.min[i / REF_HALF];
    }
}

/* Of each format, matmul_<name>_ref and load_<name>_ref. */
#define FORMATS(F)                                                             \
    F(q4_1, CLSA_Q4_1)                                                         \
    F(q5_0, CLSA_Q5_0)                                                         \
    F(q5_1, CLSA_Q5_1)                                                         \
    F(q2_k, CLSA_Q2_K)                                                         \
    F(q3_k, CLSA_Q3_K)                                                         \
    F(q4_k, CLSA_Q4_K)                                                         \
    F(q5_k, CLSA_Q5_K)                                                         \
    F(q6_k, CLSA_Q6_K)                                                         \
    F(iq4_nl, CLSA_IQ4_NL)                                                     \
    F(iq4_xs, CLSA_IQ4_XS)

#define KERNELS(name, format)                                                  \
    static void matmul_##name##_ref(float *y, size_t ldy, const void *w,       \
                                    size_t rows, const struct clsa_act *a)     \
    {                                                                          \
        multiply(y, ldy, w, rows, a, format);                                  \
    }                                                                          \
    static void load_##name##_ref(float *y, const void *x, size_t n)           \
    {                                                                          \
        load(y, x, n, format);                                                 \
    }

FORMATS(KERNELS)

void clsa_matmul_parts_ref(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_1] = matmul_q4_1_ref;
    table->matmul[CLSA_Q5_0] = matmul_q5_0_ref;
    table->matmul[CLSA_Q5_1] = matmul_q5_1_ref;
    table->matmul[CLSA_Q2_K] = matmul_q2_k_ref;
    table->matmul[CLSA_Q3_K] = matmul_q3_k_ref;
    table->matmul[CLSA_Q4_K] = matmul_q4_k_ref;
    table->matmul[CLSA_Q5_K] = matmul_q5_k_ref;
    table->matmul[CLSA_Q6_K] = matmul_q6_k_ref;
    table->matmul[CLSA_IQ4_NL] = matmul_iq4_nl_ref;
    table->matmul[CLSA_IQ4_XS] = matmul_iq4_xs_ref;
    table->load[CLSA_Q4_1] = load_q4_1_ref;
    table->load[CLSA_Q5_0] = load_q5_0_ref;
    table->load[CLSA_Q5_1] = load_q5_1_ref;
    table->load[CLSA_Q2_K] = load_q2_k_ref;
    table->load[CLSA_Q3_K] = load_q3_k_ref;
    table->load[CLSA_Q4_K] = load_q4_k_ref;
    table->load[CLSA_Q5_K] = load_q5_k_ref;
    table->load[CLSA_Q6_K] = load_q6_k_ref;
    table->load[CLSA_IQ4_NL] = load_iq4_nl_ref;
    table->load[CLSA_IQ4_XS] = load_iq4_xs_ref;
}
