/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench kernels: every kernel at every level that this CPU has, each beside
 * the limit of the machine that it runs into.
 */
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "bench/kernels.h"
#include "src/cli/bench/bench.h"
#include "src/cli/commands.h"
#include "src/cli/files.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"

struct kernels_options {
    struct cli_common common;
    const char *filter;
};

static const struct cli_option kernels_table[] = {
    {.kind = CLI_TEXT,
     .name = "filter",
     .argument = "NAME",
     .help = "only kernels whose name contains NAME",
     .offset = offsetof(struct kernels_options, filter)},
    {0}};

static void print_head(unsigned threads)
{
    const time_t now = time(NULL);
    char cpu[256];
    cli_machine_cpu(cpu, sizeof cpu);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%d", localtime(&now));
    printf("cpu      %s\ndate     %s\nthreads  %u\n\n", cpu, date, threads);
    printf("%-17s %-42s %-12s %10s %7s %8s %-6s %8s %6s %8s\n", "kernel",
           "size", "level", "us", "GB/s", "GFLOP/s", "limit", "peak", "share",
           "speed-up");
}

static bool print_line(void *context, const struct bench_kernel_result *r)
{
    unsigned *heading = context; /* threads, 0 once it is printed */
    if (*heading != 0)
        print_head(*heading);
    *heading = 0;
    printf("%-17s %-42s %-12s %10.2f %7.1f %8.1f %-6s %8.1f %5.0f%% %8.2f\n",
           r->kernel, r->size, r->level, r->ns * 1e-3, r->gbs, r->gflops,
           r->limit, r->peak, r->share * 100, r->speedup);
    return cli_output_flush() || cli_interrupt_seen();
}

static bool add_object(void *context, const struct bench_kernel_result *r)
{
    int status = cli_json_append(
        context,
        json_pack("{ss ss ss si sf sf sf ss sf sf sf}", "kernel", r->kernel,
                  "level", r->level, "size", r->size, "threads",
                  (int)r->threads, "ns", r->ns, "gbs", r->gbs, "gflops",
                  r->gflops, "limit", r->limit, "peak", r->peak, "share",
                  r->share, "speedup", r->speedup));
    return status != CLI_DONE || cli_interrupt_seen();
}

static int explain(enum bench_outcome outcome,
                   const struct bench_kernel_result *r, const char *filter)
{
    switch (outcome) {
    case BENCH_DONE:
        return CLI_DONE;
    case BENCH_NO_MEMORY:
        return cli_fail_memory();
    case BENCH_NO_KERNEL:
        cli_fail("no kernel's name contains '%s': clsa bench kernels without "
                 "--filter runs all",
                 filter);
        return CLI_USAGE;
    case BENCH_DIFFERS:
        return cli_fail("%s at level %s: the result differs from level ref: "
                        "run check_kernels --filter %s",
                        r->kernel, r->level, r->kernel);
    default:
        CLI_TRY(cli_interrupt_check());
        return CLI_FAILED;
    }
}

static int bench_kernels_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_bench_kernels;
    struct kernels_options options = {.common = CLI_COMMON_INIT};
    struct bench_kernels_request request = {.report = print_line};
    struct bench_kernel_result wrong = {0};
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    CLI_TRY(cli_bench_simd(&options.common, &request.top));
    CLI_TRY(cli_bench_threads(&options.common, &request.threads));
    request.filter = options.filter;
    unsigned heading;
    json_t *list = json_array();
    if (options.common.json) {
        request.report = add_object;
        request.context = list;
    } else {
        heading = request.threads;
        request.context = &heading;
    }
    int status =
        explain(bench_kernels(&request, &wrong), &wrong, options.filter);
    if (!status && options.common.json)
        return cli_json_print(list);
    json_decref(list);
    return status;
}

const struct cli_command cli_command_bench_kernels = {
    .name = "bench kernels",
    .usage = "",
    .summary = "Time every SIMD kernel against its limit.",
    .groups = CLI_GROUP_THREADS,
    .options = kernels_table,
    .run = bench_kernels_run};
