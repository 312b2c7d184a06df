/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of the kernel checks: the generator, what vectors are filled with,
 * and the comparisons of results. The generator starts from the seed and the
 * kernel's name, so that a kernel sees the same values alone and in company,
 * and at every level.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "simd/scalar.h"
#include "tests/kernels/kernels.h"

static uint64_t state;

void test_seed(uint64_t seed, const char *name)
{
    state = 0xcbf29ce484222325u ^ seed;
    for (; *name; name++)
        state = (state ^ (unsigned char)*name) * 0x100000001b3u;
}

/* splitmix64, upper half */
uint32_t test_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

uint32_t test_below(uint32_t limit)
{
    return (uint32_t)((uint64_t)test_random() * limit >> 32);
}

float test_uniform(float low, float high)
{
    return low + (high - low) * ((float)(test_random() >> 8) * 0x1p-24f);
}

static float value(enum test_values values, size_t i)
{
    switch (values) {
    case TEST_PLAIN:
        return test_uniform(-1, 1);
    case TEST_WIDE:
        return ldexpf(test_uniform(-1, 1), (int)test_below(41) - 20);
    case TEST_ONES:
        return 1.0f;
    case TEST_SIGNS:
        return i % 2 ? -1.0f : 1.0f;
    case TEST_ZEROS:
        return test_below(2) ? 0.0f : -0.0f;
    case TEST_SPARSE:
        return test_below(8) ? 0.0f : test_uniform(-1, 1);
    case TEST_INTEGERS:
        break;
    }
    return (float)((int)test_below(17) - 8);
}

void test_fill(float *x, size_t n, enum test_values values)
{
    for (size_t i = 0; i < n; i++)
        x[i] = value(values, i);
}

/* The scale of a block, as f16: a power of two for integers. */
static uint16_t block_scale(enum test_values values)
{
    static const uint16_t extreme[] = {
        0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0xbc00, 0x3c00,
    };
    if (values == TEST_WIDE)
        return extreme[test_below(TEST_COUNT(extreme))];
    if (values == TEST_INTEGERS || values == TEST_ONES || values == TEST_SIGNS)
        return 0x3c00; /* 1.0 */
    return clsa_f32_to_f16(test_uniform(0x1p-10f, 0x1p-4f));
}

static void fill_block(uint8_t *block, size_t bytes, enum test_values values)
{
    static const uint8_t ends[2][4] = {
        {0x7f, 0x81, 0x80, 0x00}, /* 127, -127, -128, 0 */
        {0xff, 0x00, 0xf0, 0x0f}, /* nibbles 15 and 0 */
    };
    const uint8_t *end = ends[bytes == CLSA_Q4_0_BYTES];

    clsa_write_u16(block, block_scale(values));
    for (size_t i = 2; i < bytes; i++)
        switch (values) {
        case TEST_ONES:
            block[i] = end[0];
            break;
        case TEST_SIGNS:
            block[i] = end[i % 2 + 1];
            break;
        case TEST_WIDE:
            block[i] = end[test_below(4)];
            break;
        case TEST_ZEROS:
            block[i] = bytes == CLSA_Q4_0_BYTES ? 0x88 : 0;
            break;
        default:
            block[i] = (uint8_t)test_random();
            break;
        }
}

/* Where the f16 of a block with parts lie: d, and what a min is multiplied
   with or m itself; 0: there is none. */
static void place_scales(enum clsa_format format, size_t *d, size_t *m)
{
    *d = format == CLSA_Q6_K   ? 208
         : format == CLSA_Q3_K ? 108
         : format == CLSA_Q2_K ? 80
                               : 0;
    *m = format == CLSA_Q4_K || format == CLSA_Q5_K || format == CLSA_Q2_K ||
                 format == CLSA_Q4_1 || format == CLSA_Q5_1
             ? *d + 2
             : 0;
}

/* Scales and mins of any bits and q of any bits, except the ends of the range:
   all of them. */
