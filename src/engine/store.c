/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to all stores of a session, one after the other. */
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/store.h"

static clsa_status open_store(struct clsa_store *store,
                              const struct clsa_store_plan *plan,
                              const struct clsa_store_options *options,
                              clsa_error *error)
{
    store->kind = plan->kind;
    switch (plan->kind) {
    case CLSA_STORE_WINDOW:
        return clsa_window_open(&store->window, plan, options->block, error);
    case CLSA_STORE_CACHE:
        return clsa_cache_open(&store->cache, plan, options, error);
    default:
        return clsa_state_open(&store->state, plan, error);
    }
}

clsa_status clsa_stores_open(struct clsa_stores *stores,
                             const struct clsa_network *net,
                             const struct clsa_store_options *options,
                             clsa_error *error)
{
    stores->net = net;
    stores->store = clsa_mem_calloc(net->store_count, sizeof *stores->store);
    if (!stores->store)
        return clsa_fail_memory(error, "the stores of a session",
                                net->store_count * sizeof *stores->store);
    stores->count = net->store_count;
    for (size_t i = 0; i < stores->count; i++)
        CLSA_TRY(
            open_store(&stores->store[i], &net->stores[i], options, error));
    return CLSA_OK;
}

void clsa_stores_close(struct clsa_stores *stores)
{
    for (size_t i = 0; i < stores->count; i++) {
        struct clsa_store *s = &stores->store[i];
        if (s->kind == CLSA_STORE_WINDOW)
            clsa_window_close(&s->window);
        else if (s->kind == CLSA_STORE_STATE)
            clsa_state_close(&s->state);
        else if (s->cache.pages)
            clsa_cache_close(&s->cache);
    }
    clsa_mem_free(stores->store);
    *stores = (struct clsa_stores){.count = 0};
}

clsa_status clsa_stores_reserve(struct clsa_stores *stores, uint64_t count,
                                clsa_error *error)
{
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            CLSA_TRY(clsa_cache_reserve(&stores->store[i].cache, count, error));
    return CLSA_OK;
}

void clsa_stores_copy(struct clsa_stores *to, const struct clsa_stores *from)
{
    for (size_t i = 0; i < to->count; i++) {
        struct clsa_store *t = &to->store[i];
        const struct clsa_store *f = &from->store[i];
        if (t->kind == CLSA_STORE_WINDOW)
            clsa_window_copy(&t->window, &f->window);
        else if (t->kind == CLSA_STORE_STATE)
            clsa_state_copy(&t->state, &f->state);
        else
            clsa_cache_share(&t->cache, &f->cache);
    }
}

/* -------------------------------------------------------------- new tokens */

void clsa_store_extend(struct clsa_store *store, size_t count)
{
    if (store->kind == CLSA_STORE_WINDOW)
        clsa_window_extend(&store->window, count);
    else if (store->kind == CLSA_STORE_STATE)
        store->state.end += count;
}

void clsa_stores_extend(struct clsa_stores *stores, size_t count)
{
    for (size_t i = 0; i < stores->count; i++)
        clsa_store_extend(&stores->store[i], count);
}

void clsa_stores_written(struct clsa_stores *stores, uint64_t position)
{
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            stores->store[i].cache.length = position + 1;
}

/* -------------------------------------------------------------- truncation */

/* Positions that the windows of all layers together look back. */
static uint64_t look_back(const struct clsa_stores *stores)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_WINDOW)
            rows += stores->store[i].window.size - 1;
    return rows;
}

bool clsa_stores_reach(const struct clsa_stores *stores, uint64_t length)
{
    for (size_t i = 0; i < stores->count; i++) {
        const struct clsa_store *s = &stores->store[i];
        if (s->kind == CLSA_STORE_WINDOW &&
            !clsa_window_reaches(&s->window, length))
            return false;
        if (s->kind == CLSA_STORE_STATE &&
            !clsa_state_reaches(&s->state, length))
            return false;
    }
    return true;
}

/* Where windows and states have to begin again to be exact at `length`. */
static uint64_t restart_at(const struct clsa_stores *stores, uint64_t length)
{
    const uint64_t rows = look_back(stores);
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_STATE)
            return 0;
    return length > rows ? length - rows : 0;
}

bool clsa_stores_truncate(struct clsa_stores *stores, uint64_t length)
{
    const bool kept = clsa_stores_reach(stores, length);
    const uint64_t at = kept ? length : restart_at(stores, length);
    for (size_t i = 0; i < stores->count; i++) {
        struct clsa_store *s = &stores->store[i];
        if (s->kind == CLSA_STORE_CACHE)
            clsa_cache_truncate(&s->cache, length);
        else if (s->kind == CLSA_STORE_STATE)
            clsa_state_cut(&s->state, at, kept);
        else
            clsa_window_cut(&s->window, at, kept);
    }
    return kept;
}

void clsa_stores_refilled(struct clsa_stores *stores)
{
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_WINDOW)
            clsa_window_restarted(&stores->store[i].window);
}

uint64_t clsa_stores_end(const struct clsa_stores *stores, uint64_t length)
{
    for (size_t i = 0; i < stores->count; i++) {
        const struct clsa_store *s = &stores->store[i];
        if (s->kind == CLSA_STORE_WINDOW)
            return s->window.end;
        if (s->kind == CLSA_STORE_STATE)
            return s->state.end;
    }
    return length;
}

void clsa_stores_drop(struct clsa_stores *stores)
{
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            clsa_cache_drop(&stores->store[i].cache);
}

void clsa_stores_skip(struct clsa_stores *stores, uint64_t length)
{
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            clsa_cache_skip(&stores->store[i].cache, length);
}

/* ------------------------------------------------------------------- bytes */

uint64_t clsa_stores_window_bytes(const struct clsa_stores *stores)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < stores->count; i++) {
        const struct clsa_store *s = &stores->store[i];
        if (s->kind == CLSA_STORE_WINDOW)
            bytes += s->window.bytes;
        else if (s->kind == CLSA_STORE_STATE)
            bytes += s->state.bytes;
    }
    return bytes;
}

uint64_t clsa_stores_cache_bytes(const struct clsa_stores *stores)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            bytes += clsa_cache_bytes(&stores->store[i].cache);
    return bytes;
}

uint64_t clsa_stores_page_bytes(const struct clsa_stores *stores,
                                uint64_t context)
{
    const uint64_t pages = (context + CLSA_PAGE_ROWS - 1) / CLSA_PAGE_ROWS;
    uint64_t bytes = 0;
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            bytes += stores->store[i].cache.layout.page_bytes;
    return pages * bytes;
}

uint64_t clsa_stores_row_bytes(const struct clsa_stores *stores)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            bytes += stores->store[i].cache.layout.row_bytes;
    return bytes;
}

uint64_t clsa_stores_key_bytes(const struct clsa_stores *stores)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            bytes += clsa_cache_key_bytes(&stores->store[i].cache.layout);
    return bytes;
}

struct clsa_cache *clsa_stores_cache(const struct clsa_stores *stores)
{
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE)
            return &stores->store[i].cache;
    return NULL;
}
