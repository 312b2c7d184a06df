/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topk: the k best rows by the score of every row: the scan of some rows by one
 * worker, which keeps what may be among the k best (index.h), and what policies
 * call, in which all workers scan and one merges what they found.
 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/engine/select.h"

/* -------------------------------------------------- the scan of one worker */

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

void clsa_index_bytes_set(const struct clsa_simd *simd, const float *x,
                          size_t len, int8_t *q, int32_t *sum, float *weight)
{
    float scale;
    int32_t total = 0;
    memset(q + len, 0, clsa_index_bytes(len) - len);
    simd->quantize_row(q, &scale, x, len, 127.0f);
    for (size_t i = 0; i < len; i++)
        total += q[i];
    *sum = total;
    *weight *= scale;
}

/* The score below which no row can be among the k best any more: the score
   of the worst of k kept rows. */
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
    return worst_kept(c->ranks, simd->topk(c->ranks, m, want, c->copy));
}

/* A scan of keys that lie on a node. */
struct keys {
    const struct clsa_scan *scan;
    const struct clsa_simd *simd;
    unsigned node, nodes;
};

/* The first row of the i-th run on the node. */
static uint64_t row_of(const struct keys *keys, size_t i)
{
    return (uint64_t)clsa_pages_item(i, RUNS_OF_PAGE, keys->node, keys->nodes) *
           CLSA_SCAN_RUN;
}

/* Scores of the i-th run; returns how many, from *first on. */
static size_t score_run(const struct keys *keys, size_t i, float *score,
                        uint64_t *first)
{
    *first = row_of(keys, i);
    const struct clsa_scan *scan = keys->scan;
    uint64_t left = scan->n - *first;
    size_t rows = left < CLSA_SCAN_RUN ? (size_t)left : CLSA_SCAN_RUN;
    if (scan->given)
        memcpy(score, scan->given + *first, rows * sizeof *score);
    else if (scan->mean)
        clsa_cache_score(scan->cache, keys->simd, *first, rows, scan->mean,
                         score);
    else if (scan->heads > 1)
        clsa_cache_scan_heads(scan->cache, keys->simd, *first, rows, scan,
                              score);
    else
        clsa_cache_scan(scan->cache, keys->simd, *first, rows, scan->query,
                        score);
    for (uint64_t s = *first; s < scan->sinks && s < *first + rows; s++)
        score[s - *first] = INFINITY;
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
        count += keys->simd->filter(c->ranks + count, c->scores + at, rows,
                                    (uint32_t)row_of(keys, i), threshold);
    }
    return count;
}

/* The first runs of a range; returns their candidates. Only the last run of
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

size_t clsa_index_runs(const struct clsa_scan *scan, unsigned node,
                       unsigned nodes)
{
    const uint64_t runs = (scan->n + CLSA_SCAN_RUN - 1) / CLSA_SCAN_RUN;
    return clsa_pages_on_node((size_t)runs, RUNS_OF_PAGE, node, nodes);
}

size_t clsa_index_scan(const struct clsa_scan *scan,
                       struct clsa_candidates *candidates,
                       const struct clsa_index_range *range, uint64_t *topk,
                       size_t count)
{
    const struct clsa_simd *simd = scan->simd;
    const struct keys keys = {scan, simd, range->node, range->nodes};
    struct clsa_candidates c = *candidates;
    const size_t k = scan->k, end = range->end;
    size_t i = range->begin;
    uint64_t first;
    float threshold = -INFINITY;
    c.k = k;
    memcpy(c.ranks, topk, count * sizeof *topk);
    if (count >= k)
        threshold = worst_kept(c.ranks, count);
    if (count == 0) {
        i = clsa_min(i + CLSA_SCAN_FIRST / CLSA_SCAN_RUN, end);
        count = scan_first(&keys, &c, range->begin, i, &threshold);
    }
    for (;; i++) {
        if (count >= 2 * k) {
            count = simd->topk(c.ranks, count, k, c.copy);
            threshold = worst_kept(c.ranks, count);
        }
        if (i == end)
            break;
        size_t rows = score_run(&keys, i, c.scores, &first);
        count += simd->filter(c.ranks + count, c.scores, rows, (uint32_t)first,
                              threshold);
    }
    count = simd->topk(c.ranks, count, k, c.copy);
    memcpy(topk, c.ranks, count * sizeof *topk);
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

/* ------------------------------------------------- outputs, for policies */

static bool scans(const struct clsa_step_token *token)
{
    return token->position + 1 > token->session->policy.rows;
}

