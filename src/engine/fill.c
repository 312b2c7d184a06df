/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill: a session that looks as if it had read a long text, with random rows
 * in place of computed ones. Values have the variance of real ones: K is
 * normed, V and index keys are products of a normed vector.
 */
#include "src/base/mem.h"
#include "src/base/random.h"
#include "src/engine/session.h"

/* Values that the threads make between two looks at the caller's wish. */
#define SLAB ((size_t)1 << 23)

struct fill {
    struct clsa_session *session;
    uint64_t tokens, seed;
    uint64_t first, count; /* rows to make now */
    float *rows;           /* [threads][2 g e + e_i] */
};

static size_t row_values(const struct clsa_hparams *hp)
{
    return 2 * (size_t)hp->cross.g * hp->cross.e + hp->index_size;
}

static void fill_cache(const struct fill *f, const struct clsa_worker *w)
{
    struct clsa_session *s = f->session;
    const struct clsa_hparams *hp = &s->model->hp;
    const size_t n = row_values(hp), ge = (size_t)hp->cross.g * hp->cross.e;
    float *row = f->rows + w->id * n;
    size_t begin, end;
    clsa_share(w, (size_t)f->count, &begin, &end);
    for (size_t i = (size_t)f->first + begin; i < f->first + end; i++) {
        uint64_t stream = clsa_random_stream(f->seed, i);
        clsa_random_floats(row, n, stream, CLSA_RANDOM_UNIT);
        clsa_cache_write(&s->cache, s->model->simd, i, row, row + ge,
                         hp->index_size ? row + 2 * ge : NULL);
        s->tokens[i] = (int32_t)(clsa_random_bits(~stream, 0) % hp->vocab);
    }
}

/* Rows 0..count-1 of every strip: a window that begins with the first one the
   next token sees. */
static void fill_windows(const struct fill *f, const struct clsa_worker *w,
                         size_t count)
{
    struct clsa_window *window = &f->session->window;
    size_t begin, end, strips = (size_t)window->layers * 2 * window->g;
    clsa_share(w, strips, &begin, &end);
    for (size_t i = begin; i < end; i++)
        clsa_random_floats(window->rows + i * window->capacity * window->e,
                           count * window->e, clsa_random_stream(~f->seed, i),
                           CLSA_RANDOM_UNIT);
}

/* Rows that the windows keep of the tokens. */
static size_t window_rows(const struct fill *f)
{
    uint64_t most = f->session->window.size - 1;
    return (size_t)(f->tokens < most ? f->tokens : most);
}

static void work(void *context, struct clsa_worker *w)
{
    const struct fill *f = context;
    fill_cache(f, w);
    if (f->first + f->count == f->tokens)
        fill_windows(f, w, window_rows(f));
}

/* Some rows at a time; the caller may stop it between them. */
static clsa_status fill_all(struct fill *f, clsa_error *error)
{
    const struct clsa_model *model = f->session->model;
    const uint64_t most = SLAB / row_values(&model->hp) + 1;
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

clsa_status clsa_session_fill_random(clsa_session *session, uint64_t tokens,
                                     uint64_t seed, clsa_error *error)
{
    struct clsa_team *team = session->model->team;
    struct fill f = {.session = session, .tokens = tokens, .seed = seed};
    size_t bytes =
        clsa_team_size(team) * row_values(&session->model->hp) * sizeof *f.rows;
    CLSA_TRY(check_fill(session, tokens, error));
    CLSA_TRY(clsa_cache_reserve(&session->cache, tokens, error));
    if (!(f.rows = clsa_mem_map(bytes)))
        return clsa_fail_memory(error, "random rows", bytes);
    clsa_status status = fill_all(&f, error);
    clsa_mem_unmap(f.rows, bytes);
    if (status)
        return status;
    clsa_retention_fill(&session->retention, tokens, seed);
    session->length = session->cache.length = tokens;
    session->window.base = session->window.exact = tokens - window_rows(&f);
    session->window.end = tokens;
    if (session->policy.type->filled)
        session->policy.type->filled(session);
    session->has_logits = false;
    return CLSA_OK;
}
