/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot: what going on from a position needs. Full pages of the caches are
 * shared; the rest lies in one block:
 *
 *   rows of windows, states; the rows of each last page; logits; rows that the
 *   last output read; tokens
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/step.h"

struct clsa_snapshot {
    struct clsa_model *model;
    clsa_type kv_type, index_type;
    uint64_t length;
    struct clsa_stores stores; /* windows and states lie in the block */
    unsigned char **tails;     /* [stores.count] of caches, in the block */
    float *logits;             /* [vocab], or NULL */
    uint32_t *last_rows;       /* [last_count], or NULL */
    size_t last_count;
    int32_t *tokens; /* [length] */
    void *block;
    size_t bytes; /* of the block */
};

/* The part of a store in the block; its size alone as long as that is NULL. */
static void lay_out_store(struct clsa_arena *c, struct clsa_store *to,
                          unsigned char **tail, const struct clsa_store *from)
{
    if (from->kind == CLSA_STORE_WINDOW) {
        to->window = from->window;
        to->window.capacity = clsa_window_kept(&from->window);
        to->window.bytes = 2 * (size_t)from->window.kv_heads *
                           (size_t)to->window.capacity * from->window.head_dim *
                           sizeof(float);
        to->window.rows = clsa_arena_take(c, to->window.bytes, 1);
    } else if (from->kind == CLSA_STORE_STATE) {
        to->state = from->state;
        to->state.memory = clsa_arena_take(c, from->state.bytes, 1);
    } else {
        *tail = clsa_arena_take(c, clsa_cache_tail_bytes(&from->cache), 1);
    }
}

static size_t lay_out(struct clsa_snapshot *n, const struct clsa_session *s)
{
    struct clsa_arena c = {n->block, 0};
    const bool selected = s->has_logits && s->last_rows;
    for (size_t i = 0; i < n->stores.count; i++)
        lay_out_store(&c, &n->stores.store[i], &n->tails[i],
                      &s->stores.store[i]);
    if (s->has_logits)
        n->logits = clsa_arena_take(&c, s->model->net.vocab, sizeof *n->logits);
    n->last_count = selected ? s->last_count : 0;
    if (selected)
        n->last_rows = clsa_arena_take(&c, n->last_count, sizeof *n->last_rows);
    n->tokens = clsa_arena_take(&c, (size_t)s->length, sizeof *n->tokens);
    return clsa_round_up(c.used ? c.used : 1, clsa_mem_page());
}

static clsa_status open_tables(struct clsa_snapshot *n,
                               const struct clsa_session *s, clsa_error *error)
{
    const size_t count = s->stores.count;
    n->stores.net = s->stores.net;
    n->stores.store = clsa_mem_calloc(count, sizeof *n->stores.store);
    n->tails = clsa_mem_calloc(count, sizeof *n->tails);
    if (!n->stores.store || !n->tails)
        return clsa_fail_memory(error, "a snapshot",
                                count * sizeof *n->stores.store);
    n->stores.count = count;
    for (size_t i = 0; i < count; i++) {
        n->stores.store[i].kind = s->stores.store[i].kind;
        if (s->stores.store[i].kind == CLSA_STORE_CACHE)
            CLSA_TRY(clsa_cache_open_shared(&n->stores.store[i].cache,
                                            &s->stores.store[i].cache, error));
    }
    return CLSA_OK;
}

static clsa_status fill(struct clsa_snapshot *n, const struct clsa_session *s,
                        clsa_error *error)
{
    CLSA_TRY(open_tables(n, s, error));
    n->bytes = lay_out(n, s);
    n->block =
        clsa_budget_map(&n->model->budget, n->bytes, "a snapshot", error);
    if (!n->block)
        return CLSA_ERR_MEMORY;
    lay_out(n, s);
    for (size_t i = 0; i < n->stores.count; i++) {
        struct clsa_store *to = &n->stores.store[i];
        const struct clsa_store *from = &s->stores.store[i];
        if (to->kind == CLSA_STORE_WINDOW)
            clsa_window_copy(&to->window, &from->window);
        else if (to->kind == CLSA_STORE_STATE)
            clsa_state_copy(&to->state, &from->state);
        else
            clsa_cache_save_tail(&from->cache, n->tails[i]);
    }
    if (n->logits)
        memcpy(n->logits, s->logits, s->model->net.vocab * sizeof *n->logits);
    if (n->last_rows)
        memcpy(n->last_rows, s->last_rows,
               n->last_count * sizeof *s->last_rows);
    memcpy(n->tokens, s->tokens, (size_t)s->length * sizeof *n->tokens);
    return CLSA_OK;
}

static clsa_status cannot_share(const struct clsa_session *s, clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "no snapshots with %s, which gives up rows of its cache: "
                     "save the session, or fork it",
                     s->attention);
}

