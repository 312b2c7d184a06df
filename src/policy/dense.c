/* SPDX-License-Identifier: Apache-2.0 */
/* Policy dense: every row, read where it lies in the cache. */
#include "src/policy/policy.h"

const struct clsa_policy_type clsa_policy_dense = {
    .name = "dense",
    .usages = {"dense"},
};
