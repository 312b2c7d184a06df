/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, forking and truncating sequences. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clsa_bench.h"
#include "clsa_train.h"
#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/base/structs.h"
#include "src/engine/backend_onednn.h"
#include "src/engine/step.h"

#define DEFAULT_BLOCK 512
#define MAX_BLOCK     4096

void clsa_session_options_init(clsa_session_options *options)
{
    *options = (clsa_session_options){
        .kv_type = CLSA_TYPE_BF16,
        .index_type = CLSA_TYPE_I8,
    };
}

size_t clsa_session_slots(const struct clsa_session *session)
{
    const uint64_t rows =
        clsa_max_u64(session->policy.rows, session->policy.first_rows);
    return (size_t)(rows < session->context ? rows : session->context);
}

static uint32_t reader_count(const struct clsa_session *s)
{
    return s->model->net.reader_count;
}

static size_t layer_rows_bytes(const struct clsa_session *s)
{
    return s->layer_rows ? (clsa_session_slots(s) + 1) * reader_count(s) *
                               sizeof *s->layer_rows
                         : 0;
}

static clsa_status open_layer_rows(struct clsa_session *s, clsa_error *error)
{
    size_t n, layers = reader_count(s);
    if (!clsa_size_mul(clsa_session_slots(s) + 1, layers, &n) ||
        !(s->layer_count = clsa_mem_calloc(n, sizeof *s->layer_count)))
        return clsa_fail_memory(error, "the rows of the layers", n);
    s->layer_rows = s->layer_count + layers;
    return CLSA_OK;
}

/* Without planes if layers have nothing to share but the list, and the rows
   stay in the caches. */
static clsa_status open_set(const struct clsa_session *s,
                            struct clsa_working_set *set, clsa_error *error)
{
    const bool lists = s->model->net.own_caches && !s->policy.type->evicts;
    const struct clsa_cache_layout *layout =
        lists ? NULL : &clsa_stores_cache(&s->stores)->layout;
    return clsa_working_set_open(set, layout, clsa_session_slots(s), error);
}

/* What clsa_session_set_first_window has asked for. */
static clsa_status set_window(struct clsa_session *s, const char *text,
                              clsa_error *error)
{
    const struct clsa_policy_type *type = s->policy.type;
    if (s->first_window == 0 ||
        (type->set_window &&
         type->set_window(&s->policy, &s->model->net, s->first_window)))
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "option attention: '%s': no layers that could have a "
                     "window before the first one that chooses",
                     text);
}

static clsa_status set_policy(struct clsa_session *s, const char *attention,
                              clsa_error *error)
{
    const struct clsa_network *net = &s->model->net;
    const char *text = attention ? attention : clsa_policy_default(net);
    CLSA_TRY(clsa_policy_parse(&s->policy, text, net, error));
    const struct clsa_policy_type *type = s->policy.type;
    CLSA_TRY(set_window(s, text, error));
    snprintf(s->attention, sizeof s->attention, "%s", text);
    if (clsa_policy_is_dense(&s->policy))
        return CLSA_OK;
    CLSA_TRY(open_set(s, &s->set, error));
    if (type->selects_at || clsa_policy_mixes(&s->policy, net))
        CLSA_TRY(open_layer_rows(s, error));
    return type->open ? type->open(s, error) : CLSA_OK;
}

/* What set_policy has opened, also when it failed. */
static void close_policy(struct clsa_session *s)
{
    if (s->policy.type && s->policy.type->close)
        s->policy.type->close(s);
    clsa_mem_free(s->layer_count);
    clsa_working_set_close(&s->set);
    s->layer_count = s->layer_rows = NULL;
}

static clsa_status check_options(const struct clsa_session *s,
                                 const clsa_session_options *options,
                                 clsa_error *error)
{
    const char *prompt = options->prompt_attention;
    if (prompt && !s->prompt_policy && strcmp(prompt, "dense") != 0)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option prompt_attention: '%.80s': use dense or "
                         "policy",
                         prompt);
    if (s->context < 1 || s->context > CLSA_CONTEXT_LIMIT)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option context: %llu tokens: use 1 to %llu",
                         (unsigned long long)s->context,
                         (unsigned long long)CLSA_CONTEXT_LIMIT);
    if (s->prefill_block < 1 || s->prefill_block > MAX_BLOCK)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "prefill block of %u tokens: use 1 to %d",
                         s->prefill_block, MAX_BLOCK);
    return CLSA_OK;
}

