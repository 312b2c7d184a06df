/* SPDX-License-Identifier: Apache-2.0 */
/* Policy longformer:N:G: the last N rows and the first G, those of the global
   positions of Longformer (arXiv 2004.05150). */
#include "src/engine/step.h"

static const char *set(struct clsa_policy *policy,
                       const struct clsa_hparams *hp)
{
    uint64_t rows = (uint64_t)policy->number[0] + policy->number[1];
    (void)hp;
    policy->rows = (uint32_t)rows;
    return rows > CLSA_POLICY_MOST ? "too many rows together" : NULL;
}

static size_t both_ends(struct clsa_step *step, unsigned workers, size_t i,
                        uint32_t *rows)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    const struct clsa_policy *p = &column->session->policy;
    uint64_t n = column->position + 1, window = p->number[0];
    (void)workers;
    if (n <= p->rows)
        return clsa_policy_run(rows, 0, n);
    size_t global = clsa_policy_run(rows, 0, p->number[1]);
    return global + clsa_policy_run(rows + global, n - window, window);
}

const struct clsa_policy_type clsa_policy_longformer = {
    .name = "longformer",
    .form = "longformer:N:G",
    .least = 2,
    .most = 2,
    .low = {1, 1},
    .set = set,
    .rows = both_ends,
};
