/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of the index: quantization of rows, the three scans, and the filter
 * of candidates. Integer scores and candidates are compared bit for bit; each
 * key's score also with that of a scan over this key alone.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "simd/scalar.h"
#include "tests/kernels/kernels.h"

/* ---------------------------------------------------------- quantize_row */

enum key_kind {
    KEY_PLAIN,
    KEY_HALVES, /* x * (127 / amax) ends in .5 */
    KEY_ZERO,   /* +0 and -0 */
    KEY_LEAST,  /* amax is FLT_MIN or subnormal: quantized to nothing */
    KEY_TINY,   /* 127 / amax is infinite */
    KEY_HUGE,   /* up to FLT_MAX */
    KEY_KINDS
};

struct key {
    int8_t *q;
    float *scale;
    const float *x;
    size_t len;
    float limit;
};

static float key_value(enum key_kind kind, size_t i)
{
    switch (kind) {
    case KEY_HALVES:
        return i ? (float)((int)test_below(254) - 127) + 0.5f : -127.0f;
    case KEY_ZERO:
        return test_below(2) ? 0.0f : -0.0f;
    case KEY_LEAST:
        return i ? ldexpf(test_uniform(-1, 1), -126) : FLT_MIN;
    case KEY_TINY:
        return (float)((int)test_below(3) - 1) * 1e-37f;
    case KEY_HUGE:
        return test_below(4) ? ldexpf(test_uniform(-1, 1), 127)
                             : (i % 2 ? FLT_MAX : -FLT_MAX);
    default:
        return test_uniform(-3, 3);
    }
}

static void run_quantize_row(const struct clsa_simd *table, void *arg)
{
    const struct key *k = arg;
    table->quantize_row(k->q, k->scale, k->x, k->len, k->limit);
}

static void make_key(struct key *k, const float *x, size_t len, float limit)
{
    k->limit = limit;
    k->x = x;
    k->len = len;
    k->q = test_output("q", len, sizeof *k->q);
    k->scale = test_output("scale", 1, sizeof *k->scale);
}

static void compare_keys(const struct key *got, const struct key *want)
{
    test_same_floats("scale", got->scale, want->scale, 1);
    test_same_bytes("q", got->q, want->q, got->len, sizeof *got->q);
}

static void check_key(const struct test *t, size_t len, enum key_kind kind,
                      float limit)
{
    for (int where = 0; where < test_placements(t); where++) {
        struct key got, want;
        test_case("len %zu, kind %d, limit %g, placement %d", len, (int)kind,
                  (double)limit, where);
        test_reset((enum test_placement)where);
        float *x = test_input("x", len, sizeof *x);
        for (size_t i = 0; i < len; i++)
            x[i] = key_value(kind, i);
        make_key(&got, x, len, limit);
        make_key(&want, x, len, limit);
        test_seal();
        run_quantize_row(t->ref, &want);
        run_quantize_row(t->simd, &got);
        compare_keys(&got, &want);
        test_intact();
    }
}

static const size_t lens[] = {32, 64, 128, 1,  2,  7,   8,   9,   15,  16,  17,
                              31, 33, 48,  65, 96, 100, 130, 256, 655, 1024};

static void check_quantize_row(struct test *t)
{
    for (size_t i = 0; i < TEST_COUNT(lens); i++)
        for (int kind = 0; kind < KEY_KINDS; kind++)
            check_key(t, lens[i], (enum key_kind)kind, i % 2 ? 127 : 64);
}

/* ----------------------------------------------------------------- scans */

/* Keys of F32, BF16, or of 8 bits, for which format is Q8_0. */
struct scan {
    enum clsa_format format;
    size_t n, len;
    float *got, *want;
    const void *keys;
    const float *scales;
    struct clsa_index_query query;
    enum test_values values;
};

static void scan(const struct clsa_simd *table, float *score,
                 const struct scan *s, size_t first, size_t n)
{
    switch (s->format) {
    case CLSA_F32:
        table->scan_f32(score, (const float *)s->keys + first * s->len, n,
                        s->len, &s->query);
        break;
    case CLSA_BF16:
        table->scan_bf16(score, (const uint16_t *)s->keys + first * s->len, n,
                         s->len, &s->query);
        break;
    default:
        table->scan_i8(score, (const int8_t *)s->keys + first * s->len,
                       s->scales + first, n, s->len, &s->query);
        break;
    }
}

