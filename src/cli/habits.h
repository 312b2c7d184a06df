/* SPDX-License-Identifier: Apache-2.0 */
/*
 * habits: options as hands type them that come from other programs. Some are
 * other names of ours; some have no meaning here, and are taken with a word
 * about why. They are in the manual, and not in --help.
 */
#ifndef CLSA_CLI_HABITS_H
#define CLSA_CLI_HABITS_H

#include <getopt.h>

#include "src/cli/options.h"

#define CLI_HABITS_MAX 64

/* The getopt code of the first option without a meaning; the code of option i
   of a command is below. */
#define CLI_HABIT_CODE 4096

/*
 * Rewrite argv in place for getopt_long: "-ngl" becomes "--ngl", and
 * "--top_k" "--top-k". Arguments of options are left alone.
 */
void cli_habits_rewrite(const struct cli_option_list *list, int argc,
                        char **argv);

/* Append to the table of getopt_long; `first` is the code of list->all[0]. */
struct option *cli_habits_table(const struct cli_option_list *list, int first,
                                struct option *longs);

/* Say of each option without a meaning that was met (by cli_habits_meet) why
   it has none. */
void cli_habits_meet(int code);
void cli_habits_tell(void);

#endif /* CLSA_CLI_HABITS_H */
