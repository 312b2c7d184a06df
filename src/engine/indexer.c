/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/indexer.h"

clsa_status clsa_candidates_open(struct clsa_candidates *candidates, size_t k,
                                 clsa_error *error)
{
    struct clsa_candidates c = {.k = k, .capacity = 2 * k + CLSA_SCAN_RUN};
    c.bytes = 2 * c.capacity * sizeof(uint64_t) + CLSA_SCAN_RUN * sizeof(float);
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

static inline void swap(uint64_t *a, uint64_t *b)
{
    uint64_t t = *a;
    *a = *b;
    *b = t;
}

/* Value of the k-th largest (k >= 1) of n different values; reorders them. */
static uint64_t kth_largest(uint64_t *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n;
    uint64_t random = 0x9e3779b97f4a7c15u;
    while (hi - lo > 1) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t pivot = v[lo + (size_t)(random >> 33) % (hi - lo)];
        size_t i = lo, j = hi - 1;
        for (;;) { /* larger ones to the front */
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i >= j)
                break;
            swap(&v[i], &v[j]);
        }
        if (j == k - 1) /* v[j] is the pivot, in its final place */
            return pivot;
        if (j > k - 1)
            hi = j;
        else
            lo = j + 1;
    }
    return v[lo];
}

size_t clsa_index_keep_best(uint64_t *ranks, size_t n, size_t k, uint64_t *copy)
{
    if (n <= k)
        return n;
    memcpy(copy, ranks, n * sizeof *ranks);
    uint64_t least = kth_largest(copy, n, k);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (ranks[i] >= least)
            ranks[kept++] = ranks[i];
    return kept;
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

size_t clsa_index_scan(const struct clsa_cache *cache,
                       const struct clsa_simd *simd, uint64_t n, size_t k,
                       const struct clsa_index_query *query,
                       struct clsa_candidates *candidates,
                       const struct clsa_worker *worker, uint64_t *best)
{
    struct clsa_candidates *c = candidates;
    size_t begin, end, count = 0;
    float threshold = -INFINITY;
    clsa_share(worker, (size_t)((n + CLSA_SCAN_RUN - 1) / CLSA_SCAN_RUN),
               &begin, &end);
    for (size_t run = begin; run < end; run++) {
        uint64_t first = (uint64_t)run * CLSA_SCAN_RUN;
        size_t rows =
            n - first < CLSA_SCAN_RUN ? (size_t)(n - first) : CLSA_SCAN_RUN;
        clsa_cache_scan(cache, simd, first, rows, query, c->scores);
        count += simd->filter(c->ranks + count, c->scores, rows,
                              (uint32_t)first, threshold);
        if (count >= 2 * k) {
            count = clsa_index_keep_best(c->ranks, count, k, c->copy);
            threshold = worst_kept(c->ranks, count);
        }
    }
    count = clsa_index_keep_best(c->ranks, count, k, c->copy);
    memcpy(best, c->ranks, count * sizeof *best);
    return count;
}