static void run_scan(const struct clsa_simd *table, void *arg)
{
    const struct scan *s = arg;
    scan(table, s->got, s, 0, s->n);
}

/* The largest |q| that the contract allows for a length. */
static int32_t query_limit(size_t len)
{
    const int64_t limit = (((int64_t)1 << 31) - 1) / (127 * (int64_t)len);
    return (int32_t)(limit < INT16_MAX ? limit : INT16_MAX);
}

static int32_t signed_value(int32_t limit, enum test_values values, size_t i)
{
    switch (values) {
    case TEST_ONES:
        return limit;
    case TEST_SIGNS:
        return i % 2 ? limit : -limit;
    case TEST_WIDE: /* the ends */
        return test_below(2) ? limit : -limit;
    case TEST_ZEROS:
        return 0;
    default:
        return (int32_t)test_below(2 * (uint32_t)limit + 1) - limit;
    }
}

static void make_integers(struct scan *s)
{
    const int32_t limit = query_limit(s->len);
    int16_t *q = test_input("query", s->len, sizeof *q);
    int8_t *keys = test_input("keys", s->n * s->len, sizeof *keys);
    float *scales = test_input("scales", s->n, sizeof *scales);
    for (size_t i = 0; i < s->len; i++)
        q[i] = (int16_t)signed_value(limit, s->values, i);
    for (size_t i = 0; i < s->n * s->len; i++)
        keys[i] = (int8_t)signed_value(127, s->values, i % s->len);
    test_fill(scales, s->n, s->values);
    s->query.q = q;
    s->query.scale = test_uniform(0x1p-12f, 0x1p-8f);
    s->keys = keys;
    s->scales = scales;
}

static void make_floats(struct scan *s)
{
    const size_t size = s->format == CLSA_F32 ? 4 : 2;
    float *x = test_input("query", s->len, sizeof *x);
    void *keys = test_input("keys", s->n * s->len, size);
    test_fill(x, s->len, s->values);
    test_fill_format(keys, s->format, s->n * s->len, s->values);
    s->query.x = x;
    s->keys = keys;
}

static void make_scan(struct scan *s)
{
    if (s->format == CLSA_Q8_0)
        make_integers(s);
    else
        make_floats(s);
    s->got = test_output("scores", s->n, sizeof *s->got);
    s->want = test_output("scores of ref", s->n, sizeof *s->want);
    test_seal();
}

static void compare_scan(const struct test *t, const struct scan *s)
{
    if (s->format == CLSA_Q8_0) {
        test_same_floats("score", s->got, s->want, s->n);
        return;
    }
    float *key = test_output("key", s->len, sizeof *key);
    for (size_t i = 0; i < s->n; i++) {
        double sum = 0, terms = 0;
        t->ref->load[s->format](key,
                                (const char *)s->keys +
                                    i * clsa_format_bytes(s->format, s->len),
                                s->len);
        for (size_t j = 0; j < s->len; j++) {
            const double term = (double)s->query.x[j] * (double)key[j];
            sum += term;
            terms += fabs(term);
        }
        test_near(t, "score", i, s->got[i], s->want[i], sum,
                  1e-6 * sqrt((double)s->len) * terms +
                      (double)s->len * (double)FLT_MIN);
    }
}

static void compare_alone(const struct test *t, const struct scan *s)
{
    float *alone = test_output("score of one", 1, sizeof *alone);
    for (size_t i = 0; i < s->n; i++) {
        scan(t->simd, alone, s, i, 1);
        test_same_floats("score of a key alone", &s->got[i], alone, 1);
    }
}

static void check_scan_case(const struct test *t, size_t n, size_t len,
                            enum test_values values)
{
    for (int where = 0; where < test_placements(t); where++) {
        struct scan s = {
            .format = t->format, .n = n, .len = len, .values = values};
        test_case("n %zu, len %zu, values %d, placement %d", n, len,
                  (int)values, where);
        test_reset((enum test_placement)where);
        make_scan(&s);
        scan(t->ref, s.want, &s, 0, n);
        run_scan(t->simd, &s);
        compare_scan(t, &s);
        compare_alone(t, &s);
        test_intact();
    }
}

