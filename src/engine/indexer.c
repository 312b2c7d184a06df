/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/indexer.h"

clsa_status clsa_candidates_open(struct clsa_candidates *candidates, size_t k,
                                 clsa_error *error)
{
    struct clsa_candidates c = {.k = k, .capacity = 2 * k + CLSA_SCAN_FIRST};
    c.bytes =
        2 * c.capacity * sizeof(uint64_t) + CLSA_SCAN_FIRST * sizeof(float);
    c.ranks = clsa_mem_map(c.bytes);
    if (!c.ranks)
        return clsa_fail_memory(error, "index candidates", c.bytes);
    c.copy = c.ranks + c.capacity;
    c.scores = (float *)(c.copy + c.capacity);
    *candidates = c;
    return CLSA_OK;
}

void clsa_candidates_close(struct clsa_candidates *candidates)
{
    clsa_mem_unmap(candidates->ranks, candidates->bytes);
    candidates->ranks = NULL;
}

void clsa_index_query_set(struct clsa_index_query *query, const float *x,
                          int16_t *q, size_t len)
{
    float max = 0, limit = 32767.0f;
    double most = 2147483647.0 / 127.0 / (double)len;
    if (most < (double)limit)
        limit = (float)floor(most);
    for (size_t i = 0; i < len; i++)
        max = fmaxf(max, fabsf(x[i]));
    float inverse = max > 0x1p-100f ? limit / max : 0.0f;
    for (size_t i = 0; i < len; i++)
        q[i] = (int16_t)fminf(fmaxf(rintf(x[i] * inverse), -limit), limit);
    *query = (struct clsa_index_query){
        .x = x, .q = q, .scale = inverse > 0 ? max / limit : 0.0f};
}

/* The score below which no row can be among the k best any more: that of the
   worst of k kept ones. */
static float worst_kept(const uint64_t *ranks, size_t n)
{
    uint64_t worst = ranks[0];
    for (size_t i = 1; i < n; i++)
        if (ranks[i] < worst)
            worst = ranks[i];
    return clsa_rank_score(worst);
}

/*
 * A score that somewhat more than k of n scores reach, from a sample of them;
 * -INFINITY where n is too small for k to tell.
 */
static float guess_threshold(const struct clsa_simd *simd,
                             const struct clsa_candidates *c, size_t n)
{
    enum { EVERY = 16 };
    const size_t m = n / EVERY, want = c->k / EVERY * 5 / 4 + 8;
    if (want * 2 > m)
        return -INFINITY;
    for (size_t i = 0; i < m; i++)
        c->ranks[i] = clsa_rank(c->scores[i * EVERY], (uint32_t)i);
    return worst_kept(c->ranks, simd->select(c->ranks, m, want, c->copy));
}

/* The first keys of a share, first..first + n - 1; returns the candidates. */
static size_t scan_first(const struct clsa_cache *cache,
                         const struct clsa_simd *simd, uint64_t first, size_t n,
                         const struct clsa_index_query *query,
                         struct clsa_candidates *c, float *threshold)
{
    for (size_t i = 0; i < n; i += CLSA_SCAN_RUN) {
        size_t rows = n - i < CLSA_SCAN_RUN ? n - i : CLSA_SCAN_RUN;
        clsa_cache_scan(cache, simd, first + i, rows, query, c->scores + i);
    }
    *threshold = guess_threshold(simd, c, n);
    size_t count =
        simd->filter(c->ranks, c->scores, n, (uint32_t)first, *threshold);
    if (count >= c->k || *threshold == -INFINITY)
        return count;
    *threshold = -INFINITY;
    return simd->filter(c->ranks, c->scores, n, (uint32_t)first, *threshold);
}

size_t clsa_index_scan(const struct clsa_cache *cache,
                       const struct clsa_simd *simd, uint64_t n, size_t k,
                       const struct clsa_index_query *query,
                       struct clsa_candidates *candidates,
                       const struct clsa_worker *worker, uint64_t *best)
{
    struct clsa_candidates c = *candidates;
    size_t begin, end, count = 0;
    float threshold = -INFINITY;
    c.k = k;
    clsa_share(worker, (size_t)((n + CLSA_SCAN_RUN - 1) / CLSA_SCAN_RUN),
               &begin, &end);
    for (size_t run = begin, runs; run < end; run += runs) {
        uint64_t first = (uint64_t)run * CLSA_SCAN_RUN;
        runs = run > begin ? 1 : CLSA_SCAN_FIRST / CLSA_SCAN_RUN;
        runs = runs < end - run ? runs : end - run;
        size_t rows = runs * CLSA_SCAN_RUN;
        rows = n - first < rows ? (size_t)(n - first) : rows;
        if (run == begin) {
            count = scan_first(cache, simd, first, rows, query, &c, &threshold);
        } else {
            clsa_cache_scan(cache, simd, first, rows, query, c.scores);
            count += simd->filter(c.ranks + count, c.scores, rows,
                                  (uint32_t)first, threshold);
        }
        if (count >= 2 * k) {
            count = simd->select(c.ranks, count, k, c.copy);
            threshold = worst_kept(c.ranks, count);
        }
    }
    count = simd->select(c.ranks, count, k, c.copy);
    memcpy(best, c.ranks, count * sizeof *best);
    return count;
}
