/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: what `clsa info` says about the machine and the program, and the
 * CPU's name.
 */
#ifndef CLSA_CLI_MACHINE_H
#define CLSA_CLI_MACHINE_H

#include "src/cli/options.h"

/* The name of the CPU, cut short where it has no room. */
void cli_machine_cpu(char *name, size_t capacity);

/* Print CPU, SIMD levels, version and default model. */
int cli_machine_print(const struct cli_common *common);

#endif /* CLSA_CLI_MACHINE_H */
