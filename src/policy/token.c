/* SPDX-License-Identifier: Apache-2.0 */
/* Policy token:K: the K best rows by the queries of a layer, at every
   cross-decoder layer. */
#include "src/engine/select.h"

const struct clsa_policy_type clsa_policy_token = {
    .name = "token",
    .usages = {"token:K"},
    .least = 1,
    .most = 1,
    .low = {1},
    .ranked = true,
    .selects_at = clsa_policy_every_layer,
    .scratch = clsa_topk_mean_size,
    .work = {[CLSA_POLICY_BEGIN] = {clsa_topk_mean_items, clsa_topk_mean},
             [CLSA_POLICY_SCAN] = {clsa_topk_items, clsa_topk_by_mean}},
    .rows = clsa_topk_rows,
    .bytes_searched = clsa_topk_bytes,
};
