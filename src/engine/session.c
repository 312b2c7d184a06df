/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, forking and truncating sequences. */
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/step.h"

#define DEFAULT_BLOCK 512
#define MAX_BLOCK     4096
#define MAX_CONTEXT   (UINT64_C(1) << 31) /* positions are 32 bits */

void clsa_session_options_init(clsa_session_options *options)
{
    *options = (clsa_session_options){
        .kv_type = CLSA_TYPE_BF16,
        .index_type = CLSA_TYPE_I8,
    };
}

size_t clsa_session_slots(const struct clsa_session *session)
{
    uint64_t rows = session->policy.rows;
    return (size_t)(rows < session->context ? rows : session->context);
}

static uint32_t cross_layers(const struct clsa_session *s)
{
    return s->model->hp.layers - s->model->hp.self_layers;
}

static size_t layer_rows_bytes(const struct clsa_session *s)
{
    return s->layer_rows ? (clsa_session_slots(s) + 1) * cross_layers(s) *
                               sizeof *s->layer_rows
                         : 0;
}

static clsa_status open_layer_rows(struct clsa_session *s, clsa_error *error)
{
    size_t n, layers = cross_layers(s);
    if (!clsa_size_mul(clsa_session_slots(s) + 1, layers, &n) ||
        !(s->layer_count = clsa_mem_calloc(n, sizeof *s->layer_count)))
        return clsa_fail_memory(error, "the rows of the layers", n);
    s->layer_rows = s->layer_count + layers;
    return CLSA_OK;
}

static clsa_status set_policy(struct clsa_session *s, const char *attention,
                              clsa_error *error)
{
    const struct clsa_hparams *hp = &s->model->hp;
    CLSA_TRY(clsa_policy_parse(&s->policy, attention, hp, error));
    const struct clsa_policy_type *type = s->policy.type;
    snprintf(s->attention, sizeof s->attention, "%s",
             attention        ? attention
             : hp->index_size ? "clsa"
                              : "dense");
    if (s->policy.rows == 0)
        return CLSA_OK;
    CLSA_TRY(clsa_working_set_open(&s->set, &s->cache.layout,
                                   clsa_session_slots(s), error));
    if (clsa_policy_layered(&s->policy))
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
                                 clsa_error *error)
{
    if (s->context < 1 || s->context > MAX_CONTEXT)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option context: %llu tokens: use 1 to %llu",
                         (unsigned long long)s->context,
                         (unsigned long long)MAX_CONTEXT);
    if (s->prefill_block < 1 || s->prefill_block > MAX_BLOCK)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "prefill block of %u tokens: use 1 to %d",
                         s->prefill_block, MAX_BLOCK);
    return CLSA_OK;
}

clsa_status clsa_session_charge(struct clsa_session *s, clsa_error *error)
{
    const uint64_t now = s->window.bytes + s->retention.bytes +
                         s->set.bytes * (s->eval_count + 1) + s->policy_bytes +
                         layer_rows_bytes(s) + s->context * sizeof *s->tokens +
                         s->model->hp.vocab * sizeof *s->logits;
    if (now > s->charged)
        CLSA_TRY(clsa_budget_take(&s->model->budget, now - s->charged,
                                  "windows and working set of a session",
                                  error));
    else
        clsa_budget_give(&s->model->budget, s->charged - now);
    s->charged = now;
    return CLSA_OK;
}

/* Whether the whole context will find room. A fork shares pages and takes
   what it can get. */
static clsa_status check_context(const struct clsa_session *s,
                                 clsa_error *error)
{
    const uint64_t pages = (s->context + CLSA_PAGE_ROWS - 1) / CLSA_PAGE_ROWS;
    char what[64];
    snprintf(what, sizeof what, "the cache of %llu tokens",
             (unsigned long long)s->context);
    return clsa_budget_check(&s->model->budget,
                             pages * s->cache.layout.page_bytes, what, error);
}

