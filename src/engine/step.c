/* SPDX-License-Identifier: Apache-2.0 */
/* The parallel region of a step. */
#include <time.h>

#include "src/engine/products.h"
#include "src/engine/step.h"

/* What all activations are brought into a form for; NULL: own kernels. */
static void use_products(struct clsa_step *step, struct clsa_products *products)
{
    struct clsa_scratch *s = step->model->scratch;
    s->norm.form = s->mix.form = s->ffn.form = products;
}

/* From the tokens to their rows in the cache. */
static void read_columns(struct clsa_step *step, const struct clsa_worker *w)
{
    clsa_self_decoder(step, w);
    if (step->windows_only)
        return;
    clsa_shared_rows(step, w);
    clsa_step_clock(step, w, CLSA_PHASE_ROWS);
}

static void work(void *context, struct clsa_worker *w)
{
    struct clsa_step *step = context;
    if (step->self || step->cross)
        clsa_gemm_alone();
    if (!step->is_read)
        read_columns(step, w);
    if (step->m == 0)
        return;
    if (step->self != step->cross) {
        if (w->id == 0)
            use_products(step, step->cross);
        clsa_barrier(w);
    }
    clsa_route(step, w);
    clsa_cross_decoder(step, w);
    if (!step->no_logits)
        clsa_head(step, w);
}

/* Scales of a column lie as close as its step allows: far apart, by a power of
   two, they would share a few sets of the cache. */
static void pack_scales(struct clsa_scratch *scratch, size_t n)
{
    scratch->norm.ldd = scratch->mix.ldd = scratch->ffn.ldd = n;
}

void clsa_step_run(struct clsa_step *step)
{
    struct timespec t;
    pack_scales(step->model->scratch, step->n);
    clock_gettime(CLOCK_MONOTONIC, &t);
    step->clock = (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
    for (int i = 0; i < CLSA_PHASES && !step->is_read; i++)
        step->phase_ms[i] = 0;
    step->layered = false;
    for (size_t i = 0; i < step->m; i++) {
        const struct clsa_policy *p = &clsa_wanted(step, i)->session->policy;
        step->layered |= clsa_policy_layered(p) || p->type->seen;
    }
    use_products(step, step->self);
    clsa_team_run(step->model->team, work, step);
}
