/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench decode: time of a decoding step by context length, batch and policy,
 * beside the time that moving and computing its operands takes on this machine
 * at the least (cost.h). Every sequence has a cache of its own memory.
 * Policies take turns on the same sessions, which go back to their length.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/cli/bench/bench.h"
#include "src/cli/bench/measure.h"
#include "src/cli/commands.h"
#include "src/cli/compare.h"
#include "src/cli/machine.h"
#include "src/cli/memory_plan.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/signals.h"

static const struct cli_option decode_table[] = {
    BENCH_DECODE_OPTIONS,
    {.kind = CLI_FLAG,
     .name = "profile",
     .help = "where the time of a step goes, by operation",
     .offset = offsetof(struct decode_options, profile)},
    {0}};

/* -------------------------------------------------------------- the fill */

/* The file of --fill text:FILE, or NULL. */
static int parse_fill(const struct cli_command *self, const char *fill,
                      const char **file)
{
    *file = NULL;
    if (strcmp(fill, "random") == 0)
        return CLI_DONE;
    if (strncmp(fill, "text:", 5) != 0)
        return cli_usage(self, "--fill: '%s' is neither random nor text:FILE",
                         fill);
    if (fill[5] == '\0')
        return cli_usage(self, "--fill text: needs a file name");
    *file = fill + 5;
    return CLI_DONE;
}

/* Where sequence i of a batch begins in the text: spread over all of it. */
static int place_text(const struct bench_decode *d, struct bench_case *c)
{
    const uint64_t need = c->context + BENCH_WARM + d->steps;
    if (!d->file)
        return CLI_DONE;
    if (d->text.count < need)
        return cli_fail("%s: has %zu tokens, a depth of %llu needs %llu: give "
                        "a longer text",
                        d->file, d->text.count, (unsigned long long)c->context,
                        (unsigned long long)need);
    c->stride = (d->text.count - need) / c->batch;
    return CLI_DONE;
}

