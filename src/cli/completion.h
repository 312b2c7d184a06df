/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion: what can stand at the end of an unfinished command line, from
 * the tables that parsing and --help use. The scripts of completions/ ask for
 * it through `clsa --complete`, so that no shell has a list of its own.
 */
#ifndef CLSA_CLI_COMPLETION_H
#define CLSA_CLI_COMPLETION_H

#include "src/cli/options.h"

/*
 * Print what can stand in place of the last of `count` words, which follow the
 * name of the program: one candidate a line, a tab, a line about it. A line
 * that begins with the tab says that the name of a file can stand there.
 * "--name=", "value" and "--name", "=", "value" (bash) are the same. Returns
 * CLI_DONE.
 */
int cli_complete(const struct cli_command *const *commands, int count,
                 char **words);

#endif /* CLSA_CLI_COMPLETION_H */
