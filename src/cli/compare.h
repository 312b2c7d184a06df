/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare: what eval compare and bench compare share: lists of numbers, and
 * the contenders at equal budgets of rows.
 */
#ifndef CLSA_CLI_COMPARE_H
#define CLSA_CLI_COMPARE_H

#include "src/cli/library.h"

enum { CLI_NUMBERS = 32 };

/* A list of sizes "1K,8". */
struct cli_numbers {
    uint64_t value[CLI_NUMBERS];
    size_t count;
};

/* Parse the list of an option, each number min..max. */
int cli_numbers_parse(const struct cli_command *self, const char *option,
                      const char *text, uint64_t min, uint64_t max,
                      struct cli_numbers *numbers);

/*
 * The policies to compare: the list of --attention, or without it dense
 * and all others at each of the budgets (multiples of 64 from 128 on). A
 * model without an indexer has no clsa.
 */
int cli_compare_policies(const struct cli_common *common,
                         const clsa_model *model,
                         const struct cli_numbers *budgets,
                         struct cli_policies *policies);

/* Rows that a policy may read, 0 for all; and its name without numbers, into
   family[16]. */
uint64_t cli_compare_budget(const char *policy, char *family);

#endif /* CLSA_CLI_COMPARE_H */
