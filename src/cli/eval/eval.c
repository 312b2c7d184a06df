/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval: the group of commands that measure what a model computes; one file
 * each.
 */
#include <stddef.h>

#include "src/cli/commands.h"

static const struct cli_command *const kinds[] = {
    &cli_command_eval_logits,  &cli_command_eval_needles,
    &cli_command_eval_loss,    &cli_command_eval_perplexity,
    &cli_command_eval_compare, NULL};

static int eval_run(int argc, char **argv)
{
    return cli_commands_run(kinds, "clsa eval", cli_command_eval.summary, argc,
                            argv);
}

const struct cli_command cli_command_eval = {
    .name = "eval",
    .summary = "Measure what a model computes and recalls.",
    .run = eval_run,
    .commands = kinds};
