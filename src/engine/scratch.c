/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and memory of the scratch of a step. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/engine/attention.h"

/* Bytes for the outputs of a step: their partial softmaxes alone, and all that
   there is for each of them. */
#define PARTIAL_BUDGET ((size_t)64 << 20)
#define OUTPUT_BUDGET  ((uint64_t)512 << 20)

/* Floats of the partial softmaxes of prompt tokens that read a cache, and
   tokens of a KV head that there is room for in the part of each thread. */
#define PROMPT_PARTIALS ((size_t)4 << 20)
#define PROMPT_TOKENS   4

/* Floats of the partial softmaxes of a token in a layer that attends to so
   many rows. */
static size_t partials(const struct clsa_layer *l, size_t rows)
{
    return clsa_parts(rows) * l->heads.heads * (l->heads.head_dim + 2);
}

/* The same of an output, in any layer that reads a cache. */
static size_t output_partials(const struct clsa_session *session)
{
    const struct clsa_network *net = &session->model->net;
    size_t most = 0;
    const bool all = clsa_policy_is_dense(&session->policy) ||
                     clsa_policy_mixes(&session->policy, net);
    size_t rows = all ? (size_t)session->context : clsa_session_slots(session);
    for (uint32_t i = clsa_reads_early(net) ? 0 : net->last_writer;
         i < net->layer_count; i++) {
        const struct clsa_layer *l = &net->layers[i];
        const size_t window = net->stores[l->store].window;
        most = clsa_max(most, partials(l, clsa_layer_reads_cache(net, l)
                                              ? rows
                                              : clsa_max(window, 1)));
    }
    return most;
}

/* The same of n tokens that read a cache, `each` for one of them. They take
   turns if they are many. */
static size_t cache_partials(const struct clsa_session *session,
                             const struct clsa_layer *l, size_t n, size_t each)
{
    const size_t tiles = clsa_team_size(session->model->team) * PROMPT_TOKENS *
                         (each / l->heads.kv_heads);
    const size_t least = clsa_max(each, n > 1 ? tiles : 0);
    return n * each < PROMPT_PARTIALS ? clsa_max(n * each, least)
                                      : clsa_max(PROMPT_PARTIALS, least);
}

/* The same of n tokens up to the last store, or to the end. */
static size_t token_partials(const struct clsa_session *session, size_t n)
{
    const struct clsa_network *net = &session->model->net;
    const uint32_t end =
        session->observer ? net->layer_count : net->last_writer;
    size_t most = 0;
    for (uint32_t i = 0; i < end; i++) {
        const struct clsa_layer *l = &net->layers[i];
        const size_t window = net->stores[l->store].window;
        const size_t each =
            partials(l, window ? window : (size_t)session->context);
        if (window)
            most = clsa_max(most, n * each);
        else if (clsa_layer_reads_cache(net, l))
            most = clsa_max(most, cache_partials(session, l, n, each));
    }
    return most;
}

static size_t policy_floats(const struct clsa_session *session)
{
    const struct clsa_policy_type *type = session->policy.type;
    return type->scratch ? type->scratch(session) : 0;
}

/* Bytes that an output takes in addition to any token. */
static uint64_t output_bytes(const struct clsa_session *session)
{
    const struct clsa_network *net = &session->model->net;
    const uint64_t slots =
        session->policy.type->ranked ? clsa_session_slots(session) : 0;
    const uint64_t lists = 2 * slots * clsa_team_size(session->model->team);
    return session->set.bytes + lists * sizeof(uint64_t) +
           (output_partials(session) + policy_floats(session) +
            (uint64_t)net->vocab + net->hidden) *
               sizeof(float);
}

/* Above the minimum, outputs may use half of the memory budget left after
   setting aside a second scratch block: a larger one is taken before the first
   is given back. oneDNN's buffers are smaller and fit in the other half. */
static size_t fit_outputs(const struct clsa_session *session, size_t most)
{
    const struct clsa_model *model = session->model;
    const uint64_t left = model->budget.limit - model->budget.taken;
    const uint64_t other = 2 * (uint64_t)model->scratch->bytes;
    const uint64_t half = left > other ? (left - other) / 2 : 0;
    const uint64_t budget = half < OUTPUT_BUDGET ? half : OUTPUT_BUDGET;
    while (most > CLSA_OUTPUTS_FEW && most * output_bytes(session) > budget)
        most = clsa_max(most / 2, CLSA_OUTPUTS_FEW);
    return most;
}