static void check_scan(struct test *t)
{
    static const size_t counts[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,
                                    15, 16, 17, 31, 33, 64, 65, 257};

    for (size_t i = 0; i < TEST_COUNT(counts); i++)
        for (size_t j = 0; j < (t->quick ? 1 : 3); j++)
            check_scan_case(t, counts[i], lens[j], TEST_PLAIN);
    for (size_t j = 0; j < TEST_COUNT(lens) - t->quick; j++)
        check_scan_case(t, 3 + test_below(8), lens[j], TEST_PLAIN);
    for (int values = 0; values < TEST_VALUES; values++)
        for (size_t j = 0; j < (t->quick ? 2 : TEST_COUNT(lens)); j++)
            check_scan_case(t, 9, lens[j], (enum test_values)values);
}

/* -------------------------------------------------- scans by several heads */

struct heads_scan {
    size_t n, len;
    float *got, *want;
    const int8_t *keys;
    const float *scales;
    struct clsa_index_heads query;
};

static void scan_heads(const struct clsa_simd *table, float *score,
                       const struct heads_scan *s, size_t first, size_t n)
{
    table->scan_heads(score, s->keys + first * s->len, s->scales + first, n,
                      s->len, &s->query);
}

static void make_heads(struct heads_scan *s, size_t heads,
                       enum test_values values)
{
    const size_t ldq =
        (s->len + CLSA_HEADS_UNIT - 1) / CLSA_HEADS_UNIT * CLSA_HEADS_UNIT;
    int8_t *q = test_input("query", heads * ldq, sizeof *q);
    int8_t *keys = test_input("keys", s->n * s->len, sizeof *keys);
    float *scales = test_input("scales", s->n, sizeof *scales);
    int32_t *sum = test_input("sums", heads, sizeof *sum);
    float *weight = test_input("weights", heads, sizeof *weight);
    for (size_t i = 0; i < s->n * s->len; i++)
        keys[i] = (int8_t)signed_value(127, values, i % s->len);
    for (size_t h = 0; h < heads; h++) {
        sum[h] = 0;
        for (size_t i = 0; i < ldq; i++)
            q[h * ldq + i] =
                (int8_t)(i < s->len ? signed_value(127, values, i + h) : 0);
        for (size_t i = 0; i < s->len; i++)
            sum[h] += q[h * ldq + i];
        weight[h] = test_uniform(-1, 1);
    }
    test_fill(scales, s->n, values);
    s->keys = keys;
    s->scales = scales;
    s->query = (struct clsa_index_heads){heads, q, ldq, sum, weight};
    s->got = test_output("scores", s->n, sizeof *s->got);
    s->want = test_output("scores of ref", s->n, sizeof *s->want);
    test_seal();
}

static void check_heads_case(const struct test *t, struct heads_scan s,
                             size_t heads, enum test_values values)
{
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, len %zu, heads %zu, values %d, placement %d", s.n,
                  s.len, heads, (int)values, where);
        test_reset((enum test_placement)where);
        make_heads(&s, heads, values);
        scan_heads(t->ref, s.want, &s, 0, s.n);
        scan_heads(t->simd, s.got, &s, 0, s.n);
        test_same_floats("score", s.got, s.want, s.n);
        float *alone = test_output("score of one", 1, sizeof *alone);
        for (size_t i = 0; i < s.n; i++) {
            scan_heads(t->simd, alone, &s, i, 1);
            test_same_floats("score of a key alone", &s.got[i], alone, 1);
        }
        test_intact();
    }
}

static void check_scan_heads(struct test *t)
{
    static const size_t counts[] = {0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 40};
    static const size_t heads[] = {8, 1, 2, 4, 5, 7, 9, 12, 16, 19};
    static const size_t sizes[] = {64, 32, 8, 24, 40, 72, 96, 128, 200, 1024};

    for (size_t i = 0; i < TEST_COUNT(counts); i++)
        check_heads_case(t, (struct heads_scan){.n = counts[i], .len = 64}, 8,
                         TEST_PLAIN);
    for (size_t i = 0; i < TEST_COUNT(heads); i++)
        for (size_t j = 0; j < (t->quick ? 3 : TEST_COUNT(sizes)); j++)
            check_heads_case(t, (struct heads_scan){.n = 9, .len = sizes[j]},
                             heads[i], TEST_PLAIN);
    for (int values = 0; values < TEST_VALUES; values++)
        for (size_t j = 0; j < TEST_COUNT(sizes); j++)
            check_heads_case(t, (struct heads_scan){.n = 5, .len = sizes[j]}, 3,
                             (enum test_values)values);
}

