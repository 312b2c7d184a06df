/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of argmax, bit for bit, and softmax. */
#include <math.h>

#include "tests/kernels/kernels.h"

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

const struct kernel sampling_kernels[] = {
    {"argmax", offsetof(struct clsa_simd, argmax), CLSA_F32, check_argmax},
    {"softmax", offsetof(struct clsa_simd, softmax), CLSA_F32, check_softmax},
    {0},
};
