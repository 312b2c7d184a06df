/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch: tokens of several sessions in one step. What would be multiplied by
 * another backend, or in steps of its own, when a session reads it alone goes
 * to another step, so that no neighbor shows in the bits.
 */
#include <string.h>

#include "src/base/structs.h"
#include "src/engine/append.h"
#include "src/engine/backend_onednn.h"

enum kind {
    ALONE,   /* by clsa_session_append */
    OUTPUTS, /* one token each, steps in which all tokens are outputs */
    NATIVE,
    ONEDNN
};

/* The items of one step. */
struct group {
    enum kind kind;
    enum clsa_prefill prefill;
    const clsa_batch_item *items[CLSA_BATCH_MAX];
    size_t count, tokens, most; /* most: tokens that it may have */
};

static enum kind kind_of(const clsa_batch_item *item)
{
    const struct clsa_session *s = item->session;
    if (clsa_session_evicts(s) || clsa_session_selects_early(s))
        return item->count == 1 && item->want == CLSA_WANT_LAST ? OUTPUTS
                                                                : ALONE;
    if (item->count > s->prefill_block)
        return ALONE;
    return item->count >= CLSA_GEMM_TOKENS_MIN &&
                   s->prefill != CLSA_PREFILL_NATIVE
               ? ONEDNN
               : NATIVE;
}

static bool takes(const struct group *g, const clsa_batch_item *item)
{
    const enum kind kind = kind_of(item);
    if (g->count == 0)
        return true;
    return kind == g->kind && kind != ALONE &&
           g->tokens + item->count <= g->most &&
           (kind != ONEDNN || item->session->prefill == g->prefill);
}

static void add(struct group *g, const clsa_batch_item *item)
{
    const uint32_t block = item->session->prefill_block;
    if (g->count == 0) {
        g->kind = kind_of(item);
        g->prefill = item->session->prefill;
        g->most = clsa_max(block, CLSA_BATCH_MAX);
    }
    g->items[g->count++] = item;
    g->tokens += item->count;
}

/* ----------------------------------------------------------------- a step */

static clsa_status reserve(const struct group *g, clsa_error *error)
{
    for (size_t i = 0; i < g->count; i++) {
        struct clsa_session *s = g->items[i]->session;
        CLSA_TRY(clsa_scratch_reserve(s->model, g->tokens, g->count, s, error));
        CLSA_TRY(clsa_stores_reserve(&s->stores, g->items[i]->count, error));
    }
    return CLSA_OK;
}

static void add_tokens(struct clsa_step *step, const clsa_batch_item *item)
{
    struct clsa_session *s = item->session;
    for (size_t i = 0; i < item->count; i++) {
        const bool output =
            i + 1 == item->count && item->want == CLSA_WANT_LAST;
        step->token[step->n] = (struct clsa_step_token){
            .session = s,
            .position = s->length + i,
            .id = item->ids[i],
            .set = output && !clsa_policy_is_dense(&s->policy) ? &s->set : NULL,
        };
        if (output)
            step->output[step->m++] = step->n;
        step->n++;
    }
}

static void finish(const struct group *g, const struct clsa_step *step)
{
    for (size_t i = 0; i < g->count; i++) {
        struct clsa_session *s = g->items[i]->session;
        memcpy(s->tokens + s->length, g->items[i]->ids,
               g->items[i]->count * sizeof *s->tokens);
        s->length += g->items[i]->count;
        s->has_logits = false;
        if (clsa_session_evicts(s))
            clsa_stores_drop(&s->stores);
    }
    for (size_t i = 0; i < step->m; i++)
        clsa_append_keep_results(step, i);
}

static clsa_status run_step(const struct group *g, clsa_error *error)
{
    struct clsa_model *model = g->items[0]->session->model;
    struct clsa_step step = {
        .model = model,
        .token = model->scratch->token,
        .output = model->scratch->output,
        .outputs = &model->native,
        .stores = g->kind == ONEDNN ? clsa_onednn_backend(model->onednn)
                                    : &model->native,
    };
    for (size_t i = 0; i < g->count; i++)
        add_tokens(&step, g->items[i]);
    step.stage = step.m ? CLSA_STAGE_ALL : CLSA_STAGE_STORES;
    step.stopped = clsa_step_cancelled(&step);
    if (!step.stopped)
        clsa_step_run(&step);
    if (step.stopped) {
        for (size_t i = 0; i < g->count; i++)
            clsa_append_stopped(g->items[i]->session, 0, g->items[i]->count,
                                error);
        return CLSA_ERR_STOPPED;
    }
    if (g->kind == ONEDNN && clsa_onednn_failed(model->onednn)) {
        for (size_t i = 0; i < g->count; i++)
            clsa_session_undo(g->items[i]->session);
        return clsa_fail(error, CLSA_ERR_MEMORY,
                         "oneDNN had no memory for a product of a batch");
    }
    finish(g, &step);
    return CLSA_OK;
}

