/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of matmul in all formats: against the scalar version within the
 * bound of simd.h, each column and each row against a call for it alone, bit
 * for bit, and the gaps of a strided output. Block formats get no floats and
 * float formats no integers: neither may read the other's.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "simd/ref/blocks.h"
#include "tests/kernels/kernels.h"

struct product {
    enum clsa_format format;
    size_t rows, row_bytes, ldy;
    char *w;
    struct clsa_act a;
    float *got, *want, *alone;
    enum test_values values;
};

/* y[n][ldy] ends with the last row of the last column. */
static size_t span(size_t n, size_t ld, size_t len)
{
    return (n - 1) * ld + len;
}

static void make_floats(struct clsa_act *a, enum test_values values)
{
    a->ldx = a->len + test_below(4);
    a->x = test_input("x", span(a->n, a->ldx, a->len), sizeof *a->x);
    for (size_t c = 0; c < a->n; c++)
        test_fill(a->x + c * a->ldx, a->len, values);
}

static int8_t activation(enum test_values values, size_t i)
{
    static const int8_t ends[] = {127, -127, 0, 1};
    switch (values) {
    case TEST_ONES:
        return 127;
    case TEST_SIGNS:
        return i % 2 ? 127 : -127;
    case TEST_WIDE:
        return ends[test_below(4)];
    case TEST_ZEROS:
        return 0;
    default:
        return (int8_t)((int)test_below(255) - 127);
    }
}

static float activation_scale(enum test_values values)
{
    switch (values) {
    case TEST_ONES:
    case TEST_SIGNS:
    case TEST_INTEGERS:
        return 1.0f;
    case TEST_ZEROS:
        return 0.0f;
    case TEST_WIDE:
        return ldexpf(1, (int)test_below(41) - 20);
    default:
        return test_uniform(0x1p-10f, 0x1p-3f);
    }
}

static void make_blocks(struct clsa_act *a, enum test_values values)
{
    const size_t count = a->len / CLSA_BLOCK;
    a->ldq = a->len + test_below(4);
    a->ldd = a->n + test_below(3);
    a->q = test_input("q", span(a->n, a->ldq, a->len), sizeof *a->q);
    a->d = test_input("d", span(count, a->ldd, a->n), sizeof *a->d);
    a->sum = test_input("sum", span(count, a->ldd, a->n), sizeof *a->sum);
    for (size_t c = 0; c < a->n; c++)
        for (size_t b = 0; b < count; b++) {
            int8_t *q = a->q + c * a->ldq + b * CLSA_BLOCK;
            int32_t sum = 0;
            for (size_t i = 0; i < CLSA_BLOCK; i++)
                sum += q[i] = activation(values, i);
            a->sum[b * a->ldd + c] = sum;
            a->d[b * a->ldd + c] = activation_scale(values);
        }
}

static void make(struct product *p)
{
    p->a.x = NULL;
    p->a.q = NULL;
    p->a.d = NULL;
    p->a.sum = NULL;
    p->row_bytes = clsa_format_bytes(p->format, p->a.len);
    p->ldy = p->rows + test_below(4);
    const size_t element = test_alignment(p->format);
    p->w = test_input("w", p->rows * p->row_bytes / element, element);
    test_fill_format(p->w, p->format, p->rows * p->a.len, p->values);
    if (test_blocks(p->format))
        make_blocks(&p->a, p->values);
    else
        make_floats(&p->a, p->values);
    const size_t count = span(p->a.n, p->ldy, p->rows);
    p->got = test_output("y", count, sizeof *p->got);
    p->want = test_output("y of ref", count, sizeof *p->want);
    p->alone = test_output("y of one", p->rows, sizeof *p->alone);
    p->a.scratch = test_scratch();
    test_seal();
}

/* What activation block b adds in formats with parts, and the size of its two
   terms, with scales and with mins, which may nearly cancel each other out. The
   weights as floats would not do: they are rounded. */
static double part_product(const struct product *p, const uint8_t *packed,
                           size_t b, size_t c, double *terms)
{
    const struct clsa_act *a = &p->a;
    const struct clsa_format_size size = clsa_format_size(p->format);
    const size_t at = b * CLSA_BLOCK;
    const double d = (double)a->d[b * a->ldd + c];
    struct ref_block u;
    double dot = 0, min = 0;
    clsa_ref_unpack(p->format)(&u, packed + at / size.values * size.bytes);
    for (size_t j = 0; j < CLSA_BLOCK; j++) {
        const size_t i = at % size.values + j;
        const int x = a->q[c * a->ldq + at + j];
        dot += u.scale[i / REF_HALF] * u.q[i] * x;
        min += u.min[i / REF_HALF] * x;
    }
    dot *= (double)u.d * d;
    min *= (double)u.dmin * d;
    *terms += fabs(dot) + fabs(min);
    return dot - min;
}

