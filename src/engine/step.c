/* SPDX-License-Identifier: Apache-2.0 */
/* What is around a forward pass: its clock, who cancels it, and the lengths of
   caches after it. */
#include <string.h>

#include "src/base/clock.h"
#include "src/engine/step.h"

static double now_ms(void)
{
    return (double)clsa_clock() * 1e-6;
}

void clsa_step_clock(const struct clsa_pass *p, enum clsa_phase phase)
{
    if (p->w->id != 0)
        return;
    const double now = now_ms();
    p->step->phase_ms[phase] += now - p->step->clock;
    p->step->clock = now;
}

/* Scales of a token lie as close as its step allows: far apart, by a power of
   two, they would share a few sets of the cache. */
static void pack_scales(const struct clsa_model *model, size_t n)
{
    struct clsa_scratch *s = model->scratch;
    s->norm.ldd = s->attn_out.ldd = s->ffn.ldd = n << model->net.fine;
}

/* The rows that the step has written belong to the caches now. */
static void extend_caches(const struct clsa_step *step)
{
    for (size_t t = 0; t < step->n; t++)
        clsa_stores_written(&step->token[t].session->stores,
                            step->token[t].position);
}

size_t clsa_step_run_length(const struct clsa_step *step, size_t t)
{
    size_t run = 1;
    while (t + run < step->n &&
           step->token[t + run].session == step->token[t].session)
        run++;
    return run;
}

bool clsa_step_cancelled(const struct clsa_step *step)
{
    for (size_t t = 0; t < step->n; t += clsa_step_run_length(step, t))
        if (clsa_session_cancelled(step->token[t].session))
            return true;
    return false;
}

/* What a policy that evicts has learned in some layers cannot be taken back;
   a refill must end. */
static bool is_stoppable(const struct clsa_step *step)
{
    for (size_t t = 0; t < step->n; t += clsa_step_run_length(step, t))
        if (clsa_session_evicts(step->token[t].session))
            return false;
    return step->stage != CLSA_STAGE_REFILL;
}

/* What policies keep from step to step. */
static void tell_policies(const struct clsa_step *step)
{
    for (size_t i = 0; i < step->m; i++) {
        struct clsa_session *s = clsa_output(step, i)->session;
        if (s->policy.type->after_step && clsa_output_is_last(step, i))
            s->policy.type->after_step(s, clsa_output(step, i)->position);
    }
}

void clsa_step_run(struct clsa_step *step)
{
    pack_scales(step->model, step->n);
    if (step->stage != CLSA_STAGE_OUTPUTS)
        memset(step->phase_ms, 0, sizeof step->phase_ms);
    step->shows_queries = step->early = false;
    step->stopped = false;
    step->stoppable = is_stoppable(step);
    for (size_t i = 0; i < step->m; i++) {
        const struct clsa_policy *p = &clsa_output(step, i)->session->policy;
        step->shows_queries |= clsa_policy_looks_at_queries(p);
        step->early |=
            clsa_session_selects_early(clsa_output(step, i)->session);
    }
    step->clock = now_ms();
    clsa_profile_start(step);
    clsa_team_run(step->model->team, clsa_forward, step);
    clsa_profile_end(step);
    if (step->stopped)
        return;
    if (step->stage != CLSA_STAGE_REFILL && step->stage != CLSA_STAGE_OUTPUTS)
        extend_caches(step);
    if (step->stage != CLSA_STAGE_REFILL && step->stage != CLSA_STAGE_STORES)
        tell_policies(step);
}
