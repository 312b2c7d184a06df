/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: the thread that computes. One decoding step of all that run, then one
 * piece of a prompt, bounded in time while others wait for their next token.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/serve/engine.h"

/* Tokens of a piece if nobody waits, and the least if somebody does. */
#define PIECE_MOST 512
#define PIECE_STEP 64

/* ------------------------------------------------------------------ decoding
 */

static bool is_end(const struct serve_engine *e, int32_t id)
{
    const int32_t *ids;
    size_t count;
    clsa_model_eog(e->model, &ids, &count);
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static void fail(struct serve_engine *e, struct serve_choice *c,
                 const clsa_error *error)
{
    serve_request_fail(c->request, 500, "server_error", NULL, NULL, "%s",
                       error->message);
    c->request->failed = true;
    serve_schedule_leave(e, c);
}

static void take_token(struct serve_engine *e, struct serve_choice *c,
                       int32_t id, const float *logits)
{
    struct serve_request *r = c->request;
    struct serve_counts *counts = &e->server->counts;
    const double now = serve_seconds();
    if (c->first == 0)
        c->first = now;
    else
        serve_histogram_add(&counts->gap, now - c->last);
    c->last = now;
    if (is_end(e, id) && !r->params.ignore_eos) {
        serve_choice_end(c, "stop");
        return;
    }
    if (r->first == 0) {
        r->first = now;
        serve_histogram_add(&counts->first, now - r->arrived);
    }
    c->ids[c->length++] = id;
    c->generated++;
    atomic_fetch_add(&counts->generated_tokens, 1);
    serve_choice_take(c, id, logits);
    if (c->generated >= c->limit)
        serve_choice_end(c, "length");
}

/* The next token of a choice; false: it has ended. */
static bool sample(struct serve_engine *e, struct serve_choice *c)
{
    const clsa_choice from = {.logits = clsa_session_logits(c->session),
                              .tokens = c->ids,
                              .count = c->length};
    clsa_error error;
    int32_t id;
    if (!from.logits ||
        clsa_sampler_choose(c->sampler, e->model, &from, &id, &error)) {
        if (!from.logits)
            snprintf(error.message, sizeof error.message, "no logits");
        fail(e, c, &error);
        return false;
    }
    take_token(e, c, id, from.logits);
    if (!c->finish)
        return true;
    serve_schedule_leave(e, c);
    return false;
}

/* Read the last token of each; memory is made for it if it is short. */
static void append_tokens(struct serve_engine *e)
{
    clsa_session *sessions[SERVE_SEQS_MAX];
    struct serve_choice *of[SERVE_SEQS_MAX];
    int32_t ids[SERVE_SEQS_MAX];
    clsa_error error;
    clsa_status status;
    size_t n;
    do {
        n = 0;
        for (size_t i = 0; i < e->running_count; i++) {
            struct serve_choice *c = e->running[i];
            if (c->state != SERVE_DECODING || c->read >= c->length)
                continue;
            of[n] = c;
            sessions[n] = c->session;
            ids[n++] = c->ids[c->length - 1];
        }
        if (n == 0)
            return;
        status = clsa_batch_append(sessions, ids, n, &error);
    } while (status == CLSA_ERR_STOPPED || /* meant for a piece of before */
             (status == CLSA_ERR_MEMORY &&
              (serve_cache_evict(e->cache) || serve_schedule_preempt(e))));
    for (size_t i = 0; i < n; i++)
        if (status)
            fail(e, of[i], &error);
        else
            of[i]->read++;
}

/* One token for all that decode; returns how many. */
static size_t decode(struct serve_engine *e)
{
    const double start = serve_seconds();
    size_t n = 0;
    for (size_t i = e->running_count; i-- > 0;) {
        struct serve_choice *c = e->running[i];
        if (c->state != SERVE_DECODING)
            continue;
        c->paused = serve_is_full(c->request);
        if (!c->paused)
            n += sample(e, c);
    }
    if (n == 0)
        return 0;
    append_tokens(e);
    e->step_ms = (serve_seconds() - start) * 1e3;
    atomic_fetch_add(&e->server->counts.decode_steps, 1);
    atomic_fetch_add(&e->server->counts.decode_tokens, n);
    atomic_store(&e->server->counts.step_us,
                 (unsigned long long)(e->step_ms * 1e3));
    return n;
}

/* ------------------------------------------------------------------ reading */

/* Tokens that may be read now: all that running streams wait for, or as many as
   take no more than max_stall. */
static size_t quantum(const struct serve_engine *e, size_t decoding)
{
    const double stall = (double)e->server->options->max_stall;
    if (decoding == 0 || e->token_ms <= 0)
        return decoding == 0 ? PIECE_MOST : PIECE_STEP;
    const double most = floor(stall / e->token_ms / PIECE_STEP) * PIECE_STEP;
    return (size_t)fmin(fmax(most, PIECE_STEP), PIECE_MOST);
}

/* The next place of a prompt that others may share: its branch, or a page of
   the caches. */
static size_t next_place(const struct serve_engine *e,
                         const struct serve_choice *c)
{
    const size_t page = (c->read / SERVE_PAGE + 1) * SERVE_PAGE;
    size_t place = page < c->length ? page : c->length;
    if (c->branch > c->read && c->branch < place)
        place = c->branch;
    const size_t least = e->server->exact ? 1 : SERVE_PIECE_MIN;
    return place - c->read < least || c->length - place < least ? c->length
                                                                : place;
}

/* Tokens of the next piece: no rest is shorter than a piece may be. */
static size_t piece(const struct serve_engine *e, const struct serve_choice *c,
                    size_t most)
{
    const size_t rest = next_place(e, c) - c->read;
    return rest < most + SERVE_PIECE_MIN ? rest : most;
}

static void finish_piece(struct serve_engine *e, struct serve_choice *c,
                         size_t n)
{
    atomic_fetch_add(&e->server->counts.prompt_tokens, n);
    if (c->read == c->branch ||
        (c->read % SERVE_PAGE == 0 && c->read < c->length) ||
        (c->read == c->length && c->generated == 0))
        serve_sessions_keep(e, c);
    if (c->read < c->length)
        return;
    c->state = SERVE_DECODING;
    if (!c->sum)
        return;
    c->finish = "stop";
    serve_schedule_leave(e, c);
}

/* Read n tokens; if memory is short in the middle of them, the rest. */
static clsa_status append_piece(struct serve_engine *e, struct serve_choice *c,
                                size_t n, clsa_error *error)
{
    const size_t end = c->read + n;
    uint8_t mask[PIECE_MOST + SERVE_PIECE_MIN];
    clsa_status status;
    atomic_store(&c->request->busy, c->session);
    do {
        clsa_append_options how = {.want = end == c->length ? CLSA_WANT_LAST
                                                            : CLSA_WANT_NONE};
        if (c->sum)
            serve_embed_want(c, end - c->read, mask, &how);
        status = clsa_session_append(c->session, c->ids + c->read,
                                     end - c->read, &how, error);
        c->read = (size_t)clsa_session_length(c->session);
    } while (status == CLSA_ERR_MEMORY && serve_cache_evict(e->cache));
    atomic_store(&c->request->busy, NULL);
    return status;
}

/* A piece of somebody's prompt; false: nobody reads. */
static bool read_piece(struct serve_engine *e, size_t decoding)
{
    struct serve_choice *c = serve_schedule_reader(e);
    clsa_error error;
    if (!c)
        return false;
    const size_t n = piece(e, c, quantum(e, decoding));
    const double start = serve_seconds();
    const clsa_status status = append_piece(e, c, n, &error);
    if (status == CLSA_ERR_STOPPED || /* and is dropped, or comes again */
        (status == CLSA_ERR_MEMORY && serve_schedule_preempt(e)))
        return true;
    if (status) {
        fail(e, c, &error);
        return true;
    }
    const double ms = (serve_seconds() - start) * 1e3;
    if (n >= SERVE_PIECE_MIN)
        e->token_ms = e->token_ms > 0 ? 0.7 * e->token_ms + 0.3 * ms / (double)n
                                      : ms / (double)n;
    atomic_store(&e->server->counts.chunk_us, (unsigned long long)(ms * 1e3));
    finish_piece(e, c, n);
    return true;
}

/* --------------------------------------------------------------------- thread
 */

/* Before the end the cache goes to the disk, a file at a time: a second signal
   is seen between two. False: there is nothing to do. */
static bool save(struct serve_engine *e)
{
    struct serve *s = e->server;
    if (atomic_load(&s->phase) != SERVE_DRAINING || e->running_count > 0 ||
        e->waiting)
        return false;
    if (serve_sessions_save(e))
        return true;
    if (!atomic_exchange(&s->saved, true))
        serve_queue_wake(&s->ready);
    return false;
}

static void run(struct serve_engine *e)
{
    struct serve *s = e->server;
    while (atomic_load(&s->phase) != SERVE_STOPPED) {
        serve_schedule(e);
        const size_t decoding = decode(e);
        if (!read_piece(e, decoding) && decoding == 0 && !save(e))
            serve_queue_wait(&s->inbox, serve_models_rest(e));
    }
    for (size_t i = 0; i < e->running_count; i++)
        atomic_store(&e->running[i]->request->cancelled, true);
    for (struct serve_choice *c = e->waiting; c; c = c->next)
        atomic_store(&c->request->cancelled, true);
    serve_schedule(e);
}

void *serve_engine_run(void *server)
{
    struct serve_engine e = {.server = server};
    struct serve *s = server;
    int loading = SERVE_LOADING;
    if (serve_models_open(&e)) {
        serve_schedule(&e); /* counts */
        if (atomic_compare_exchange_strong(&s->phase, &loading, SERVE_READY))
            serve_queue_wake(&s->ready);
        run(&e);
    } else {
        atomic_store(&s->phase, SERVE_STOPPED);
    }
    serve_sessions_close(&e);
    serve_disk_close(e.disk);
    atomic_store(&s->phase, SERVE_STOPPED);
    serve_queue_wake(&s->ready);
    serve_queue_wake(&s->parse);
    return e.model;
}
