/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of quantize, load and store: all bit for bit. Values lie where
 * rounding decides: halves of the grid, both sides of the smallest and the
 * largest numbers of the formats, and blocks without or with nearly no
 * magnitude.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "simd/scalar.h"
#include "tests/kernels/kernels.h"

enum block_kind {
    BLOCK_PLAIN,
    BLOCK_WIDE,
    BLOCK_HALVES,   /* x * (127 / amax) ends in .5 */
    BLOCK_ZERO,     /* +0 and -0 */
    BLOCK_LEAST,    /* amax is FLT_MIN or subnormal: quantized to nothing */
    BLOCK_TINY,     /* 127 / amax is infinite */
    BLOCK_HUGE,     /* up to FLT_MAX */
    BLOCK_NEGATIVE, /* amax is that of a negative value */
    BLOCK_KINDS
};

static float in_block(enum block_kind kind, size_t i)
{
    switch (kind) {
    case BLOCK_PLAIN:
        return test_uniform(-4, 4);
    case BLOCK_WIDE:
        return ldexpf(test_uniform(-1, 1), (int)test_below(61) - 30);
    case BLOCK_HALVES:
        return i == 5 ? 127.0f : (float)((int)test_below(254) - 127) + 0.5f;
    case BLOCK_ZERO:
        return test_below(2) ? 0.0f : -0.0f;
    case BLOCK_LEAST:
        return i == 7 ? FLT_MIN : ldexpf(test_uniform(-1, 1), -126);
    case BLOCK_TINY:
        return (float)((int)test_below(3) - 1) * 1e-37f;
    case BLOCK_HUGE:
        return test_below(4) ? ldexpf(test_uniform(-1, 1), 127)
                             : (i % 2 ? FLT_MAX : -FLT_MAX);
    default:
        return i == 31 ? -6.0f : test_uniform(-4, 4);
    }
}

static void fill_blocks(float *x, size_t n, int kind)
{
    for (size_t b = 0; b < n / CLSA_BLOCK; b++) {
        const int k = kind < 0 ? (int)test_below(BLOCK_KINDS) : kind;
        for (size_t i = 0; i < CLSA_BLOCK; i++)
            x[b * CLSA_BLOCK + i] = in_block((enum block_kind)k, i);
    }
}

static const size_t block_sizes[] = {0,   32,  64,  96,  128, 160,
                                     256, 288, 320, 512, 2048};

/* ------------------------------------------------------------- quantize */

struct quantized {
    int8_t *q;
    float *d;
    int32_t *sum;
    size_t ldd, len;
    const float *x;
};

static void make_quantized(struct quantized *z, const float *x, size_t len,
                           size_t ldd)
{
    const size_t count = len / CLSA_BLOCK;
    const size_t scales = count ? (count - 1) * ldd + 1 : 0;
    *z = (struct quantized){.ldd = ldd, .len = len, .x = x};
    z->q = test_output("q", len, sizeof *z->q);
    z->d = test_output("d", scales, sizeof *z->d);
    z->sum = test_output("sum", scales, sizeof *z->sum);
}

static void run_quantize(const struct clsa_simd *table, void *arg)
{
    const struct quantized *z = arg;
    table->quantize(z->q, z->d, z->sum, z->ldd, z->x, z->len);
}

static void same_quantized(const struct quantized *got,
                           const struct quantized *want)
{
    const size_t count = got->len / CLSA_BLOCK;
    test_same_bytes("q", got->q, want->q, got->len, sizeof *got->q);
    for (size_t b = 0; b < count; b++) {
        test_same_floats("d", &got->d[b * got->ldd], &want->d[b * got->ldd], 1);
        test_same_bytes("sum", &got->sum[b * got->ldd],
                        &want->sum[b * got->ldd], 1, sizeof *got->sum);
        if (b + 1 == count)
            break;
        test_untouched("d", &got->d[b * got->ldd + 1], got->ldd - 1, 4);
        test_untouched("sum", &got->sum[b * got->ldd + 1], got->ldd - 1, 4);
    }
}

static void check_quantize_case(const struct test *t, size_t len, int kind)
{
    for (int where = 0; where < test_placements(t); where++) {
        const size_t ldd = 1 + test_below(4);
        struct quantized got, want;
        test_case("len %zu, ldd %zu, kind %d, placement %d", len, ldd, kind,
                  where);
        test_reset((enum test_placement)where);
        float *x = test_input("x", len, sizeof *x);
        fill_blocks(x, len, kind);
        make_quantized(&got, x, len, ldd);
        make_quantized(&want, x, len, ldd);
        test_seal();
        run_quantize(t->ref, &want);
        run_quantize(t->simd, &got);
        same_quantized(&got, &want);
        test_intact();
    }
}

