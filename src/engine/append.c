/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append: cuts what is to be read into steps. A prompt goes block by block
 * through one session; a batch is one step with a column per session.
 */
#include <string.h>

#include "src/engine/step.h"

/* The tokens of one clsa_session_append that are still to be read. */
struct reading {
    struct clsa_session *session;
    const int32_t *ids;
    size_t count, done;
    const clsa_append *how;
    size_t most_wanted; /* in one group */
    struct clsa_products *self, *cross;
};

static clsa_status check_ids(const struct clsa_model *model, const int32_t *ids,
                             size_t count, clsa_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= model->hp.vocab)
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "token %zu: id %ld is not in the vocabulary "
                             "(0 to %u)",
                             i, (long)ids[i], model->hp.vocab - 1);
    return CLSA_OK;
}

static clsa_status check_room(const struct clsa_session *s, size_t count,
                              clsa_error *error)
{
    if (count <= s->context - s->length)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_FULL,
                     "%zu tokens do not fit: the context holds %llu and has "
                     "%llu already; open it with a larger context",
                     count, (unsigned long long)s->context,
                     (unsigned long long)s->length);
}

static bool is_wanted(const struct reading *r, size_t i)
{
    switch (r->how->want) {
    case CLSA_WANT_LAST:
        return i == r->count - 1;
    case CLSA_WANT_MASK:
        return r->how->mask[i] != 0;
    default:
        return false;
    }
}

/* The working set of the j-th wanted column of a step. */
static struct clsa_working_set *set_of(const struct reading *r, size_t j)
{
    struct clsa_session *s = r->session;
    if (s->policy.rows == 0)
        return NULL;
    return s->eval_sets && r->how->want == CLSA_WANT_MASK ? &s->eval_sets[j]
                                                          : &s->set;
}

/* Whether the next step has all columns that it may: a block, or a token
   where the policy wants each by itself. */
static bool is_full(const struct reading *r, const struct clsa_step *step)
{
    return step->n == r->session->prefill_block ||
           r->done + step->n == r->count ||
           (step->m > 0 && clsa_session_streams(r->session));
}

/* Fills the columns of the next step. All are wanted where they run the
   cross-decoder for what the policy learns there, and logits only where they
   are. */
static void plan_step(const struct reading *r, struct clsa_step *step)
{
    struct clsa_scratch *scratch = r->session->model->scratch;
    *step = (struct clsa_step){
        .model = r->session->model,
        .column = scratch->column,
        .wanted = scratch->wanted,
        .self = r->self,
        .cross = r->cross,
    };
    while (!is_full(r, step)) {
        size_t i = r->done + step->n;
        step->column[step->n] = (struct clsa_column){
            .session = r->session,
            .position = r->session->length + step->n,
            .id = r->ids[i],
        };
        if (is_wanted(r, i) || clsa_session_streams(r->session)) {
            step->no_logits = !is_wanted(r, i);
            step->column[step->n].set = set_of(r, step->m % r->most_wanted);
            step->wanted[step->m++] = step->n;
        }
        step->n++;
    }
}

/* What a session remembers of its last wanted column. */
static void keep_results(const struct clsa_step *step, size_t i)
{
    const struct clsa_column *column = &step->column[step->wanted[i]];
    struct clsa_session *s = column->session;
    size_t vocab = s->model->hp.vocab;
    memcpy(s->logits, step->model->scratch->logits + i * vocab,
           vocab * sizeof *s->logits);
    s->has_logits = true;
    s->last_rows = column->set ? column->set->rows : NULL;
    s->last_count = column->set ? column->set->n : 0;
    s->rows_read = column->set ? column->set->n : column->position + 1;
    s->rows_changed = column->set ? column->set->changed : 0;
    memcpy(s->phase_ms, step->phase_ms, sizeof s->phase_ms);
}

