/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: what `clsa info` says about the machine and the program, the
 * CPU's name, and what memory there is.
 */
#ifndef CLSA_CLI_MACHINE_H
#define CLSA_CLI_MACHINE_H

#include "src/cli/options.h"

/* The name of the CPU, truncated if it does not fit. */
void cli_machine_cpu(char *name, size_t capacity);

/* Bytes that a program may still take without anything being swapped out:
   of the machine, or of the control group if that has less. */
uint64_t cli_machine_available(void);

/* Fail with a message that `what`, of so many bytes, does not fit. */
int cli_machine_fits(const char *what, uint64_t bytes);

/* Resident memory of this process, in bytes; 0 where the system does not
   tell. */
uint64_t cli_machine_resident(void);

/* Print CPU, cores, threads, memory and its nodes, their limits, SIMD levels,
   version and default model. */
int cli_machine_print(const struct cli_common *common);

#endif /* CLSA_CLI_MACHINE_H */
