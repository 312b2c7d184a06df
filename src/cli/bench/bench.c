/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: the group of commands that measure speed, one file each, and what
 * they share.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bench/team.h"
#include "simd/simd.h"
#include "src/base/threads.h"
#include "src/cli/bench/bench.h"
#include "src/cli/bench/shape.h"
#include "src/cli/commands.h"
#include "src/cli/library.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"

static const struct cli_command *const kinds[] = {&cli_command_bench_machine,
                                                  &cli_command_bench_kernels,
                                                  &cli_command_bench_decode,
                                                  &cli_command_bench_prefill,
                                                  &cli_command_bench_compare,
                                                  &cli_command_bench_tokenize,
                                                  &cli_command_bench_model,
                                                  &cli_command_bench_serve,
                                                  NULL};

static int bench_run_kind(int argc, char **argv)
{
    bench_stop_when(cli_interrupt_seen);
    return cli_commands_run(kinds, "clsa bench", cli_command_bench.summary,
                            argc, argv);
}

const struct cli_command cli_command_bench = {
    .name = "bench",
    .summary = "Measure the speed of this machine and of the engine.",
    .run = bench_run_kind,
    .commands = kinds};

int cli_bench_threads(const struct cli_common *common, unsigned *threads)
{
    *threads = common->threads != 0 ? (unsigned)common->threads
                                    : clsa_default_threads();
    const unsigned started = clsa_threads_try(*threads);
    if (started < *threads)
        return cli_fail(CLSA_THREADS_REFUSED, started, *threads,
                        strerror(errno), started);
    return CLI_DONE;
}

int cli_bench_simd(const struct cli_common *common, const char **level)
{
    const char *name = common->simd;
    if (!name)
        name = getenv("CLSA_SIMD");
    if (name && *name == '\0')
        name = NULL;
    const struct clsa_simd *table = clsa_simd_table(name);
    if (!table) {
        cli_fail("SIMD level %s is not available; clsa info lists the levels",
                 name);
        return CLI_USAGE;
    }
    *level = table->name;
    return CLI_DONE;
}

int cli_bench_check_model(const struct cli_command *self,
                          const struct cli_common *common, const char *shape,
                          int type)
{
    if (shape && common->model)
        return cli_usage(self, "give either --shape or -m FILE");
    if (!shape && type != BENCH_NO_TYPE)
        return cli_usage(self, "--type: needs --shape, it is the type of "
                               "random weights");
    return CLI_DONE;
}

int cli_bench_open_model(const struct cli_command *self,
                         const struct cli_common *common, const char *shape,
                         int type, clsa_model **model, const char **name)
{
    if (!shape) {
        *name = cli_model_path(common);
        return cli_model_open(common, model);
    }
    *name = shape;
    return cli_shape_open(self, common, shape,
                          type == BENCH_NO_TYPE ? (int)CLSA_TYPE_Q8_0 : type,
                          model);
}
