/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions: opened once and used again and again, and the cache of snapshots.
 * Memory is made by dropping snapshots, before anything fails.
 */
#include <stdlib.h>
#include <string.h>

#include "src/serve/engine.h"

static void release(void *snapshot)
{
    clsa_snapshot_free(snapshot);
}

static bool evict(struct serve_engine *e)
{
    if (!serve_cache_evict(e->cache))
        return false;
    atomic_fetch_add(&e->server->counts.evictions, 1);
    return true;
}

/* Open one more, to be spare. */
static clsa_status open_session(struct serve_engine *e, clsa_error *error)
{
    clsa_status status;
    clsa_session *session;
    do
        status = clsa_session_open(&session, e->model,
                                   &e->server->options->session_options, error);
    while (status == CLSA_ERR_MEMORY && evict(e));
    if (status)
        return status;
    e->spare[e->spare_count++] = session;
    e->session_count++;
    return CLSA_OK;
}

bool serve_sessions_open(struct serve_engine *e)
{
    clsa_snapshot *snapshot;
    e->cache = serve_cache_open(release);
    if (!e->cache) {
        e->server->error = (clsa_error){CLSA_ERR_MEMORY, "out of memory"};
        return false;
    }
    if (open_session(e, &e->server->error))
        return false;
    e->snapshots = !clsa_snapshot_take(&snapshot, e->spare[0], NULL);
    if (e->snapshots)
        clsa_snapshot_free(snapshot);
    return true;
}

void serve_sessions_close(struct serve_engine *e)
{
    serve_cache_close(e->cache);
    while (e->spare_count > 0)
        clsa_session_close(e->spare[--e->spare_count]);
}

/* The root of the tree: the client's, or without a cache the request's. */
static uint64_t key_of(const struct serve_engine *e,
                       const struct serve_choice *c)
{
    return e->server->options->cache > 0
               ? c->request->key
               : UINT64_MAX - (uint64_t)(uintptr_t)c->request;
}

/* Whether others may want what this choice reads. */
static bool is_kept(const struct serve_engine *e, const struct serve_choice *c)
{
    return e->snapshots && !c->sum &&
           (e->server->options->cache > 0 || c->request->params.n > 1);
}

/* What may be left to be read: nothing, or enough to be multiplied as it would
   be without the cache. */
static size_t most_cached(const struct serve_engine *e,
                          const struct serve_choice *c)
{
    const size_t least = e->server->exact ? 1 : SERVE_PIECE_MIN;
    return c->length > least ? c->length - least : 0;
}

void serve_sessions_look(struct serve_engine *e, struct serve_choice *c,
                         size_t *most, size_t *branch)
{
    const struct serve_match match = serve_cache_find(
        e->cache, key_of(e, c), c->ids, c->length, most_cached(e, c), true);
    const size_t least = e->server->exact ? 1 : SERVE_PIECE_MIN;
    *most = match.length;
    *branch = match.common >= match.length + 2 * SERVE_PIECE_MIN &&
                      match.common + least <= c->length
                  ? match.common
                  : 0;
}

/* Let the empty session have the longest beginning that is there; all of it
   only with the logits after it. */
static void restore(struct serve_engine *e, struct serve_choice *c, bool whole)
{
    const struct serve_match match = serve_cache_find(
        e->cache, key_of(e, c), c->ids, c->length, most_cached(e, c), whole);
    if (!match.value)
        return;
    if (clsa_session_restore(c->session, match.value, NULL) ||
        (match.length == c->length && !clsa_session_logits(c->session)))
        clsa_session_truncate(c->session, 0, NULL);
    c->read = (size_t)clsa_session_length(c->session);
}

static void fill(struct serve_engine *e, struct serve_choice *c)
{
    struct serve_counts *counts = &e->server->counts;
    size_t found;
    serve_sessions_look(e, c, &found, &c->branch);
    atomic_fetch_add(&counts->cache_queries, 1);
    restore(e, c, true);
    if (c->read == 0)
        restore(e, c, false);
    if (c->read == 0)
        return;
    atomic_fetch_add(&counts->cache_hits, 1);
    if (c->generated == 0) {
        c->cached = c->read;
        atomic_fetch_add(&counts->cached_tokens, c->read);
    }
}

bool serve_sessions_give(struct serve_engine *e, struct serve_choice *c)
{
    if (e->spare_count == 0 && open_session(e, NULL))
        return false;
    c->session = e->spare[--e->spare_count];
    c->read = 0;
    if (e->snapshots && !c->sum)
        fill(e, c);
    return true;
}

void serve_sessions_keep(struct serve_engine *e, struct serve_choice *c)
{
    const size_t count = (size_t)clsa_session_length(c->session);
    const int32_t *ids = clsa_session_tokens(c->session);
    clsa_snapshot *snapshot;
    clsa_status status;
    if (!is_kept(e, c) || count == 0 ||
        serve_cache_has(e->cache, key_of(e, c), ids, count))
        return;
    do
        status = clsa_snapshot_take(&snapshot, c->session, NULL);
    while (status == CLSA_ERR_MEMORY && evict(e));
    if (status)
        return;
    const uint64_t shared =
        clsa_session_cache_bytes(c->session, count / SERVE_PAGE * SERVE_PAGE);
    serve_cache_put(e->cache, key_of(e, c), ids, count, snapshot,
                    clsa_snapshot_bytes(snapshot) + shared);
    while (e->server->options->cache > 0 &&
           serve_cache_bytes(e->cache) > e->server->options->cache && evict(e))
        ;
}

void serve_sessions_forget(struct serve_engine *e, struct serve_choice *c)
{
    while (e->server->options->cache == 0 &&
           serve_cache_forget(e->cache, key_of(e, c)))
        ;
}

void serve_sessions_take(struct serve_engine *e, struct serve_choice *c,
                         bool keep)
{
    if (!c->session)
        return;
    if (keep && e->server->options->cache > 0)
        serve_sessions_keep(e, c);
    clsa_session_truncate(c->session, 0, NULL);
    e->spare[e->spare_count++] = c->session;
    c->session = NULL;
    c->read = 0;
}

bool serve_sessions_make_room(struct serve_engine *e, uint64_t bytes)
{
    uint64_t limit, taken;
    do {
        clsa_model_memory(e->model, &limit, &taken);
        if (taken + bytes <= limit)
            return true;
    } while (evict(e));
    return false;
}

void serve_sessions_count(struct serve_engine *e)
{
    struct serve_counts *counts = &e->server->counts;
    uint64_t limit, taken;
    clsa_model_memory(e->model, &limit, &taken);
    atomic_store(&counts->memory_limit, limit);
    atomic_store(&counts->memory_taken, taken);
    atomic_store(&counts->cache_bytes, serve_cache_bytes(e->cache));
    atomic_store(&counts->cache_tokens, serve_cache_tokens(e->cache));
    atomic_store(&counts->cache_entries, serve_cache_count(e->cache));
}
