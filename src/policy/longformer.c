/* SPDX-License-Identifier: Apache-2.0 */
/* Policy longformer:N:G: the last N rows and the first G, the global positions
   of Longformer (arXiv 2004.05150). */
#include "src/engine/select.h"

static const char *derive(struct clsa_policy *policy,
                          const struct clsa_network *net)
{
    uint64_t rows = (uint64_t)policy->number[0] + policy->number[1];
    (void)net;
    policy->rows = (uint32_t)rows;
    return rows > CLSA_POLICY_MOST ? "too many rows in total" : NULL;
}

static size_t both_ends(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_policy *policy = &token->session->policy;
    uint64_t n = token->position + 1, window = policy->number[0];
    if (n <= policy->rows)
        return clsa_policy_run(rows, 0, n);
    size_t global = clsa_policy_run(rows, 0, policy->number[1]);
    return global + clsa_policy_run(rows + global, n - window, window);
}

const struct clsa_policy_type clsa_policy_longformer = {
    .name = "longformer",
    .usages = {"longformer:N:G"},
    .least = 2,
    .most = 2,
    .low = {1, 1},
    .derive = derive,
    .rows = both_ends,
};
