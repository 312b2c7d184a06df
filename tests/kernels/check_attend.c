/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of attend and attend_combine: against the scalar versions, and the two
 * invariants that the engine builds on, bit for bit: the result depends on
 * the rows and their order but not on where they lie, and a head's result
 * does not depend on the other heads of the call.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "simd/scalar.h"
#include "tests/kernels/kernels.h"

enum score_kind {
    SCORE_PLAIN,
    SCORE_WHOLE, /* q and k are whole numbers: scores are exact */
    SCORE_TIES,  /* and all the same */
    SCORE_FAR,   /* +1e4 for one row, -1e4 for others: exact too */
    SCORE_ZERO,  /* q is zero */
    SCORE_KINDS
};

struct attention {
    enum clsa_format format;
    enum score_kind kind;
    size_t r, e, row_bytes;
    float *q, *got, *want, *other;
    float cap;                       /* of scores; 0: none */
    struct clsa_rows packed, spread; /* the same rows in two places */
};

static void encode(const struct test *t, const struct attention *a, void *row,
                   const float *x)
{
    t->ref->store[a->format](row, x, a->e);
}

/* A Q8_0 block of scale 1 holds whole numbers as they are. */
static void encode_whole(const struct test *t, const struct attention *a,
                         void *row, const float *x)
{
    if (a->format != CLSA_Q8_0) {
        encode(t, a, row, x);
        return;
    }
    uint8_t *block = row;
    for (size_t i = 0; i < a->e; i++) {
        if (i % CLSA_BLOCK == 0) {
            block = (uint8_t *)row + i / CLSA_BLOCK * CLSA_Q8_0_BYTES;
            clsa_write_u16(block, 0x3c00);
        }
        block[2 + i % CLSA_BLOCK] = (uint8_t)(int8_t)x[i];
    }
}

static void fill_queries(const struct attention *a)
{
    const size_t count = a->r * a->e;
    switch (a->kind) {
    case SCORE_PLAIN:
        for (size_t i = 0; i < count; i++)
            a->q[i] = test_uniform(-3, 3) / sqrtf((float)a->e);
        break;
    case SCORE_ZERO:
        test_fill(a->q, count, TEST_ZEROS);
        break;
    case SCORE_FAR: /* the scores are 100 * the first value of a key */
        memset(a->q, 0, count * sizeof *a->q);
        for (size_t j = 0; j < a->r; j++)
            a->q[j * a->e] = 100;
        break;
    default:
        test_fill(a->q, count, TEST_INTEGERS);
        break;
    }
}

/* k and v are rows of e floats, for row i of n. */
static void fill_row(const struct attention *a, size_t i, size_t n, float *k,
                     float *v)
{
    test_fill(v, a->e, TEST_PLAIN);
    switch (a->kind) {
    case SCORE_PLAIN:
        test_fill(k, a->e, TEST_PLAIN);
        break;
    case SCORE_TIES:
        test_fill(k, a->e, TEST_ONES);
        break;
    default:
        test_fill(k, a->e, TEST_INTEGERS);
        break;
    }
    if (a->kind == SCORE_FAR)
        k[0] = i == n / 2 ? 100.0f : i % 3 ? -100.0f : 99.0f;
}

/* 0..places-1 in random order; the first n of it. */
static void shuffle(uint32_t *order, size_t n, size_t places)
{
    uint32_t all[2 * CLSA_ATTEND_ROWS];
    for (uint32_t i = 0; i < places; i++)
        all[i] = i;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t j = i + test_below((uint32_t)places - i);
        order[i] = all[j];
        all[j] = all[i];
    }
}

static void make_rows(const struct test *t, struct attention *a, size_t n)
{
    const size_t size = test_alignment(a->format), row = a->row_bytes / size;
    const size_t stride = row + test_below(20);
    const size_t places = n + test_below((uint32_t)n + 1);
    float x[2][CLSA_ATTEND_SIZE];

    uint32_t *order = test_input("order", n, sizeof *order);
    shuffle(order, n, places);
    char *pk = test_input("k", n * row, size);
    char *pv = test_input("v", n * row, size);
    /* rows of poison, except for those of the list */
    char *sk = test_input("k spread", (places - 1) * stride + row, size);
    char *sv = test_input("v spread", (places - 1) * stride + row, size);
    for (size_t i = 0; i < n; i++) {
        const size_t to = i * a->row_bytes, at = order[i] * stride * size;
        fill_row(a, i, n, x[0], x[1]);
        if (a->kind == SCORE_PLAIN)
            encode(t, a, pk + to, x[0]);
        else
            encode_whole(t, a, pk + to, x[0]);
        encode(t, a, pv + to, x[1]);
        memcpy(sk + at, pk + to, a->row_bytes);
        memcpy(sv + at, pv + to, a->row_bytes);
    }
    a->packed = (struct clsa_rows){
        .k = pk, .v = pv, .stride = a->row_bytes, .n = n, .cap = a->cap};
    a->spread = (struct clsa_rows){.k = sk,
                                   .v = sv,
                                   .stride = stride * size,
                                   .order = order,
                                   .n = n,
                                   .cap = a->cap};
}