clsa_status clsa_session_charge(struct clsa_session *s, clsa_error *error)
{
    const uint64_t now = clsa_stores_window_bytes(&s->stores) +
                         s->set.bytes * (s->output_count + 1) +
                         s->policy_bytes + layer_rows_bytes(s) +
                         s->context * sizeof *s->tokens +
                         s->model->net.vocab * sizeof *s->logits;
    if (now > s->charged)
        CLSA_TRY(clsa_budget_take(&s->model->budget, now - s->charged,
                                  "windows and working set of a session",
                                  error));
    else
        clsa_budget_give(&s->model->budget, s->charged - now);
    s->charged = now;
    return CLSA_OK;
}

/* Whether the whole context fits the budget. A fork shares pages and takes
   what it can get. */
static clsa_status check_context(const struct clsa_session *s,
                                 clsa_error *error)
{
    char what[64];
    snprintf(what, sizeof what, "the cache of %llu tokens",
             (unsigned long long)s->context);
    return clsa_budget_check(&s->model->budget,
                             clsa_stores_page_bytes(&s->stores, s->context),
                             what, error);
}

static clsa_status open_stores(struct clsa_session *s, clsa_error *error)
{
    const struct clsa_store_options options = {
        .team = s->model->team,
        .budget = &s->model->budget,
        .kv = s->kv_type,
        .index = s->index_type,
        .context = s->context,
        .block = s->prefill_block,
    };
    return clsa_stores_open(&s->stores, &s->model->net, &options, error);
}

static clsa_status open_parts(struct clsa_session *s,
                              const clsa_session_options *options,
                              clsa_error *error)
{
    size_t vocab = s->model->net.vocab * sizeof *s->logits;
    CLSA_TRY(check_options(s, options, error));
    CLSA_TRY(clsa_prefill_choose(s, options->prefill, error));
    CLSA_TRY(open_stores(s, error));
    CLSA_TRY(set_policy(s, options->attention, error));
    if (!(s->tokens = clsa_mem_map(s->context * sizeof *s->tokens)))
        return clsa_fail_memory(error, "the tokens of the context",
                                s->context * sizeof *s->tokens);
    if (!(s->logits = clsa_mem_map(vocab)))
        return clsa_fail_memory(error, "logits", vocab);
    CLSA_TRY(clsa_session_charge(s, error));
    return clsa_scratch_reserve(s->model, s->prefill_block, 1, s, error);
}

static clsa_status open_session(clsa_session **session, clsa_model *model,
                                const clsa_session_options *options,
                                clsa_error *error)
{
    if (model->net.layer_count == 0)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "a model that was opened for its vocabulary alone has "
                         "no weights: open it with clsa_model_open");
    struct clsa_session *s = clsa_mem_calloc(1, sizeof *s);
    if (!s)
        return clsa_fail_memory(error, "a session", sizeof *s);
    clsa_gguf_populate(model->gguf);
    if (model->side)
        clsa_gguf_populate(model->side);
    s->model = model;
    s->context = options->context ? options->context : model->net.context;
    s->kv_type = options->kv_type;
    s->index_type = options->index_type;
    s->prompt_policy = options->prompt_attention &&
                       strcmp(options->prompt_attention, "policy") == 0;
    s->prefill_block =
        options->prefill_block ? options->prefill_block : DEFAULT_BLOCK;
    clsa_status status = open_parts(s, options, error);
    if (status) {
        clsa_session_close(s);
        return status;
    }
    *session = s;
    return CLSA_OK;
}

clsa_status clsa_session_open(clsa_session **session, clsa_model *model,
                              const clsa_session_options *options,
                              clsa_error *error)
{
    clsa_session_options defaults;
    struct clsa_session *s;
    if (!options) {
        clsa_session_options_init(&defaults);
        options = &defaults;
    }
    CLSA_CHECK_RESERVED(options, "clsa_session_options", error);
    CLSA_TRY(open_session(&s, model, options, error));
    clsa_status status = check_context(s, error);
    if (status) {
        clsa_session_close(s);
        return status;
    }
    *session = s;
    return CLSA_OK;
}

