/* SPDX-License-Identifier: Apache-2.0 */
/* bench_measure: the measured part of `clsa bench decode`. */
#ifndef CLSA_CLI_BENCH_MEASURE_H
#define CLSA_CLI_BENCH_MEASURE_H

#include "src/cli/bench_cost.h"
#include "src/cli/engine.h"
#include "src/cli/plan.h"

#define BENCH_WARM   4 /* steps before the measured ones */
#define BENCH_PHASES 6

/* The run as a whole. */
struct bench_decode {
    const struct cli_common *common;
    const char *shape, *fill;
    const char *file; /* of --fill text:FILE, else NULL */
    uint64_t steps;
    clsa_model *model;
    clsa_model_info info;
    struct bench_weights weights;
    struct bench_peaks peaks;
    struct cli_policies policies;
    struct cli_ids text; /* of the file */
    json_t *results;
    int printed; /* lines of text */
};

/* A depth and a batch, with a policy at a time. */
struct bench_case {
    uint64_t depth, batch;
    uint64_t stride; /* tokens from one sequence's text to the next */
    const char *attention;
    clsa_session *sessions[CLI_BATCH_MAX];
};

struct bench_result {
    double ms, p90;             /* per step */
    double phase[BENCH_PHASES]; /* medians */
    double rows, changed;       /* per sequence and step */
    struct bench_cost cost;
    uint64_t resident;
};

/* Measure the peaks that the next results are compared with. */
int bench_decode_peaks(struct bench_decode *d);

/* Let the sessions decode from their depth with the policy of the case. */
int bench_decode_measure(struct bench_decode *d, struct bench_case *c,
                         struct bench_result *result);

/* Print a line, or add an object to the results. */
int bench_decode_report(struct bench_decode *d, const struct bench_case *c,
                        const struct bench_result *result);

#endif /* CLSA_CLI_BENCH_MEASURE_H */
