/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule: who runs. Of those that wait, the one with the fewest tokens to be
 * read that are not in the cache comes first, less the longer it has waited;
 * keys take turns. Nobody is admitted whose prompt and answer do not fit in
 * memory beside what the others may still take.
 */
#include <string.h>

#include "src/serve/engine.h"

bool serve_is_full(struct serve_request *request)
{
    pthread_mutex_lock(&request->lock);
    const bool full = request->full;
    pthread_mutex_unlock(&request->lock);
    return full;
}

/* Whether nobody wants the rest of its choices. */
static bool is_dropped(const struct serve_request *r)
{
    return r->failed || atomic_load(&r->cancelled);
}

/* ----------------------------------------------------------- arrive, leave */

static void add_waiting(struct serve_engine *e, struct serve_choice *c)
{
    struct serve_choice **at = &e->waiting;
    while (*at)
        at = &(*at)->next;
    c->next = NULL;
    c->state = SERVE_WAITING;
    *at = c;
}

static void take_inbox(struct serve_engine *e)
{
    struct serve_queue *inbox = &e->server->inbox;
    struct serve_link *taken = serve_queue_take(inbox), *link;
    while ((link = serve_queue_next(inbox, &taken))) {
        struct serve_request *r = (struct serve_request *)(void *)link;
        r->queued = serve_seconds();
        for (size_t i = 0; i < r->choice_count; i++)
            add_waiting(e, &r->choices[i]);
    }
}

static void remove_running(struct serve_engine *e, const struct serve_choice *c)
{
    size_t i = 0;
    while (i < e->running_count && e->running[i] != c)
        i++;
    if (i == e->running_count)
        return;
    e->running_count--;
    memmove(&e->running[i], &e->running[i + 1],
            (e->running_count - i) * sizeof e->running[0]);
}

static void remove_waiting(struct serve_engine *e, struct serve_choice *c)
{
    struct serve_choice **at = &e->waiting;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
}

void serve_schedule_leave(struct serve_engine *e, struct serve_choice *c)
{
    struct serve_request *r = c->request;
    struct serve_counts *counts = &e->server->counts;
    remove_running(e, c);
    remove_waiting(e, c);
    serve_sessions_take(e, c, true);
    c->state = SERVE_ENDED;
    if (++r->ended < r->choice_count)
        return;
    serve_sessions_forget(e, c);
    if (is_dropped(r)) {
        atomic_fetch_add(r->failed               ? &counts->failed
                         : atomic_load(&r->late) ? &counts->late
                                                 : &counts->cancelled,
                         1);
        serve_request_finish(r);
    } else {
        atomic_fetch_add(&counts->succeeded, 1);
        serve_histogram_add(&counts->whole, serve_seconds() - r->arrived);
        serve_answer_finish(r);
    }
    serve_request_release(r);
}

/* A request whose client is gone, in whatever state it is. */
static void drop_cancelled(struct serve_engine *e)
{
    for (size_t i = e->running_count; i-- > 0;)
        if (is_dropped(e->running[i]->request))
            serve_schedule_leave(e, e->running[i]);
    for (struct serve_choice *c = e->waiting, *next; c; c = next) {
        next = c->next;
        if (is_dropped(c->request))
            serve_schedule_leave(e, c);
    }
}

/* ------------------------------------------------------------------- memory */

/* Bytes of caches that a choice may still take: of its prompt, and a page of
   its answer; for answers that get longer others are preempted. */
static uint64_t still_to_take(const struct serve_choice *c,
                              const clsa_session *like, size_t has)
{
    const size_t more = c->limit < SERVE_PAGE ? c->limit : SERVE_PAGE;
    const uint64_t all =
        clsa_session_cache_bytes(like, (uint64_t)c->length + more);
    const uint64_t now = clsa_session_cache_bytes(like, has);
    return all > now ? all - now : 0;
}

static const clsa_session *any_session(const struct serve_engine *e)
{
    return e->running_count > 0 ? e->running[0]->session : e->spare[0];
}

static bool fits(struct serve_engine *e, const struct serve_choice *c)
{
    const clsa_session *like = any_session(e);
    uint64_t bytes = still_to_take(c, like, 0);
    for (size_t i = 0; i < e->running_count; i++)
        bytes += still_to_take(e->running[i], like, e->running[i]->read);
    return serve_sessions_make_room(e, bytes);
}

bool serve_schedule_preempt(struct serve_engine *e)
{
    struct serve_choice *youngest = NULL;
    for (size_t i = 0; i < e->running_count && e->running_count > 1; i++)
        if (!youngest || e->running[i]->started > youngest->started)
            youngest = e->running[i];
    if (!youngest)
        return false;
    remove_running(e, youngest);
    serve_sessions_take(e, youngest, false);
    youngest->state = SERVE_WAITING;
    youngest->next = e->waiting; /* it comes first again */
    e->waiting = youngest;
    atomic_fetch_add(&e->server->counts.preempted, 1);
    return true;
}

