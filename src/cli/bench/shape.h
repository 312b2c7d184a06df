/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape: the sizes of a network of random weights as the commands of `clsa
 * bench` take them: a name, or KEY=VALUE pairs, or both.
 */
#ifndef CLSA_CLI_SHAPE_H
#define CLSA_CLI_SHAPE_H

#include "src/cli/options.h"

/*
 * "tiny", "1b", "3b" or "KEY=V,...", where a name may come first: keys that
 * are not given have the values of the name, or of tiny without one. Returns
 * CLI_DONE, or CLI_USAGE with its message.
 */
int cli_shape_parse(const struct cli_command *command, const char *text,
                    clsa_shape *shape);

/* Bytes of its weights, all matrices of one type. */
uint64_t cli_shape_bytes(const clsa_shape *shape, clsa_type type);

/* Whether the text begins with the name of an ordinary model. */
bool cli_shape_is_like(const char *text);

/* A model of random weights like an ordinary model, or of such sizes; of the
   threads and level of the options. */
int cli_shape_open(const struct cli_command *command,
                   const struct cli_common *common, const char *text, int type,
                   clsa_model **model);

#endif /* CLSA_CLI_SHAPE_H */
