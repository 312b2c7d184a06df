/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy blocks:K:B: K rows in blocks of B, chosen by the queries of every
 * layer as in the compressed and selected attention of NSA (arXiv 2502.11089):
 * the block of the query and the one before it, which are the window, and
 * those of the others whose mean keys get the most attention. The attention
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
#include "src/engine/step.h"

/* Blocks at the end that are read anyway. */
#define WINDOW_BLOCKS 2

struct means {
    uint64_t done, capacity; /* blocks */
    float *keys;             /* [g][capacity][e] */
};

static const char *set(struct clsa_policy *policy,
                       const struct clsa_hparams *hp)
{
    uint32_t block = policy->number[1];
    (void)hp;
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
               (session->model->hp.cross.h + per_rank) +
           1;
}

static clsa_status open_means(struct clsa_session *session, clsa_error *error)
{
    const struct clsa_heads *hd = &session->model->hp.cross;
    struct means *m = clsa_mem_calloc(1, sizeof *m);
    size_t bytes;
    session->policy_state = m;
    if (!m)
        return clsa_fail_memory(error, "the mean keys", sizeof *m);
    m->capacity = most_blocks(session);
    bytes = (size_t)m->capacity * hd->g * hd->e * sizeof *m->keys;
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
    const struct clsa_cache_layout *l = &session->cache.layout;
    const uint32_t rows = block_of(session);
    float key[CLSA_MAX_HEAD];
    float *mean = m->keys + ((size_t)head * m->capacity + block) * l->e;
    memset(mean, 0, l->e * sizeof *mean);
    for (uint32_t i = 0; i < rows; i++) {
        const unsigned char *row =
            clsa_cache_row(&session->cache, block * rows + i);
        session->model->simd->load[l->kv](key, row + head * l->head_bytes,
                                          l->e);
        session->model->simd->add(mean, key, l->e);
    }
    for (uint32_t v = 0; v < l->e; v++)
        mean[v] /= (float)rows;
}

/* Blocks that a query chooses among: all but the window. */
static uint64_t candidates_at(const struct clsa_session *session,
                              uint64_t position)
{
    uint64_t own = position / block_of(session);
    return own < WINDOW_BLOCKS - 1 ? 0 : own - (WINDOW_BLOCKS - 1);
}

static uint64_t candidates(const struct clsa_column *column)
{
    return candidates_at(column->session, column->position);
}

/* Make the means that are missing, once for all columns of a session. */
static void make_means(struct clsa_step *step, const struct clsa_worker *w,
                       size_t i)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    const struct clsa_session *session = column->session;
    struct means *m = session->policy_state;
    uint64_t need = candidates(column), from = m->done;
    size_t begin, end;
    if (!clsa_step_is_last(step, i) || need <= from)
        return;
    const uint32_t g = session->model->hp.cross.g;
    clsa_share(w, (size_t)(need - from) * g, &begin, &end);
    for (size_t j = begin; j < end; j++)
        make_mean(session, m, from + j / g, (uint32_t)(j % g));
    clsa_barrier(w);
    if (w->id == 0)
        m->done = need;
    clsa_barrier(w);
}

/* Attention to the mean keys, a share of the heads each. */
static void scan(struct clsa_step *step, const struct clsa_worker *w, size_t i)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    const struct clsa_heads *hd = &step->model->hp.cross;
    const struct means *m = column->session->policy_state;
    struct clsa_scratch *s = step->model->scratch;
    const size_t n = (size_t)candidates(column);
    size_t begin, end;
    clsa_share(w, n ? hd->h : 0, &begin, &end);
    for (size_t j = begin; j < end; j++) {
        float *score = clsa_policy_scratch(s, i) + j * n;
        const struct clsa_index_query query = {.x = s->q +
                                                    (i * hd->h + j) * hd->e};
        step->model->simd->scan_f32(
            score, m->keys + j / hd->r * m->capacity * hd->e, n, hd->e, &query);
        float sum = step->model->simd->softmax(score, score, n,
                                               1.0f / sqrtf((float)hd->e));
        for (size_t b = 0; b < n; b++)
            score[b] /= sum;
    }
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

static size_t choose(struct clsa_step *step, unsigned workers, size_t i,
                     uint32_t *rows)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    const struct clsa_simd *simd = step->model->simd;
    const uint32_t block = block_of(column->session);
    const uint32_t heads = step->model->hp.cross.h;
    size_t n = (size_t)candidates(column), used = 0;
    size_t keep = column->session->policy.rows / block - WINDOW_BLOCKS;
    float *score = clsa_policy_scratch(step->model->scratch, i);
    uint64_t *ranks = (uint64_t *)(void *)(score + (n * heads + 1) / 2 * 2);
    uint64_t window = (uint64_t)n * block;
    (void)workers;
    if (n > 0)
        rank_blocks(simd, score, n, heads, ranks);
    size_t kept = n > 0 ? simd->select(ranks, n, keep, ranks + n) : 0;
    for (size_t b = 0; b < kept; b++)
        used += clsa_policy_run(
            rows + used, (uint64_t)clsa_rank_position(ranks[b]) * block, block);
    return used +
           clsa_policy_run(rows + used, window, column->position + 1 - window);
}

/* The mean keys, in every layer. */
static uint64_t searched(const struct clsa_session *session)
{
    const struct clsa_hparams *hp = &session->model->hp;
    uint64_t blocks =
        session->length ? candidates_at(session, session->length - 1) : 0;
    return (hp->layers - hp->self_layers) * blocks * hp->cross.g * hp->cross.e *
           sizeof(float);
}

const struct clsa_policy_type clsa_policy_blocks = {
    .name = "blocks",
    .form = "blocks:K:B",
    .least = 2,
    .most = 2,
    .low = {1, 1},
    .set = set,
    .chooses = clsa_policy_every_layer,
    .scratch = scratch,
    .begin = make_means,
    .scan = scan,
    .rows = choose,
    .searched = searched,
    .open = open_means,
    .close = close_means,
    .truncate = truncate_means,
};