static int fill_session(const struct bench_decode *d,
                        const struct bench_case *c, uint64_t i)
{
    static const clsa_append_options none = {.want = CLSA_WANT_NONE};
    CLI_TRY(cli_interrupt_check());
    if (d->file)
        return cli_append(c->sessions[i], d->text.ids + i * c->stride,
                          (size_t)c->context, &none, CLI_QUIET);
    clsa_error error;
    if (clsa_session_fill_random(c->sessions[i], c->context, i + 1, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

/* ------------------------------------------------------- one combination */

/* Reports what each policy will take, and refuses what does not fit. */
static int check_plans(const struct bench_decode *d, const struct bench_case *c)
{
    const double mib = 1048576;
    struct cli_memory_plan p;
    char what[128];
    for (size_t i = 0; i < d->policies.count; i++) {
        CLI_TRY(cli_memory_plan_make(
            d->common, d->model, c->context + BENCH_WARM + d->steps,
            d->policies.names[i], c->batch, false, &p));
        snprintf(what, sizeof what, "depth %llu, batch %llu, %s",
                 (unsigned long long)c->context, (unsigned long long)c->batch,
                 d->policies.names[i]);
        cli_info("%s: weights %.0f, cache %.0f, index %.0f, windows %.0f, "
                 "working set %.0f, scratch %.0f: %.0f MiB",
                 what, (double)p.weights / mib, (double)p.cache / mib,
                 (double)p.index / mib, (double)p.windows / mib,
                 (double)p.working_set / mib, (double)p.scratch / mib,
                 (double)p.total / mib);
        CLI_TRY(cli_machine_fits(what, p.total - p.weights));
    }
    return CLI_DONE;
}

static int open_session(const struct bench_decode *d, struct bench_case *c,
                        uint64_t i, const char *attention)
{
    struct cli_common options = *d->common;
    if (options.context == 0)
        options.context = c->context + BENCH_WARM + d->steps;
    CLI_TRY(
        cli_session_open(&options, d->model, 0, attention, &c->sessions[i]));
    return fill_session(d, c, i);
}

static int open_sessions(const struct bench_decode *d, struct bench_case *c)
{
    for (uint64_t i = 0; i < c->batch; i++)
        CLI_TRY(open_session(d, c, i, d->policies.names[0]));
    return CLI_DONE;
}

/* To the depth and the policy of the case: opened again where the policy
   cannot go back, or not on from what another one has left. */
static int rewind_sessions(const struct bench_decode *d, struct bench_case *c)
{
    clsa_error error;
    for (uint64_t i = 0; i < c->batch; i++) {
        clsa_session *s = c->sessions[i];
        clsa_status status =
            clsa_session_set_attention(s, c->attention, &error);
        if (status == CLSA_OK)
            status = clsa_session_truncate(s, c->context, &error);
        if (status == CLSA_ERR_UNSUPPORTED) {
            clsa_session_close(s);
            c->sessions[i] = NULL;
            CLI_TRY(open_session(d, c, i, c->attention));
        } else if (status != CLSA_OK) {
            return cli_fail_option(&error);
        }
    }
    return CLI_DONE;
}

static int run_policies(struct bench_decode *d, struct bench_case *c)
{
    for (size_t i = 0; i < d->policies.count; i++) {
        c->attention = d->policies.names[i];
        CLI_TRY(rewind_sessions(d, c));
        struct bench_decode_result result;
        CLI_TRY(bench_decode_measure(d, c, &result));
        CLI_TRY(bench_decode_report(d, c, &result));
    }
    return CLI_DONE;
}

static int run_sessions(struct bench_decode *d, struct bench_case *c)
{
    CLI_TRY(open_sessions(d, c));
    return run_policies(d, c);
}

static int run_case(struct bench_decode *d, uint64_t context, uint64_t batch)
{
    struct bench_case c = {.context = context, .batch = batch};
    CLI_TRY(place_text(d, &c));
    CLI_TRY(check_plans(d, &c));
    if (!d->budgets || d->peaks.read_gbs <= 0) /* once to compare */
        CLI_TRY(bench_decode_peaks(d));
    int status = run_sessions(d, &c);
    for (uint64_t i = 0; i < batch; i++)
        clsa_session_close(c.sessions[i]);
    return status;
}

/* --------------------------------------------------------------- command */

static int run_all(struct bench_decode *d, const struct cli_numbers *depths,
                   const struct cli_numbers *batches)
{
    for (size_t i = 0; i < depths->count; i++)
        for (size_t j = 0; j < batches->count; j++)
            CLI_TRY(run_case(d, depths->value[i], batches->value[j]));
    if (d->budgets)
        CLI_TRY(bench_compare_finish(d));
    if (d->common->json) {
        json_t *list = d->results;
        d->results = NULL;
        return cli_json_print(list);
    }
    return CLI_DONE;
}

static int open_model(const struct decode_options *options,
                      struct bench_decode *d)
{
    CLI_TRY(cli_bench_open_model(d->self, &options->common, options->shape,
                                 options->type, &d->model, &d->shape));
    clsa_model_get_info(d->model, &d->info, sizeof d->info);
    bench_weights_of(d->model, &d->weights);
    return CLI_DONE;
}

/* What goes together, before anything is opened. */
static int check_options(const struct decode_options *options,
                         const struct cli_numbers *depths,
                         const struct bench_decode *d)
{
    const struct cli_command *self = d->self;
    const uint64_t context = options->common.context;
    CLI_TRY(cli_bench_check_model(self, &options->common, options->shape,
                                  options->type));
    if (options->shape && d->file)
        return cli_usage(self, "--fill text: needs -m FILE, random weights "
                               "have no tokenizer");
    for (size_t i = 0; i < depths->count && context != 0; i++) {
        const uint64_t need = depths->value[i] + BENCH_WARM + d->steps;
        if (need > context)
            return cli_usage(self,
                             "--context: %llu tokens do not hold a depth of "
                             "%llu and its steps: give %llu or more",
                             (unsigned long long)context,
                             (unsigned long long)depths->value[i],
                             (unsigned long long)need);
    }
    return CLI_DONE;
}

static int run_options(const struct decode_options *options,
                       struct bench_decode *d)
{
    struct cli_numbers depths, budgets = {{0}, 0};
    CLI_TRY(cli_numbers_parse(d->self, "depth", options->depth, 1,
                              (uint64_t)1 << 30, &depths));
    struct cli_numbers batches;
    CLI_TRY(cli_numbers_parse(d->self, "batch", options->batch, 1,
                              CLI_BATCH_MAX, &batches));
    if (d->budgets)
        CLI_TRY(cli_numbers_parse(d->self, "budgets", d->budgets, 128,
                                  (uint64_t)1 << 30, &budgets));
    CLI_TRY(parse_fill(d->self, options->fill, &d->file));
    CLI_TRY(check_options(options, &depths, d));
    CLI_TRY(open_model(options, d));
    if (d->file)
        CLI_TRY(
            cli_tokenize_file(d->model, d->file, CLSA_TOKENIZE_BOS, &d->text));
    if (d->budgets)
        CLI_TRY(
            cli_compare_policies(d->common, d->model, &budgets, &d->policies));
    else
        CLI_TRY(cli_policies_parse(d->common, d->model, &d->policies));
    d->results = json_array();
    return run_all(d, &depths, &batches);
}

int bench_decode_command(const struct cli_command *self, int argc, char **argv)
{
    struct decode_options options = {.common = CLI_COMMON_INIT,
                                     .depth = "1K,128K",
                                     .batch = "1",
                                     .fill = "random",
                                     .type = BENCH_NO_TYPE,
                                     .steps = BENCH_MIN_STEPS};
    struct bench_decode d = {.self = self, .common = &options.common};
    if (self == &cli_command_bench_compare)
        options.budgets = "512";
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    d.steps = options.steps;
    d.fill = options.fill;
    d.profile = options.profile;
    d.budgets = options.budgets;
    d.csv = options.csv;
    CLI_TRY(cli_output_apart(d.csv, cli_model_path(&options.common)));
    d.plot = options.plot;
    int status = run_options(&options, &d);
    json_decref(d.results);
    cli_policies_free(&d.policies);
    free(d.text.ids);
    if (d.model)
        clsa_model_close(d.model);
    return status;
}

static int decode_run(int argc, char **argv)
{
    return bench_decode_command(&cli_command_bench_decode, argc, argv);
}

const struct cli_command cli_command_bench_decode = {
    .name = "bench decode",
    .usage = "",
    .summary = "Time decoding steps against the roofline.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = decode_table,
    .run = decode_run};
