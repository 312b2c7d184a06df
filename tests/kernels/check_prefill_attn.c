/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of softmax_online and scale_add: against the scalar versions over
 * several tiles, and that keys which a query does not see have no influence,
 * bit for bit.
 */
#include <math.h>
#include <string.h>

#include "tests/kernels/kernels.h"

enum { KEYS = CLSA_TILE_KEYS };

/* The state of n queries at a level. */
struct queries {
    float *p, *max, *sum, *scale;
};

struct tile {
    size_t n;
    uint8_t *begin, *end;
    struct queries got, want;
};

static void make_queries(struct queries *q, size_t n)
{
    q->p = test_output("p", n * KEYS, sizeof *q->p);
    q->max = test_output("max", n, sizeof *q->max);
    q->sum = test_output("sum", n, sizeof *q->sum);
    q->scale = test_output("scale", n, sizeof *q->scale);
    for (size_t i = 0; i < n; i++) {
        q->max[i] = -INFINITY;
        q->sum[i] = 0;
    }
}

/* Ranges of all kinds: none, one key, all, from the first, to the last. */
static void make_ranges(struct tile *t)
{
    for (size_t i = 0; i < t->n; i++) {
        uint32_t a = test_below(KEYS + 1), b = test_below(KEYS + 1);
        const uint32_t kind = test_below(6);
        t->begin[i] = (uint8_t)(kind < 2 ? 0 : a < b ? a : b);
        t->end[i] = (uint8_t)(kind % 2 ? KEYS : a < b ? b : a);
        if (kind == 4)
            t->end[i] = t->begin[i];
    }
}

/* Scores of a tile; those that are not seen differ from level to level. */
static void make_scores(struct tile *t, float size)
{
    for (size_t i = 0; i < t->n * KEYS; i++) {
        const size_t key = i % KEYS, query = i / KEYS;
        const bool seen = key >= t->begin[query] && key < t->end[query];
        t->want.p[i] = t->got.p[i] = test_uniform(-size, size);
        if (!seen)
            t->got.p[i] = test_uniform(-1e30f, 1e30f);
    }
}

static void compare(const struct test *test, const char *what, const float *got,
                    const float *want, size_t n, float most)
{
    for (size_t i = 0; i < n; i++)
        test_near(test, what, i, got[i], want[i], (double)want[i],
                  4e-6 * (double)fmaxf(fabsf(want[i]), most));
}

static void online_tile(const struct test *test, struct tile *t, float size)
{
    make_scores(t, size);
    test->ref->softmax_online(t->want.p, t->n, t->begin, t->end, t->want.max,
                              t->want.sum, t->want.scale);
    test->simd->softmax_online(t->got.p, t->n, t->begin, t->end, t->got.max,
                               t->got.sum, t->got.scale);
    for (size_t i = 0; i < t->n * KEYS; i++) {
        const bool seen =
            i % KEYS >= t->begin[i / KEYS] && i % KEYS < t->end[i / KEYS];
        if (!seen && t->got.p[i] != 0.0f)
            test_fail("p[%zu]: %g of a key that is not seen", i,
                      (double)t->got.p[i]);
    }
    test_same_floats("max", t->got.max, t->want.max, t->n);
    /* below e^-16 absolute */
    compare(test, "p", t->got.p, t->want.p, t->n * KEYS, 1e-6f);
    compare(test, "scale", t->got.scale, t->want.scale, t->n, 1e-6f);
    compare(test, "sum", t->got.sum, t->want.sum, t->n, 1e-6f);
    memcpy(t->got.sum, t->want.sum, t->n * sizeof *t->got.sum);
}

static void check_softmax_online(struct test *test)
{
    static const size_t sizes[] = {0, 1, 2, 5, 16, 33};
    static const float scores[] = {0, 1, 10, 1000};
    for (size_t i = 0; i < TEST_COUNT(sizes); i++)
        for (int where = 0; where < test_placements(test); where++) {
            struct tile t = {.n = sizes[i]};
            test_reset((enum test_placement)where);
            t.begin = test_output("begin", t.n, 1);
            t.end = test_output("end", t.n, 1);
            make_queries(&t.got, t.n);
            make_queries(&t.want, t.n);
            for (size_t s = 0; s < TEST_COUNT(scores); s++) {
                test_case("n %zu, scores up to %g, placement %d", t.n,
                          (double)scores[s], where);
                make_ranges(&t);
                online_tile(test, &t, scores[s]);
                test_intact();
            }
        }
}

static void check_scale_add(struct test *test)
{
    static const size_t lengths[] = {8, 16, 24, 64, 128, 200};
    for (size_t i = 0; i < 3 * TEST_COUNT(lengths); i++)
        for (int where = 0; where < test_placements(test); where++) {
            const size_t len = lengths[i / 3], n = i % 3 * 2;
            test_case("n %zu, len %zu, placement %d", n, len, where);
            test_reset((enum test_placement)where);
            float *x = test_input("x", n * len, sizeof *x);
            float *scale = test_input("scale", n, sizeof *scale);
            float *y = test_output("y", n * len, sizeof *y);
            float *want = test_output("y of ref", n * len, sizeof *y);
            test_fill(x, n * len, TEST_PLAIN);
            test_fill(y, n * len, TEST_PLAIN);
            memcpy(want, y, n * len * sizeof *y);
            for (size_t j = 0; j < n; j++)
                scale[j] = j % 2 ? 0.0f : test_uniform(0, 1);
            test_seal();
            test->ref->scale_add(want, x, scale, n, len);
            test->simd->scale_add(y, x, scale, n, len);
            for (size_t j = 0; j < n * len; j++)
                test_near(test, "y", j, y[j], want[j], (double)want[j], 1e-6);
            test_intact();
        }
}

const struct kernel prefill_attn_kernels[] = {
    {"softmax_online", offsetof(struct clsa_simd, softmax_online), CLSA_F32,
     check_softmax_online},
    {"scale_add", offsetof(struct clsa_simd, scale_add), CLSA_F32,
     check_scale_add},
    {0},
};
