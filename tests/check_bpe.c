/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging against a plain version that scans everything for each merge, with
 * random rules in any order of ranks and pieces on both sides of the length
 * from which a heap is used; and the work it takes by number of steps.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/model/bpe.h"
#include "tests/suite.h"

#define IDS        12
#define MAX_LENGTH 200

static uint32_t random_next(uint32_t *state)
{
    return (*state = *state * 1664525u + 1013904223u) >> 8;
}

/* A rule for about half of the pairs; rank[left][right] is -1 without. */
struct rules {
    struct clsa_bpe bpe;
    int32_t rank[IDS][IDS], merged[IDS][IDS];
};

/* `equal` rules in turn have the same rank. */
static void make_rules(struct rules *rules, int equal, uint32_t *state)
{
    int32_t next = 0;
    ck_assert_int_eq(clsa_bpe_open(&rules->bpe, IDS * IDS, NULL), CLSA_OK);
    memset(rules->rank, -1, sizeof rules->rank);
    for (int i = 0; i < IDS * IDS / 2; i++) {
        uint32_t left = random_next(state) % IDS;
        uint32_t right = random_next(state) % IDS;
        uint32_t merged = random_next(state) % IDS;
        bool added = clsa_bpe_add(&rules->bpe, left, right,
                                  (uint32_t)(next / equal), merged);
        ck_assert_int_eq(added, rules->rank[left][right] < 0);
        if (added) {
            rules->rank[left][right] = next++ / equal;
            rules->merged[left][right] = (int32_t)merged;
        }
    }
}

static size_t merge_plainly(const struct rules *rules, int32_t *ids, size_t n)
{
    for (;;) {
        size_t best = n;
        int32_t lowest = INT32_MAX;
        for (size_t i = 0; i + 1 < n; i++) {
            int32_t rank = rules->rank[ids[i]][ids[i + 1]];
            if (rank >= 0 && rank < lowest) {
                lowest = rank;
                best = i;
            }
        }
        if (best == n)
            return n;
        ids[best] = rules->merged[ids[best]][ids[best + 1]];
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
    }
}

START_TEST(same_as_plain)
{
    uint32_t state = (uint32_t)_i;
    struct rules rules;
    struct clsa_bpe_scratch scratch = {0};
    make_rules(&rules, 1 + _i % 3, &state);
    for (int round = 0; round < 200; round++) {
        int32_t ids[MAX_LENGTH], plain[MAX_LENGTH];
        size_t count = random_next(&state) % MAX_LENGTH;
        for (size_t i = 0; i < count; i++)
            plain[i] = ids[i] = (int32_t)(random_next(&state) % IDS);
        size_t expected = merge_plainly(&rules, plain, count);
        ck_assert_int_eq(
            clsa_bpe_merge(&rules.bpe, &scratch, ids, &count, NULL), CLSA_OK);
        ck_assert_uint_eq(count, expected);
        ck_assert_mem_eq(ids, plain, count * sizeof *ids);
    }
    clsa_bpe_scratch_free(&scratch);
    clsa_bpe_close(&rules.bpe);
}
END_TEST

/* Steps for 2^log equal ids that pair up again and again. */
static uint64_t steps_for(unsigned log)
{
    size_t count = (size_t)1 << log;
    struct clsa_bpe bpe;
    struct clsa_bpe_scratch scratch = {0};
    int32_t *ids = clsa_mem_calloc(count, sizeof *ids);
    ck_assert_ptr_nonnull(ids);
    ck_assert_int_eq(clsa_bpe_open(&bpe, 32, NULL), CLSA_OK);
    for (uint32_t i = 0; i < 32; i++)
        ck_assert(clsa_bpe_add(&bpe, i, i, i, i + 1));
    ck_assert_int_eq(clsa_bpe_merge(&bpe, &scratch, ids, &count, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(ids[0], (int32_t)log);
    clsa_bpe_scratch_free(&scratch);
    clsa_bpe_close(&bpe);
    clsa_mem_free(ids);
    return scratch.steps;
}

/* n log n: with n times 1024 that is times 2048 from 2^10 to 2^20; n^2 would
   be times a million. */
START_TEST(steps_of_long_pieces)
{
    ck_assert_uint_le(steps_for(20), 2500 * steps_for(10));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bpe");
    TCase *merging = tcase_create("merge");
    tcase_add_loop_test(merging, same_as_plain, 0, 20);
    tcase_add_test(merging, steps_of_long_pieces);
    suite_add_tcase(s, merging);
    return suite_run(s, CK_FORK_GETENV);
}
