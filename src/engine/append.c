/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append: cuts what one session is to read into steps, a prompt block by block.
 */
#include <string.h>

#include "src/base/structs.h"
#include "src/engine/append.h"
#include "src/engine/backend_onednn.h"

/* The tokens of one clsa_session_append that are still to be read. */
struct prompt {
    struct clsa_session *session;
    const int32_t *ids;
    size_t count, done;
    const clsa_append_options *how;
    size_t group; /* outputs of one step, at most */
    struct clsa_backend *stores, *outputs;
};

void clsa_append_options_init(clsa_append_options *options)
{
    *options = (clsa_append_options){.want = CLSA_WANT_LAST};
}

clsa_status clsa_append_check_ids(const struct clsa_model *model,
                                  const int32_t *ids, size_t count,
                                  clsa_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= model->net.vocab)
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "token %zu: id %ld is not in the vocabulary "
                             "(0 to %u)",
                             i, (long)ids[i], model->net.vocab - 1);
    return CLSA_OK;
}

clsa_status clsa_append_check_room(const struct clsa_session *s, size_t count,
                                   clsa_error *error)
{
    if (count <= s->context - s->length)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_FULL,
                     "%zu tokens do not fit: the context holds %llu and "
                     "already has %llu; open the session with a larger context",
                     count, (unsigned long long)s->context,
                     (unsigned long long)s->length);
}

static bool is_output(const struct prompt *r, size_t i)
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

/* The working set of the j-th output of a step, whose logits are wanted or
   which belongs to a prompt. */
static struct clsa_working_set *set_of(const struct prompt *r, size_t j,
                                       bool wanted)
{
    struct clsa_session *s = r->session;
    if (clsa_policy_is_dense(&s->policy))
        return NULL;
    return s->output_sets && (!wanted || r->how->want == CLSA_WANT_MASK)
               ? &s->output_sets[j]
               : &s->set;
}

/* Whether the next step has all tokens that it may: a block, or one if the
   policy wants each by itself. */
static bool is_full(const struct prompt *r, const struct clsa_step *step)
{
    return step->n == r->session->prefill_block ||
           r->done + step->n == r->count ||
           (step->m > 0 && clsa_session_evicts(r->session)) ||
           (step->n > 0 && clsa_session_selects_early(r->session) &&
            (step->m == r->group ||
             is_output(r, r->done + step->n) != is_output(r, r->done)));
}

/* Fills in the tokens of the next step. If the policy learns from each, or
   prompts are read under it, all are outputs, and logits are made only of those
   that are wanted. */
static void plan_step(const struct prompt *r, struct clsa_step *step)
{
    const bool all = clsa_session_evicts(r->session) ||
                     clsa_session_prompts_select(r->session);
    struct clsa_scratch *scratch = r->session->model->scratch;
    *step = (struct clsa_step){
        .model = r->session->model,
        .stage = CLSA_STAGE_ALL,
        .token = scratch->token,
        .output = scratch->output,
        .stores = r->stores,
        .outputs = r->outputs,
        .observer = r->session->observer,
        .no_logits = r->how->on_state && !r->how->on_logits,
    };
    while (!is_full(r, step)) {
        const size_t i = r->done + step->n;
        const bool output = is_output(r, i);
        step->token[step->n] = (struct clsa_step_token){
            .session = r->session,
            .position = r->session->length + step->n,
            .id = r->ids[i],
        };
        if (output || all) {
            step->stage = output ? CLSA_STAGE_ALL : CLSA_STAGE_LAYERS;
            step->outputs = output ? r->outputs : r->stores;
            step->token[step->n].set = set_of(r, step->m % r->group, output);
            step->output[step->m++] = step->n;
        }
        step->n++;
    }
    if (step->m == 0)
        step->stage = CLSA_STAGE_STORES;
}