/* They stay charged until the next clsa_session_charge. */
static void close_output_sets(struct clsa_session *s)
{
    for (size_t i = 0; s->output_sets && i < s->output_count; i++)
        clsa_working_set_close(&s->output_sets[i]);
    clsa_mem_free(s->output_sets);
    s->output_sets = NULL;
    s->output_count = 0;
}

void clsa_session_close(clsa_session *session)
{
    if (!session)
        return;
    close_output_sets(session);
    close_policy(session);
    clsa_stores_close(&session->stores);
    clsa_mem_unmap(session->tokens, session->context * sizeof *session->tokens);
    clsa_mem_unmap(session->logits,
                   session->model->net.vocab * sizeof *session->logits);
    clsa_budget_give(&session->model->budget, session->charged);
    clsa_mem_free(session);
}

static clsa_status open_output_sets(struct clsa_session *s, clsa_error *error)
{
    const size_t n = s->output_count;
    CLSA_TRY(clsa_session_charge(s, error));
    if (!(s->output_sets = clsa_mem_calloc(n, sizeof *s->output_sets)))
        return clsa_fail_memory(error, "working sets",
                                n * sizeof *s->output_sets);
    for (size_t i = 0; i < n; i++)
        CLSA_TRY(open_set(s, &s->output_sets[i], error));
    return CLSA_OK;
}

clsa_status clsa_session_open_outputs(struct clsa_session *s, size_t count,
                                      clsa_error *error)
{
    if (s->output_sets || clsa_policy_is_dense(&s->policy) ||
        clsa_session_evicts(s))
        return CLSA_OK;
    s->output_count = count;
    clsa_status status = open_output_sets(s, error);
    if (status) {
        close_output_sets(s);
        clsa_session_charge(s, NULL); /* less than before */
    }
    return status;
}

static clsa_status cannot_change(const struct clsa_session *from,
                                 const struct clsa_session *to,
                                 clsa_error *error)
{
    return clsa_fail(
        error, CLSA_ERR_UNSUPPORTED,
        "cannot change attention from %s to %s after %llu tokens: "
        "%s evicts rows and needs attention sums, which other policies do not "
        "compute; truncate the session to 0 and read the tokens again",
        from->attention, to->attention, (unsigned long long)from->length,
        clsa_session_evicts(to) ? to->attention : from->attention);
}

clsa_status clsa_session_set_attention(clsa_session *session,
                                       const char *attention, clsa_error *error)
{
    struct clsa_session next;
    clsa_session_assign(&next, session);
    if (clsa_session_evicts(session) && attention &&
        strcmp(attention, session->attention) == 0)
        return CLSA_OK;
    next.set = (struct clsa_working_set){0};
    next.policy.type = NULL;
    next.policy_state = NULL;
    next.policy_bytes = 0;
    next.output_sets = NULL;
    next.output_count = 0;
    next.layer_rows = next.layer_count = NULL;
    clsa_status status = set_policy(&next, attention, error);
    if (!status && session->length > 0 &&
        (clsa_session_evicts(session) || clsa_session_evicts(&next)))
        status = cannot_change(session, &next, error);
    if (!status)
        status = clsa_scratch_reserve(next.model, next.prefill_block, 1, &next,
                                      error);
    if (!status)
        status = clsa_session_charge(&next, error);
    if (status) {
        close_policy(&next);
        return status;
    }
    close_output_sets(session);
    close_policy(session);
    next.last_rows = NULL; /* they lay in the old working set */
    next.has_logits = false;
    clsa_session_assign(session, &next);
    return CLSA_OK;
}

clsa_status clsa_session_set_first_window(clsa_session *session,
                                          uint32_t window,
                                          const char *attention,
                                          clsa_error *error)
{
    const uint32_t before = session->first_window;
    if (window > CLSA_CONTEXT_LIMIT)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "a window of %" PRIu32 " rows: use 1 to %llu", window,
                         (unsigned long long)CLSA_CONTEXT_LIMIT);
    session->first_window = window;
    const clsa_status status =
        clsa_session_set_attention(session, attention, error);
    if (status)
        session->first_window = before;
    return status;
}