clsa_status clsa_snapshot_take(clsa_snapshot **snapshot,
                               const clsa_session *session, clsa_error *error)
{
    if (clsa_session_evicts(session))
        return cannot_share(session, error);
    struct clsa_snapshot *n = clsa_mem_calloc(1, sizeof *n);
    if (!n)
        return clsa_fail_memory(error, "a snapshot", sizeof *n);
    n->model = session->model;
    n->kv_type = session->kv_type;
    n->index_type = session->index_type;
    n->length = session->length;
    clsa_status status = fill(n, session, error);
    if (status) {
        clsa_snapshot_free(n);
        return status;
    }
    *snapshot = n;
    return CLSA_OK;
}

void clsa_snapshot_free(clsa_snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; i < snapshot->stores.count; i++)
        if (snapshot->stores.store[i].kind == CLSA_STORE_CACHE &&
            snapshot->stores.store[i].cache.pages)
            clsa_cache_close(&snapshot->stores.store[i].cache);
    clsa_mem_free(snapshot->stores.store);
    clsa_mem_free(snapshot->tails);
    clsa_budget_unmap(&snapshot->model->budget, snapshot->block,
                      snapshot->bytes);
    clsa_mem_free(snapshot);
}

uint64_t clsa_snapshot_length(const clsa_snapshot *snapshot)
{
    return snapshot->length;
}

uint64_t clsa_snapshot_bytes(const clsa_snapshot *snapshot)
{
    uint64_t bytes = snapshot->bytes;
    for (size_t i = 0; i < snapshot->stores.count; i++)
        if (snapshot->stores.store[i].kind == CLSA_STORE_CACHE)
            bytes += clsa_cache_own_bytes(&snapshot->stores.store[i].cache);
    return bytes;
}

/* ----------------------------------------------------------------- restore */

static clsa_status check_restore(const struct clsa_session *s,
                                 const struct clsa_snapshot *n,
                                 clsa_error *error)
{
    if (clsa_session_evicts(s))
        return cannot_share(s, error);
    if (s->model != n->model || s->kv_type != n->kv_type ||
        s->index_type != n->index_type)
        return clsa_fail(error, CLSA_ERR_MISMATCH,
                         "the snapshot is of %s: restore it in a session like "
                         "the one that it was taken of",
                         s->model != n->model ? "another model"
                                              : "other types of caches");
    if (n->length > s->context)
        return clsa_fail(error, CLSA_ERR_FULL,
                         "a snapshot of %llu tokens does not fit: the context "
                         "holds %llu; open the session with a larger context",
                         (unsigned long long)n->length,
                         (unsigned long long)s->context);
    return CLSA_OK;
}

/* Not if its working set has no room for the rows: another policy read them. */
static bool has_logits_for(const struct clsa_snapshot *n,
                           const struct clsa_session *s)
{
    const bool dense = clsa_policy_is_dense(&s->policy);
    return n->logits && dense == !n->last_rows &&
           (dense || n->last_count <= clsa_session_slots(s)) && !s->layer_rows;
}

static void restore_last(struct clsa_session *s, const struct clsa_snapshot *n)
{
    const bool dense = clsa_policy_is_dense(&s->policy);
    if (!has_logits_for(n, s))
        return;
    memcpy(s->logits, n->logits, s->model->net.vocab * sizeof *s->logits);
    s->has_logits = true;
    if (dense)
        return;
    memcpy(s->set.next, n->last_rows, n->last_count * sizeof *n->last_rows);
    clsa_session_restore_set(s, n->last_count);
}

clsa_status clsa_session_restore(clsa_session *session,
                                 const clsa_snapshot *snapshot,
                                 clsa_error *error)
{
    CLSA_TRY(check_restore(session, snapshot, error));
    CLSA_TRY(clsa_session_truncate(session, 0, error));
    clsa_stores_copy(&session->stores, &snapshot->stores);
    for (size_t i = 0; i < snapshot->stores.count; i++) {
        struct clsa_store *to = &session->stores.store[i];
        if (to->kind != CLSA_STORE_CACHE)
            continue;
        clsa_status status = clsa_cache_load_tail(
            &to->cache, snapshot->tails[i], snapshot->length, error);
        if (status) {
            clsa_session_truncate(session, 0, NULL);
            return status;
        }
    }
    memcpy(session->tokens, snapshot->tokens,
           (size_t)snapshot->length * sizeof *session->tokens);
    session->length = snapshot->length;
    restore_last(session, snapshot);
    return CLSA_OK;
}

clsa_status clsa_snapshot_show(const clsa_snapshot *snapshot,
                               struct clsa_session *state,
                               unsigned char *const **tails, clsa_error *error)
{
    CLSA_TRY(check_restore(state, snapshot, error));
    state->stores = snapshot->stores;
    state->tokens = snapshot->tokens;
    state->length = snapshot->length;
    state->has_logits = has_logits_for(snapshot, state);
    state->logits = snapshot->logits;
    state->last_rows = state->has_logits ? snapshot->last_rows : NULL;
    state->last_count = snapshot->last_count;
    *tails = snapshot->tails;
    return CLSA_OK;
}
