/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of the exact selection, the gather, argmax and softmax. All but
 * softmax are compared bit for bit.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "tests/kernels/kernels.h"

/* ---------------------------------------------------------------- select */

enum rank_kind {
    RANK_RANDOM,
    RANK_RISING, /* every candidate better than all before */
    RANK_FALLING,
    RANK_TIES, /* few different scores: the position decides */
    RANK_KINDS
};

static uint64_t rank_value(enum rank_kind kind, size_t i, size_t n)
{
    switch (kind) {
    case RANK_RISING:
        return clsa_rank((float)i - (float)n / 2, (uint32_t)i);
    case RANK_FALLING:
        return clsa_rank((float)n / 2 - (float)i, (uint32_t)i);
    case RANK_TIES:
        return clsa_rank((float)test_below(3) - 1.0f, (uint32_t)i);
    default:
        return clsa_rank(test_uniform(-1, 1), (uint32_t)i);
    }
}

static void check_select_case(const struct test *t, size_t n, size_t k,
                              enum rank_kind kind)
{
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, k %zu, kind %d, placement %d", n, k, (int)kind,
                  where);
        test_reset((enum test_placement)where);
        uint64_t *got = test_output("ranks", n, sizeof *got);
        uint64_t *want = test_output("ranks of ref", n, sizeof *want);
        uint64_t *copy = test_output("copy", n, sizeof *copy);
        for (size_t i = 0; i < n; i++)
            got[i] = want[i] = rank_value(kind, i, n);
        const size_t kept = t->ref->select(want, n, k, copy);
        const size_t m = t->simd->select(got, n, k, copy);
        if (m != kept)
            test_fail("kept: expected %zu, got %zu", kept, m);
        test_same_bytes("ranks", got, want, kept, sizeof *got);
        test_intact();
    }
}

static void check_select(struct test *t)
{
    static const size_t counts[] = {0,  1,  2,  3,  4,   5,    31,  32,
                                    33, 34, 63, 65, 127, 1000, 4097};
    for (size_t i = 0; i < TEST_COUNT(counts) - t->quick; i++)
        for (int kind = 0; kind < RANK_KINDS; kind++) {
            const size_t n = counts[i];
            const size_t ks[] = {1, 2, n / 3 + 1, n / 2 + 1, n, n + 1};
            for (size_t j = 0; j < TEST_COUNT(ks); j++)
                if (ks[j] > 0)
                    check_select_case(t, n, ks[j], (enum rank_kind)kind);
        }
}

/* ---------------------------------------------------------------- gather */

static void check_gather_case(const struct test *t, size_t n, size_t pieces,
                              size_t piece)
{
    const size_t slots = n + 3, row = pieces * piece;
    const unsigned char *from[41];
    uint32_t slot[41];
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, %zu pieces of %zu, placement %d", n, pieces, piece,
                  where);
        test_reset((enum test_placement)where);
        unsigned char *rows = test_input("rows", n * row + 1, 1);
        for (size_t i = 0; i < n * row + 1; i++)
            rows[i] = (unsigned char)test_below(256);
        unsigned char *got = test_output("to", pieces * slots * piece, 1);
        unsigned char *want =
            test_output("to of ref", pieces * slots * piece, 1);
        test_seal();
        for (size_t i = 0; i < n; i++) { /* any order, no slot twice */
            from[i] = rows + (n - 1 - i) * row;
            slot[i] = (uint32_t)((i * 7 + 2) % slots);
        }
        if (slots % 7 == 0)
            return;
        struct clsa_gather g = {.from = from,
                                .slot = slot,
                                .to = want,
                                .n = n,
                                .pieces = pieces,
                                .piece = piece,
                                .strip = slots * piece};
        t->ref->gather(&g);
        g.to = got;
        t->simd->gather(&g);
        test_same_bytes("to", got, want, pieces * slots * piece, 1);
        test_intact();
    }
}

static void check_gather(struct test *t)
{
    static const size_t counts[] = {0, 1, 2, 3, 5, 6, 17, 40};
    static const size_t sizes[] = {64, 128, 34, 68, 256, 16, 32, 136};
    for (size_t i = 0; i < TEST_COUNT(counts); i++)
        for (size_t j = 0; j < TEST_COUNT(sizes); j++)
            check_gather_case(t, counts[i], 1 + 3 * (j % 2), sizes[j]);
}

/* ---------------------------------------------------------------- argmax */

static const size_t lens[] = {1,  2,  3,  7,  8,  9,  15,  16,  17,
                              31, 32, 33, 63, 64, 65, 100, 1000};

static void check_argmax_case(const struct test *t, size_t n,
                              enum test_values values)
{
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, values %d, placement %d", n, (int)values, where);
        test_reset((enum test_placement)where);
        float *x = test_input("x", n, sizeof *x);
        test_fill(x, n, values);
        test_seal();
        const size_t want = t->ref->argmax(x, n);
        const size_t got = t->simd->argmax(x, n);
        if (got != want)
            test_fail("argmax: expected %zu, got %zu", want, got);
        test_intact();
    }
}

static void check_argmax(struct test *t)
{
    for (size_t i = 0; i < TEST_COUNT(lens) - t->quick; i++)
        for (int values = 0; values < TEST_VALUES; values++)
            check_argmax_case(t, lens[i], (enum test_values)values);
}

/* --------------------------------------------------------------- softmax */

static void check_softmax_case(const struct test *t, size_t n, float scale,
                               bool alias)
{
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, scale %g, alias %d, placement %d", n, (double)scale,
                  alias, where);
        test_reset((enum test_placement)where);
        float *x = test_input("x", n, sizeof *x);
        float *got = test_output("y", n, sizeof *got);
        float *want = test_output("y of ref", n, sizeof *want);
        for (size_t i = 0; i < n; i++)
            x[i] = got[i] = test_uniform(-8, 8);
        test_seal();
        const float ref_sum = t->ref->softmax(want, x, n, scale);
        const float sum = t->simd->softmax(got, alias ? got : x, n, scale);
        const double max = (double)x[t->ref->argmax(x, n)];
        double exact_sum = 0;
        for (size_t i = 0; i < n; i++) {
            const double exact = exp(((double)x[i] - max) * (double)scale);
            exact_sum += exact;
            test_near(t, "y", i, got[i], want[i], exact, 4e-6 * exact + 1e-12);
        }
        test_near(t, "sum", 0, sum, ref_sum, exact_sum,
                  (4e-6 + 6e-8 * (double)n) * exact_sum);
        test_intact();
    }
}

static void check_softmax(struct test *t)
{
    static const float scales[] = {0.0f, 0.01f, 1.0f, 1.25f, 5.0f};
    for (size_t i = 0; i < TEST_COUNT(lens) - t->quick; i++)
        for (size_t j = 0; j < TEST_COUNT(scales); j++)
            check_softmax_case(t, lens[i], scales[j], (i + j) % 2);
}

const struct kernel select_kernels[] = {
    {"select", offsetof(struct clsa_simd, select), CLSA_F32, check_select},
    {"gather", offsetof(struct clsa_simd, gather), CLSA_F32, check_gather},
    {"argmax", offsetof(struct clsa_simd, argmax), CLSA_F32, check_argmax},
    {"softmax", offsetof(struct clsa_simd, softmax), CLSA_F32, check_softmax},
    {0},
};