/* Everything that was made of positions from `length` on is gone. */
static void cut(struct clsa_session *s, uint64_t length)
{
    const bool kept = clsa_stores_truncate(&s->stores, length);
    clsa_working_set_clear(&s->set);
    if (s->policy.type->truncate)
        s->policy.type->truncate(s, length);
    for (size_t i = 0; s->output_sets && i < s->output_count; i++)
        clsa_working_set_clear(&s->output_sets[i]);
    s->length = length;
    s->has_logits = false;
    s->last_rows = NULL;
    if (!kept)
        clsa_session_refill(s);
}

clsa_status clsa_session_truncate(clsa_session *session, uint64_t length,
                                  clsa_error *error)
{
    if (length > session->length)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "cannot truncate to %llu tokens: the session has "
                         "%llu",
                         (unsigned long long)length,
                         (unsigned long long)session->length);
    CLSA_TRY(clsa_team_ready(session->model->team, error));
    if (clsa_session_evicts(session) && length > 0) {
        if (length == session->length) {
            session->has_logits = false;
            return CLSA_OK;
        }
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "cannot truncate a session with %s to %llu tokens: "
                         "the rows that it evicted since then are gone; "
                         "truncate it to 0 and read the tokens again",
                         session->attention, (unsigned long long)length);
    }
    /* What a refill of windows and states needs. */
    if (length >= CLSA_GEMM_TOKENS_MIN &&
        !clsa_stores_reach(&session->stores, length))
        CLSA_TRY(clsa_prefill_reserve(session, false, error));
    cut(session, length);
    return CLSA_OK;
}

void clsa_session_undo(struct clsa_session *session)
{
    /* Whole steps only, and the working set has what the cache gave up. */
    if (clsa_session_evicts(session)) {
        session->has_logits = false;
        return;
    }
    cut(session, session->length);
}

void clsa_session_restore_set(struct clsa_session *s, size_t count)
{
    clsa_working_set_select(&s->set, count);
    clsa_working_set_gather(&s->set, clsa_stores_cache(&s->stores),
                            s->model->simd, 0, 1, 1);
    s->last_rows = s->set.rows;
    s->last_count = count;
}

/* The rows of the last output may lie in an output set; a fork has
   only its own set. */
static void copy_last(struct clsa_session *to, const struct clsa_session *from)
{
    memcpy(to->logits, from->logits,
           from->model->net.vocab * sizeof *from->logits);
    to->has_logits = from->has_logits;
    if (from->layer_rows)
        memcpy(to->layer_count, from->layer_count,
               reader_count(to) * (1 + clsa_session_slots(to)) *
                   sizeof *to->layer_count);
    if (to->policy.type->copy)
        to->policy.type->copy(to, from);
    if (!from->last_rows || clsa_session_evicts(to))
        return;
    memcpy(to->set.next, from->last_rows,
           from->last_count * sizeof *from->last_rows);
    clsa_session_restore_set(to, from->last_count);
}

clsa_status clsa_session_fork(const clsa_session *session, clsa_session **fork,
                              clsa_error *error)
{
    const clsa_session_options options = {
        .context = session->context,
        .kv_type = session->kv_type,
        .index_type = session->index_type,
        .attention = session->attention,
        .prefill_block = session->prefill_block,
        .prefill = clsa_prefill_name(CLSA_PREFILL_NATIVE),
        .prompt_attention = session->prompt_policy ? "policy" : NULL,
    };
    struct clsa_session *s;
    if (session->first_window > 0)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "a session with clsa_session_set_first_window has no "
                         "forks: fork it before");
    CLSA_TRY(open_session(&s, session->model, &options, error));
    s->prefill = session->prefill;
    s->prefill_auto = session->prefill_auto;
    s->notice = session->notice;
    clsa_stores_copy(&s->stores, &session->stores);
    memcpy(s->tokens, session->tokens,
           (size_t)session->length * sizeof *s->tokens);
    s->length = session->length;
    s->rows_read = session->rows_read;
    s->rows_changed = session->rows_changed;
    memcpy(s->phase_ms, session->phase_ms, sizeof s->phase_ms);
    copy_last(s, session);
    *fork = s;
    return CLSA_OK;
}

void clsa_session_cancel(clsa_session *session)
{
    atomic_store_explicit(&session->cancelled, true, memory_order_relaxed);
}

