/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy h2o:K: at most K rows are kept, those that got the most attention so
 * far, as in H2O (arXiv 2306.14048, algorithm 1). Before a token is added to K
 * rows, one of them goes for good: that with the least attention among those
 * older than the last K / 2 tokens, of equals the oldest.
 *
 * There is one cache for all layers and heads, and so one set of rows: the
 * attention of a row is the sum of its softmax weights over all layers and
 * query heads, from the token on that left it. Every token of a prompt runs
 * the cross-decoder for that, one after the other.
 *
 * The kept rows are in the working set of the session, whose `rows` are those
 * of this file; pages of the cache are given up after it.
 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/select.h"

enum { CHUNK = CLSA_ATTEND_ROWS };

struct kept {
    size_t n;
    uint32_t *rows; /* [slots], ascending */
    float *got;     /* [slots] attention of each */
};

static clsa_status open_kept(struct clsa_session *session, clsa_error *error)
{
    size_t slots = clsa_session_slots(session);
    struct kept *k = clsa_mem_calloc(1, sizeof *k);
    session->policy_state = k;
    if (!k)
        return clsa_fail_memory(error, "the kept rows", sizeof *k);
    session->policy_bytes = slots * (sizeof *k->rows + sizeof *k->got);
    k->rows = clsa_mem_calloc(slots, sizeof *k->rows + sizeof *k->got);
    if (!k->rows)
        return clsa_fail_memory(error, "the kept rows", session->policy_bytes);
    k->got = (float *)(void *)(k->rows + slots);
    return CLSA_OK;
}

static void close_kept(struct clsa_session *session)
{
    struct kept *k = session->policy_state;
    if (k)
        clsa_mem_free(k->rows);
    clsa_mem_free(k);
    session->policy_state = NULL;
    session->policy_bytes = 0;
}

static void truncate_kept(struct clsa_session *session, uint64_t length)
{
    struct kept *k = session->policy_state;
    if (length == 0)
        k->n = 0;
}

/* The row to give up for a token at `position`. */
static size_t least_attended(const struct kept *k, uint64_t position,
                             uint32_t recent)
{
    size_t least = 0;
    for (size_t i = 1; i < k->n && k->rows[i] + (uint64_t)recent < position;
         i++)
        if (k->got[i] < k->got[least])
            least = i;
    return least;
}

static size_t add_row(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    struct kept *k = token->session->policy_state;
    if (k->n == clsa_session_slots(token->session)) {
        size_t gone = least_attended(k, token->position, (uint32_t)k->n / 2);
        size_t after = k->n - gone - 1;
        memmove(k->rows + gone, k->rows + gone + 1, after * sizeof *k->rows);
        memmove(k->got + gone, k->got + gone + 1, after * sizeof *k->got);
        k->n--;
    }
    k->rows[k->n] = (uint32_t)token->position;
    k->got[k->n++] = 0;
    memcpy(rows, k->rows, k->n * sizeof *rows);
    return k->n;
}

/* Maximum and sum of the softmax of a head, from its parts. */
static void combine_parts(const struct clsa_pass *p, const float *part,
                          size_t parts, float *max, float *sum)
{
    const size_t e = p->layer->heads.head_dim, ld = e + 2;
    part += e;
    *max = -INFINITY;
    *sum = 0;
    for (size_t i = 0; i < parts; i++)
        *max = fmaxf(*max, part[i * ld]);
    for (size_t i = 0; i < parts; i++)
        *sum += expf(part[i * ld] - *max) * part[i * ld + 1];
}

/* The attention of one query head to n rows of the set from `first` on. */
static void add_head(const struct clsa_pass *p, const struct clsa_attention *a,
                     size_t i, uint32_t head, size_t first)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_working_set *set = token->set;
    const struct clsa_layer *l = p->layer;
    const size_t e = l->heads.head_dim;
    const size_t n = set->n - first < CHUNK ? set->n - first : CHUNK;
    const float *query = p->model->scratch->q + (i * l->heads.heads + head) * e;
    float *got = ((struct kept *)token->session->policy_state)->got + first;
    struct clsa_rows rows = {
        .stride = set->head_bytes, .order = set->order + first, .n = n};
    float w[CHUNK], q[CLSA_HEAD_DIM_LIMIT], top = -INFINITY, max, sum;
    rows.k = set->k + head / l->heads.group * set->plane_bytes;
    for (size_t v = 0; v < e; v++)
        q[v] = query[v] * l->scale;
    p->simd->score[clsa_token_cache(token, l)->layout.kv](w, q, e, &rows);
    for (size_t j = 0; j < n; j++)
        top = fmaxf(top, w[j]);
    combine_parts(p, clsa_partial(p, a, i, head), clsa_parts(set->n), &max,
                  &sum);
    p->simd->softmax(w, w, n, 1);
    const float scale = expf(top - max) / sum;
    for (size_t j = 0; j < n; j++)
        got[j] += scale * w[j];
}