static clsa_status open_parts(struct clsa_session *s, const char *attention,
                              const char *prefill, clsa_error *error)
{
    const struct clsa_hparams *hp = &s->model->hp;
    size_t vocab = hp->vocab * sizeof *s->logits;
    CLSA_TRY(check_options(s, error));
    CLSA_TRY(clsa_path_parse(&s->path, prefill, s->model, error));
    CLSA_TRY(clsa_cache_open(&s->cache, s->model->team, &s->model->budget, hp,
                             s->kv_type, s->index_type, s->context, error));
    CLSA_TRY(set_policy(s, attention, error));
    CLSA_TRY(clsa_window_open(&s->window, hp, s->prefill_block, error));
    CLSA_TRY(clsa_retention_open(&s->retention, hp, error));
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
    struct clsa_session *s = clsa_mem_calloc(1, sizeof *s);
    if (!s)
        return clsa_fail_memory(error, "a session", sizeof *s);
    clsa_gguf_populate(model->gguf);
    s->model = model;
    s->context = options->context ? options->context : model->hp.context;
    s->kv_type = options->kv_type;
    s->index_type = options->index_type;
    s->prefill_block =
        options->prefill_block ? options->prefill_block : DEFAULT_BLOCK;
    clsa_status status =
        open_parts(s, options->attention, options->prefill, error);
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
static void close_eval_sets(struct clsa_session *s)
{
    for (size_t i = 0; s->eval_sets && i < s->eval_count; i++)
        clsa_working_set_close(&s->eval_sets[i]);
    clsa_mem_free(s->eval_sets);
    s->eval_sets = NULL;
    s->eval_count = 0;
}

void clsa_session_close(clsa_session *session)
{
    if (!session)
        return;
    close_eval_sets(session);
    close_policy(session);
    if (session->cache.pages)
        clsa_cache_close(&session->cache);
    clsa_window_close(&session->window);
    clsa_retention_close(&session->retention);
    clsa_mem_unmap(session->tokens, session->context * sizeof *session->tokens);
    clsa_mem_unmap(session->logits,
                   session->model->hp.vocab * sizeof *session->logits);
    clsa_budget_give(&session->model->budget, session->charged);
    clsa_mem_free(session);
}

static clsa_status open_eval_sets(struct clsa_session *s, clsa_error *error)
{
    const size_t n = s->eval_count;
    CLSA_TRY(clsa_session_charge(s, error));
    if (!(s->eval_sets = clsa_mem_calloc(n, sizeof *s->eval_sets)))
        return clsa_fail_memory(error, "working sets",
                                n * sizeof *s->eval_sets);
    for (size_t i = 0; i < n; i++)
        CLSA_TRY(clsa_working_set_open(&s->eval_sets[i], &s->cache.layout,
                                       clsa_session_slots(s), error));
    return CLSA_OK;
}

clsa_status clsa_session_eval_open(struct clsa_session *s, size_t count,
                                   clsa_error *error)
{
    if (s->eval_sets || s->policy.rows == 0 || clsa_session_streams(s))
        return CLSA_OK;
    s->eval_count = count;
    clsa_status status = open_eval_sets(s, error);
    if (status) {
        close_eval_sets(s);
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
        "%s keeps what it has seen of each token, and no other "
        "rows; truncate the session to 0 and read them again",
        from->attention, to->attention, (unsigned long long)from->length,
        clsa_session_streams(to) ? to->attention : from->attention);
}

clsa_status clsa_session_set_attention(clsa_session *session,
                                       const char *attention, clsa_error *error)
{
    struct clsa_session next = *session;
    if (clsa_session_streams(session) && attention &&
        strcmp(attention, session->attention) == 0)
        return CLSA_OK;
    next.set = (struct clsa_working_set){0};
    next.policy.type = NULL;
    next.policy_state = NULL;
    next.policy_bytes = 0;
    next.eval_sets = NULL;
    next.eval_count = 0;
    next.layer_rows = next.layer_count = NULL;
    clsa_status status = set_policy(&next, attention, error);
    if (!status && session->length > 0 &&
        (clsa_session_streams(session) || clsa_session_streams(&next)))
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
    close_eval_sets(session);
    close_policy(session);
    next.last_rows = NULL; /* they lay in the old working set */
    next.has_logits = false;
    *session = next;
    return CLSA_OK;
}

/* Everything that was made of positions from `length` on is gone. */
static void forget(struct clsa_session *s, uint64_t length)
{
    clsa_cache_truncate(&s->cache, length);
    clsa_working_set_clear(&s->set);
    if (s->policy.type->truncate)
        s->policy.type->truncate(s, length);
    for (size_t i = 0; s->eval_sets && i < s->eval_count; i++)
        clsa_working_set_clear(&s->eval_sets[i]);
    s->length = length;
    s->has_logits = false;
    s->last_rows = NULL;
}

/* From `end` positions in windows and cache back to `length`. */
static void cut(struct clsa_session *s, uint64_t end, uint64_t length)
{
    bool whole = clsa_window_truncate(&s->window, length);
    if (!clsa_retention_truncate(&s->retention, end, length)) {
        clsa_window_truncate(&s->window, 0); /* from the beginning */
        whole = false;
    }
    forget(s, length);
    if (!whole)
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
    if (clsa_session_streams(session) && length > 0) {
        if (length == session->length) {
            session->has_logits = false;
            return CLSA_OK;
        }
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "cannot truncate a session with %s to %llu tokens: "
                         "the rows it gave up since are gone; truncate it to "
                         "0 and read the tokens again",
                         session->attention, (unsigned long long)length);
    }
    /* What a refill of the windows needs. */
    if (length >= CLSA_PRODUCT_LEAST &&
        (session->retention.bytes ||
         !clsa_window_reaches(&session->window, length)))
        CLSA_TRY(clsa_products_reserve(session->model, session->path,
                                       session->prefill_block, false, error));
    cut(session, session->length, length);
    return CLSA_OK;
}

