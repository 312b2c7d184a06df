/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench decode: time of a decoding step by depth, batch and policy, beside
 * the time that moving and computing its operands takes on this machine at
 * the least (bench_cost.h). Every sequence has a cache of its own memory.
 * Policies take turns on the same sessions, which go back to their depth.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/cli/bench_measure.h"
#include "src/cli/commands.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"
#include "src/cli/plan.h"
#include "src/cli/progress.h"
#include "src/cli/shape.h"

enum { LIST = 32, MIN_STEPS = 20 };

/* Of --type where it is not given: index keys have it, weights never. */
#define NO_TYPE CLSA_TYPE_I8

struct decode_options {
    struct cli_common common;
    const char *shape, *depth, *batch, *fill;
    clsa_type type;
    uint64_t steps;
};

static const struct cli_option decode_table[] = {
    {.kind = CLI_TEXT,
     .name = "shape",
     .argument = "SHAPE",
     .help = "random weights: tiny, 1b, 3b or KEY=V,...",
     .offset = offsetof(struct decode_options, shape)},
    {.kind = CLI_TYPE,
     .name = "type",
     .argument = CLI_WEIGHT_TYPES,
     .help = "type of random weights; default: q8_0",
     .offset = offsetof(struct decode_options, type)},
    {.kind = CLI_TEXT,
     .name = "depth",
     .argument = "N,...",
     .help = "tokens in the cache before; default: 1K,128K",
     .offset = offsetof(struct decode_options, depth)},
    {.kind = CLI_TEXT,
     .name = "batch",
     .argument = "N,...",
     .help = "sequences in a step; default: 1",
     .offset = offsetof(struct decode_options, batch)},
    {.kind = CLI_TEXT,
     .name = "fill",
     .argument = "random|text:FILE",
     .help = "what is in the cache; default: random",
     .offset = offsetof(struct decode_options, fill)},
    {.kind = CLI_SIZE,
     .name = "steps",
     .argument = "N",
     .help = "measured steps; default: 20",
     .offset = offsetof(struct decode_options, steps),
     .min = MIN_STEPS,
     .max = 100000},
    {0}};

/* A list of numbers "1K,8". */
struct numbers {
    uint64_t value[LIST];
    size_t count;
};

static int parse_numbers(const char *option, const char *text, uint64_t max,
                         struct numbers *numbers)
{
    const char *at = text;
    char word[32];

    for (numbers->count = 0; numbers->count < LIST; at++) {
        size_t length = strcspn(at, ",");

        snprintf(word, sizeof word, "%.*s", (int)length, at);
        if (length >= sizeof word ||
            !cli_parse_size(word, 1, max, &numbers->value[numbers->count++]))
            break;
        at += length;
        if (*at == '\0')
            return CLI_DONE;
    }
    return cli_usage(&cli_command_bench_decode,
                     "--%s: '%s' is no list of up to %d numbers from 1 to %llu",
                     option, text, LIST, (unsigned long long)max);
}

/* -------------------------------------------------------------- the fill */

/* The file of --fill text:FILE, or NULL. */
static int parse_fill(const char *fill, const char **file)
{
    const struct cli_command *self = &cli_command_bench_decode;

    *file = NULL;
    if (strcmp(fill, "random") == 0)
        return CLI_DONE;
    if (strncmp(fill, "text:", 5) != 0)
        return cli_usage(self, "--fill: '%s' is neither random nor text:FILE",
                         fill);
    if (fill[5] == '\0')
        return cli_usage(self, "--fill text: needs the name of a file");
    *file = fill + 5;
    return CLI_DONE;
}

static int read_text(struct bench_decode *d)
{
    struct cli_text text = {0};
    int status;

    if (d->file == NULL)
        return CLI_DONE;
    status = cli_file_read(d->file, &text);
    if (status == CLI_DONE)
        status = cli_tokenize(d->model, text.data, text.size, CLSA_TOKENIZE_BOS,
                              &d->text);
    cli_text_free(&text);
    return status;
}

/* Where sequence i of a batch begins in the text: spread over all of it. */
static int place_text(const struct bench_decode *d, struct bench_case *c)
{
    const uint64_t need = c->depth + BENCH_WARM + d->steps;

    if (d->file == NULL)
        return CLI_DONE;
    if (d->text.count < need)
        return cli_fail("%s: has %zu tokens, a depth of %llu needs %llu: give "
                        "a longer text",
                        d->file, d->text.count, (unsigned long long)c->depth,
                        (unsigned long long)need);
    c->stride = (d->text.count - need) / c->batch;
    return CLI_DONE;
}

