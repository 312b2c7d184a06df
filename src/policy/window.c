/* SPDX-License-Identifier: Apache-2.0 */
/* Policy window:N: the last N rows. */
#include "src/base/minmax.h"
#include "src/engine/select.h"

static size_t last_rows(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    uint64_t n = token->position + 1, most = token->session->policy.rows;
    uint64_t count = clsa_min_u64(n, most);
    return clsa_policy_run(rows, n - count, count);
}

const struct clsa_policy_type clsa_policy_window = {
    .name = "window",
    .usages = {"window:N"},
    .least = 1,
    .most = 1,
    .low = {1},
    .rows = last_rows,
};
