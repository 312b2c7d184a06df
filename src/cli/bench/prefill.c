/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench prefill: time of reading prompts of random tokens, beside the best
 * rate of one large product that oneDNN reaches on this machine with the same
 * threads, of any precision; without oneDNN, beside the peak of exact int8
 * products of our own loops.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gemm.h"
#include "bench/peaks.h"
#include "bench/team.h"
#include "src/base/minmax.h"
#include "src/cli/bench/bench.h"
#include "src/cli/bench/cost.h"
#include "src/cli/bench/measure.h"
#include "src/cli/commands.h"
#include "src/cli/compare.h"
#include "src/cli/library.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"

enum {
    RUNS = 3,  /* of a number of tokens; the median counts */
    WARM = 512 /* tokens before them, which bring the weights into form */
};

struct prefill_options {
    struct cli_common common;
    const char *shape, *tokens;
    int type;
};

static const struct cli_option prefill_table[] = {
    {.kind = CLI_TEXT,
     .name = "shape",
     .argument = "SHAPE",
     .help = BENCH_SHAPE_HELP,
     .offset = offsetof(struct prefill_options, shape)},
    {.kind = CLI_WEIGHTS,
     .name = "type",
     .argument = CLI_TYPES_AND_MIXES,
     .help = "type or mix of random weights; default: q8_0",
     .offset = offsetof(struct prefill_options, type)},
    {.kind = CLI_TEXT,
     .name = "tokens",
     .argument = "N,...",
     .help = "tokens of a prompt; default: 1K,4K",
     .offset = offsetof(struct prefill_options, tokens)},
    {0}};

/* The run as a whole. */
struct prefill {
    const struct cli_command *self;
    const struct cli_common *common;
    const char *shape;
    clsa_model *model;
    clsa_model_info info;
    struct bench_weights weights;
    double macs;                      /* of a token that is not wanted */
    double peak[CLSA_GEMM_TYPES + 1]; /* GFLOP/s by type; exact int8 */
    int32_t *ids;
    json_t *results;
    int printed; /* lines of text */
};

struct prefill_result {
    uint64_t tokens, resident;
    double ms;
    char path[8];
};

/* ------------------------------------------------------------------ peak */

static const char *const paths[CLSA_GEMM_TYPES] = {"f32", "bf16", "int8"};

static void keep_best(double *best, double rate)
{
    *best = rate > *best ? rate : *best;
}

/* The rate of the type that a prompt was multiplied in; of any for prompts that
   the kernels of simd/ read. */
static double peak_of(const struct prefill *d, const char *path)
{
    double best = 0;
    for (int type = 0; type <= CLSA_GEMM_TYPES; type++) {
        if (type < CLSA_GEMM_TYPES && strcmp(path, paths[type]) == 0)
            return d->peak[type];
        keep_best(&best, d->peak[type]);
    }
    return best;
}

static int own_peak(struct prefill *d)
{
    const struct bench_request request = {
        .threads = d->info.threads, .simd = d->info.simd, .row_bytes = 2048};
    struct bench_peaks peaks;
    int failed = bench_measure_peaks(&peaks, &request);
    CLI_TRY(cli_interrupt_check());
    if (failed)
        return cli_fail(
            "not enough memory to measure the peaks of the machine");
    if (d->peak[CLSA_GEMM_TYPES] <= 0)
        cli_warning(
            "without oneDNN the peak is the rate of exact int8 products");
    keep_best(&d->peak[CLSA_GEMM_TYPES], 2 * peaks.int8_gmacs);
    return CLI_DONE;
}

static int measure_peak(struct prefill *d)
{
    bool fast = false;
    for (int type = 0; type < CLSA_GEMM_TYPES; type++) {
        if (!clsa_gemm_fast((enum clsa_gemm_type)type))
            continue;
        fast = true;
        double rate = bench_gemm((enum clsa_gemm_type)type, d->info.threads);
        cli_verbose("oneDNN %s: %.0f GFLOP/s", paths[type], rate);
        keep_best(&d->peak[type], rate);
        CLI_TRY(cli_interrupt_check());
    }
    return fast ? CLI_DONE : own_peak(d);
}

/* -------------------------------------------------------------- a prompt */

/* Whether a token of a prompt multiplies this matrix: those up to the cache. */
static bool is_read_with(const char *name, uint32_t self_layers)
{
    static const char *const cache[] = {"attn_k.weight", "attn_v.weight",
                                        "indexer.k_proj.weight"};
    if (strncmp(name, "blk.", 4) != 0)
        return false;
    char *rest;
    unsigned long layer = strtoul(name + 4, &rest, 10);
    if (layer < self_layers)
        return true;
    for (size_t i = 0; layer == self_layers && i < 3; i++)
        if (strcmp(rest + 1, cache[i]) == 0)
            return true;
    return false;
}

static double macs_of(const clsa_model *model, uint32_t self_layers)
{
    clsa_tensor_info t;
    double macs = 0;
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_model_tensor(model, i, &t, sizeof t);
        if (t.dims == 2 && is_read_with(t.name, self_layers))
            macs += (double)t.shape[0] * (double)t.shape[1];
    }
    return macs;
}

static int make_ids(struct prefill *d, uint64_t count)
{
    uint32_t state = 1;
    free(d->ids);
    d->ids = malloc((size_t)count * sizeof *d->ids);
    if (!d->ids)
        return cli_fail_memory();
    for (uint64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        d->ids[i] = (int32_t)((state >> 8) % d->info.vocab);
    }
    return CLI_DONE;
}