/* The product as exact as double has it, and the sum of its |terms|. */
static double exact(const struct product *p, const float *row,
                    const void *packed, size_t c, double *terms)
{
    const struct clsa_act *a = &p->a;
    double sum = 0;

    *terms = 0;
    if (!test_blocks(p->format)) {
        const float *x = a->x + c * a->ldx;
        for (size_t j = 0; j < a->len; j++) {
            const double term = (double)row[j] * (double)x[j];
            sum += term;
            *terms += fabs(term);
        }
        return sum;
    }
    for (size_t b = 0; b < a->len / CLSA_BLOCK; b++) {
        const int8_t *q = a->q + c * a->ldq + b * CLSA_BLOCK;
        const float *w = row + b * CLSA_BLOCK; /* d * q: exact, and its sum */
        double term = 0;
        if (clsa_ref_unpack(p->format)) {
            sum += part_product(p, packed, b, c, terms);
            continue;
        }
        for (size_t j = 0; j < CLSA_BLOCK; j++)
            term += (double)w[j] * q[j];
        term *= (double)a->d[b * a->ldd + c];
        sum += term;
        *terms += fabs(term);
    }
    return sum;
}

static double bound(const struct product *p, double terms)
{
    const double rel =
        test_blocks(p->format) ? 1e-6 : 1e-6 * sqrt((double)p->a.len);
    return rel * terms + (double)p->a.len * (double)FLT_MIN;
}

static void compare(const struct test *t, const struct product *p)
{
    float *row = test_output("row", p->a.len, sizeof *row);
    for (size_t i = 0; i < p->rows; i++) {
        t->ref->load[p->format](row, p->w + i * p->row_bytes, p->a.len);
        for (size_t c = 0; c < p->a.n; c++) {
            const size_t at = c * p->ldy + i;
            double terms,
                value = exact(p, row, p->w + i * p->row_bytes, c, &terms);
            /* whole numbers below 2^24 are exact in any order */
            const bool whole = p->values == TEST_INTEGERS && terms < 0x1p24;
            test_near(t, "y", at, p->got[at], p->want[at], value,
                      whole ? 0 : bound(p, terms));
        }
    }
    for (size_t c = 0; c + 1 < p->a.n; c++)
        test_untouched("y", p->got + c * p->ldy + p->rows, p->ldy - p->rows,
                       sizeof *p->got);
}

/* Column c as activations of their own. */
static struct clsa_act column(const struct clsa_act *a, size_t c)
{
    struct clsa_act one = *a;
    one.n = 1;
    if (a->x)
        one.x += c * a->ldx;
    if (a->q) {
        one.q += c * a->ldq;
        one.d += c;
        one.sum += c;
    }
    return one;
}

static void compare_alone(const struct test *t, const struct product *p)
{
    for (size_t c = 0; c < p->a.n; c++) {
        const struct clsa_act one = column(&p->a, c);
        t->simd->matmul[p->format](p->alone, p->rows, p->w, p->rows, &one);
        test_same_floats("y of a column alone", p->got + c * p->ldy, p->alone,
                         p->rows);
    }
    for (size_t i = 0; i < p->rows; i++) {
        const size_t c = i % p->a.n;
        const struct clsa_act one = column(&p->a, c);
        t->simd->matmul[p->format](p->alone, 1, p->w + i * p->row_bytes, 1,
                                   &one);
        test_same_floats("y of a row alone", &p->got[c * p->ldy + i], p->alone,
                         1);
    }
}

static void check_product(const struct test *t, size_t rows, size_t n,
                          size_t len, enum test_values values)
{
    struct product p = {.format = t->format,
                        .rows = rows,
                        .values = values,
                        .a = {.n = n, .len = len}};
    len = p.a.len = test_whole(t->format, len);
    for (int where = 0; where < test_placements(t); where++) {
        test_case("rows %zu, n %zu, len %zu, values %d, placement %d", rows, n,
                  len, (int)values, where);
        test_reset((enum test_placement)where);
        make(&p);
        t->ref->matmul[p.format](p.want, p.ldy, p.w, rows, &p.a);
        t->simd->matmul[p.format](p.got, p.ldy, p.w, rows, &p.a);
        compare(t, &p);
        compare_alone(t, &p);
        test_intact();
    }
}

