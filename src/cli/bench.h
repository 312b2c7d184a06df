/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: what the commands of `clsa bench` share. They measure with bench/
 * and simd/ as well as through the library.
 */
#ifndef CLSA_CLI_BENCH_H
#define CLSA_CLI_BENCH_H

#include "src/cli/options.h"

/* The threads of -t, or those that a model has by default. */
unsigned cli_bench_threads(const struct cli_common *common);

/* The level of --simd, of CLSA_SIMD, or the best; one that is not there is
   said. */
int cli_bench_simd(const struct cli_common *common, const char **level);

#endif /* CLSA_CLI_BENCH_H */
