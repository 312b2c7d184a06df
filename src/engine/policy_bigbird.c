/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy bigbird:N:G:R: the last N rows, the first G, and R random ones in
 * blocks of 64, as in BigBird (arXiv 2007.14062). The blocks are drawn among
 * those between the two for each block of queries, by its number: the same
 * for all sequences and layers.
 */
#include <stdlib.h>

#include "src/base/random.h"
#include "src/engine/step.h"

#define BLOCK 64
#define SEED  20200728

static const char *set(struct clsa_policy *policy,
                       const struct clsa_hparams *hp)
{
    uint64_t rows =
        (uint64_t)policy->number[0] + policy->number[1] + policy->number[2];
    (void)hp;
    policy->rows = (uint32_t)rows;
    if (policy->number[2] % BLOCK)
        return "R is a number of rows in blocks of 64: use a multiple of 64";
    return rows > CLSA_POLICY_MOST ? "too many rows together" : NULL;
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

static size_t choose(struct clsa_step *step, unsigned workers, size_t i,
                     uint32_t *rows)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    const struct clsa_policy *p = &column->session->policy;
    uint64_t n = column->position + 1, window = p->number[0];
    uint64_t global = p->number[1], query = column->position / BLOCK;
    (void)workers;
    if (n <= window + global)
        return clsa_policy_run(rows, 0, n);
    /* whole blocks between those ends, whatever the query of this block */
    uint64_t first = (global + BLOCK - 1) / BLOCK;
    uint64_t end =
        query * BLOCK + 1 > window ? (query * BLOCK + 1 - window) / BLOCK : 0;
    uint64_t count = end > first ? end - first : 0;
    size_t want = p->number[2] / BLOCK, used = (size_t)global;
    want = want < count ? want : (size_t)count;
    clsa_policy_run(rows, 0, global);
    uint32_t *blocks = rows + used + want * (BLOCK - 1);
    draw(blocks, want, first, count, clsa_random_stream(SEED, query));
    used += spread(rows + used, blocks, want);
    return used + clsa_policy_run(rows + used, n - window, window);
}

const struct clsa_policy_type clsa_policy_bigbird = {
    .name = "bigbird",
    .form = "bigbird:N:G:R (R in blocks of 64)",
    .least = 3,
    .most = 3,
    .low = {1, 1, BLOCK},
    .set = set,
    .rows = choose,
};