/* The next `count` columns of a step are read, the wanted ones have logits. */
static void finish_columns(struct reading *r, const struct clsa_step *step,
                           size_t count)
{
    struct clsa_session *s = r->session;
    size_t vocab = s->model->hp.vocab;
    memcpy(s->tokens + s->length, r->ids + r->done, count * sizeof *s->tokens);
    s->length += count;
    r->done += count;
    if (clsa_session_streams(s))
        clsa_cache_drop(&s->cache);
    for (size_t i = 0; !step->no_logits && i < step->m; i++)
        if (r->how->on_logits)
            r->how->on_logits(r->how->user,
                              step->column[step->wanted[i]].position,
                              s->model->scratch->logits + i * vocab);
    if (step->m && !step->no_logits)
        keep_results(step, step->m - 1);
}

/* Runs a step; its last `rest` columns are taken back when that fails. */
static clsa_status run_step(const struct reading *r, struct clsa_step *step,
                            size_t rest, clsa_error *error)
{
    struct clsa_products *products = r->session->model->products;
    clsa_step_run(step);
    if ((!r->self && !r->cross) || !clsa_products_failed(products))
        return CLSA_OK;
    clsa_session_undo(r->session, rest);
    return clsa_fail(error, CLSA_ERR_MEMORY,
                     "oneDNN had no memory for a product, after %zu of %zu "
                     "tokens",
                     r->done, r->count);
}

static clsa_status tell_progress(const struct reading *r, size_t rest,
                                 clsa_error *error)
{
    if (!r->how->on_progress ||
        !r->how->on_progress(r->how->user, r->done, r->count) ||
        r->done == r->count)
        return CLSA_OK;
    clsa_session_undo(r->session, rest);
    return clsa_fail(error, CLSA_ERR_STOPPED, "stopped after %zu of %zu tokens",
                     r->done, r->count);
}

/* Columns are read once; the wanted ones go on in groups that there are working
   sets for. */
static clsa_status read_block(struct reading *r, clsa_error *error)
{
    struct clsa_step step;
    plan_step(r, &step);
    const size_t wanted = step.m, most = r->most_wanted;
    size_t at = 0, rest = step.n;
    if (wanted > most) {
        step.m = 0;
        CLSA_TRY(run_step(r, &step, rest, error));
        step.is_read = true;
    }
    do {
        step.m = wanted - at < most ? wanted - at : most;
        CLSA_TRY(run_step(r, &step, rest, error));
        at += step.m;
        size_t count = rest;
        if (at < wanted)
            count -= step.n - 1 - step.wanted[step.m - 1];
        rest -= count;
        finish_columns(r, &step, count);
        step.wanted += step.m;
        CLSA_TRY(tell_progress(r, rest, error));
    } while (at < wanted);
    return CLSA_OK;
}

static clsa_status read_all(struct reading *r, clsa_error *error)
{
    uint64_t block = r->session->prefill_block;
    while (r->done < r->count) {
        uint64_t rest = r->count - r->done;
        CLSA_TRY(clsa_cache_reserve(&r->session->cache,
                                    rest < block ? rest : block, error));
        CLSA_TRY(read_block(r, error));
    }
    return CLSA_OK;
}

/* Who multiplies is decided by the whole append: blocks do not show. */
static clsa_status choose_products(struct reading *r, clsa_error *error)
{
    struct clsa_session *s = r->session;
    size_t wanted = 0;
    if (s->path == CLSA_PATH_OWN || r->count < CLSA_PRODUCT_LEAST ||
        clsa_session_streams(s))
        return CLSA_OK;
    for (size_t i = 0; i < r->count; i++)
        wanted += is_wanted(r, i);
    bool cross = wanted >= CLSA_PRODUCT_LEAST;
    CLSA_TRY(clsa_products_reserve(s->model, s->path, s->prefill_block, cross,
                                   error));
    r->self = s->model->products;
    r->cross = cross ? s->model->products : NULL;
    return CLSA_OK;
}

/* Columns take what is left when the tokens have their rows. */
static clsa_status open_columns(struct reading *r, clsa_error *error)
{
    struct clsa_session *s = r->session;
    if (!clsa_session_streams(s))
        CLSA_TRY(clsa_cache_reserve(&s->cache, r->count, error));
    r->most_wanted = clsa_step_most_wanted(s);
    return clsa_session_eval_open(s, r->most_wanted, error);
}

