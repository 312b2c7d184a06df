/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy bigbird:N:G:R: the last N rows, the first G, and R random ones in
 * blocks of 64, as in BigBird (arXiv 2007.14062). The blocks are drawn among
 * those between the two for each block of queries, by its number: the same
 * for all sequences and layers.
 */
#include <stdlib.h>

#include "src/base/random.h"
#include "src/engine/select.h"

#define BLOCK 64
#define SEED  20200728

static const char *derive(struct clsa_policy *policy,
                          const struct clsa_network *net)
{
    uint64_t rows =
        (uint64_t)policy->number[0] + policy->number[1] + policy->number[2];
    (void)net;
    policy->rows = (uint32_t)rows;
    if (policy->number[2] % BLOCK)
        return "R counts rows in blocks of 64: use a multiple of 64";
    return rows > CLSA_POLICY_MOST ? "too many rows in total" : NULL;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool is_there(const uint32_t *list, size_t n, uint32_t value)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == value)
            return true;
    return false;
}

/* `want` different ones of first .. first + count - 1 into list (Floyd's
   algorithm), ascending. */
static void draw(uint32_t *list, size_t want, uint64_t first, uint64_t count,
                 uint64_t stream)
{
    for (size_t i = 0; i < want; i++) {
        uint64_t top = count - want + i; /* the last that may be drawn now */
        uint64_t bits = clsa_random_bits(stream, (uint32_t)i);
        uint32_t drawn = (uint32_t)(first + (bits * (top + 1) >> 32));
        list[i] = is_there(list, i, drawn) ? (uint32_t)(first + top) : drawn;
    }
    qsort(list, want, sizeof *list, ascending);
}

/* Blocks to rows; their numbers lie at the end of the space. */
static size_t spread(uint32_t *rows, const uint32_t *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t first = (uint64_t)blocks[i] * BLOCK;
        clsa_policy_run(rows + i * BLOCK, first, BLOCK);
    }
    return count * BLOCK;
}

static size_t choose(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_policy *policy = &token->session->policy;
    uint64_t n = token->position + 1, window = policy->number[0];
    uint64_t global = policy->number[1], query = token->position / BLOCK;
    if (n <= window + global)
        return clsa_policy_run(rows, 0, n);
    /* whole blocks between those ends, whatever the query of this block */
    uint64_t first = (global + BLOCK - 1) / BLOCK;
    uint64_t end =
        query * BLOCK + 1 > window ? (query * BLOCK + 1 - window) / BLOCK : 0;
    uint64_t count = end > first ? end - first : 0;
    size_t want = policy->number[2] / BLOCK, used = (size_t)global;
    want = (size_t)clsa_min_u64(want, count);
    clsa_policy_run(rows, 0, global);
    uint32_t *blocks = rows + used + want * (BLOCK - 1);
    draw(blocks, want, first, count, clsa_random_stream(SEED, query));
    used += spread(rows + used, blocks, want);
    return used + clsa_policy_run(rows + used, n - window, window);
}

const struct clsa_policy_type clsa_policy_bigbird = {
    .name = "bigbird",
    .usages = {"bigbird:N:G:R"},
    .least = 3,
    .most = 3,
    .low = {1, 1, BLOCK},
    .derive = derive,
    .rows = choose,
};