static int fill_session(const struct bench_decode *d,
                        const struct bench_case *c, uint64_t i)
{
    static const clsa_append none = {.want = CLSA_WANT_NONE};
    clsa_error error;

    CLI_TRY(cli_interrupt_check());
    if (d->file != NULL)
        return cli_append(c->sessions[i], d->text.ids + i * c->stride,
                          (size_t)c->depth, &none, CLI_QUIET);
    if (clsa_session_fill_random(c->sessions[i], c->depth, i + 1, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

/* ------------------------------------------------------- one combination */

/* Says what each policy will take, and refuses what has no room. */
static int check_plans(const struct bench_decode *d, const struct bench_case *c)
{
    const double mib = 1048576;
    struct cli_plan p;
    char what[128];
    size_t i;

    for (i = 0; i < d->policies.count; i++) {
        CLI_TRY(cli_plan_make(d->common, d->model,
                              c->depth + BENCH_WARM + d->steps,
                              d->policies.names[i], c->batch, &p));
        snprintf(what, sizeof what, "depth %llu, batch %llu, %s",
                 (unsigned long long)c->depth, (unsigned long long)c->batch,
                 d->policies.names[i]);
        cli_note("%s: weights %.0f, cache %.0f, index %.0f, windows %.0f, "
                 "working set %.0f, scratch %.0f: %.0f MiB",
                 what, (double)p.weights / mib, (double)p.cache / mib,
                 (double)p.index / mib, (double)p.windows / mib,
                 (double)p.working_set / mib, (double)p.scratch / mib,
                 (double)p.total / mib);
        CLI_TRY(cli_machine_fits(what, p.total - p.weights));
    }
    return CLI_DONE;
}

static int open_sessions(const struct bench_decode *d, struct bench_case *c)
{
    struct cli_common options = *d->common;
    uint64_t i;

    if (options.context == 0)
        options.context = c->depth + BENCH_WARM + d->steps;
    for (i = 0; i < c->batch; i++) {
        CLI_TRY(cli_session_open(&options, d->model, 0, d->policies.names[0],
                                 &c->sessions[i]));
        CLI_TRY(fill_session(d, c, i));
    }
    return CLI_DONE;
}

static int run_policies(struct bench_decode *d, struct bench_case *c)
{
    size_t i;

    for (i = 0; i < d->policies.count; i++) {
        struct bench_result result;

        c->attention = d->policies.names[i];
        CLI_TRY(bench_decode_measure(d, c, &result));
        CLI_TRY(bench_decode_report(d, c, &result));
    }
    return CLI_DONE;
}

static int run_case(struct bench_decode *d, uint64_t depth, uint64_t batch)
{
    struct bench_case c = {.depth = depth, .batch = batch};
    uint64_t i;
    int status;

    CLI_TRY(place_text(d, &c));
    CLI_TRY(check_plans(d, &c));
    CLI_TRY(bench_decode_peaks(d));
    status = open_sessions(d, &c);
    if (status == CLI_DONE)
        status = run_policies(d, &c);
    for (i = 0; i < batch; i++)
        clsa_session_close(c.sessions[i]);
    return status;
}

/* --------------------------------------------------------------- command */

static int run_all(struct bench_decode *d, const struct numbers *depths,
                   const struct numbers *batches)
{
    size_t i, j;

    for (i = 0; i < depths->count; i++)
        for (j = 0; j < batches->count; j++)
            CLI_TRY(run_case(d, depths->value[i], batches->value[j]));
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
    clsa_shape shape;

    if (options->shape == NULL) {
        d->shape = cli_model_path(&options->common);
        CLI_TRY(cli_model_open(&options->common, &d->model));
    } else {
        d->shape = options->shape;
        CLI_TRY(cli_shape_parse(&cli_command_bench_decode, d->shape, &shape));
        CLI_TRY(cli_shape_open(&options->common, &shape,
                               options->type == NO_TYPE ? CLSA_TYPE_Q8_0
                                                        : options->type,
                               &d->model));
    }
    clsa_model_get_info(d->model, &d->info);
    bench_weights_of(d->model, &d->weights);
    return CLI_DONE;
}

/* What goes together, before anything is opened. */
static int check_options(const struct decode_options *options,
                         const struct numbers *depths,
                         const struct bench_decode *d)
{
    const struct cli_command *self = &cli_command_bench_decode;
    const uint64_t context = options->common.context;
    size_t i;

    if (options->shape != NULL && options->common.model != NULL)
        return cli_usage(self, "give either --shape or -m FILE");
    if (options->shape == NULL && options->type != NO_TYPE)
        return cli_usage(self, "--type: is that of random weights and needs "
                               "--shape");
    if (options->shape != NULL && d->file != NULL)
        return cli_usage(self, "--fill text: needs -m FILE: random weights "
                               "have no tokenizer");
    for (i = 0; i < depths->count && context != 0; i++) {
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
    struct numbers depths, batches;

    CLI_TRY(parse_numbers("depth", options->depth, (uint64_t)1 << 30, &depths));
    CLI_TRY(parse_numbers("batch", options->batch, CLI_BATCH_MAX, &batches));
    CLI_TRY(parse_fill(options->fill, &d->file));
    CLI_TRY(check_options(options, &depths, d));
    CLI_TRY(open_model(options, d));
    CLI_TRY(read_text(d));
    CLI_TRY(cli_policies_parse(d->common, d->model, &d->policies));
    d->results = json_array();
    return run_all(d, &depths, &batches);
}

static int decode_run(int argc, char **argv)
{
    struct decode_options options = {.common = CLI_COMMON_INIT,
                                     .depth = "1K,128K",
                                     .batch = "1",
                                     .fill = "random",
                                     .type = NO_TYPE,
                                     .steps = MIN_STEPS};
    struct bench_decode d = {.common = &options.common};
    int first, status;

    CLI_TRY(cli_options_parse(&cli_command_bench_decode, argc, argv, &options,
                              &first));
    if (first == 0)
        return CLI_DONE;
    if (first < argc)
        return cli_usage(&cli_command_bench_decode, "takes no '%s'",
                         argv[first]);
    d.steps = options.steps;
    d.fill = options.fill;
    status = run_options(&options, &d);
    json_decref(d.results);
    cli_policies_free(&d.policies);
    free(d.text.ids);
    if (d.model != NULL)
        clsa_model_close(d.model);
    return status;
}

const struct cli_command cli_command_bench_decode = {
    .name = "bench decode",
    .usage = "",
    .summary = "Time decoding steps against what the machine allows.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = decode_table,
    .run = decode_run};
