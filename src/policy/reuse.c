/* SPDX-License-Identifier: Apache-2.0 */
/* Policy reuse:K:M: as token:K at every M-th cross-decoder layer, the first
   among them; those between read the same rows. */
#include "src/engine/select.h"

static bool some_layers(const struct clsa_policy *policy, uint32_t reader)
{
    return reader % policy->number[1] == 0;
}

const struct clsa_policy_type clsa_policy_reuse = {
    .name = "reuse",
    .usages = {"reuse:K:M"},
    .least = 2,
    .most = 2,
    .low = {1, 1},
    .ranked = true,
    .selects_at = some_layers,
    .scratch = clsa_topk_mean_size,
    .work = {[CLSA_POLICY_BEGIN] = {clsa_topk_mean_items, clsa_topk_mean},
             [CLSA_POLICY_SCAN] = {clsa_topk_items, clsa_topk_by_mean}},
    .rows = clsa_topk_rows,
    .bytes_searched = clsa_topk_bytes,
};
