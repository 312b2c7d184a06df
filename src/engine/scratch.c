/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and memory of the scratch of a step. */
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/step.h"

/* Bytes for the wanted columns of a step: their partial softmaxes alone, and
   all that there is for each of them. */
#define PARTIAL_BUDGET ((size_t)64 << 20)
#define EVAL_BUDGET    ((uint64_t)512 << 20)

static size_t max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t parts_of(size_t rows)
{
    return (rows + CLSA_ATTEND_ROWS - 1) / CLSA_ATTEND_ROWS;
}

/* Floats of the partial softmaxes of one wanted column. */
static size_t cross_partials(const struct clsa_session *session)
{
    const struct clsa_heads *c = &session->model->hp.cross;
    size_t rows = session->policy.rows == 0 ? (size_t)session->context
                                            : clsa_session_slots(session);
    return parts_of(rows) * c->h * (c->e + 2);
}

static size_t self_partials(const struct clsa_hparams *hp)
{
    return parts_of(hp->window) * hp->self.h * (hp->self.e + 2);
}

static size_t policy_floats(const struct clsa_session *session)
{
    const struct clsa_policy_type *type = session->policy.type;
    return type->scratch ? type->scratch(session) : 0;
}

/* Bytes that a wanted column takes beside those of any column. */
static uint64_t column_bytes(const struct clsa_session *session)
{
    const struct clsa_hparams *hp = &session->model->hp;
    const uint64_t slots =
        session->policy.type->ranked ? clsa_session_slots(session) : 0;
    const uint64_t lists = 2 * slots * clsa_team_size(session->model->team);
    return session->set.bytes + lists * sizeof(uint64_t) +
           (cross_partials(session) + policy_floats(session) +
            (uint64_t)hp->vocab + hp->d) *
               sizeof(float);
}

/* Columns beyond the fewest take half of the room that the limit of memory
   leaves, beside a second scratch, which a larger one is until it takes the
   place of the first, and products, which are smaller. */
static size_t fit_columns(const struct clsa_session *session, size_t most)
{
    const struct clsa_model *model = session->model;
    const uint64_t left = model->budget.limit - model->budget.taken;
    const uint64_t other = 2 * (uint64_t)model->scratch->bytes;
    const uint64_t half = left > other ? (left - other) / 2 : 0;
    const uint64_t room = half < EVAL_BUDGET ? half : EVAL_BUDGET;
    while (most > CLSA_EVAL_FEW && most * column_bytes(session) > room)
        most = max(most / 2, CLSA_EVAL_FEW);
    return most;
}

size_t clsa_step_most_wanted(const struct clsa_session *session)
{
    if (clsa_session_streams(session))
        return 1;
    if (session->eval_sets)
        return session->eval_count;
    size_t each =
        (cross_partials(session) + policy_floats(session)) * sizeof(float);
    size_t most = PARTIAL_BUDGET / (each ? each : 1);
    most = most > CLSA_EVAL_COLUMNS ? CLSA_EVAL_COLUMNS : max(most, 1);
    return fit_columns(session, most);
}

static void carve_act(struct clsa_carver *c, struct clsa_act *act, size_t n,
                      size_t len)
{
    size_t blocks = (len + CLSA_BLOCK - 1) / CLSA_BLOCK;
    act->ldq = len;
    act->ldx = len + 16; /* columns a power of two apart share cache sets */
    act->ldd = n;
    act->len = len;
    act->x = clsa_carve(c, n * act->ldx, sizeof(float));
    act->q = clsa_carve(c, n * len, 1);
    act->d = clsa_carve(c, n * blocks, sizeof(float));
    act->sum = clsa_carve(c, n * blocks, sizeof(int32_t));
}

