/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: the group of commands that measure speed, one file each, and what
 * they share.
 */
#include <stddef.h>
#include <stdlib.h>

#include "bench/team.h"
#include "simd/simd.h"
#include "src/cli/bench.h"
#include "src/cli/commands.h"
#include "src/cli/engine.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/shape.h"

static const struct cli_command *const kinds[] = {
    &cli_command_bench_machine, &cli_command_bench_kernels,
    &cli_command_bench_decode,  &cli_command_bench_prefill,
    &cli_command_bench_compare, NULL};

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

unsigned cli_bench_threads(const struct cli_common *common)
{
    return common->threads != 0 ? (unsigned)common->threads : clsa_core_count();
}

int cli_bench_simd(const struct cli_common *common, const char **level)
{
    const char *name = common->simd;
    const struct clsa_simd *table;

    if (name == NULL)
        name = getenv("CLSA_SIMD");
    if (name != NULL && *name == '\0')
        name = NULL;
    table = clsa_simd_table(name);
    if (table == NULL) {
        cli_fail("SIMD level %s is not there; clsa info lists those that are",
                 name);
        return CLI_USAGE;
    }
    *level = table->name;
    return CLI_DONE;
}

int cli_bench_check_model(const struct cli_command *self,
                          const struct cli_common *common, const char *shape,
                          clsa_type type)
{
    if (shape != NULL && common->model != NULL)
        return cli_usage(self, "give either --shape or -m FILE");
    if (shape == NULL && type != BENCH_NO_TYPE)
        return cli_usage(self, "--type: is that of random weights and needs "
                               "--shape");
    return CLI_DONE;
}

int cli_bench_open_model(const struct cli_command *self,
                         const struct cli_common *common, const char *shape,
                         clsa_type type, clsa_model **model, const char **name)
{
    clsa_shape sizes;

    if (shape == NULL) {
        *name = cli_model_path(common);
        return cli_model_open(common, model);
    }
    *name = shape;
    CLI_TRY(cli_shape_parse(self, shape, &sizes));
    return cli_shape_open(common, &sizes,
                          type == BENCH_NO_TYPE ? CLSA_TYPE_Q8_0 : type, model);
}