/* Rows that a layer which reads a cache has read for an output. */
static uint64_t rows_of(const struct clsa_step_token *token,
                        const struct clsa_layer *layer)
{
    const struct clsa_policy *policy = &token->session->policy;
    const struct clsa_network *net = &token->session->model->net;
    if (clsa_policy_reads_all(policy, net, layer, token->position))
        return token->position + 1;
    return layer < net->layers + policy->first_layers && policy->first_rows
               ? policy->first_rows
               : policy->rows;
}

/* The same on average over these layers. */
static uint64_t mean_rows(const struct clsa_step_token *token)
{
    const struct clsa_network *net = &token->session->model->net;
    const uint64_t n = net->reader_count;
    uint64_t sum = 0;
    if (!token->set)
        return token->position + 1;
    if (!clsa_policy_mixes(&token->session->policy, net))
        return token->set->n;
    for (uint32_t i = 0; i < net->layer_count; i++)
        if (clsa_layer_reads_cache(net, &net->layers[i]))
            sum += rows_of(token, &net->layers[i]);
    return (sum + n / 2) / n;
}

/* Rows that were fetched for an output: those new in the working set, or the
   chosen ones of each layer. */
static uint64_t rows_fetched(const struct clsa_step_token *token)
{
    const struct clsa_network *net = &token->session->model->net;
    uint64_t sum = 0;
    if (!token->set || token->set->k)
        return token->set ? token->set->changed : 0;
    for (uint32_t i = 0; i < net->layer_count; i++) {
        const struct clsa_layer *l = &net->layers[i];
        if (clsa_layer_reads_cache(net, l) &&
            !clsa_policy_reads_all(&token->session->policy, net, l,
                                   token->position))
            sum += clsa_policy_mixes(&token->session->policy, net)
                       ? rows_of(token, l)
                       : token->set->n;
    }
    return sum;
}

/* Marks the layers that have read every row for the last output. */
static void mark_whole_layers(const struct clsa_step_token *token)
{
    struct clsa_session *s = token->session;
    const struct clsa_network *net = &s->model->net;
    if (!token->set || !clsa_policy_mixes(&s->policy, net))
        return;
    for (uint32_t i = 0; i < net->layer_count; i++) {
        const struct clsa_layer *l = &net->layers[i];
        if (clsa_layer_reads_cache(net, l) &&
            clsa_policy_reads_all(&s->policy, net, l, token->position))
            s->layer_count[l->reader] = CLSA_ALL_ROWS;
    }
}

static void count_rows(const struct clsa_step_token *token)
{
    token->session->rows_read = mean_rows(token);
    token->session->outputs++;
    token->session->output_rows += token->session->rows_read;
}

void clsa_append_keep_results(const struct clsa_step *step, size_t i)
{
    const struct clsa_step_token *token = clsa_output(step, i);
    struct clsa_session *s = token->session;
    const struct clsa_network *net = &s->model->net;
    size_t vocab = net->vocab;
    memcpy(s->logits, step->model->scratch->logits + i * vocab,
           vocab * sizeof *s->logits);
    s->has_logits = true;
    const bool rows =
        token->set &&
        !clsa_policy_reads_all(&s->policy, net, &net->layers[net->last_reader],
                               token->position);
    s->last_rows = rows ? token->set->rows : NULL;
    s->last_count = rows ? token->set->n : 0;
    mark_whole_layers(token);
    count_rows(token);
    s->rows_changed = rows_fetched(token);
    memcpy(s->phase_ms, step->phase_ms, sizeof s->phase_ms);
}

static void tell_output(const struct prompt *r, const struct clsa_step *step,
                        size_t i)
{
    const struct clsa_append_options *how = r->how;
    const struct clsa_scratch *scratch = step->model->scratch;
    const uint64_t position = clsa_output(step, i)->position;
    if (how->on_state)
        how->on_state(how->user, position,
                      scratch->norm.x + i * scratch->norm.ldx);
    if (how->on_logits)
        how->on_logits(how->user, position,
                       scratch->logits + i * step->model->net.vocab);
}