static void fill_parts(uint8_t *block, enum clsa_format format,
                       enum test_values values)
{
    const size_t bytes = clsa_format_size(format).bytes;
    static const uint8_t ends[] = {0xff, 0x00, 0x80, 0x7f};
    size_t d, m;
    for (size_t i = 0; i < bytes; i++) {
        block[i] = (uint8_t)test_random();
        if (values == TEST_WIDE)
            block[i] = ends[test_below(4)];
        if (values == TEST_ONES)
            block[i] = 0xff;
        if (values == TEST_SIGNS)
            block[i] = i % 2 ? 0xff : 0x00;
        if (values == TEST_ZEROS)
            block[i] = 0;
    }
    place_scales(format, &d, &m);
    clsa_write_u16(block + d, block_scale(values));
    if (m)
        clsa_write_u16(block + m, (uint16_t)(block_scale(values) |
                                             (test_random() & 0x8000)));
}

void test_fill_format(void *w, enum clsa_format format, size_t n,
                      enum test_values values)
{
    const struct clsa_format_size size = clsa_format_size(format);
    uint16_t *h = w;

    switch (format) {
    case CLSA_F32:
        test_fill(w, n, values);
        break;
    case CLSA_F16:
        for (size_t i = 0; i < n; i++) /* 1 in 16: a subnormal one */
            h[i] = values == TEST_WIDE && !test_below(16)
                       ? (uint16_t)(test_random() & 0x83ff)
                       : clsa_f32_to_f16(value(values, i));
        break;
    case CLSA_BF16:
        for (size_t i = 0; i < n; i++)
            h[i] = clsa_f32_to_bf16(value(values, i));
        break;
    case CLSA_Q8_0:
    case CLSA_Q4_0:
        for (size_t b = 0; b < n / CLSA_BLOCK; b++)
            fill_block((uint8_t *)w + b * size.bytes, size.bytes, values);
        break;
    default:
        for (size_t b = 0; b < n / size.values; b++)
            fill_parts((uint8_t *)w + b * size.bytes, format, values);
        break;
    }
}

void test_same_floats(const char *what, const float *got, const float *want,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (clsa_f32_to_bits(got[i]) == clsa_f32_to_bits(want[i]) ||
            (isnan(got[i]) && isnan(want[i])))
            continue;
        test_fail("%s[%zu]: expected %.9g (%a), got %.9g (%a)", what, i,
                  (double)want[i], (double)want[i], (double)got[i],
                  (double)got[i]);
    }
}

void test_same_bytes(const char *what, const void *got, const void *want,
                     size_t count, size_t size)
{
    const unsigned char *g = got, *w = want;
    char expected[33] = "", found[33] = "";
    size_t i = 0;

    while (i < count && !memcmp(g + i * size, w + i * size, size))
        i++;
    if (i == count)
        return;
    for (size_t j = 0; j < size && j < 16; j++) { /* as a number, high first */
        static const char hex[] = "0123456789abcdef";
        size_t at = i * size + size - 1 - j;
        expected[2 * j] = hex[w[at] >> 4];
        expected[2 * j + 1] = hex[w[at] & 15];
        found[2 * j] = hex[g[at] >> 4];
        found[2 * j + 1] = hex[g[at] & 15];
    }
    test_fail("%s[%zu]: expected 0x%s, got 0x%s", what, i, expected, found);
}

void test_near(const struct test *t, const char *what, size_t index, float got,
               float want, double exact, double bound)
{
    double error = fabs((double)got - exact);
    if (t->simd != t->ref)
        error = fmin(error, fabs((double)got - (double)want));
    if (isfinite(got) && error <= bound)
        return;
    test_fail("%s[%zu]: expected %.9g (exactly %.9g), got %.9g: "
              "off by %.3g, bound %.3g",
              what, index, (double)want, exact, (double)got, error, bound);
}
