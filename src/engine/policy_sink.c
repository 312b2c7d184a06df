/* SPDX-License-Identifier: Apache-2.0 */
/* Policy sink:N: the first 4 rows and the last N - 4. */
#include "src/engine/step.h"

#define SINK_ROWS 4

static size_t both_ends(struct clsa_step *step, unsigned workers, size_t i,
                        uint32_t *rows)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    uint64_t n = column->position + 1, most = column->session->policy.rows;
    (void)workers;
    if (n <= most)
        return clsa_policy_run(rows, 0, n);
    clsa_policy_run(rows, 0, SINK_ROWS);
    clsa_policy_run(rows + SINK_ROWS, n - (most - SINK_ROWS), most - SINK_ROWS);
    return (size_t)most;
}

const struct clsa_policy_type clsa_policy_sink = {
    .name = "sink",
    .form = "sink:N (N >= 5)",
    .least = 1,
    .most = 1,
    .low = {SINK_ROWS + 1},
    .rows = both_ends,
};
