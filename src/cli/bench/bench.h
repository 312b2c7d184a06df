/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: what the commands of `clsa bench` share. They measure with bench/
 * and simd/ as well as through the library.
 */
#ifndef CLSA_CLI_BENCH_H
#define CLSA_CLI_BENCH_H

#include "src/cli/options.h"

/* The threads of -t, or those that a model has by default; fails if the system
   does not start that many. */
int cli_bench_threads(const struct cli_common *common, unsigned *threads);

/* The level of --simd, of CLSA_SIMD, or the best; one that is not there is
   said. */
int cli_bench_simd(const struct cli_common *common, const char **level);

/* Of --type where it is not given: index keys have it, weights never. */
#define BENCH_NO_TYPE CLSA_TYPE_I8

#define BENCH_SHAPE_HELP "random weights: tiny, 1b, llama-3.2-1b, KEY=V,..."

/* What goes together of --shape, --type and -m FILE. */
int cli_bench_check_model(const struct cli_command *self,
                          const struct cli_common *common, const char *shape,
                          int type);

/* Random weights of --shape and --type, or the model file; *name is what the
   results call it. */
int cli_bench_open_model(const struct cli_command *self,
                         const struct cli_common *common, const char *shape,
                         int type, clsa_model **model, const char **name);

#endif /* CLSA_CLI_BENCH_H */