void clsa_session_undo(struct clsa_session *session, size_t n)
{
    cut(session, session->length + n, session->length);
}

void clsa_session_restore_set(struct clsa_session *s, size_t count)
{
    clsa_working_set_select(&s->set, count);
    clsa_working_set_gather(&s->set, &s->cache, s->model->simd,
                            &(struct clsa_worker){.count = 1});
    s->last_rows = s->set.rows;
    s->last_count = count;
}

/* The rows of the last wanted token may lie in an evaluation set; a fork has
   only its own set. */
static void copy_last(struct clsa_session *to, const struct clsa_session *from)
{
    memcpy(to->logits, from->logits,
           from->model->hp.vocab * sizeof *from->logits);
    to->has_logits = from->has_logits;
    if (from->layer_rows)
        memcpy(to->layer_count, from->layer_count,
               cross_layers(to) * (1 + clsa_session_slots(to)) *
                   sizeof *to->layer_count);
    if (to->policy.type->copy)
        to->policy.type->copy(to, from);
    if (!from->last_rows || clsa_session_streams(to))
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
        .prefill = clsa_path_name(session->path),
    };
    struct clsa_session *s;
    CLSA_TRY(open_session(&s, session->model, &options, error));
    clsa_cache_share(&s->cache, &session->cache);
    clsa_window_copy(&s->window, &session->window);
    clsa_retention_copy(&s->retention, &session->retention);
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

const float *clsa_session_logits(const clsa_session *session)
{
    return session->has_logits ? session->logits : NULL;
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

const uint32_t *clsa_session_rows(const clsa_session *session, size_t *count)
{
    if (!session->has_logits || !session->last_rows)
        return NULL;
    *count = session->last_count;
    return session->last_rows;
}

const uint32_t *clsa_session_layer_rows(const clsa_session *session,
                                        uint32_t layer, size_t *count)
{
    if (!session->layer_rows || layer >= cross_layers(session))
        return layer < cross_layers(session) ? clsa_session_rows(session, count)
                                             : NULL;
    if (!session->has_logits)
        return NULL;
    while (layer > 0 && !clsa_policy_chooses(&session->policy, layer))
        layer--;
    *count = session->layer_count[layer];
    return session->layer_rows + layer * clsa_session_slots(session);
}

void clsa_session_get_stats(const clsa_session *session,
                            clsa_session_stats *stats)
{
    *stats = (clsa_session_stats){
        .cache_bytes = clsa_cache_bytes(&session->cache),
        .window_bytes = session->window.bytes + session->retention.bytes,
        .working_bytes = session->set.bytes * (session->eval_count + 1),
        .scratch_bytes = session->model->scratch->bytes,
        .policy_bytes = session->policy_bytes,
        .search_bytes = session->policy.type->searched && session->has_logits
                            ? session->policy.type->searched(session)
                            : 0,
        .attend_ms = session->phase_ms[CLSA_PHASE_ATTEND],
        .prefill_bytes = clsa_products_bytes(session->model->products),
        .prefill = clsa_path_name(session->path),
        .rows_read = session->rows_read,
        .rows_changed = session->rows_changed,
    };
    memcpy(stats->phase_ms, session->phase_ms, sizeof stats->phase_ms);
    for (int i = CLSA_PHASE_INDEX; i <= CLSA_PHASE_GATHER; i++)
        stats->route_ms += session->phase_ms[i];
    stats->phase_ms[CLSA_PHASE_CROSS] += stats->attend_ms;
    stats->phase_ms[CLSA_PHASE_INDEX] += session->phase_ms[CLSA_PHASE_ROWS];
}