clsa_status clsa_session_append(clsa_session *session, const int32_t *ids,
                                size_t count, const clsa_append *how,
                                clsa_error *error)
{
    static const clsa_append last = {.want = CLSA_WANT_LAST};
    struct reading r = {
        .session = session,
        .ids = ids,
        .count = count,
        .how = how ? how : &last,
        .most_wanted = 1,
    };
    if (count == 0)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "no tokens to read: give at least one");
    if (r.how->want == CLSA_WANT_MASK && !r.how->mask)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "CLSA_WANT_MASK without a mask");
    CLSA_TRY(check_ids(session->model, ids, count, error));
    CLSA_TRY(check_room(session, count, error));
    if (r.how->want == CLSA_WANT_MASK)
        CLSA_TRY(open_columns(&r, error));
    CLSA_TRY(clsa_scratch_reserve(session->model, session->prefill_block,
                                  r.most_wanted, session, error));
    CLSA_TRY(choose_products(&r, error));
    session->has_logits = false;
    return read_all(&r, error);
}

void clsa_session_refill(struct clsa_session *session)
{
    struct clsa_scratch *scratch = session->model->scratch;
    const bool many =
        session->length - session->window.end >= CLSA_PRODUCT_LEAST;
    while (session->window.end < session->length) {
        uint64_t first = session->window.end, rest = session->length - first;
        struct clsa_step step = {
            .model = session->model,
            .column = scratch->column,
            .windows_only = true,
            .self = many && session->path != CLSA_PATH_OWN
                        ? session->model->products
                        : NULL,
        };
        for (; step.n < rest && step.n < session->prefill_block; step.n++)
            step.column[step.n] = (struct clsa_column){
                .session = session,
                .position = first + step.n,
                .id = session->tokens[first + step.n],
            };
        clsa_step_run(&step);
    }
    clsa_window_restarted(&session->window);
}

static clsa_status check_batch(clsa_session *const *sessions,
                               const int32_t *ids, size_t count,
                               clsa_error *error)
{
    if (count < 1 || count > CLSA_BATCH_MAX)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "a batch of %zu sessions: use 1 to %d", count,
                         CLSA_BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        if (sessions[i]->model != sessions[0]->model)
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "batch: session %zu is of another model", i);
        for (size_t j = 0; j < i; j++)
            if (sessions[i] == sessions[j])
                return clsa_fail(error, CLSA_ERR_ARGUMENT,
                                 "batch: sessions %zu and %zu are the same", j,
                                 i);
        CLSA_TRY(check_room(sessions[i], 1, error));
    }
    return check_ids(sessions[0]->model, ids, count, error);
}

clsa_status clsa_batch_append(clsa_session *const *sessions, const int32_t *ids,
                              size_t count, clsa_error *error)
{
    CLSA_TRY(check_batch(sessions, ids, count, error));
    struct clsa_model *model = sessions[0]->model;
    for (size_t i = 0; i < count; i++) {
        CLSA_TRY(clsa_scratch_reserve(model, count, count, sessions[i], error));
        CLSA_TRY(clsa_cache_reserve(&sessions[i]->cache, 1, error));
    }
    struct clsa_step step = {
        .model = model,
        .column = model->scratch->column,
        .wanted = model->scratch->wanted,
        .n = count,
        .m = count,
    };
    for (size_t i = 0; i < count; i++) {
        struct clsa_session *s = sessions[i];
        step.column[i] = (struct clsa_column){
            .session = s,
            .position = s->length,
            .id = ids[i],
            .set = s->policy.rows == 0 ? NULL : &s->set,
        };
        step.wanted[i] = i;
    }
    clsa_step_run(&step);
    for (size_t i = 0; i < count; i++) {
        sessions[i]->tokens[sessions[i]->length++] = ids[i];
        keep_results(&step, i);
        if (clsa_session_streams(sessions[i]))
            clsa_cache_drop(&sessions[i]->cache);
    }
    return CLSA_OK;
}
