/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions: opened once and used again and again, and the cache of snapshots.
 * Memory is made by dropping snapshots, before anything fails.
 */
#include <stdlib.h>
#include <string.h>

#include "src/serve/engine.h"

/* A value of the cache. */
struct kept {
    struct serve_engine *engine;
    clsa_snapshot *snapshot;
    struct serve_place place;
};

/* Places in the middle of a long prompt are not written: the text goes on. */
static bool is_worth_a_file(const struct kept *kept)
{
    const size_t length = kept->place.length;
    return kept->engine->disk && length >= SERVE_DISK_MIN &&
           length % SERVE_PAGE != 0;
}

static void release(void *value)
{
    struct kept *kept = value;
    if (is_worth_a_file(kept))
        serve_disk_put(kept->engine->disk, kept->place, kept->snapshot,
                       kept->engine->like);
    clsa_snapshot_free(kept->snapshot);
    free(kept);
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
    e->like = session;
    return CLSA_OK;
}

static bool open_disk(struct serve_engine *e, clsa_error *error)
{
    const struct serve_options *o = e->server->options;
    if (o->cache_dir && !e->snapshots)
        o->say("cache: this policy gives up rows of sessions, which cannot be "
               "kept");
    if (!o->cache_dir || !e->snapshots)
        return true;
    if (!e->disk)
        e->disk =
            serve_disk_open(o->cache_dir, o->cache_dir_size, o->say, error);
    if (e->disk)
        serve_disk_set_model(e->disk, e->model, &o->session_options);
    return e->disk != NULL;
}

bool serve_sessions_open(struct serve_engine *e, clsa_error *error)
{
    clsa_snapshot *snapshot;
    e->cache = serve_cache_open(release);
    if (!e->cache) {
        *error = (clsa_error){CLSA_ERR_MEMORY, "out of memory"};
        return false;
    }
    if (open_session(e, error))
        return false;
    e->snapshots = !clsa_snapshot_take(&snapshot, e->spare[0], NULL);
    if (e->snapshots)
        clsa_snapshot_free(snapshot);
    return open_disk(e, error);
}

void serve_sessions_close(struct serve_engine *e)
{
    struct serve_disk *disk = e->disk;
    e->disk = NULL; /* what is not written by now is left */
    serve_cache_close(e->cache);
    e->cache = NULL;
    e->disk = disk;
    while (e->spare_count > 0)
        clsa_session_close(e->spare[--e->spare_count]);
    e->session_count = 0;
    e->like = NULL;
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
    const struct kept *kept = match.value;
    if (!kept)
        return;
    if (clsa_session_restore(c->session, kept->snapshot, NULL) ||
        (match.length == c->length && !clsa_session_logits(c->session)))
        clsa_session_truncate(c->session, 0, NULL);
    c->read = (size_t)clsa_session_length(c->session);
}

/* Let the choice go on with a session that comes from a file. */
static void use_loaded(struct serve_engine *e, struct serve_choice *c,
                       clsa_session *session)
{
    if (e->like == c->session)
        e->like = session;
    clsa_session_close(c->session);
    c->session = session;
    c->read = (size_t)clsa_session_length(session);
    atomic_fetch_add(&e->server->counts.disk_hits, 1);
    serve_sessions_keep(e, c);
}

/* The disk may have more than was found in memory: enough to be worth reading
   it. All of the tokens help only with the logits after them. */
static void look_on_disk(struct serve_engine *e, struct serve_choice *c)
{
    const struct serve_place place = serve_disk_find(
        e->disk, key_of(e, c), c->ids, c->length, most_cached(e, c));
    clsa_session *session;
    clsa_status status;
    if (place.length < c->read + SERVE_DISK_MIN)
        return;
    do
        status = serve_disk_load(e->disk, place, c->ids, &session);
    while (status == CLSA_ERR_MEMORY && evict(e));
    if (status)
        return;
    if (place.length == c->length && !clsa_session_logits(session))
        clsa_session_close(session);
    else
        use_loaded(e, c, session);
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
    if (e->disk)
        look_on_disk(e, c);
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

/* A snapshot of the session, as a value of the cache; NULL: no memory. */
static struct kept *take(struct serve_engine *e, const struct serve_choice *c)
{
    struct kept *kept = malloc(sizeof *kept);
    clsa_status status;
    if (!kept)
        return NULL;
    *kept = (struct kept){
        e, NULL,
        serve_disk_place(key_of(e, c), clsa_session_tokens(c->session),
                         (size_t)clsa_session_length(c->session))};
    do
        status = clsa_snapshot_take(&kept->snapshot, c->session, NULL);
    while (status == CLSA_ERR_MEMORY && evict(e));
    if (!status)
        return kept;
    free(kept);
    return NULL;
}

void serve_sessions_keep(struct serve_engine *e, struct serve_choice *c)
{
    const size_t count = (size_t)clsa_session_length(c->session);
    const int32_t *ids = clsa_session_tokens(c->session);
    if (!is_kept(e, c) || count == 0 ||
        serve_cache_has(e->cache, key_of(e, c), ids, count))
        return;
    struct kept *kept = take(e, c);
    if (!kept)
        return;
    const uint64_t shared =
        clsa_session_cache_bytes(c->session, count / SERVE_PAGE * SERVE_PAGE);
    serve_cache_put(e->cache, key_of(e, c), ids, count, kept,
                    clsa_snapshot_bytes(kept->snapshot) + shared);
    while (e->server->options->cache > 0 &&
           serve_cache_bytes(e->cache) > e->server->options->cache && evict(e))
        ;
}

void serve_sessions_forget(struct serve_engine *e, struct serve_choice *c)
{
    while (e->cache && e->server->options->cache == 0 &&
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

/* More than the folder takes is not worth being written. */
static void drop_excess(struct serve_engine *e)
{
    struct serve_disk *disk = e->disk;
    e->disk = NULL;
    while (serve_cache_bytes(e->cache) > serve_disk_limit(disk) && evict(e))
        ;
    e->disk = disk;
}

bool serve_sessions_save(struct serve_engine *e)
{
    if (!e->disk || !e->cache)
        return false;
    drop_excess(e);
    return serve_cache_evict(e->cache);
}

void serve_sessions_count(struct serve_engine *e)
{
    struct serve_counts *counts = &e->server->counts;
    const struct serve_cache *cache = e->cache;
    uint64_t limit = atomic_load(&counts->memory_limit), taken = 0;
    if (e->model)
        clsa_model_memory(e->model, &limit, &taken);
    atomic_store(&counts->memory_limit, limit);
    atomic_store(&counts->memory_taken, taken);
    atomic_store(&counts->cache_bytes, cache ? serve_cache_bytes(cache) : 0);
    atomic_store(&counts->cache_tokens, cache ? serve_cache_tokens(cache) : 0);
    atomic_store(&counts->cache_entries, cache ? serve_cache_count(cache) : 0);
    if (!e->disk)
        return;
    atomic_store(&counts->disk_bytes, serve_disk_bytes(e->disk));
    atomic_store(&counts->disk_files, serve_disk_count(e->disk));
}
