/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy blocks:K:B: K rows in blocks of B, chosen by the queries of every
 * layer as in the compressed and selected attention of NSA (arXiv 2502.11089):
 * the block of the query and the one before it, which are the window, and
 * the others whose mean keys get the most attention. The attention
 * of a block is the softmax over blocks of q . mean key / sqrt(e), summed over
 * all query heads. There are no gates: no file format defines them.
 *
 * The mean keys of whole blocks are kept in F32. They are made of the rows of
 * the cache when a query first needs them, so what happens to a session costs
 * that at most.
 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/select.h"

/* Blocks at the end that are read anyway. */
#define WINDOW_BLOCKS 2

struct means {
    uint64_t done, capacity; /* blocks */
    float *keys;             /* [g][capacity][e] */
};

static const char *derive(struct clsa_policy *policy,
                          const struct clsa_network *net)
{
    uint32_t block = policy->number[1];
    (void)net;
    policy->rows = policy->number[0];
    if (policy->rows % block || policy->rows / block <= WINDOW_BLOCKS)
        return "K counts rows in blocks of B: use a multiple of B, 3 B or more";
    return NULL;
}

static uint32_t block_of(const struct clsa_session *session)
{
    return session->policy.number[1];
}

static uint64_t most_blocks(const struct clsa_session *session)
{
    return session->context / block_of(session) + 1;
}

/* Scores by head, then ranks and their copy. */
static size_t scratch(const struct clsa_session *session)
{
    size_t per_rank = 2 * sizeof(uint64_t) / sizeof(float);
    return (size_t)most_blocks(session) *
               (clsa_reader_heads(&session->model->net)->heads + per_rank) +
           1;
}

static clsa_status open_means(struct clsa_session *session, clsa_error *error)
{
    const struct clsa_heads *hd = clsa_reader_heads(&session->model->net);
    struct means *m = clsa_mem_calloc(1, sizeof *m);
    size_t bytes;
    session->policy_state = m;
    if (!m)
        return clsa_fail_memory(error, "the mean keys", sizeof *m);
    m->capacity = most_blocks(session);
    bytes = (size_t)m->capacity * hd->kv_heads * hd->head_dim * sizeof *m->keys;
    m->keys = clsa_mem_map(bytes);
    if (!m->keys)
        return clsa_fail_memory(error, "the mean keys", bytes);
    session->policy_bytes = bytes;
    return CLSA_OK;
}

static void close_means(struct clsa_session *session)
{
    struct means *m = session->policy_state;
    if (m)
        clsa_mem_unmap(m->keys, session->policy_bytes);
    clsa_mem_free(m);
    session->policy_state = NULL;
    session->policy_bytes = 0;
}

static void truncate_means(struct clsa_session *session, uint64_t length)
{
    struct means *m = session->policy_state;
    if (m && m->done > length / block_of(session))
        m->done = length / block_of(session);
}

/* The mean key of a block, one head. */
static void make_mean(const struct clsa_session *session, const struct means *m,
                      uint64_t block, uint32_t head)
{
    const struct clsa_cache *cache = clsa_stores_cache(&session->stores);
    const struct clsa_cache_layout *l = &cache->layout;
    const uint32_t rows = block_of(session);
    float key[CLSA_HEAD_DIM_LIMIT];
    float *mean = m->keys + ((size_t)head * m->capacity + block) * l->head_dim;
    memset(mean, 0, l->head_dim * sizeof *mean);
    for (uint32_t i = 0; i < rows; i++) {
        const unsigned char *row = clsa_cache_row(cache, block * rows + i);
        session->model->simd->load[l->kv](key, row + head * l->head_bytes,
                                          l->head_dim);
        session->model->simd->add(mean, key, l->head_dim);
    }
    for (uint32_t v = 0; v < l->head_dim; v++)
        mean[v] /= (float)rows;
}

/* Blocks that a query chooses among: all but the window. */
static uint64_t candidates_at(const struct clsa_session *session,
                              uint64_t position)
{
    uint64_t own = position / block_of(session);
    return own < WINDOW_BLOCKS - 1 ? 0 : own - (WINDOW_BLOCKS - 1);
}

static uint64_t candidates(const struct clsa_step_token *token)
{
    return candidates_at(token->session, token->position);
}

/* The means that are missing, once a step, for all outputs of a session. They
   are there for its next step. */
static size_t missing_means(const struct clsa_pass *p, size_t i, unsigned node,
                            unsigned nodes)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct means *m = token->session->policy_state;
    const uint64_t need = candidates(token);
    if (p->layer->reader != 0 || !clsa_output_is_last(p->step, i) ||
        need <= m->done)
        return 0;
    return clsa_pages_on_node(
        (size_t)(need - m->done) * p->layer->heads.kv_heads, 1, node, nodes);
}

