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
 * of this file; pages of the cache are given up behind it.
 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/step.h"

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

static size_t add_row(struct clsa_step *step, unsigned workers, size_t i,
                      uint32_t *rows)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    struct kept *k = column->session->policy_state;
    (void)workers;
    if (k->n == clsa_session_slots(column->session)) {
        size_t gone = least_attended(k, column->position, (uint32_t)k->n / 2);
        size_t behind = k->n - gone - 1;
        memmove(k->rows + gone, k->rows + gone + 1, behind * sizeof *k->rows);
        memmove(k->got + gone, k->got + gone + 1, behind * sizeof *k->got);
        k->n--;
    }
    k->rows[k->n] = (uint32_t)column->position;
    k->got[k->n++] = 0;
    memcpy(rows, k->rows, k->n * sizeof *rows);
    return k->n;
}

/* Maximum and sum of the softmax of a head, of those of its parts. */
static void merge_head(const struct clsa_scratch *s,
                       const struct clsa_attention *a, size_t head,
                       size_t parts, float *max, float *sum)
{
    const size_t ld = a->heads->e + 2;
    const float *part = s->partial + head * a->most_parts * ld + a->heads->e;
    *max = -INFINITY;
    *sum = 0;
    for (size_t i = 0; i < parts; i++)
        *max = fmaxf(*max, part[i * ld]);
    for (size_t i = 0; i < parts; i++)
        *sum += expf(part[i * ld] - *max) * part[i * ld + 1];
}

/* The attention of one head to rows first .. first + n - 1. */
static void add_head(struct clsa_step *step, const struct clsa_attention *a,
                     size_t i, uint32_t head, size_t first, size_t n)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    const struct clsa_working_set *set = column->set;
    const struct clsa_simd *simd = step->model->simd;
    const struct clsa_scratch *s = step->model->scratch;
    const size_t e = a->heads->e, at = i * a->heads->h + head;
    float *got = ((struct kept *)column->session->policy_state)->got + first;
    struct clsa_rows rows = {
        .stride = set->head_bytes, .order = set->order + first, .n = n};
    float p[CHUNK], q[CLSA_MAX_HEAD], top = -INFINITY, max, sum;
    rows.k = set->k + head / a->heads->r * set->strip_bytes;
    for (size_t v = 0; v < e; v++)
        q[v] = s->q[at * e + v] * (1.0f / sqrtf((float)e));
    simd->score[column->session->cache.layout.kv](p, q, e, &rows);
    for (size_t j = 0; j < n; j++)
        top = fmaxf(top, p[j]);
    merge_head(s, a, at, (set->n + CHUNK - 1) / CHUNK, &max, &sum);
    simd->softmax(p, p, n, 1);
    const float scale = expf(top - max) / sum;
    for (size_t j = 0; j < n; j++)
        got[j] += scale * p[j];
}

/* Rows are shared in chunks; a row takes its heads in their order. */
static void add_attention(struct clsa_step *step, const struct clsa_worker *w,
                          size_t i, const struct clsa_attention *a)
{
    const size_t n = clsa_wanted(step, i)->set->n;
    size_t begin, end;
    clsa_share(w, (n + CHUNK - 1) / CHUNK, &begin, &end);
    for (size_t first = begin * CHUNK; first < end * CHUNK; first += CHUNK)
        for (uint32_t head = 0; head < a->heads->h; head++)
            add_head(step, a, i, head, first,
                     n - first < CHUNK ? n - first : CHUNK);
}

/* K again, by every query head of every layer. */
static uint64_t searched(const struct clsa_session *session)
{
    const struct clsa_hparams *hp = &session->model->hp;
    const struct kept *k = session->policy_state;
    return (uint64_t)(hp->layers - hp->self_layers) * k->n * hp->cross.h *
           session->cache.layout.head_bytes;
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
    for (size_t strip = 0; strip < 2 * session->cache.layout.g; strip++)
        for (size_t i = 0; i < n; i++)
            CLSA_TRY(clsa_stream_transfer(
                stream,
                session->set.k + strip * session->set.strip_bytes +
                    session->set.order[i] * session->set.head_bytes,
                session->set.head_bytes));
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
    clsa_cache_drop(&session->cache);
}

const struct clsa_policy_type clsa_policy_h2o = {
    .name = "h2o",
    .form = "h2o:K (K >= 2)",
    .least = 1,
    .most = 1,
    .low = {2},
    .streams = true,
    .rows = add_row,
    .seen = add_attention,
    .searched = searched,
    .open = open_kept,
    .close = close_kept,
    .truncate = truncate_kept,
    .copy = copy_kept,
    .transfer = transfer_kept,
    .filled = keep_last,
};
