/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill: a session that looks as if it had read a long text, with random rows
 * in place of computed ones. Values have the variance of real ones: K is
 * normed, V and index keys are products of a normed vector.
 */
#include "clsa_bench.h"
#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/base/random.h"
#include "src/engine/session.h"

/* Values that the threads make between two looks at the caller's wish. */
#define SLAB ((size_t)1 << 23)

struct fill {
    struct clsa_session *session;
    uint64_t tokens, seed;
    uint64_t first, count; /* rows to make now */
    size_t values;         /* of a row, in the widest cache */
    float *rows;           /* [threads][values] */
};

static size_t row_values(const struct clsa_cache_layout *l)
{
    return 2 * (size_t)l->kv_heads * l->head_dim + l->index_dim;
}

/* Seed of a store: caches after the first have another. */
static uint64_t seed_of(const struct fill *f, size_t store)
{
    const struct clsa_stores *s = &f->session->stores;
    return &s->store[store].cache == clsa_stores_cache(s) ? f->seed
                                                          : f->seed + store;
}

static void fill_cache(const struct fill *f, const struct clsa_worker *w,
                       size_t store)
{
    struct clsa_session *s = f->session;
    struct clsa_cache *cache = &s->stores.store[store].cache;
    const struct clsa_cache_layout *l = &cache->layout;
    const size_t ge = (size_t)l->kv_heads * l->head_dim;
    const uint64_t seed = seed_of(f, store);
    float *row = f->rows + w->id * f->values;
    struct clsa_loop loop = clsa_loop(w, (size_t)f->count);
    while (clsa_loop_next(&loop))
        for (size_t j = loop.begin; j < loop.end; j++) {
            const uint64_t i = f->first + j;
            clsa_random_floats(row, row_values(l), clsa_random_stream(seed, i),
                               CLSA_RANDOM_UNIT);
            clsa_cache_write(cache, s->model->simd, i, row, row + ge,
                             l->index_dim ? row + 2 * ge : NULL);
        }
}

static void fill_tokens(const struct fill *f, const struct clsa_worker *w)
{
    struct clsa_session *s = f->session;
    struct clsa_loop loop = clsa_loop(w, (size_t)f->count);
    while (clsa_loop_next(&loop))
        for (size_t j = loop.begin; j < loop.end; j++) {
            const uint64_t i = f->first + j;
            const uint64_t stream = clsa_random_stream(f->seed, i);
            s->tokens[i] =
                (int32_t)(clsa_random_bits(~stream, 0) % s->model->net.vocab);
        }
}

/* A window that begins with the first row that the next token sees. `plane`:
   number of its first plane among the planes of all windows. */
static void fill_window(const struct fill *f, const struct clsa_worker *w,
                        struct clsa_window *window, size_t plane)
{
    const size_t count = (size_t)(window->end - window->base);
    struct clsa_loop loop = clsa_loop(w, 2 * (size_t)window->kv_heads);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            clsa_random_floats(
                window->rows + i * window->capacity * window->head_dim,
                count * window->head_dim,
                clsa_random_stream(~f->seed, plane + i), CLSA_RANDOM_UNIT);
}

/* The layer that writes a store. */
static const struct clsa_layer *writer_of(const struct clsa_network *net,
                                          size_t store)
{
    const struct clsa_layer *l = net->layers;
    while (!l->writes || l->store != store)
        l++;
    return l;
}

static void work(void *context, struct clsa_worker *w)
{
    const struct fill *f = context;
    const struct clsa_stores *stores = &f->session->stores;
    const bool last = f->first + f->count == f->tokens;
    size_t plane = 0, head = 0;
    fill_tokens(f, w);
    for (size_t i = 0; i < stores->count; i++) {
        struct clsa_store *s = &stores->store[i];
        if (s->kind == CLSA_STORE_CACHE) {
            fill_cache(f, w, i);
        } else if (s->kind == CLSA_STORE_WINDOW && last) {
            fill_window(f, w, &s->window, plane);
            plane += 2 * (size_t)s->window.kv_heads;
        } else if (s->kind == CLSA_STORE_STATE && last) {
            struct clsa_loop loop = clsa_loop(w, 1);
            while (clsa_loop_next(&loop))
                clsa_state_fill(&s->state,
                                writer_of(&f->session->model->net, i),
                                f->tokens, f->seed, head);
            head += s->state.heads;
        }
    }
}

