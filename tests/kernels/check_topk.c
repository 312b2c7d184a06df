/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the exact top-k selection and the gather, bit for bit. */
#include "tests/kernels/kernels.h"

/* ------------------------------------------------------------------ topk */

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

static void check_topk_case(const struct test *t, size_t n, size_t k,
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
        const size_t kept = t->ref->topk(want, n, k, copy);
        const size_t m = t->simd->topk(got, n, k, copy);
        if (m != kept)
            test_fail("kept: expected %zu, got %zu", kept, m);
        test_same_bytes("ranks", got, want, kept, sizeof *got);
        test_intact();
    }
}

static void check_topk(struct test *t)
{
    static const size_t counts[] = {0,  1,  2,  3,  4,   5,    31,  32,
                                    33, 34, 63, 65, 127, 1000, 4097};
    for (size_t i = 0; i < TEST_COUNT(counts) - t->quick; i++)
        for (int kind = 0; kind < RANK_KINDS; kind++) {
            const size_t n = counts[i];
            const size_t ks[] = {1, 2, n / 3 + 1, n / 2 + 1, n, n + 1};
            for (size_t j = 0; j < TEST_COUNT(ks); j++)
                if (ks[j] > 0)
                    check_topk_case(t, n, ks[j], (enum rank_kind)kind);
        }
}

/* ---------------------------------------------------------------- gather */

static void check_gather_case(const struct test *t, size_t n, size_t planes,
                              size_t row_bytes)
{
    const size_t slots = n + 3, row = planes * row_bytes;
    const unsigned char *from[41];
    uint32_t slot[41];
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, %zu planes, rows of %zu, placement %d", n, planes,
                  row_bytes, where);
        test_reset((enum test_placement)where);
        unsigned char *rows = test_input("rows", n * row + 1, 1);
        for (size_t i = 0; i < n * row + 1; i++)
            rows[i] = (unsigned char)test_below(256);
        unsigned char *got = test_output("to", planes * slots * row_bytes, 1);
        unsigned char *want =
            test_output("to of ref", planes * slots * row_bytes, 1);
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
                                .planes = planes,
                                .row_bytes = row_bytes,
                                .plane_bytes = slots * row_bytes};
        t->ref->gather(&g);
        g.to = got;
        t->simd->gather(&g);
        test_same_bytes("to", got, want, planes * slots * row_bytes, 1);
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

const struct kernel topk_kernels[] = {
    {"topk", offsetof(struct clsa_simd, topk), CLSA_F32, check_topk},
    {"gather", offsetof(struct clsa_simd, gather), CLSA_F32, check_gather},
    {0},
};