static size_t carve_all(struct clsa_scratch *s, const struct clsa_hparams *hp,
                        void *block)
{
    struct clsa_carver c = {block, 0};
    size_t n = s->n, m = s->m, f4 = sizeof(float);
    size_t he =
        max((size_t)hp->self.h * hp->self.e, (size_t)hp->cross.h * hp->cross.e);
    size_t ge =
        max((size_t)hp->self.g * hp->self.e, (size_t)hp->cross.g * hp->cross.e);
    size_t half = max(hp->self.e, hp->cross.e) / 2;
    s->x = clsa_carve(&c, n * hp->d, f4);
    s->xw = clsa_carve(&c, m * hp->d, f4);
    s->y = clsa_carve(&c, n * hp->d, f4);
    s->q = clsa_carve(&c, n * he, f4);
    s->k_rows = clsa_carve(&c, n * ge, f4);
    s->v_rows = clsa_carve(&c, n * ge, f4);
    s->gate = clsa_carve(&c, n * hp->f, f4);
    s->up = clsa_carve(&c, n * hp->f, f4);
    carve_act(&c, &s->norm, n, hp->d);
    carve_act(&c, &s->mix, n, he);
    carve_act(&c, &s->ffn, n, hp->f);
    s->cos = clsa_carve(&c, n * half, f4);
    s->sin = clsa_carve(&c, n * half, f4);
    s->partial = clsa_carve(&c, s->partials, f4);
    if (hp->mixer == CLSA_MIXER_GATED_RETENTION) {
        s->decay = clsa_carve(&c, n * hp->self.h, f4);
        s->retention =
            clsa_carve(&c, s->threads * clsa_retention_scratch(hp->self.e), f4);
    }
    s->logits = clsa_carve(&c, m * hp->vocab, f4);
    s->index_k = clsa_carve(&c, n * hp->index_size, f4);
    s->index_x = clsa_carve(&c, m * hp->index_size, f4);
    s->index_q = clsa_carve(&c, m * hp->index_size, sizeof(int16_t));
    s->query = clsa_carve(&c, m, sizeof *s->query);
    s->candidates = clsa_carve(&c, s->threads, sizeof *s->candidates);
    s->best_count = clsa_carve(&c, m * s->threads, sizeof *s->best_count);
    s->best = clsa_carve(&c, m * s->threads * s->k, sizeof *s->best);
    s->merge = clsa_carve(&c, m * s->threads * s->k, sizeof *s->merge);
    s->policy = clsa_carve(&c, m * s->each, f4);
    s->column = clsa_carve(&c, n, sizeof *s->column);
    s->wanted = clsa_carve(&c, n, sizeof *s->wanted);
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

static clsa_status build(struct clsa_scratch *s, const struct clsa_hparams *hp,
                         clsa_error *error)
{
    s->block = clsa_mem_map(s->bytes);
    if (!s->block)
        return clsa_fail_memory(error, "the scratch of a step", s->bytes);
    carve_all(s, hp, s->block);
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

clsa_status clsa_scratch_reserve(struct clsa_model *model, size_t n, size_t m,
                                 const struct clsa_session *session,
                                 clsa_error *error)
{
    struct clsa_scratch *old = model->scratch;
    const struct clsa_hparams *hp = &model->hp;
    struct clsa_scratch want = {
        .n = max(n, m),
        .m = max(m, 1),
        .k = session->policy.type->ranked ? clsa_session_slots(session) : 0,
        .each = clsa_round_up(policy_floats(session), 16),
        .threads = clsa_team_size(model->team),
    };
    want.partials =
        max(want.n * self_partials(hp), want.m * cross_partials(session));
    if (old && old->n >= want.n && old->m >= want.m && old->k >= want.k &&
        old->each >= want.each && old->partials >= want.partials)
        return CLSA_OK;
    if (old) {
        want.n = max(want.n, old->n);
        want.m = max(want.m, old->m);
        want.k = max(want.k, old->k);
        want.each = max(want.each, old->each);
        want.partials = max(want.partials, old->partials);
    }
    struct clsa_scratch *s = clsa_mem_calloc(1, sizeof *s);
    if (!s)
        return clsa_fail_memory(error, "the scratch of a step", sizeof *s);
    *s = want;
    s->bytes = carve_all(s, hp, NULL);
    s->charged = s->bytes + s->threads * clsa_candidates_bytes(s->k);
    clsa_status status = clsa_budget_take(&model->budget, s->charged,
                                          "the scratch of a step", error);
    if (!status && (status = build(s, hp, error)))
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
