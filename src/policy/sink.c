/* SPDX-License-Identifier: Apache-2.0 */
/* Policy sink:N: the first 4 rows and the last N - 4. */
#include "src/engine/select.h"

#define SINK_ROWS 4

static size_t both_ends(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    uint64_t n = token->position + 1, most = token->session->policy.rows;
    if (n <= most)
        return clsa_policy_run(rows, 0, n);
    clsa_policy_run(rows, 0, SINK_ROWS);
    clsa_policy_run(rows + SINK_ROWS, n - (most - SINK_ROWS), most - SINK_ROWS);
    return (size_t)most;
}

const struct clsa_policy_type clsa_policy_sink = {
    .name = "sink",
    .usages = {"sink:N"},
    .least = 1,
    .most = 1,
    .low = {SINK_ROWS + 1},
    .rows = both_ends,
};