/* ---------------------------------------------------------------- filter */

enum score_kind {
    SCORE_PLAIN,
    SCORE_TIES,  /* few values, the threshold among them */
    SCORE_EQUAL, /* all the threshold */
    SCORE_ZEROS, /* +0 and -0 */
    SCORE_ENDS,  /* infinities, largest and smallest numbers */
    SCORE_KINDS
};

struct candidates {
    uint64_t *out;
    const float *score;
    size_t n, m;
    uint32_t first;
    float threshold;
};

static float score_value(enum score_kind kind)
{
    static const float ends[] = {INFINITY, -INFINITY, FLT_MAX,   -FLT_MAX,
                                 FLT_MIN,  -FLT_MIN,  0x1p-149f, -0x1p-149f,
                                 0.0f,     -0.0f};
    switch (kind) {
    case SCORE_TIES:
        return (float)test_below(3) - 1.0f;
    case SCORE_EQUAL:
        return 0.5f;
    case SCORE_ZEROS:
        return test_below(2) ? 0.0f : -0.0f;
    case SCORE_ENDS:
        return ends[test_below(TEST_COUNT(ends))];
    default:
        return test_uniform(-1, 1);
    }
}

static void run_filter(const struct clsa_simd *table, void *arg)
{
    struct candidates *c = arg;
    c->m = table->filter(c->out, c->score, c->n, c->first, c->threshold);
}

static void compare_filter(const struct candidates *got,
                           const struct candidates *want)
{
    if (got->m != want->m)
        test_fail("candidates: expected %zu, got %zu", want->m, got->m);
    test_same_bytes("out", got->out, want->out, want->m, sizeof *got->out);
}

static void check_filter_case(const struct test *t, size_t n,
                              enum score_kind kind, float threshold)
{
    for (int where = 0; where < test_placements(t); where++) {
        struct candidates got = {.n = n, .threshold = threshold}, want;
        got.first =
            test_below(2) ? 0xffffffffu - (uint32_t)n : test_below(1u << 20);
        test_case("n %zu, kind %d, first %u, threshold %g, placement %d", n,
                  (int)kind, (unsigned)got.first, (double)threshold, where);
        test_reset((enum test_placement)where);
        float *score = test_input("score", n, sizeof *score);
        for (size_t i = 0; i < n; i++)
            score[i] = score_value(kind);
        got.score = score;
        want = got;
        got.out = test_output("out", n, sizeof *got.out);
        want.out = test_output("out of ref", n, sizeof *want.out);
        test_seal();
        run_filter(t->ref, &want);
        run_filter(t->simd, &got);
        compare_filter(&got, &want);
        test_intact();
    }
}

static void check_filter(struct test *t)
{
    static const float thresholds[] = {
        -INFINITY, INFINITY, 0.0f, -0.0f, 0.5f, 1.0f, -1.0f, 0.9f, -FLT_MAX,
    };
    static const size_t counts[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,   15,
                                    16, 17, 31, 32, 33, 63, 64, 65, 1000};

    for (size_t i = 0; i < TEST_COUNT(counts) - t->quick; i++)
        for (size_t j = 0; j < TEST_COUNT(thresholds); j += 1 + t->quick)
            for (int kind = 0; kind < SCORE_KINDS; kind++)
                check_filter_case(t, counts[i], (enum score_kind)kind,
                                  thresholds[j]);
}

const struct kernel index_kernels[] = {
    {"quantize_row", offsetof(struct clsa_simd, quantize_row), CLSA_F32,
     check_quantize_row},
    {"scan_f32", offsetof(struct clsa_simd, scan_f32), CLSA_F32, check_scan},
    {"scan_bf16", offsetof(struct clsa_simd, scan_bf16), CLSA_BF16, check_scan},
    {"scan_i8", offsetof(struct clsa_simd, scan_i8), CLSA_Q8_0, check_scan},
    {"scan_heads", offsetof(struct clsa_simd, scan_heads), CLSA_Q8_0,
     check_scan_heads},
    {"filter", offsetof(struct clsa_simd, filter), CLSA_F32, check_filter},
    {0},
};
