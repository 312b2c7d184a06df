/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe: somebody who looks at attention while texts are read: src/train,
 * which measures and learns where layers look.
 *
 * A session has an observer (session->observer, which outlives it or is taken
 * away), or none, which costs a comparison a layer. While it has one, all
 * tokens of an append run all layers, those after the last store too, whether
 * their logits are wanted or not. Logits of prompts are then made with the
 * backend of the prompt, and may differ by rounding from those without.
 * Forks have no observer, batches and refills are not observed. The session's
 * policy is `dense`, or the model has a cache for each layer.
 */
#ifndef CLSA_ENGINE_OBSERVE_H
#define CLSA_ENGINE_OBSERVE_H

#include "src/engine/attention.h"

struct clsa_observer {
    /*
     * Called by all threads for each layer of attention, with the tokens that
     * run: clsa_pass_token(p, i), i < p->n, in blocks of a prompt. At this time
     * p->model->scratch has
     *
     * - norm.x [n][ldx]: norm(x), floats with every backend, what Q and
     * (without a norm of their own) K, V and index keys are made of;
     * - q [n][h e]: queries, normed, rotated and times layer->scale (but for
     *   outputs of a step that shows_queries);
     *
     * and the rows of K and V up to these tokens are in the layer's store.
     * Work is shared in loops (base/loop.h), whose rules hold.
     */
    void (*layer)(void *context, const struct clsa_pass *p);
    void *context;
};

static inline bool clsa_is_observed(const struct clsa_step *step)
{
    return step->observer != NULL;
}

static inline void clsa_observe(const struct clsa_pass *p)
{
    if (clsa_is_observed(p->step))
        p->step->observer->layer(p->step->observer->context, p);
}

#endif /* CLSA_ENGINE_OBSERVE_H */
