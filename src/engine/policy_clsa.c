/* SPDX-License-Identifier: Apache-2.0 */
/* Policy clsa[:K]: the K best rows by the shared index, once per token. */
#include "src/engine/step.h"

static const char *set(struct clsa_policy *policy,
                       const struct clsa_hparams *hp)
{
    policy->rows = policy->number[0] ? policy->number[0] : hp->top_k;
    return NULL;
}

static void scan(struct clsa_step *step, const struct clsa_worker *w, size_t i)
{
    const struct clsa_scan by_index = {.query =
                                           &step->model->scratch->query[i]};
    clsa_best_scan(step, w, i, &by_index);
}

/* Keys, and their scales where they have some. */
static uint64_t searched(const struct clsa_session *session)
{
    const struct clsa_cache_layout *l = &session->cache.layout;
    size_t key = l->key_bytes + (l->index == CLSA_TYPE_I8 ? sizeof(float) : 0);
    return session->length > session->policy.rows ? session->length * key : 0;
}

const struct clsa_policy_type clsa_policy_clsa = {
    .name = "clsa",
    .form = "clsa, clsa:K (K >= 1)",
    .most = 1,
    .low = {1},
    .indexed = true,
    .ranked = true,
    .set = set,
    .scan = scan,
    .rows = clsa_best_rows,
    .searched = searched,
};