static void make_attention(const struct test *t, struct attention *a, size_t n)
{
    const size_t count = a->r * (a->e + 2);
    a->row_bytes = clsa_format_bytes(a->format, a->e);
    a->q = test_input("q", a->r * a->e, sizeof *a->q);
    fill_queries(a);
    make_rows(t, a, n);
    a->got = test_output("out", count, sizeof *a->got);
    a->want = test_output("out of ref", count, sizeof *a->want);
    a->other = test_output("out again", count, sizeof *a->other);
    a->packed.scratch = a->spread.scratch = test_scratch();
    test_seal();
}

/* Scores of one head in double; returns the largest sum of |terms|. */
static double exact_scores(const struct attention *a, const float *q,
                           const float *k, double *s)
{
    double most = 0;
    for (size_t i = 0; i < a->packed.n; i++) {
        double terms = 0;
        s[i] = 0;
        for (size_t j = 0; j < a->e; j++) {
            const double term = (double)q[j] * (double)k[i * a->e + j];
            s[i] += term;
            terms += fabs(term);
        }
        most = fmax(most, terms);
    }
    return most;
}

/*
 * One head. Where scores are not exact, their own error (4 units in the last
 * place of the sum of |terms|) comes on top of the bound, for both sides of
 * s_i - m.
 */
static void compare_head(const struct test *t, const struct attention *a,
                         size_t head, const float *k, const float *v)
{
    const size_t n = a->packed.n, e = a->e, at = head * (e + 2);
    const float *got = a->got + at, *want = a->want + at;
    double s[CLSA_ATTEND_ROWS], max = -INFINITY, sum = 0;
    double terms = exact_scores(a, a->q + head * e, k, s);

    if (a->kind != SCORE_PLAIN)
        terms = 0;
    const double cap = (double)a->cap, off = 0x1p-22 * terms + 1e-6 * cap;
    for (size_t i = 0; i < n; i++) {
        s[i] = cap > 0 ? cap * tanh(s[i] / cap) : s[i];
        max = fmax(max, s[i]);
    }
    for (size_t i = 0; i < n; i++)
        sum += s[i] = exp(s[i] - max);
    const double rel = 4e-6 + 2 * off;
    const double least = (double)FLT_MIN * (double)n;
    for (size_t j = 0; j < e; j++) {
        double value = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            value += s[i] * (double)v[i * e + j];
            size += s[i] * fabs((double)v[i * e + j]);
        }
        test_near(t, "out", at + j, got[j], want[j], value, rel * size + least);
    }
    test_near(t, "max", at + e, got[e], want[e], max, off);
    test_near(t, "sum", at + e + 1, got[e + 1], want[e + 1], sum, rel * sum);
}

static void compare(const struct test *t, const struct attention *a)
{
    const size_t n = a->packed.n, e = a->e;
    float *k = test_output("k as floats", n * e, sizeof *k);
    float *v = test_output("v as floats", n * e, sizeof *v);

    t->ref->load[a->format](k, a->packed.k, n * e);
    t->ref->load[a->format](v, a->packed.v, n * e);
    for (size_t j = 0; j < a->r; j++)
        compare_head(t, a, j, k, v);
}

static void compare_alone(const struct test *t, const struct attention *a)
{
    t->simd->attend[a->format](a->other, a->q, a->r, a->e, &a->spread);
    test_same_floats("out of rows elsewhere", a->got, a->other,
                     a->r * (a->e + 2));
    for (size_t j = 0; j < a->r; j++) {
        t->simd->attend[a->format](a->other, a->q + j * a->e, 1, a->e,
                                   &a->packed);
        test_same_floats("out of a head alone", a->got + j * (a->e + 2),
                         a->other, a->e + 2);
    }
}