static void check_quantize(struct test *t)
{
    for (size_t i = 0; i < TEST_COUNT(block_sizes); i++)
        check_quantize_case(t, block_sizes[i], BLOCK_PLAIN);
    for (int kind = 0; kind < BLOCK_KINDS; kind++)
        check_quantize_case(t, t->quick ? 96 : 1024, kind);
    check_quantize_case(t, t->quick ? 1024 : 65536, -1);
}

/* ------------------------------------------------------- load and store */

struct conversion {
    enum clsa_format format;
    size_t n;
    void *to;
    const void *from;
};

static void *format_buffer(bool in, const char *name, enum clsa_format format,
                           size_t n)
{
    const size_t size = test_alignment(format);
    const size_t count = clsa_format_bytes(format, n) / size;
    return in ? test_input(name, count, size) : test_output(name, count, size);
}

static void run_load(const struct clsa_simd *table, void *arg)
{
    const struct conversion *c = arg;
    table->load[c->format](c->to, c->from, c->n);
}

static void run_store(const struct clsa_simd *table, void *arg)
{
    const struct conversion *c = arg;
    table->store[c->format](c->to, c->from, c->n);
}

/* All 16-bit patterns in turn, from a random one on; floats: any bits. */
static void fill_patterns(void *w, enum clsa_format format, size_t n)
{
    uint16_t *h = w;
    uint32_t *u = w;
    const uint16_t from = (uint16_t)test_random();

    for (size_t i = 0; i < n; i++)
        if (format == CLSA_F32)
            u[i] = test_random();
        else
            h[i] = (uint16_t)(from + i);
}

static void check_load_case(const struct test *t, size_t n, bool patterns)
{
    n = test_whole(t->format, n);
    struct conversion got = {.format = t->format, .n = n}, want = got;
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, patterns %d, placement %d", n, patterns, where);
        test_reset((enum test_placement)where);
        void *from = format_buffer(true, "x", t->format, n);
        if (patterns)
            fill_patterns(from, t->format, n);
        else
            test_fill_format(from, t->format, n, TEST_WIDE);
        got.from = want.from = from;
        got.to = test_output("y", n, sizeof(float));
        want.to = test_output("y of ref", n, sizeof(float));
        test_seal();
        run_load(t->ref, &want);
        run_load(t->simd, &got);
        test_same_floats("y", got.to, want.to, n);
        test_intact();
    }
}

static const size_t sizes[] = {0,  1,  2,  3,  7,  8,  9,  15,  16,  17,
                               31, 32, 33, 63, 64, 65, 96, 257, 288, 2049};

static void check_load(struct test *t)
{
    const bool b = test_blocks(t->format);
    const size_t count = b ? TEST_COUNT(block_sizes) : TEST_COUNT(sizes);

    for (size_t i = 0; i < count; i++)
        check_load_case(t, b ? block_sizes[i] : sizes[i], false);
    if (!b)
        check_load_case(t, t->quick ? 4096 : 65536, true);
    else
        check_load_case(t, t->quick ? 1024 : 65536, false);
}

/* Half way between two neighboring f16 numbers: rounded to the even one. */
static bool halves_f16(float x)
{
    const float a = fabsf(x);
    if (a >= 0x1p-14f)
        return (clsa_f32_to_bits(a) & 0x1fffu) == 0x1000u;
    return fmodf(a * 0x1p25f, 2) == 1;
}

/* Any finite bits; halves of bf16 and f16 and their neighbors. */
static float to_round(void)
{
    static const float near[] = {
        65504.0f,         65519.996f, 65520.0f, 65536.0f,  0x1p-14f,
        0x1.ffcp-15f,     0x1p-24f,   0x1p-25f, 0x1.8p-24, 0x1.000002p-25f,
        0x1.ffep-15f,     FLT_MAX,    FLT_MIN,  0x1p-149f, 0x1.fep127f,
        0x1.fcfffep-127f, 0x1.01p0f,
    };
    uint32_t u = test_random();
    const uint32_t sign = u & 0x80000000u;

    switch (test_below(4)) {
    case 0: /* half of a bf16 */
        u = (u & 0xffff0000u) | (0x7fffu + test_below(3));
        break;
    case 1: /* half of an f16 */
        u = (test_random() & 0x007fe000u) | 0x0fffu;
        u += test_below(3) + ((113u + test_below(30)) << 23) + sign;
        break;
    case 2: /* and of a subnormal one */
        return (sign ? -1 : 1) * ((float)test_below(1024) + 0.5f) * 0x1p-24f;
    default:
        if (test_below(2))
            u = sign | clsa_f32_to_bits(near[test_below(TEST_COUNT(near))]);
        break;
    }
    return (u & 0x7f800000u) == 0x7f800000u ? 0.0f : clsa_bits_to_f32(u);
}

