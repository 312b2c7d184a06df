/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: what `clsa info` says about the machine and the program.
 */
#ifndef CLSA_CLI_MACHINE_H
#define CLSA_CLI_MACHINE_H

#include "src/cli/options.h"

/* Print CPU, SIMD levels, version and default model. */
int cli_machine_print(const struct cli_common *common);

#endif /* CLSA_CLI_MACHINE_H */