static void run_attend(const struct clsa_simd *table, void *arg)
{
    const struct attention *a = arg;
    table->attend[a->format](a->got, a->q, a->r, a->e, &a->packed);
}

static void check_capped_case(const struct test *t, size_t n, size_t r,
                              size_t e, enum score_kind kind, float cap)
{
    for (int where = 0; where < test_placements(t); where++) {
        struct attention a = {
            .format = t->format, .kind = kind, .r = r, .e = e, .cap = cap};
        test_case("rows %zu, heads %zu, e %zu, kind %d, cap %g, placement %d",
                  n, r, e, (int)kind, (double)cap, where);
        test_reset((enum test_placement)where);
        make_attention(t, &a, n);
        t->ref->attend[a.format](a.want, a.q, r, e, &a.packed);
        run_attend(t->simd, &a);
        compare(t, &a);
        compare_alone(t, &a);
        test_intact();
    }
}

static void check_attend_case(const struct test *t, size_t n, size_t r,
                              size_t e, enum score_kind kind)
{
    check_capped_case(t, n, r, e, kind, 0);
}

static void check_attend(struct test *t)
{
    static const size_t float_e[] = {8, 16, 24, 40, 64, 72, 128, 256, 512};
    static const size_t block_e[] = {32, 64, 96, 128, 256, 512};
    static const size_t rows[] = {1,  2,  3,  4,  5,  7,  8,   9,  15,
                                  16, 17, 31, 33, 64, 65, 255, 256};
    const bool blocks = t->format == CLSA_Q8_0;
    const size_t *e = blocks ? block_e : float_e;
    const size_t count = blocks ? TEST_COUNT(block_e) : TEST_COUNT(float_e);

    for (size_t i = 0; i < TEST_COUNT(rows) - 5 * t->quick; i++)
        for (size_t j = 0; j < (t->quick ? 1 : count); j++)
            check_attend_case(t, rows[i], 1 + test_below(t->quick ? 3 : 6),
                              e[j], SCORE_PLAIN);
    for (size_t j = 0; j < count; j++)
        check_attend_case(t, t->quick ? 3 : 6, 2, e[j], SCORE_PLAIN);
    for (size_t r = 1; r <= CLSA_ATTEND_HEADS; r++)
        check_attend_case(t, t->quick ? 3 : 19, r, 32, SCORE_PLAIN);
    for (int kind = 0; kind < SCORE_KINDS; kind++)
        check_attend_case(t, t->quick ? 11 : 100, 3, 64, (enum score_kind)kind);
    for (size_t i = 0; i < TEST_COUNT(rows) - 5 * t->quick; i++)
        check_capped_case(t, rows[i], 1 + i % 5, 64, SCORE_PLAIN, 1.5f);
}

/* ----------------------------------------------------------------- score */

/* Against the exact scores, then elsewhere and row by row, bit for bit. */
static void compare_scores(const struct test *t, const struct attention *a,
                           const float *got, const float *want, float *other)
{
    const size_t n = a->packed.n, e = a->e;
    struct clsa_rows one = {.n = 1};
    double s[CLSA_ATTEND_ROWS];
    float *k = test_output("k as floats", n * e, sizeof *k);

    t->ref->load[a->format](k, a->packed.k, n * e);
    double most = exact_scores(a, a->q, k, s);
    for (size_t i = 0; i < n; i++)
        test_near(t, "score", i, got[i], want[i], s[i],
                  1e-6 * sqrt((double)e) * most + (double)FLT_MIN);
    t->simd->score[a->format](other, a->q, e, &a->spread);
    test_same_floats("scores of rows elsewhere", got, other, n);
    for (size_t i = 0; i < n; i++) {
        one.k = (const char *)a->packed.k + i * a->row_bytes;
        t->simd->score[a->format](other + i, a->q, e, &one);
    }
    test_same_floats("scores of rows alone", got, other, n);
}

static void check_score_case(const struct test *t, size_t n, size_t e,
                             enum score_kind kind)
{
    for (int where = 0; where < test_placements(t); where++) {
        struct attention a = {
            .format = t->format, .kind = kind, .r = 1, .e = e};
        test_case("rows %zu, e %zu, kind %d, placement %d", n, e, (int)kind,
                  where);
        test_reset((enum test_placement)where);
        make_attention(t, &a, n);
        float *got = test_output("scores", n, sizeof *got);
        float *want = test_output("scores of ref", n, sizeof *want);
        float *other = test_output("scores again", n, sizeof *other);
        t->ref->score[a.format](want, a.q, e, &a.packed);
        t->simd->score[a.format](got, a.q, e, &a.packed);
        compare_scores(t, &a, got, want, other);
        test_intact();
    }
}