const float *clsa_session_logits(const clsa_session *session)
{
    return session->has_logits ? session->logits : NULL;
}

uint64_t clsa_session_cache_bytes(const clsa_session *session, uint64_t length)
{
    return clsa_stores_page_bytes(&session->stores, length);
}

const char *clsa_session_notice(const clsa_session *session)
{
    return session->notice;
}

uint64_t clsa_session_length(const clsa_session *session)
{
    return session->length;
}

uint64_t clsa_session_context(const clsa_session *session)
{
    return session->context;
}

const int32_t *clsa_session_tokens(const clsa_session *session)
{
    return session->tokens;
}

clsa_status clsa_session_rows(const clsa_session *session,
                              const uint32_t **rows, size_t *count)
{
    if (!session->has_logits)
        return CLSA_ERR_ARGUMENT;
    *rows = session->last_rows;
    *count = session->last_rows ? session->last_count : 0;
    return CLSA_OK;
}

clsa_status clsa_session_layer_rows(const clsa_session *session, uint32_t layer,
                                    const uint32_t **rows, size_t *count)
{
    if (layer >= reader_count(session))
        return CLSA_ERR_ARGUMENT;
    if (!session->layer_rows || !session->has_logits)
        return clsa_session_rows(session, rows, count);
    while (layer > 0 &&
           !clsa_policy_mixes(&session->policy, &session->model->net) &&
           !clsa_policy_selects_at(&session->policy, layer))
        layer--;
    const bool all = session->layer_count[layer] == CLSA_ALL_ROWS;
    *rows =
        all ? NULL : session->layer_rows + layer * clsa_session_slots(session);
    *count = all ? 0 : session->layer_count[layer];
    return CLSA_OK;
}

/* The parts of a part are told as one, under its name. */
static void tell_phases(clsa_session_stats *stats, const double *ms)
{
    static const char *const names[] = {
        [CLSA_PHASE_SELF] = "self",     [CLSA_PHASE_INDEX] = "index",
        [CLSA_PHASE_SELECT] = "select", [CLSA_PHASE_GATHER] = "gather",
        [CLSA_PHASE_CROSS] = "cross",   [CLSA_PHASE_OUTPUT] = "output",
    };
    stats->phase_count = sizeof names / sizeof *names;
    for (uint32_t i = 0; i < stats->phase_count; i++)
        stats->phases[i] = (clsa_phase_time){names[i], ms[i]};
    for (int i = CLSA_PHASE_INDEX; i <= CLSA_PHASE_GATHER; i++)
        stats->route_ms += ms[i];
    stats->attend_ms = ms[CLSA_PHASE_ATTEND];
    stats->phases[CLSA_PHASE_CROSS].ms += ms[CLSA_PHASE_ATTEND];
    stats->phases[CLSA_PHASE_INDEX].ms += ms[CLSA_PHASE_ROWS];
}

clsa_status clsa_session_get_stats(const clsa_session *session,
                                   clsa_session_stats *stats, size_t size)
{
    clsa_session_stats all = {
        .cache_bytes = clsa_stores_cache_bytes(&session->stores),
        .window_bytes = clsa_stores_window_bytes(&session->stores),
        .working_bytes = session->set.bytes * (session->output_count + 1),
        .scratch_bytes = session->model->scratch->bytes,
        .policy_bytes = session->policy_bytes,
        .search_bytes =
            session->policy.type->bytes_searched && session->has_logits
                ? session->policy.type->bytes_searched(session)
                : 0,
        .prefill_bytes = clsa_onednn_bytes(session->model->onednn),
        .prefill = clsa_prefill_name(session->prefill),
        .rows_read = session->rows_read,
        .rows_changed = session->rows_changed,
        .cache_row_bytes = clsa_stores_row_bytes(&session->stores),
        .index_row_bytes = clsa_stores_key_bytes(&session->stores),
        .prompt_attention =
            session->prompt_policy && clsa_reads_early(&session->model->net)
                ? "policy"
                : "dense",
        .outputs = session->outputs,
        .output_rows = session->output_rows,
    };
    tell_phases(&all, session->phase_ms);
    return clsa_struct_give(stats, size, &all, sizeof all,
                            CLSA_SIZE_THROUGH(clsa_session_stats, output_rows));
}