/* The next `count` tokens are read, the outputs of the step have logits. */
static void finish_tokens(struct prompt *r, const struct clsa_step *step,
                          size_t count)
{
    struct clsa_session *s = r->session;
    memcpy(s->tokens + s->length, r->ids + r->done, count * sizeof *s->tokens);
    s->length += count;
    r->done += count;
    if (clsa_session_evicts(s))
        clsa_stores_drop(&s->stores);
    if (step->stage != CLSA_STAGE_ALL && step->stage != CLSA_STAGE_OUTPUTS)
        return;
    for (size_t i = 0; i < step->m; i++) {
        if (i + 1 < step->m || step->no_logits)
            count_rows(clsa_output(step, i));
        tell_output(r, step, i);
    }
    if (!step->no_logits)
        clsa_append_keep_results(step, step->m - 1);
}

clsa_status clsa_append_stopped(struct clsa_session *session, size_t done,
                                size_t count, clsa_error *error)
{
    clsa_session_undo(session);
    atomic_store_explicit(&session->cancelled, false, memory_order_relaxed);
    return clsa_fail(error, CLSA_ERR_STOPPED,
                     "cancelled after %zu of %zu tokens", done, count);
}

/* Runs a step; what it leaves is taken back if that fails. */
static clsa_status run_step(const struct prompt *r, struct clsa_step *step,
                            clsa_error *error)
{
    struct clsa_onednn *onednn = r->session->model->onednn;
    step->stopped = clsa_step_cancelled(step);
    if (!step->stopped)
        clsa_step_run(step);
    if (step->stopped)
        return clsa_append_stopped(r->session, r->done, r->count, error);
    if ((!r->stores->onednn && !r->outputs->onednn) ||
        !clsa_onednn_failed(onednn))
        return CLSA_OK;
    clsa_session_undo(r->session);
    return clsa_fail(error, CLSA_ERR_MEMORY,
                     "oneDNN had no memory for a product, after %zu of %zu "
                     "tokens",
                     r->done, r->count);
}

static clsa_status tell_progress(const struct prompt *r, clsa_error *error)
{
    if (!r->how->on_progress ||
        !r->how->on_progress(r->how->user, r->done, r->count) ||
        r->done == r->count)
        return CLSA_OK;
    clsa_session_undo(r->session);
    return clsa_fail(error, CLSA_ERR_STOPPED, "stopped after %zu of %zu tokens",
                     r->done, r->count);
}

/* A block whose outputs fit in one step. */
static clsa_status read_at_once(struct prompt *r, struct clsa_step *step,
                                clsa_error *error)
{
    CLSA_TRY(run_step(r, step, error));
    finish_tokens(r, step, step->n);
    return tell_progress(r, error);
}

/* All tokens run up to the last store, then the outputs go on in groups that
   there are working sets for. */
static clsa_status read_in_groups(struct prompt *r, struct clsa_step *step,
                                  clsa_error *error)
{
    const size_t outputs = step->m;
    size_t read = 0; /* tokens of the block */
    step->m = 0;
    step->stage = CLSA_STAGE_STORES;
    CLSA_TRY(run_step(r, step, error));
    step->stage = CLSA_STAGE_OUTPUTS;
    for (size_t at = 0; at < outputs; at += step->m, step->output += step->m) {
        step->m = outputs - at < r->group ? outputs - at : r->group;
        CLSA_TRY(run_step(r, step, error));
        size_t end =
            at + step->m == outputs ? step->n : step->output[step->m - 1] + 1;
        finish_tokens(r, step, end - read);
        read = end;
        CLSA_TRY(tell_progress(r, error));
    }
    return CLSA_OK;
}

static clsa_status read_all(struct prompt *r, clsa_error *error)
{
    uint64_t block = r->session->prefill_block;
    while (r->done < r->count) {
        uint64_t rest = r->count - r->done;
        struct clsa_step step;
        CLSA_TRY(clsa_stores_reserve(&r->session->stores,
                                     clsa_min_u64(rest, block), error));
        plan_step(r, &step);
        CLSA_TRY(step.m > r->group ? read_in_groups(r, &step, error)
                                   : read_at_once(r, &step, error));
    }
    return CLSA_OK;
}