static void check_score(struct test *t)
{
    static const size_t float_e[] = {8, 16, 24, 40, 64, 128, 256};
    static const size_t block_e[] = {32, 64, 96, 128, 256};
    static const size_t rows[] = {1, 2, 7, 8, 9, 15, 16, 17, 33, 100};
    const bool blocks = t->format == CLSA_Q8_0;
    const size_t *e = blocks ? block_e : float_e;
    const size_t count = blocks ? TEST_COUNT(block_e) : TEST_COUNT(float_e);

    for (size_t i = 0; i < TEST_COUNT(rows) - 3 * t->quick; i++)
        for (size_t j = 0; j < (t->quick ? 2 : count); j++)
            check_score_case(t, rows[i], e[j], SCORE_PLAIN);
    for (int kind = 0; kind < SCORE_KINDS; kind++)
        check_score_case(t, 19, 64, (enum score_kind)kind);
}

/* --------------------------------------------------------------- combine */

struct combine {
    size_t n, ld, e;
    float *y, *want;
    const float *part;
};

static void run_combine(const struct clsa_simd *table, void *arg)
{
    const struct combine *m = arg;
    table->attend_combine(m->y, m->part, m->n, m->ld, m->e);
}

/* Partials whose maxima lie within `range` of each other. */
static void make_combine(struct combine *m, float range)
{
    const size_t count = (m->n - 1) * m->ld + m->e + 2;
    float *part = test_input("part", count, sizeof *part);
    for (size_t i = 0; i < m->n; i++) {
        float *p = part + i * m->ld;
        const float sum = test_uniform(1, CLSA_ATTEND_ROWS);
        for (size_t j = 0; j < m->e; j++)
            p[j] = test_uniform(-sum, sum);
        p[m->e] = range > 0 ? test_uniform(-range, range) : 3.0f;
        p[m->e + 1] = sum;
    }
    m->part = part;
    m->y = test_output("y", m->e, sizeof *m->y);
    m->want = test_output("y of ref", m->e, sizeof *m->want);
    test_seal();
}

static void compare_combine(const struct test *t, const struct combine *m)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < m->n; i++)
        max = fmax(max, (double)m->part[i * m->ld + m->e]);
    for (size_t i = 0; i < m->n; i++) {
        const float *p = m->part + i * m->ld + m->e;
        sum += exp((double)p[0] - max) * (double)p[1];
    }
    for (size_t j = 0; j < m->e; j++) {
        double value = 0, terms = 0;
        for (size_t i = 0; i < m->n; i++) {
            const float *p = m->part + i * m->ld;
            const double scale = exp((double)p[m->e] - max) / sum;
            value += scale * (double)p[j];
            terms += scale * fabs((double)p[j]);
        }
        test_near(t, "y", j, m->y[j], m->want[j], value,
                  4e-6 * terms + (double)FLT_MIN);
    }
}

static void check_combine_case(const struct test *t, size_t n, size_t e,
                               float range)
{
    for (int where = 0; where < test_placements(t); where++) {
        struct combine m = {.n = n, .e = e, .ld = e + 2 + test_below(5)};
        test_case("n %zu, e %zu, ld %zu, range %g, placement %d", n, e, m.ld,
                  (double)range, where);
        test_reset((enum test_placement)where);
        make_combine(&m, range);
        t->ref->attend_combine(m.want, m.part, n, m.ld, e);
        run_combine(t->simd, &m);
        compare_combine(t, &m);
        test_intact();
    }
}

static void check_combine(struct test *t)
{
    static const size_t parts[] = {1, 2, 3, 7, 8, 9, 17, 100, 513};
    static const size_t sizes[] = {8, 16, 24, 64, 72, 128, 256};
    static const float ranges[] = {0, 5, 100, 1e4f};

    for (size_t i = 0; i < TEST_COUNT(parts) - 2 * t->quick; i++)
        for (size_t j = 0; j < TEST_COUNT(sizes); j++)
            for (size_t k = 0; k < TEST_COUNT(ranges); k++)
                check_combine_case(t, parts[i], sizes[j], ranges[k]);
}

/* ------------------------------------------------------------- accumulate */

