/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands: the subcommands of the program, one per file of this folder, and
 * the dispatch by name that main, `clsa eval` and `clsa bench` share.
 */
#ifndef CLSA_CLI_COMMANDS_H
#define CLSA_CLI_COMMANDS_H

#include "src/cli/options.h"

extern const struct cli_command cli_command_run;
extern const struct cli_command cli_command_chat;
extern const struct cli_command cli_command_chat_template;
extern const struct cli_command cli_command_tokenize;
extern const struct cli_command cli_command_detokenize;
extern const struct cli_command cli_command_eval;
extern const struct cli_command cli_command_eval_logits;
extern const struct cli_command cli_command_eval_needles;
extern const struct cli_command cli_command_eval_loss;
extern const struct cli_command cli_command_eval_perplexity;
extern const struct cli_command cli_command_eval_compare;
extern const struct cli_command cli_command_info;
extern const struct cli_command cli_command_bench;
extern const struct cli_command cli_command_bench_compare;
extern const struct cli_command cli_command_bench_decode;
extern const struct cli_command cli_command_bench_kernels;
extern const struct cli_command cli_command_bench_machine;
extern const struct cli_command cli_command_bench_model;
extern const struct cli_command cli_command_bench_prefill;
extern const struct cli_command cli_command_bench_serve;
extern const struct cli_command cli_command_bench_tokenize;
extern const struct cli_command cli_command_convert;
extern const struct cli_command cli_command_quantize;
extern const struct cli_command cli_command_calibrate;
extern const struct cli_command cli_command_serve;
extern const struct cli_command cli_command_index;
extern const struct cli_command cli_command_index_test;
extern const struct cli_command cli_command_index_train;

/* The command of a NULL-terminated list with this name, or NULL. */
const struct cli_command *
cli_command_find(const struct cli_command *const *list, const char *name);

/*
 * Run the command of a NULL-terminated list that argv[1] names; --help lists
 * them. `prefix` is "clsa" or "clsa eval", `about` the line above the list.
 */
int cli_commands_run(const struct cli_command *const *commands,
                     const char *prefix, const char *about, int argc,
                     char **argv);

#endif /* CLSA_CLI_COMMANDS_H */
