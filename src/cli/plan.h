/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: the memory that a run will take, for `clsa info --plan`.
 */
#ifndef CLSA_CLI_PLAN_H
#define CLSA_CLI_PLAN_H

#include "clsa.h"
#include "src/cli/options.h"

/* Print the plan for a full session of these options. */
int cli_plan_print(const struct cli_common *common, clsa_model *model);

#endif /* CLSA_CLI_PLAN_H */
