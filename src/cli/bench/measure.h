/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: the measured part of `clsa bench decode`, which bench compare
 * is another report of.
 */
#ifndef CLSA_CLI_BENCH_MEASURE_H
#define CLSA_CLI_BENCH_MEASURE_H

#include "src/cli/bench/bench.h"
#include "src/cli/bench/cost.h"
#include "src/cli/library.h"
#include "src/cli/memory_plan.h"

#define BENCH_WARM   4 /* steps before the measured ones */
#define BENCH_PHASES 6
/* What else is sampled in a step. */
enum { BENCH_ATTEND = BENCH_PHASES, BENCH_ROUTE, BENCH_SAMPLES };

/* The run as a whole. */
struct bench_decode {
    const struct cli_command *self;
    const struct cli_common *common;
    const char *shape, *fill;
    const char *budgets, *csv, *plot; /* of bench compare, else NULL */
    const char *file;                 /* of --fill text:FILE, else NULL */
    uint64_t steps;
    bool profile; /* operations are timed, too */
    clsa_model *model;
    clsa_model_info info;
    struct bench_weights weights;
    struct bench_peaks peaks;
    struct cli_policies policies;
    struct cli_ids text; /* of the file */
    json_t *results;
    int printed; /* lines of text */
};

/* A context length (--depth) and a batch, with a policy at a time. */
struct bench_case {
    uint64_t context, batch; /* tokens in the cache, sequences */
    uint64_t stride;         /* tokens from one sequence's text to the next */
    const char *attention;
    clsa_session *sessions[CLI_BATCH_MAX];
};

struct bench_decode_result {
    double ms, p90;              /* per step */
    double phase[BENCH_SAMPLES]; /* medians */
    double rows, changed;        /* per sequence and step */
    double searched, state;      /* bytes, of a sequence */
    struct bench_cost cost;
    clsa_profile profile; /* of all steps, with --profile */
    uint64_t resident;
};

/* A share of a peak: a number, or null, with a warning about `what`, above
   1.02, where the peak was not the machine's. As text: "-". */
json_t *bench_peak_share(const char *what, double share);
void bench_peak_share_text(char text[8], const char *what, double share);

/* Measure the peaks that results are compared with; the best ones are kept. */
int bench_decode_peaks(struct bench_decode *d);

/* Let the sessions decode on; they have the context length and the policy of
   the case. */
int bench_decode_measure(struct bench_decode *d, struct bench_case *c,
                         struct bench_decode_result *result);

/* Print a line, or add an object to the results. */
int bench_decode_report(struct bench_decode *d, const struct bench_case *c,
                        const struct bench_decode_result *result);

/* bench compare: the same, and what comes of all results. */
int bench_compare_report(struct bench_decode *d, const struct bench_case *c,
                         const struct bench_decode_result *result);
int bench_compare_finish(struct bench_decode *d);

/* Runs bench decode, or bench compare when the command is that. */
int bench_decode_command(const struct cli_command *self, int argc, char **argv);

/* The options of both. */
struct decode_options {
    struct cli_common common;
    const char *shape, *depth, *batch, *fill, *budgets, *csv, *plot;
    int type; /* or mix */
    uint64_t steps;
    bool profile; /* of bench decode */
};

#define BENCH_MIN_STEPS 20
#define BENCH_DECODE_OPTIONS                                                   \
    {.kind = CLI_TEXT,                                                         \
     .name = "shape",                                                          \
     .argument = "SHAPE",                                                      \
     .help = BENCH_SHAPE_HELP,                                                 \
     .offset = offsetof(struct decode_options, shape)},                        \
        {.kind = CLI_WEIGHTS,                                                  \
         .name = "type",                                                       \
         .argument = CLI_TYPES_AND_MIXES,                                      \
         .help = "type or mix of random weights; default: q8_0",               \
         .offset = offsetof(struct decode_options, type)},                     \
        {.kind = CLI_TEXT,                                                     \
         .name = "depth",                                                      \
         .argument = "N,...",                                                  \
         .help = "tokens in the cache before; default: 1K,128K",               \
         .offset = offsetof(struct decode_options, depth)},                    \
        {.kind = CLI_TEXT,                                                     \
         .name = "batch",                                                      \
         .argument = "N,...",                                                  \
         .help = "sequences in a step; default: 1",                            \
         .offset = offsetof(struct decode_options, batch)},                    \
        {.kind = CLI_TEXT,                                                     \
         .name = "fill",                                                       \
         .argument = "random|text:FILE",                                       \
         .help = "what is in the cache; default: random",                      \
         .offset = offsetof(struct decode_options, fill)},                     \
    {                                                                          \
        .kind = CLI_SIZE, .name = "steps", .argument = "N",                    \
        .help = "measured steps; default: 20",                                 \
        .offset = offsetof(struct decode_options, steps),                      \
        .min = BENCH_MIN_STEPS, .max = 100000                                  \
    }

#endif /* CLSA_CLI_BENCH_MEASURE_H */
