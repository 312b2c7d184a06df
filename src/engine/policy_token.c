/* SPDX-License-Identifier: Apache-2.0 */
/* Policy token:K: the K best rows by the queries of a layer, at every
   cross-decoder layer. */
#include "src/engine/step.h"

const struct clsa_policy_type clsa_policy_token = {
    .name = "token",
    .form = "token:K",
    .least = 1,
    .most = 1,
    .low = {1},
    .ranked = true,
    .chooses = clsa_policy_every_layer,
    .scratch = clsa_best_mean_size,
    .begin = clsa_best_mean,
    .scan = clsa_best_by_mean,
    .rows = clsa_best_rows,
    .searched = clsa_best_searched,
};