static void check_sizes(const struct test *t, const size_t *rows, size_t nrows,
                        const size_t *len, size_t nlen)
{
    for (size_t i = 0; i < nrows; i++)
        for (size_t j = 0; j < nlen; j++)
            check_product(t, rows[i], 1 + test_below(17), len[j], TEST_PLAIN);
}

/* Rows whose stretches of 256 values fill units of sixteen, and rows more. */
static void check_one_column(const struct test *t)
{
    static const size_t len[] = {256, 768, 2048, 2816, 4352, 16384, 16640};
    for (size_t i = 0; i < (t->quick ? 2 : TEST_COUNT(len)); i++) {
        check_product(t, 16, 1, len[i], TEST_PLAIN);
        check_product(t, 35, 1, len[i], TEST_PLAIN);
    }
    for (int values = 0; values < TEST_VALUES; values++)
        check_product(t, 17, 1, t->quick ? 256 : 768, (enum test_values)values);
}

/* Few rows with all lengths, a few lengths with many rows, all columns, and
   all kinds of values. */
static void check_matmul(struct test *t)
{
    static const size_t float_len[] = {1,  7,  8,  9,  15, 16,  17,  31,
                                       33, 63, 64, 65, 96, 257, 288, 2049};
    static const size_t block_len[] = {32, 64, 96, 128, 160, 256, 288, 2048};
    static const size_t few[] = {1, 5, 8}, some_len[] = {32, 96};
    static const size_t many[] = {0, 2, 3, 4, 6, 7, 9, 15, 16, 17, 33, 64};
    const bool b = test_blocks(t->format);

    check_sizes(t, few, t->quick ? 1 : TEST_COUNT(few),
                b ? block_len : float_len,
                (b ? TEST_COUNT(block_len) : TEST_COUNT(float_len)) - t->quick);
    check_sizes(t, many, TEST_COUNT(many) - 2 * t->quick, some_len,
                t->quick ? 1 : TEST_COUNT(some_len));
    for (size_t n = 1; n <= 17; n++)
        check_product(t, t->quick ? 5 : 13, n, t->quick ? 32 : 96, TEST_PLAIN);
    for (int values = 0; values < TEST_VALUES; values++)
        check_product(t, 5, 3, t->quick ? 64 : 288, (enum test_values)values);
    /* rows enough for kernels that take 16 at once and leave fewer to others */
    for (size_t n = 2; b && n <= 18; n += t->quick ? 8 : 1)
        check_product(t, 16 + n, n, t->quick ? 64 : 544, TEST_PLAIN);
    for (int values = 0; b && values < TEST_VALUES; values++)
        check_product(t, 16, 6, t->quick ? 64 : 288, (enum test_values)values);
    check_one_column(t);
    /* longer than scratch memory has room for, whatever is kept of a column */
    if (b && !t->quick)
        check_product(t, 2, 2, 262144 + 96, TEST_PLAIN);
    /* many columns and long ones: more than a kernel packs at once */
    if (t->quick) {
        check_product(t, 2, 5, 1056, TEST_PLAIN);
    } else {
        check_product(t, 3, 2, 8192, TEST_PLAIN);
        check_product(t, 37, 37, 2080, TEST_PLAIN);
        check_product(t, 5, 130, 64, TEST_PLAIN);
    }
}

#define MATMUL(name, format)                                                   \
    {                                                                          \
        "matmul_" name, offsetof(struct clsa_simd, matmul[format]), format,    \
            check_matmul                                                       \
    }

const struct kernel matmul_kernels[] = {
    MATMUL("f32", CLSA_F32),       MATMUL("f16", CLSA_F16),
    MATMUL("bf16", CLSA_BF16),     MATMUL("q8_0", CLSA_Q8_0),
    MATMUL("q4_0", CLSA_Q4_0),     MATMUL("q4_k", CLSA_Q4_K),
    MATMUL("q6_k", CLSA_Q6_K),     MATMUL("q4_1", CLSA_Q4_1),
    MATMUL("q5_0", CLSA_Q5_0),     MATMUL("q5_1", CLSA_Q5_1),
    MATMUL("q2_k", CLSA_Q2_K),     MATMUL("q3_k", CLSA_Q3_K),
    MATMUL("q5_k", CLSA_Q5_K),     MATMUL("iq4_nl", CLSA_IQ4_NL),
    MATMUL("iq4_xs", CLSA_IQ4_XS), {0},
};