/* One head of a sum against both sums in double. */
static void compare_accumulate(const struct test *t, const float *before,
                               const float *part, size_t at, const float *got,
                               const float *want, size_t e)
{
    const double max = fmax((double)before[e], (double)part[e]);
    const double old = exp((double)before[e] - max);
    const double new = exp((double)part[e] - max);
    for (size_t j = 0; j < e + 2; j++) {
        const double x = old * (double)before[j], y = new *(double)part[j];
        if (j == e)
            test_near(t, "max", at + j, got[j], want[j], max, 0);
        else
            test_near(t, "sum", at + j, got[j], want[j], x + y,
                      4e-6 * (fabs(x) + fabs(y)) + (double)FLT_MIN);
    }
}

/* Heads whose maxima lie within `range`, at both sides of each other. */
static void fill_partials(float *x, size_t n, size_t ld, size_t e, float range)
{
    for (size_t h = 0; h < n; h++) {
        test_fill(x + h * ld, e + 2, TEST_PLAIN);
        x[h * ld + e] = range > 0 ? test_uniform(-range, range) : 3.0f;
        x[h * ld + e + 1] = test_uniform(1, CLSA_ATTEND_ROWS);
    }
}

static void check_accumulate_case(const struct test *t, size_t n, size_t e,
                                  float range)
{
    for (int where = 0; where < test_placements(t); where++) {
        const size_t ld = e + 2 + test_below(5), count = (n - 1) * ld + e + 2;
        test_case("n %zu, e %zu, range %g, placement %d", n, e, (double)range,
                  where);
        test_reset((enum test_placement)where);
        float *before = test_input("before", count, sizeof *before);
        float *part = test_input("part", n * (e + 2), sizeof *part);
        fill_partials(before, n, ld, e, range);
        fill_partials(part, n, e + 2, e, range);
        float *got = test_output("sum", count, sizeof *got);
        float *want = test_output("sum of ref", count, sizeof *want);
        float *alone = test_output("sum of a head", e + 2, sizeof *alone);
        test_seal();
        memcpy(got, before, count * sizeof *got);
        memcpy(want, before, count * sizeof *want);
        t->ref->attend_accumulate(want, ld, part, n, e);
        t->simd->attend_accumulate(got, ld, part, n, e);
        for (size_t h = 0; h < n; h++) {
            compare_accumulate(t, before + h * ld, part + h * (e + 2), h * ld,
                               got + h * ld, want + h * ld, e);
            memcpy(alone, before + h * ld, (e + 2) * sizeof *alone);
            t->simd->attend_accumulate(alone, ld, part + h * (e + 2), 1, e);
            test_same_floats("sum of a head alone", got + h * ld, alone, e + 2);
        }
        test_intact();
    }
}

static void check_accumulate(struct test *t)
{
    static const size_t heads[] = {1, 2, 3, 4, 7, 8, CLSA_ATTEND_HEADS};
    static const size_t sizes[] = {8, 16, 24, 64, 72, 128, 256};
    static const float ranges[] = {0, 5, 100, 1e4f};

    for (size_t i = 0; i < TEST_COUNT(heads) - 2 * t->quick; i++)
        for (size_t j = 0; j < TEST_COUNT(sizes); j++)
            for (size_t k = 0; k < TEST_COUNT(ranges); k++)
                check_accumulate_case(t, heads[i], sizes[j], ranges[k]);
}

#define ATTEND(name, format)                                                   \
    {                                                                          \
        "attend_" name, offsetof(struct clsa_simd, attend[format]), format,    \
            check_attend                                                       \
    }

#define SCORE(name, format)                                                    \
    {                                                                          \
        "score_" name, offsetof(struct clsa_simd, score[format]), format,      \
            check_score                                                        \
    }

const struct kernel attend_kernels[] = {
    ATTEND("f32", CLSA_F32),
    ATTEND("f16", CLSA_F16),
    ATTEND("bf16", CLSA_BF16),
    ATTEND("q8_0", CLSA_Q8_0),
    SCORE("f32", CLSA_F32),
    SCORE("f16", CLSA_F16),
    SCORE("bf16", CLSA_BF16),
    SCORE("q8_0", CLSA_Q8_0),
    {"attend_combine", offsetof(struct clsa_simd, attend_combine), CLSA_F32,
     check_combine},
    {"attend_accumulate", offsetof(struct clsa_simd, attend_accumulate),
     CLSA_F32, check_accumulate},
    {0},
};