static void make_means(const struct clsa_pass *p, size_t i,
                       const struct clsa_policy_items *items)
{
    const struct clsa_session *session = clsa_pass_token(p, i)->session;
    const struct means *m = session->policy_state;
    const uint32_t g = p->layer->heads.kv_heads;
    for (size_t j = items->begin; j < items->end; j++) {
        const size_t at = clsa_pages_item(j, 1, items->node, items->nodes);
        make_mean(session, m, m->done + at / g, (uint32_t)(at % g));
    }
}

static void keep_means(struct clsa_session *session, uint64_t position)
{
    struct means *m = session->policy_state;
    m->done = clsa_max_u64(m->done, candidates_at(session, position));
}

/* Heads that attend to the mean keys. */
static size_t scanning_heads(const struct clsa_pass *p, size_t i, unsigned node,
                             unsigned nodes)
{
    return clsa_pages_on_node(
        candidates(clsa_pass_token(p, i)) ? p->layer->heads.heads : 0, 1, node,
        nodes);
}

static void scan_head(const struct clsa_pass *p, size_t i, size_t head)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_heads *hd = &p->layer->heads;
    const struct means *m = token->session->policy_state;
    struct clsa_scratch *s = p->model->scratch;
    const size_t n = (size_t)candidates(token), e = hd->head_dim;
    float *score = clsa_policy_scratch(s, i) + head * n;
    const struct clsa_index_query query = {.x = s->q +
                                                (i * hd->heads + head) * e};
    p->simd->scan_f32(score, m->keys + head / hd->group * m->capacity * e, n, e,
                      &query);
    const float sum = p->simd->softmax(score, score, n, p->layer->scale);
    for (size_t b = 0; b < n; b++)
        score[b] /= sum;
}

static void scan(const struct clsa_pass *p, size_t i,
                 const struct clsa_policy_items *items)
{
    for (size_t j = items->begin; j < items->end; j++)
        scan_head(p, i, clsa_pages_item(j, 1, items->node, items->nodes));
}

/* Ranks of the blocks; `score` becomes the sum over heads. */
static void rank_blocks(const struct clsa_simd *simd, float *score, size_t n,
                        uint32_t heads, uint64_t *ranks)
{
    for (uint32_t j = 1; j < heads; j++)
        simd->add(score, score + j * n, n);
    for (size_t b = 0; b < n; b++)
        ranks[b] = clsa_rank(score[b], (uint32_t)b);
}

static size_t choose(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_simd *simd = p->simd;
    const uint32_t block = block_of(token->session);
    const uint32_t heads = p->layer->heads.heads;
    size_t n = (size_t)candidates(token), used = 0;
    size_t keep = token->session->policy.rows / block - WINDOW_BLOCKS;
    float *score = clsa_policy_scratch(p->model->scratch, i);
    uint64_t *ranks = (uint64_t *)(void *)(score + (n * heads + 1) / 2 * 2);
    uint64_t window = (uint64_t)n * block;
    if (n > 0)
        rank_blocks(simd, score, n, heads, ranks);
    size_t kept = n > 0 ? simd->topk(ranks, n, keep, ranks + n) : 0;
    for (size_t b = 0; b < kept; b++)
        used += clsa_policy_run(
            rows + used, (uint64_t)clsa_rank_position(ranks[b]) * block, block);
    return used +
           clsa_policy_run(rows + used, window, token->position + 1 - window);
}

/* The mean keys, in every layer. */
static uint64_t bytes_searched(const struct clsa_session *session)
{
    const struct clsa_network *net = &session->model->net;
    const struct clsa_heads *hd = clsa_reader_heads(net);
    uint64_t blocks =
        session->length ? candidates_at(session, session->length - 1) : 0;
    return net->reader_count * blocks * hd->kv_heads * hd->head_dim *
           sizeof(float);
}

const struct clsa_policy_type clsa_policy_blocks = {
    .name = "blocks",
    .usages = {"blocks:K:B"},
    .least = 2,
    .most = 2,
    .low = {1, 1},
    .derive = derive,
    .selects_at = clsa_policy_every_layer,
    .scratch = scratch,
    .work = {[CLSA_POLICY_BEGIN] = {missing_means, make_means},
             [CLSA_POLICY_SCAN] = {scanning_heads, scan}},
    .after_step = keep_means,
    .rows = choose,
    .bytes_searched = bytes_searched,
    .open = open_means,
    .close = close_means,
    .truncate = truncate_means,
};