/* Chunks of rows, as many as there are in a full set. */
static size_t row_chunks(const struct clsa_pass *p, size_t i, unsigned node,
                         unsigned nodes)
{
    const size_t n = clsa_pass_token(p, i)->set->capacity;
    return clsa_pages_on_node((n + CHUNK - 1) / CHUNK, 1, node, nodes);
}

/* A row takes its heads in their order. */
static void add_attention(const struct clsa_pass *p, size_t i,
                          const struct clsa_policy_items *items)
{
    const size_t n = clsa_pass_token(p, i)->set->n;
    for (size_t j = items->begin; j < items->end; j++) {
        const size_t first =
            CHUNK * clsa_pages_item(j, 1, items->node, items->nodes);
        for (uint32_t head = 0; first < n && head < p->layer->heads.heads;
             head++)
            add_head(p, items->attention, i, head, first);
    }
}

/* K again, by every query head of every layer. */
static uint64_t bytes_searched(const struct clsa_session *session)
{
    const struct clsa_network *net = &session->model->net;
    const struct kept *k = session->policy_state;
    return (uint64_t)net->reader_count * k->n * clsa_reader_heads(net)->heads *
           clsa_stores_cache(&session->stores)->layout.head_bytes;
}

static void copy_kept(struct clsa_session *to, const struct clsa_session *from)
{
    const struct kept *k = from->policy_state;
    struct kept *copy = to->policy_state;
    copy->n = k->n;
    memcpy(copy->rows, k->rows, k->n * sizeof *k->rows);
    memcpy(copy->got, k->got, k->n * sizeof *k->got);
    clsa_working_set_copy(&to->set, &from->set);
    to->last_rows = from->last_rows ? to->set.rows : NULL;
    to->last_count = from->last_count;
}

static clsa_status transfer_kept(struct clsa_session *session,
                                 struct clsa_stream *stream)
{
    struct kept *k = session->policy_state;
    uint32_t n = (uint32_t)k->n;
    CLSA_TRY(clsa_stream_transfer(stream, &n, sizeof n));
    if (n > clsa_session_slots(session))
        return clsa_stream_damaged(stream);
    k->n = n;
    CLSA_TRY(clsa_stream_transfer(stream, k->rows, n * sizeof *k->rows));
    CLSA_TRY(clsa_stream_transfer(stream, k->got, n * sizeof *k->got));
    for (size_t i = 1; i < n; i++)
        if (k->rows[i] <= k->rows[i - 1])
            return clsa_stream_damaged(stream);
    if (!clsa_stream_writes(stream)) {
        memcpy(session->set.next, k->rows, n * sizeof *k->rows);
        clsa_working_set_select(&session->set, n);
    }
    const uint32_t heads = clsa_reader_heads(&session->model->net)->kv_heads;
    const struct clsa_working_set *set = &session->set;
    for (size_t plane = 0; plane < 2 * (size_t)heads; plane++)
        for (size_t i = 0; i < n; i++)
            CLSA_TRY(clsa_stream_transfer(stream,
                                          set->k + plane * set->plane_bytes +
                                              set->order[i] * set->head_bytes,
                                          set->head_bytes));
    return CLSA_OK;
}

/* The last rows, as if nothing before them had been attended to. */
static void keep_last(struct clsa_session *session)
{
    struct kept *k = session->policy_state;
    uint64_t slots = clsa_session_slots(session), n = session->length;
    k->n = clsa_policy_run(k->rows, n > slots ? n - slots : 0,
                           n > slots ? slots : n);
    memset(k->got, 0, k->n * sizeof *k->got);
    memcpy(session->set.next, k->rows, k->n * sizeof *k->rows);
    clsa_session_restore_set(session, k->n);
    clsa_stores_drop(&session->stores);
}

const struct clsa_policy_type clsa_policy_h2o = {
    .name = "h2o",
    .usages = {"h2o:K"},
    .least = 1,
    .most = 1,
    .low = {2},
    .evicts = true,
    .rows = add_row,
    .work[CLSA_POLICY_LEARN] = {row_chunks, add_attention},
    .bytes_searched = bytes_searched,
    .open = open_kept,
    .close = close_kept,
    .truncate = truncate_kept,
    .copy = copy_kept,
    .transfer = transfer_kept,
    .filled = keep_last,
};
