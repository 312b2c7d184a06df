/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench compare: bench decode for all policies at equal budgets of rows, with
 * the time of routing (choosing and copying rows) and of attention apart, the
 * bytes of a step and the state of a sequence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/measure.h"
#include "src/cli/commands.h"
#include "src/cli/compare.h"
#include "src/cli/message.h"
#include "src/cli/table.h"

static const struct cli_option compare_table[] = {
    BENCH_DECODE_OPTIONS,
    {.kind = CLI_TEXT,
     .name = "budgets",
     .argument = "N,...",
     .help = "rows of a policy without --attention; default: 512",
     .offset = offsetof(struct decode_options, budgets)},
    {.kind = CLI_FILE,
     .name = "csv",
     .argument = "FILE",
     .help = "write the results as CSV",
     .offset = offsetof(struct decode_options, csv)},
    {.kind = CLI_FILE,
     .name = "plot",
     .argument = "NAME",
     .help = "plot NAME-context.svg and NAME-batch.svg",
     .offset = offsetof(struct decode_options, plot)},
    {0}};

static const struct cli_column columns[] = {{"policy", -22, 0},
                                            {"depth", 8, 0},
                                            {"batch", 5, 0},
                                            {"ms", 9, 3},
                                            {"p90", 9, 3},
                                            {"routing_ms", 10, 3},
                                            {"attention_ms", 12, 3},
                                            {"tokens_per_s", 12, 1},
                                            {"roofline_share", 14, 2},
                                            {"mib_read", 9, 2},
                                            {"mib_state", 9, 2},
                                            {NULL, 0, 0}};

/* A step as a whole reads weights once, and the rest for each sequence. */
static json_t *result_object(const struct bench_decode *d,
                             const struct bench_case *c,
                             const struct bench_decode_result *r)
{
    const struct bench_cost *cost = &r->cost;
    const double mib = 1048576;
    char family[16];
    uint64_t budget = cli_compare_budget(c->attention, family);
    return json_pack(
        "{so ss ss si ss ss ss so so sI sI sf sf sf sf sf sf so sf sf sf sf "
        "sf sf}",
        "shape", cli_json_text(d->shape), "type",
        clsa_type_name(d->weights.type), "simd", d->info.simd, "threads",
        (int)d->info.threads, "kv_type", clsa_type_name(d->common->kv_type),
        "policy", c->attention, "family", family, "fill",
        cli_json_text(d->fill), "budget",
        budget ? json_integer((json_int_t)budget) : json_null(), "depth",
        (json_int_t)c->context, "batch", (json_int_t)c->batch, "ms", r->ms,
        "p90", r->p90, "routing_ms", r->phase[BENCH_ROUTE], "attention_ms",
        r->phase[BENCH_ATTEND], "tokens_per_s", (double)c->batch * 1e3 / r->ms,
        "roofline_ms", cost->ms, "roofline_share",
        bench_peak_share(c->attention, cost->ms / r->ms), "mib_read",
        (cost->weights + cost->index + cost->gather + cost->cache) / mib,
        "mib_searched", cost->index / mib, "rows_read", r->rows, "rows_changed",
        r->changed, "mib_state", r->state / mib, "read_gbs", d->peaks.read_gbs);
}

int bench_compare_report(struct bench_decode *d, const struct bench_case *c,
                         const struct bench_decode_result *r)
{
    json_t *result = result_object(d, c, r);
    CLI_TRY(cli_json_append(d->results, result));
    if (!d->common->json)
        cli_table_line(columns, result, d->printed++ == 0);
    return CLI_DONE;
}

/* The largest value of a member. */
static json_int_t largest(const json_t *list, const char *key)
{
    const json_t *object;
    json_int_t most = 0;
    size_t i;
    json_array_foreach(list, i, object)
    {
        json_int_t value = json_integer_value(json_object_get(object, key));
        most = value > most ? value : most;
    }
    return most;
}

/* NAME-context.svg at the first batch, NAME-batch.svg at the deepest. */
static int draw(const struct bench_decode *d)
{
    const json_t *first = json_array_get(d->results, 0);
    struct cli_plot context = {.title = "Time of a decoding step",
                               .x_label = "tokens in the cache",
                               .y_label = "ms per step",
                               .series = "policy",
                               .x = "depth",
                               .y = "ms",
                               .only = "batch",
                               .log_x = true,
                               .log_y = true};
    struct cli_plot batch = {.title = "Throughput of decoding",
                             .x_label = "sequences in a step",
                             .y_label = "tokens per second",
                             .series = "policy",
                             .x = "batch",
                             .y = "tokens_per_s",
                             .only = "depth",
                             .log_x = true,
                             .log_y = true};
    context.value = json_integer_value(json_object_get(first, "batch"));
    batch.value = largest(d->results, "depth");
    char path[4096];
    snprintf(path, sizeof path, "%.4000s-context.svg", d->plot);
    CLI_TRY(cli_plot_draw(&context, d->results, path));
    snprintf(path, sizeof path, "%.4000s-batch.svg", d->plot);
    return cli_plot_draw(&batch, d->results, path);
}

int bench_compare_finish(struct bench_decode *d)
{
    if (d->csv)
        CLI_TRY(cli_table_csv(columns, d->results, d->csv));
    if (d->plot)
        CLI_TRY(draw(d));
    return CLI_DONE;
}

static int compare_run(int argc, char **argv)
{
    return bench_decode_command(&cli_command_bench_compare, argc, argv);
}

const struct cli_command cli_command_bench_compare = {
    .name = "bench compare",
    .usage = "",
    .summary = "Time decoding under all policies at equal budgets.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = compare_table,
    .run = compare_run};
