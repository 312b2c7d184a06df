/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/indexer.h"

#define RUNS_OF_PAGE (CLSA_PAGE_ROWS / CLSA_SCAN_RUN)

static size_t capacity_of(size_t k)
{
    return 2 * k + CLSA_SCAN_FIRST;
}

size_t clsa_candidates_bytes(size_t k)
{
    return 2 * capacity_of(k) * sizeof(uint64_t) +
           CLSA_SCAN_FIRST * sizeof(float);
}

clsa_status clsa_candidates_open(struct clsa_candidates *candidates, size_t k,
                                 clsa_error *error)
{
    struct clsa_candidates c = {.k = k, .capacity = capacity_of(k)};
    c.bytes = clsa_candidates_bytes(k);
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

/* A scan and who does it. */
struct keys {
    const struct clsa_scan *scan;
    const struct clsa_simd *simd;
    const struct clsa_worker *worker;
};

/* Scores of the i-th run of this worker; returns how many, from *first on. */
static size_t score_run(const struct keys *keys, size_t i, float *score,
                        uint64_t *first)
{
    *first = (uint64_t)clsa_share_unit(keys->worker, RUNS_OF_PAGE, i) *
             CLSA_SCAN_RUN;
    const struct clsa_scan *scan = keys->scan;
    uint64_t left = scan->n - *first;
    size_t rows = left < CLSA_SCAN_RUN ? (size_t)left : CLSA_SCAN_RUN;
    if (scan->mean)
        clsa_cache_score(scan->cache, keys->simd, *first, rows, scan->mean,
                         score);
    else
        clsa_cache_scan(scan->cache, keys->simd, *first, rows, scan->query,
                        score);
    return rows;
}

/* Candidates of runs begin..end - 1, whose scores are in c->scores. */
static size_t filter_runs(const struct keys *keys, struct clsa_candidates *c,
                          size_t begin, size_t end, size_t scores,
                          float threshold)
{
    size_t count = 0, at = 0;
    for (size_t i = begin; i < end; i++, at += CLSA_SCAN_RUN) {
        size_t rows = scores - at;
        rows = rows < CLSA_SCAN_RUN ? rows : CLSA_SCAN_RUN;
        count += keys->simd->filter(
            c->ranks + count, c->scores + at, rows,
            (uint32_t)(clsa_share_unit(keys->worker, RUNS_OF_PAGE, i) *
                       CLSA_SCAN_RUN),
            threshold);
    }
    return count;
}

/* The first runs of a share; returns their candidates. Only the last run of
   all keys is a short one, so scores lie side by side. */
static size_t scan_first(const struct keys *keys, struct clsa_candidates *c,
                         size_t begin, size_t end, float *threshold)
{
    size_t scores = 0, count;
    uint64_t first;
    for (size_t i = begin; i < end; i++)
        scores += score_run(keys, i, c->scores + scores, &first);
    *threshold = guess_threshold(keys->simd, c, scores);
    count = filter_runs(keys, c, begin, end, scores, *threshold);
    if (count >= c->k || *threshold == -INFINITY)
        return count;
    *threshold = -INFINITY;
    return filter_runs(keys, c, begin, end, scores, *threshold);
}

size_t clsa_index_scan(const struct clsa_scan *scan,
                       struct clsa_candidates *candidates,
                       const struct clsa_worker *worker, uint64_t *best)
{
    const struct clsa_simd *simd = scan->simd;
    const struct keys keys = {scan, simd, worker};
    struct clsa_candidates c = *candidates;
    const size_t k = scan->k;
    size_t begin, end, count;
    uint64_t first;
    float threshold;
    c.k = k;
    clsa_share_pages(worker,
                     (size_t)((scan->n + CLSA_SCAN_RUN - 1) / CLSA_SCAN_RUN),
                     RUNS_OF_PAGE, &begin, &end);
    size_t i = begin + CLSA_SCAN_FIRST / CLSA_SCAN_RUN;
    i = i < end ? i : end;
    count = scan_first(&keys, &c, begin, i, &threshold);
    for (;; i++) {
        if (count >= 2 * k) {
            count = simd->select(c.ranks, count, k, c.copy);
            threshold = worst_kept(c.ranks, count);
        }
        if (i == end)
            break;
        size_t rows = score_run(&keys, i, c.scores, &first);
        count += simd->filter(c.ranks + count, c.scores, rows, (uint32_t)first,
                              threshold);
    }
    count = simd->select(c.ranks, count, k, c.copy);
    memcpy(best, c.ranks, count * sizeof *best);
    return count;
}

/* End of the ascending list that begins at `from`. */
static size_t list_end(const uint32_t *rows, size_t from, size_t n)
{
    while (from + 1 < n && rows[from] < rows[from + 1])
        from++;
    return from + 1 < n ? from + 1 : n;
}

void clsa_index_order(uint32_t *rows, size_t n, uint32_t *copy)
{
    while (list_end(rows, 0, n) < n) {
        for (size_t at = 0; at < n;) { /* lists two by two */
            size_t i = at, m = list_end(rows, at, n);
            size_t j = m, end = m < n ? list_end(rows, m, n) : n;
            while (i < m || j < end)
                copy[at++] = j == end || (i < m && rows[i] < rows[j])
                                 ? rows[i++]
                                 : rows[j++];
        }
        memcpy(rows, copy, n * sizeof *rows);
    }
}