/* A group before this one may have had another backend made. */
static clsa_status run_group(struct group *g, clsa_error *error)
{
    struct clsa_session *first = g->items[0]->session;
    const clsa_append_options how = {.want = g->items[0]->want};
    if (g->kind == ALONE)
        return clsa_session_append(first, g->items[0]->ids, g->items[0]->count,
                                   &how, error);
    if (g->kind == ONEDNN)
        CLSA_TRY(clsa_prefill_reserve(first, false, error));
    if (g->kind == ONEDNN && first->prefill == CLSA_PREFILL_NATIVE)
        g->kind = NATIVE;
    CLSA_TRY(reserve(g, error));
    return run_step(g, error);
}

/* ------------------------------------------------------------------ checks */

static clsa_status check_item(const clsa_batch_item *items, size_t i,
                              clsa_error *error)
{
    const clsa_batch_item *item = &items[i];
    if (item->session->model != items[0].session->model)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "batch: session %zu belongs to another model", i);
    for (size_t j = 0; j < i; j++)
        if (item->session == items[j].session)
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "batch: sessions %zu and %zu are the same", j, i);
    if (item->count == 0)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "batch: no tokens for session %zu: give at least one",
                         i);
    if (item->want != CLSA_WANT_LAST && item->want != CLSA_WANT_NONE)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "batch: want of session %zu: use CLSA_WANT_LAST or "
                         "CLSA_WANT_NONE",
                         i);
    CLSA_TRY(clsa_append_check_room(item->session, item->count, error));
    return clsa_append_check_ids(item->session->model, item->ids, item->count,
                                 error);
}

static clsa_status check_batch(const clsa_batch_item *items, size_t count,
                               clsa_error *error)
{
    if (count < 1 || count > CLSA_BATCH_MAX)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "a batch of %zu sessions: use 1 to %d", count,
                         CLSA_BATCH_MAX);
    for (size_t i = 0; i < count; i++)
        CLSA_TRY(check_item(items, i, error));
    return clsa_team_ready(items[0].session->model->team, error);
}

/* "auto" may find that there is no oneDNN after all. */
static clsa_status choose_backends(const clsa_batch_item *items, size_t count,
                                   clsa_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (kind_of(&items[i]) == ONEDNN)
            CLSA_TRY(clsa_prefill_reserve(items[i].session, false, error));
    return CLSA_OK;
}

clsa_status clsa_batch_read(const clsa_batch_item *items, size_t count,
                            clsa_error *error)
{
    bool done[CLSA_BATCH_MAX] = {false};
    CLSA_TRY(check_batch(items, count, error));
    CLSA_TRY(choose_backends(items, count, error));
    for (size_t first = 0; first < count; first++) {
        struct group g = {.count = 0};
        for (size_t i = first; i < count; i++)
            if (!done[i] && takes(&g, &items[i])) {
                add(&g, &items[i]);
                done[i] = true;
            }
        if (g.count > 0)
            CLSA_TRY(run_group(&g, error));
    }
    return CLSA_OK;
}

clsa_status clsa_batch_append(clsa_session *const *sessions, const int32_t *ids,
                              size_t count, clsa_error *error)
{
    clsa_batch_item items[CLSA_BATCH_MAX] = {{.session = NULL}};
    struct group g = {.kind = NATIVE};
    for (size_t i = 0; i < count && i < CLSA_BATCH_MAX; i++)
        items[i] = (clsa_batch_item){.session = sessions[i],
                                     .ids = &ids[i],
                                     .count = 1,
                                     .want = CLSA_WANT_LAST};
    CLSA_TRY(check_batch(items, count, error));
    for (; g.count < count; g.count++, g.tokens++)
        g.items[g.count] = &items[g.count];
    CLSA_TRY(reserve(&g, error));
    return run_step(&g, error);
}