size_t clsa_outputs_most(const struct clsa_session *session)
{
    if (clsa_session_evicts(session))
        return 1;
    if (session->output_sets)
        return session->output_count;
    size_t each =
        (output_partials(session) + policy_floats(session)) * sizeof(float);
    size_t most = PARTIAL_BUDGET / (each ? each : 1);
    most = most > CLSA_OUTPUTS_MANY ? CLSA_OUTPUTS_MANY : clsa_max(most, 1);
    return fit_outputs(session, most);
}

/* n tokens; fine: two columns of q, d and sum for each. */
static void lay_out_act(struct clsa_arena *c, struct clsa_act *act, size_t n,
                        size_t len, bool fine)
{
    const size_t blocks = (len + CLSA_BLOCK - 1) / CLSA_BLOCK;
    const size_t columns = n << fine;
    act->ldq = len;
    act->ldx = len + 16; /* tokens a power of two apart share cache sets */
    act->ldd = columns;
    act->len = len;
    act->x = clsa_arena_take(c, n * act->ldx, sizeof(float));
    act->q = clsa_arena_take(c, columns * len, 1);
    act->d = clsa_arena_take(c, columns * blocks, sizeof(float));
    act->sum = clsa_arena_take(c, columns * blocks, sizeof(int32_t));
}

static void lay_out_tokens(struct clsa_arena *c, struct clsa_scratch *s,
                           const struct clsa_network *net)
{
    const size_t n = s->n, m = s->m, d = net->hidden, f4 = sizeof(float);
    const struct clsa_largest *most = &net->largest;
    s->x = clsa_arena_take(c, n * d, f4);
    s->x_out = clsa_arena_take(c, m * d, f4);
    s->y = clsa_arena_take(c, n * d, f4);
    s->q = clsa_arena_take(c, n * most->q, f4);
    s->k_rows = clsa_arena_take(c, n * most->kv, f4);
    s->v_rows = clsa_arena_take(c, n * most->kv, f4);
    s->gate = clsa_arena_take(c, n * most->ffn, f4);
    s->up = clsa_arena_take(c, n * most->ffn, f4);
    s->layer_input =
        clsa_arena_take(c, n * net->layer_count * net->layer_input, f4);
    lay_out_act(c, &s->norm, n, d, net->fine);
    lay_out_act(c, &s->attn_out, n, most->q, net->fine);
    lay_out_act(c, &s->ffn, n, most->ffn, net->fine);
    s->rope_stride = most->rope_pairs;
    s->cos = clsa_arena_take(c, net->rope_count * n * s->rope_stride, f4);
    s->sin = clsa_arena_take(c, net->rope_count * n * s->rope_stride, f4);
    s->partial = clsa_arena_take(c, s->partials, f4);
}

/* What only layers of retention take. */
static void lay_out_retention(struct clsa_arena *c, struct clsa_scratch *s,
                              const struct clsa_network *net)
{
    uint32_t heads = 0, e = 0;
    for (uint32_t i = 0; i < net->layer_count; i++)
        if (net->layers[i].mixer == CLSA_MIXER_RETENTION) {
            heads = (uint32_t)clsa_max(heads, net->layers[i].heads.heads);
            e = (uint32_t)clsa_max(e, net->layers[i].heads.head_dim);
        }
    if (!heads)
        return;
    s->decay = clsa_arena_take(c, s->n * heads, sizeof(float));
    s->retention = clsa_arena_take(c, s->threads * clsa_retention_scratch(e),
                                   sizeof(float));
}