/* Some rows at a time; the caller may stop it between them. */
static clsa_status fill_all(struct fill *f, clsa_error *error)
{
    const struct clsa_model *model = f->session->model;
    const uint64_t most = SLAB / (f->values + 1) + 1;
    for (; f->first < f->tokens; f->first += f->count) {
        f->count = f->tokens - f->first;
        if (f->count > most)
            f->count = most;
        clsa_team_run(model->team, work, f);
        CLSA_TRY(clsa_progress_tell(&model->progress, f->first + f->count,
                                    f->tokens, "random rows", error));
    }
    return CLSA_OK;
}

static clsa_status check_fill(const struct clsa_session *s, uint64_t tokens,
                              clsa_error *error)
{
    if (s->length != 0)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "the session to fill has read %llu tokens: truncate "
                         "it to 0 first",
                         (unsigned long long)s->length);
    if (tokens == 0)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "no tokens to fill in: give at least one");
    if (tokens > s->context)
        return clsa_fail(error, CLSA_ERR_FULL,
                         "%llu tokens do not fit: the context holds %llu",
                         (unsigned long long)tokens,
                         (unsigned long long)s->context);
    return CLSA_OK;
}

/* Windows hold the last rows of the tokens. */
static void place_windows(const struct fill *f)
{
    const struct clsa_stores *stores = &f->session->stores;
    for (size_t i = 0; i < stores->count; i++) {
        struct clsa_window *w = &stores->store[i].window;
        if (stores->store[i].kind != CLSA_STORE_WINDOW)
            continue;
        const uint64_t most = w->size - 1;
        const uint64_t count = clsa_min_u64(f->tokens, most);
        w->base = w->exact = f->tokens - count;
        w->end = f->tokens;
    }
}

static void measure(struct fill *f)
{
    const struct clsa_stores *stores = &f->session->stores;
    for (size_t i = 0; i < stores->count; i++)
        if (stores->store[i].kind == CLSA_STORE_CACHE) {
            size_t n = row_values(&stores->store[i].cache.layout);
            f->values = clsa_max(n, f->values);
        }
}

static clsa_status fill_session(struct fill *f, clsa_error *error)
{
    struct clsa_session *s = f->session;
    const size_t bytes =
        clsa_team_size(s->model->team) * (f->values + 1) * sizeof *f->rows;
    CLSA_TRY(clsa_stores_reserve(&s->stores, f->tokens, error));
    if (!(f->rows = clsa_mem_map(bytes)))
        return clsa_fail_memory(error, "random rows", bytes);
    place_windows(f);
    clsa_status status = fill_all(f, error);
    clsa_mem_unmap(f->rows, bytes);
    return status;
}

clsa_status clsa_session_fill_random(clsa_session *session, uint64_t tokens,
                                     uint64_t seed, clsa_error *error)
{
    struct fill f = {.session = session, .tokens = tokens, .seed = seed};
    CLSA_TRY(check_fill(session, tokens, error));
    CLSA_TRY(clsa_team_ready(session->model->team, error));
    measure(&f);
    clsa_status status = fill_session(&f, error);
    if (status) {
        clsa_stores_truncate(&session->stores, 0);
        return status;
    }
    clsa_stores_written(&session->stores, tokens - 1);
    session->length = tokens;
    if (session->policy.type->filled)
        session->policy.type->filled(session);
    session->has_logits = false;
    return CLSA_OK;
}
