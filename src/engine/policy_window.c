/* SPDX-License-Identifier: Apache-2.0 */
/* Policy window:N: the last N rows. */
#include "src/engine/step.h"

static size_t last_rows(struct clsa_step *step, unsigned workers, size_t i,
                        uint32_t *rows)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    uint64_t n = column->position + 1, most = column->session->policy.rows;
    uint64_t count = n < most ? n : most;
    (void)workers;
    return clsa_policy_run(rows, n - count, count);
}

const struct clsa_policy_type clsa_policy_window = {
    .name = "window",
    .form = "window:N (N >= 1)",
    .least = 1,
    .most = 1,
    .low = {1},
    .rows = last_rows,
};