static int read_prompt(const struct prefill *d, clsa_session *session,
                       uint64_t count, double *seconds)
{
    static const clsa_append_options last = {.want = CLSA_WANT_LAST};
    clsa_error error;
    if (clsa_session_truncate(session, 0, &error) != CLSA_OK)
        return cli_fail_error(&error);
    double start = bench_now();
    CLI_TRY(cli_append(session, d->ids, (size_t)count, &last, CLI_QUIET));
    *seconds = bench_now() - start;
    return CLI_DONE;
}

static int measure_prompt(const struct prefill *d, clsa_session *session,
                          struct prefill_result *r)
{
    double seconds[RUNS];
    CLI_TRY(
        read_prompt(d, session, clsa_min_u64(r->tokens, WARM), &seconds[0]));
    for (int i = 0; i < RUNS; i++)
        CLI_TRY(read_prompt(d, session, r->tokens, &seconds[i]));
    r->ms = bench_median(seconds, RUNS) * 1e3;
    clsa_session_stats stats;
    clsa_session_get_stats(session, &stats, sizeof stats);
    snprintf(r->path, sizeof r->path, "%s", stats.prefill);
    r->resident = cli_machine_resident();
    return CLI_DONE;
}

/* ---------------------------------------------------------------- report */

static int report(struct prefill *d, const struct prefill_result *r)
{
    const double rate = (double)r->tokens * 1e3 / r->ms;
    const double gflops = 2 * d->macs * rate * 1e-9;
    const double peak = peak_of(d, r->path);
    const double mib = (double)r->resident / 1048576;
    if (d->common->json)
        return cli_json_append(
            d->results,
            json_pack(
                "{so ss sI si ss ss sf sf sf sf so sf}", "shape",
                cli_json_text(d->shape), "type",
                clsa_type_name(d->weights.type), "tokens",
                (json_int_t)r->tokens, "threads", (int)d->info.threads, "simd",
                d->info.simd, "path", r->path, "ms", r->ms, "tokens_per_s",
                rate, "gflops", gflops, "gemm_peak_gflops", peak, "gemm_share",
                bench_peak_share("prompt", gflops / peak), "rss_mib", mib));
    if (d->printed++ == 0)
        printf("%10s %-5s %10s %10s %10s %10s %6s %8s\n", "tokens", "path",
               "ms", "tokens/s", "GFLOP/s", "peak", "share", "MiB");
    char share[8];
    bench_peak_share_text(share, "prompt", gflops / peak);
    printf("%10" PRIu64 " %-5s %10.2f %10.2f %10.2f %10.2f %6s %8.0f\n",
           r->tokens, r->path, r->ms, rate, gflops, peak, share, mib);
    cli_output_flush();
    return CLI_DONE;
}

/* --------------------------------------------------------------- command */

static int run_prompt(struct prefill *d, uint64_t tokens)
{
    struct cli_common options = *d->common;
    struct prefill_result r = {.tokens = tokens};
    clsa_session *session;
    if (options.context == 0)
        options.context = tokens;
    CLI_TRY(make_ids(d, tokens));
    CLI_TRY(cli_session_open(&options, d->model, tokens,
                             cli_attention(&options, d->model), &session));
    int status = measure_prompt(d, session, &r);
    if (status == CLI_DONE)
        status = measure_peak(d); /* the best of before and after */
    clsa_session_close(session);
    CLI_TRY(status);
    return report(d, &r);
}

static int check_context(const struct prefill *d,
                         const struct cli_numbers *tokens)
{
    const uint64_t context = d->common->context;
    for (size_t i = 0; i < tokens->count; i++)
        if (context != 0 && tokens->value[i] > context)
            return cli_usage(d->self,
                             "--context: %llu tokens do not hold a prompt of "
                             "%llu: give a larger context",
                             (unsigned long long)context,
                             (unsigned long long)tokens->value[i]);
    return CLI_DONE;
}

static int run_options(const struct prefill_options *options, struct prefill *d)
{
    struct cli_numbers tokens;
    CLI_TRY(cli_numbers_parse(d->self, "tokens", options->tokens, 1,
                              (uint64_t)1 << 30, &tokens));
    CLI_TRY(cli_bench_check_model(d->self, d->common, options->shape,
                                  options->type));
    CLI_TRY(check_context(d, &tokens));
    CLI_TRY(cli_bench_open_model(d->self, d->common, options->shape,
                                 options->type, &d->model, &d->shape));
    clsa_model_get_info(d->model, &d->info, sizeof d->info);
    bench_weights_of(d->model, &d->weights);
    /* ordinary models: all layers but the rest of the last one */
    d->macs = macs_of(d->model, d->info.self_layers ? d->info.self_layers
                                                    : d->info.layers - 1);
    CLI_TRY(measure_peak(d));
    d->results = json_array();
    for (size_t i = 0; i < tokens.count; i++)
        CLI_TRY(run_prompt(d, tokens.value[i]));
    if (d->common->json) {
        json_t *list = d->results;
        d->results = NULL;
        return cli_json_print(list);
    }
    return CLI_DONE;
}

static int prefill_run(int argc, char **argv)
{
    struct prefill_options options = {
        .common = CLI_COMMON_INIT, .tokens = "1K,4K", .type = BENCH_NO_TYPE};
    const struct cli_command *self = &cli_command_bench_prefill;
    struct prefill d = {.self = self, .common = &options.common};
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    int status = run_options(&options, &d);
    json_decref(d.results);
    free(d.ids);
    if (d.model)
        clsa_model_close(d.model);
    return status;
}

const struct cli_command cli_command_bench_prefill = {
    .name = "bench prefill",
    .usage = "",
    .summary = "Time prompts against the best rate of GEMMs.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = prefill_table,
    .run = prefill_run};
