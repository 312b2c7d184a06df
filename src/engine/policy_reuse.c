/* SPDX-License-Identifier: Apache-2.0 */
/* Policy reuse:K:M: as token:K at every M-th cross-decoder layer, the first
   among them; those between read the same rows. */
#include "src/engine/step.h"

static bool some_layers(const struct clsa_policy *policy, uint32_t layer)
{
    return layer != CLSA_ONCE && layer % policy->number[1] == 0;
}

const struct clsa_policy_type clsa_policy_reuse = {
    .name = "reuse",
    .form = "reuse:K:M",
    .least = 2,
    .most = 2,
    .low = {1, 1},
    .ranked = true,
    .chooses = some_layers,
    .scratch = clsa_best_mean_size,
    .begin = clsa_best_mean,
    .scan = clsa_best_by_mean,
    .rows = clsa_best_rows,
    .searched = clsa_best_searched,
};