/* --------------------------------------------------------------------- admit
 */

static size_t same_start(const struct serve_choice *a,
                         const struct serve_choice *b)
{
    size_t n = 0;
    while (n < a->length && n < b->length && a->ids[n] == b->ids[n])
        n++;
    return n;
}

/* Whether another one reads now what this one would have to read too. */
static bool is_being_read(const struct serve_engine *e,
                          const struct serve_choice *c, size_t cached)
{
    const bool others = e->server->options->cache > 0;
    for (size_t i = 0; i < e->running_count && e->snapshots; i++) {
        const struct serve_choice *other = e->running[i];
        if (other->state != SERVE_READING ||
            (others ? other->request->key != c->request->key
                    : other->request != c->request))
            continue;
        if (same_start(c, other) == other->prompt->count &&
            other->prompt->count >= cached + 2 * SERVE_PIECE_MIN)
            return true;
        if (other->request == c->request && other->prompt == c->prompt)
            return true;
    }
    return false;
}

/* What is before it, less what it has waited; the lowest comes first. */
static double rank(const struct serve_engine *e, const struct serve_choice *c,
                   size_t cached, double now)
{
    const double read = (double)(c->length - cached) * e->token_ms;
    const double waited = (now - c->request->queued) * 1e3;
    const bool turn = c->request->key == e->last_key && e->last_key != 0;
    return read - 2 * waited + (turn ? 1000 : 0) - (c->generated ? 1e12 : 0);
}

static struct serve_choice *next_waiting(struct serve_engine *e)
{
    struct serve_choice *best = NULL;
    const double now = serve_seconds();
    double least = 0;
    for (struct serve_choice *c = e->waiting; c; c = c->next) {
        size_t cached = 0, branch;
        if (c->request->of != e->of)
            continue;
        if (!c->sum) {
            serve_sessions_look(e, c, &cached, &branch);
            if (is_being_read(e, c, cached))
                continue;
        }
        const double r = rank(e, c, cached, now);
        if (!best || r < least) {
            best = c;
            least = r;
        }
    }
    return best;
}

static void start(struct serve_engine *e, struct serve_choice *c)
{
    remove_waiting(e, c);
    c->state = c->read < c->length ? SERVE_READING : SERVE_DECODING;
    c->started = ++e->clock;
    c->paused = false;
    e->last_key = c->request->key;
    if (c->admitted == 0)
        c->admitted = serve_seconds();
    if (!atomic_exchange(&c->request->began, true))
        serve_histogram_add(&e->server->counts.queue,
                            c->admitted - c->request->arrived);
    e->running[e->running_count++] = c;
    serve_choice_open(c);
}

/* Nobody runs, and there is no room for it: there never will be. */
static void refuse(struct serve_engine *e, struct serve_choice *c)
{
    serve_request_fail(c->request, 503, "server_error", NULL,
                       "insufficient_memory",
                       "the memory limit of the server has no room for %zu "
                       "tokens: ask for fewer with max_tokens, or start it "
                       "with a larger --memory-limit",
                       c->prompt->count + c->limit);
    c->request->failed = true;
    drop_cancelled(e);
}

static void admit(struct serve_engine *e)
{
    struct serve_choice *c;
    while (!e->turn_over && e->running_count < e->server->options->max_seqs &&
           (c = next_waiting(e))) {
        if (fits(e, c) && serve_sessions_give(e, c)) {
            start(e, c);
            continue;
        }
        if (e->running_count > 0)
            return;
        refuse(e, c);
    }
}

static void count(struct serve_engine *e)
{
    struct serve_counts *counts = &e->server->counts;
    unsigned waiting = 0, reading = 0;
    for (const struct serve_choice *c = e->waiting; c; c = c->next)
        waiting++;
    for (size_t i = 0; i < e->running_count; i++)
        reading += e->running[i]->state == SERVE_READING;
    atomic_store(&counts->waiting, waiting);
    atomic_store(&counts->reading, reading);
    atomic_store(&counts->running, (unsigned)e->running_count);
    atomic_store(&counts->beat_ms, (unsigned long long)(serve_seconds() * 1e3));
    serve_sessions_count(e);
}

void serve_schedule(struct serve_engine *e)
{
    take_inbox(e);
    drop_cancelled(e);
    if (!serve_models_choose(e))
        drop_cancelled(e);
    admit(e);
    count(e);
}

struct serve_choice *serve_schedule_reader(struct serve_engine *e)
{
    struct serve_choice *best = NULL;
    const double now = serve_seconds();
    double least = 0;
    for (size_t i = 0; i < e->running_count; i++) {
        struct serve_choice *c = e->running[i];
        if (c->state != SERVE_READING)
            continue;
        const double r = rank(e, c, c->read, now);
        if (!best || r < least) {
            best = c;
            least = r;
        }
    }
    return best;
}