static void check_store_case(const struct test *t, size_t n, int kind)
{
    n = test_whole(t->format, n);
    struct conversion got = {.format = t->format, .n = n}, want = got;
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, kind %d, placement %d", n, kind, where);
        test_reset((enum test_placement)where);
        float *x = test_input("x", n, sizeof *x);
        if (test_blocks(t->format))
            fill_blocks(x, n, kind);
        else
            for (size_t i = 0; i < n; i++) {
                x[i] = to_round();
                if (t->tieless && halves_f16(x[i]))
                    x[i] = nextafterf(x[i], 0);
            }
        got.from = want.from = x;
        got.to = format_buffer(false, "y", t->format, n);
        want.to = format_buffer(false, "y of ref", t->format, n);
        test_seal();
        run_store(t->ref, &want);
        run_store(t->simd, &got);
        test_same_bytes("y", got.to, want.to,
                        clsa_format_bytes(t->format, n) /
                            test_alignment(t->format),
                        test_alignment(t->format));
        test_intact();
    }
}

static void check_store(struct test *t)
{
    const bool b = test_blocks(t->format);
    const size_t count = b ? TEST_COUNT(block_sizes) : TEST_COUNT(sizes);

    for (size_t i = 0; i < count; i++)
        check_store_case(t, b ? block_sizes[i] : sizes[i], BLOCK_PLAIN);
    for (int kind = 0; b && kind < BLOCK_KINDS; kind++)
        check_store_case(t, t->quick ? 96 : 1024, kind);
    check_store_case(t, t->quick ? 2048 : 65536, -1);
}

#define LOAD(name, format)                                                     \
    {                                                                          \
        "load_" name, offsetof(struct clsa_simd, load[format]), format,        \
            check_load                                                         \
    }
#define STORE(name, format)                                                    \
    {                                                                          \
        "store_" name, offsetof(struct clsa_simd, store[format]), format,      \
            check_store                                                        \
    }

const struct kernel rows_kernels[] = {
    {"quantize", offsetof(struct clsa_simd, quantize), CLSA_F32,
     check_quantize},
    LOAD("f32", CLSA_F32),
    LOAD("f16", CLSA_F16),
    LOAD("bf16", CLSA_BF16),
    LOAD("q8_0", CLSA_Q8_0),
    LOAD("q4_0", CLSA_Q4_0),
    LOAD("q4_k", CLSA_Q4_K),
    LOAD("q6_k", CLSA_Q6_K),
    LOAD("q4_1", CLSA_Q4_1),
    LOAD("q5_0", CLSA_Q5_0),
    LOAD("q5_1", CLSA_Q5_1),
    LOAD("q2_k", CLSA_Q2_K),
    LOAD("q3_k", CLSA_Q3_K),
    LOAD("q5_k", CLSA_Q5_K),
    LOAD("iq4_nl", CLSA_IQ4_NL),
    LOAD("iq4_xs", CLSA_IQ4_XS),
    STORE("f32", CLSA_F32),
    STORE("f16", CLSA_F16),
    STORE("bf16", CLSA_BF16),
    STORE("q8_0", CLSA_Q8_0),
    STORE("q4_0", CLSA_Q4_0),
    STORE("q4_k", CLSA_Q4_K),
    STORE("q6_k", CLSA_Q6_K),
    STORE("q4_1", CLSA_Q4_1),
    STORE("q5_0", CLSA_Q5_0),
    STORE("q5_1", CLSA_Q5_1),
    STORE("q2_k", CLSA_Q2_K),
    STORE("q3_k", CLSA_Q3_K),
    STORE("q5_k", CLSA_Q5_K),
    STORE("iq4_nl", CLSA_IQ4_NL),
    STORE("iq4_xs", CLSA_IQ4_XS),
    {0},
};