static size_t lay_out(struct clsa_scratch *s, const struct clsa_network *net,
                      void *block)
{
    struct clsa_arena c = {block, 0};
    const size_t n = s->n, m = s->m, e_i = net->largest.index_dim;
    const size_t heads = clsa_max(net->indexes.heads, 1);
    lay_out_tokens(&c, s, net);
    lay_out_retention(&c, s, net);
    s->logits = clsa_arena_take(&c, m * net->vocab, sizeof(float));
    s->index_k = clsa_arena_take(&c, n * e_i, sizeof(float));
    s->index_x = clsa_arena_take(&c, m * heads * e_i, sizeof(float));
    s->index_q = clsa_arena_take(&c, m * heads * e_i, sizeof(int16_t));
    s->index_weights = clsa_arena_take(&c, m * heads, sizeof(float));
    s->query = clsa_arena_take(&c, m * heads, sizeof *s->query);
    s->candidates = clsa_arena_take(&c, s->threads, sizeof *s->candidates);
    s->topk_count = clsa_arena_take(&c, m * s->threads, sizeof *s->topk_count);
    s->topk = clsa_arena_take(&c, m * s->threads * s->k, sizeof *s->topk);
    s->merge = clsa_arena_take(&c, m * s->threads * s->k, sizeof *s->merge);
    s->policy = clsa_arena_take(&c, m * s->policy_floats, sizeof(float));
    s->token = clsa_arena_take(&c, n, sizeof *s->token);
    s->output = clsa_arena_take(&c, n, sizeof *s->output);
    return c.used;
}

static void close_parts(struct clsa_scratch *s)
{
    for (unsigned i = 0; s->candidates && i < s->threads; i++)
        clsa_candidates_close(&s->candidates[i]);
    clsa_mem_unmap(s->block, s->bytes);
    s->candidates = NULL;
    s->block = NULL;
}

void clsa_scratch_close(struct clsa_scratch *scratch)
{
    if (scratch)
        close_parts(scratch);
    clsa_mem_free(scratch);
}

static clsa_status build(struct clsa_scratch *s, const struct clsa_network *net,
                         clsa_error *error)
{
    s->block = clsa_mem_map(s->bytes);
    if (!s->block)
        return clsa_fail_memory(error, "the scratch of a step", s->bytes);
    lay_out(s, net, s->block);
    for (unsigned i = 0; i < s->threads; i++) {
        clsa_status status =
            clsa_candidates_open(&s->candidates[i], s->k, error);
        if (status) {
            close_parts(s);
            return status;
        }
    }
    return CLSA_OK;
}

/* A second block of these sizes takes the place of the first. */
static clsa_status replace(struct clsa_model *model,
                           const struct clsa_scratch *sizes, clsa_error *error)
{
    struct clsa_scratch *old = model->scratch;
    struct clsa_scratch *s = clsa_mem_calloc(1, sizeof *s);
    if (!s)
        return clsa_fail_memory(error, "the scratch of a step", sizeof *s);
    *s = *sizes;
    s->bytes = lay_out(s, &model->net, NULL);
    s->charged = s->bytes + s->threads * clsa_candidates_bytes(s->k);
    clsa_status status = clsa_budget_take(&model->budget, s->charged,
                                          "the scratch of a step", error);
    if (!status && (status = build(s, &model->net, error)))
        clsa_budget_give(&model->budget, s->charged);
    if (status) {
        clsa_mem_free(s);
        return status;
    }
    if (old)
        clsa_budget_give(&model->budget, old->charged);
    clsa_scratch_close(old);
    model->scratch = s;
    return CLSA_OK;
}

clsa_status clsa_scratch_reserve(struct clsa_model *model, size_t n, size_t m,
                                 const struct clsa_session *session,
                                 clsa_error *error)
{
    static const struct clsa_scratch none;
    const struct clsa_scratch *old = model->scratch ? model->scratch : &none;
    struct clsa_scratch want = {
        .n = clsa_max(clsa_max(n, m), old->n),
        .m = clsa_max(clsa_max(m, 1), old->m),
        .k = session->policy.type->ranked ? clsa_session_slots(session) : 0,
        .policy_floats = clsa_round_up(policy_floats(session), 16),
        .threads = clsa_team_size(model->team),
    };
    want.k = clsa_max(want.k, old->k);
    want.policy_floats = clsa_max(want.policy_floats, old->policy_floats);
    want.partials = clsa_max(token_partials(session, clsa_max(n, m)),
                             clsa_max(m, 1) * output_partials(session));
    want.partials = clsa_max(want.partials, old->partials);
    if (want.n == old->n && want.m == old->m && want.k == old->k &&
        want.policy_floats == old->policy_floats &&
        want.partials == old->partials)
        return CLSA_OK;
    return replace(model, &want, error);
}