static uint64_t *list_of(const struct clsa_scratch *s, size_t i, size_t k)
{
    return s->topk + i * s->threads * s->k + k * s->k;
}

size_t clsa_topk_items(const struct clsa_pass *p, size_t i, unsigned node,
                       unsigned nodes)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_scan scan = {.n = token->position + 1 -
                                        token->session->policy.recent};
    return scans(token) ? clsa_index_runs(&scan, node, nodes) : 0;
}

/* A thread goes on with the list that it has for the output. */
void clsa_topk_scan(const struct clsa_pass *p, size_t i,
                    const struct clsa_policy_items *items,
                    const struct clsa_scan *by)
{
    struct clsa_scratch *s = p->model->scratch;
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_index_range range = {items->node, items->nodes,
                                           items->begin, items->end};
    size_t *count = &s->topk_count[i * s->threads + p->w->id];
    struct clsa_scan scan = *by;
    scan.cache = clsa_token_cache(token, p->layer);
    scan.simd = p->simd;
    scan.n = token->position + 1 - token->session->policy.recent;
    scan.k = token->session->policy.rows - token->session->policy.recent;
    scan.sinks = token->session->policy.sinks;
    *count = clsa_index_scan(&scan, &s->candidates[p->w->id], &range,
                             list_of(s, i, p->w->id), *count);
}

/*
 * The exact k of all workers' best, ascending, and the recent rows. The
 * workers' lists, empty after this for the next search, consist of a few
 * ascending ones.
 */
size_t clsa_topk_rows(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    struct clsa_scratch *s = p->model->scratch;
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_policy *policy = &token->session->policy;
    uint64_t *all = list_of(s, i, 0);
    size_t n = 0, k = policy->rows - policy->recent;
    if (!scans(token))
        return clsa_policy_run(rows, 0, token->position + 1);
    for (unsigned t = 0; t < p->w->count; t++) {
        size_t count = s->topk_count[i * s->threads + t];
        memmove(all + n, list_of(s, i, t), count * sizeof *all);
        s->topk_count[i * s->threads + t] = 0;
        n += count;
    }
    uint64_t *merge = s->merge + i * s->threads * s->k;
    n = p->simd->topk(all, n, k, merge);
    for (size_t j = 0; j < n; j++)
        rows[j] = clsa_rank_position(all[j]);
    clsa_index_order(rows, n, (uint32_t *)merge);
    return n + clsa_policy_run(rows + n, token->position + 1 - policy->recent,
                               policy->recent);
}

/* --------------------------------------------------- by queries of a layer */

size_t clsa_topk_mean_size(const struct clsa_session *session)
{
    const struct clsa_heads *hd = clsa_reader_heads(&session->model->net);
    return (size_t)hd->kv_heads * hd->head_dim;
}

size_t clsa_topk_mean_items(const struct clsa_pass *p, size_t i, unsigned node,
                            unsigned nodes)
{
    (void)p;
    return i % nodes == node;
}

void clsa_topk_mean(const struct clsa_pass *p, size_t i,
                    const struct clsa_policy_items *items)
{
    const struct clsa_heads *hd = &p->layer->heads;
    const size_t e = hd->head_dim;
    struct clsa_scratch *s = p->model->scratch;
    const float *q = s->q + i * hd->heads * e;
    float *mean = clsa_policy_scratch(s, i);
    (void)items;
    for (uint32_t head = 0; head < hd->kv_heads; head++, mean += e)
        for (uint32_t v = 0; v < e; v++) {
            float sum = 0;
            for (uint32_t j = 0; j < hd->group; j++)
                sum += q[(head * hd->group + j) * e + v];
            mean[v] = sum / (float)hd->heads;
        }
}

void clsa_topk_by_mean(const struct clsa_pass *p, size_t i,
                       const struct clsa_policy_items *items)
{
    const struct clsa_scan by_keys = {
        .mean = clsa_policy_scratch(p->model->scratch, i)};
    clsa_topk_scan(p, i, items, &by_keys);
}

/* The K of all rows, in each layer that chooses. */
uint64_t clsa_topk_bytes(const struct clsa_session *session)
{
    const struct clsa_network *net = &session->model->net;
    uint64_t layers = 0;
    for (uint32_t i = 0; i < net->reader_count; i++)
        layers += clsa_policy_selects_at(&session->policy, i);
    return session->length > session->policy.rows
               ? layers * session->length *
                     clsa_stores_cache(&session->stores)->layout.row_bytes / 2
               : 0;
}