/* Who multiplies is decided by the whole append: blocks do not show. */
static clsa_status choose_backends(struct prompt *r, clsa_error *error)
{
    struct clsa_session *s = r->session;
    size_t outputs = 0;
    r->stores = r->outputs = &s->model->native;
    if (s->prefill == CLSA_PREFILL_NATIVE || r->count < CLSA_GEMM_TOKENS_MIN ||
        clsa_session_evicts(s))
        return CLSA_OK;
    for (size_t i = 0; i < r->count; i++)
        outputs += is_output(r, i) || clsa_session_prompts_select(s);
    bool many = outputs >= CLSA_GEMM_TOKENS_MIN;
    CLSA_TRY(clsa_prefill_reserve(s, many || s->observer, error));
    if (s->prefill == CLSA_PREFILL_NATIVE)
        return CLSA_OK;
    r->stores = clsa_onednn_backend(s->model->onednn);
    if (many)
        r->outputs = r->stores;
    return CLSA_OK;
}

/* Outputs take what is left when the tokens have their rows. */
static clsa_status open_outputs(struct prompt *r, clsa_error *error)
{
    struct clsa_session *s = r->session;
    if (!clsa_session_evicts(s))
        CLSA_TRY(clsa_stores_reserve(&s->stores, r->count, error));
    r->group = clsa_outputs_most(s);
    return clsa_session_open_outputs(s, r->group, error);
}

clsa_status clsa_session_append(clsa_session *session, const int32_t *ids,
                                size_t count, const clsa_append_options *how,
                                clsa_error *error)
{
    static const clsa_append_options last = {.want = CLSA_WANT_LAST};
    struct prompt r = {
        .session = session,
        .ids = ids,
        .count = count,
        .how = how ? how : &last,
        .group = 1,
    };
    if (count == 0)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "no tokens to read: give at least one");
    if (r.how->want == CLSA_WANT_MASK && !r.how->mask)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "CLSA_WANT_MASK without a mask");
    CLSA_CHECK_RESERVED(r.how, "clsa_append_options", error);
    CLSA_TRY(clsa_append_check_ids(session->model, ids, count, error));
    CLSA_TRY(clsa_append_check_room(session, count, error));
    CLSA_TRY(clsa_team_ready(session->model->team, error));
    if (r.how->want == CLSA_WANT_MASK ||
        (count > 1 && clsa_session_prompts_select(session)))
        CLSA_TRY(open_outputs(&r, error));
    CLSA_TRY(clsa_scratch_reserve(session->model, session->prefill_block,
                                  r.group, session, error));
    CLSA_TRY(choose_backends(&r, error));
    session->has_logits = false;
    return read_all(&r, error);
}

void clsa_session_refill(struct clsa_session *session)
{
    struct clsa_model *model = session->model;
    uint64_t first = clsa_stores_end(&session->stores, session->length), rest;
    struct clsa_backend *backend =
        session->length - first >= CLSA_GEMM_TOKENS_MIN &&
                session->prefill != CLSA_PREFILL_NATIVE
            ? clsa_onednn_backend(model->onednn)
            : &model->native;
    for (; (rest = session->length - first) > 0;
         first = clsa_stores_end(&session->stores, session->length)) {
        struct clsa_step step = {
            .model = model,
            .stage = CLSA_STAGE_REFILL,
            .token = model->scratch->token,
            .stores = backend,
            .outputs = backend,
        };
        for (; step.n < rest && step.n < session->prefill_block; step.n++)
            step.token[step.n] = (struct clsa_step_token){
                .session = session,
                .position = first + step.n,
                .id = session->tokens[first + step.n],
            };
        clsa_step_run(&step);
    }
    clsa_stores_refilled(&session->stores);
}
