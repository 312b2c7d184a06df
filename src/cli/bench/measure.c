/* SPDX-License-Identifier: Apache-2.0 */
/* Timed steps, their roofline, and how both are printed. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/team.h"
#include "src/cli/bench/measure.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"

/* ----------------------------------------------------------------- peaks */

static double row_of(const struct bench_decode *d)
{
    return (double)clsa_type_row_bytes(
        d->common->kv_type, 2 * (uint64_t)d->info.kv_heads * d->info.head_size);
}

static void keep_best(double *best, double value)
{
    if (value > *best)
        *best = value;
}

/* A step cannot be faster than the machine: else the peak was not measured
   right. */
static bool is_share(const char *what, double share)
{
    if (share <= 1.02)
        return true;
    cli_warning("%s: %.2f of a peak that something else has disturbed", what,
                share);
    return false;
}

json_t *bench_peak_share(const char *what, double share)
{
    return is_share(what, share) ? json_real(share) : json_null();
}

void bench_peak_share_text(char text[8], const char *what, double share)
{
    if (is_share(what, share))
        snprintf(text, 8, "%.2f", share);
    else
        snprintf(text, 8, "-");
}

int bench_decode_peaks(struct bench_decode *d)
{
    struct bench_peaks peaks;
    const struct bench_request request = {
        .threads = d->info.threads,
        .simd = d->info.simd,
        .row_bytes = ((size_t)row_of(d) + 63) / 64 * 64};
    int failed = bench_measure_peaks(&peaks, &request);
    CLI_TRY(cli_interrupt_check());
    if (failed)
        return cli_fail(
            "not enough memory to measure the peaks of the machine");
    d->peaks.threads = peaks.threads;
    keep_best(&d->peaks.read_gbs, peaks.read_gbs);
    keep_best(&d->peaks.gather_gbs, peaks.gather_gbs);
    keep_best(&d->peaks.fma_gflops, peaks.fma_gflops);
    keep_best(&d->peaks.int8_gmacs, peaks.int8_gmacs);
    keep_best(&d->peaks.nibble_gmacs, peaks.nibble_gmacs);
    return CLI_DONE;
}

/* GB/s of reading so many bytes again and again with all threads, from
   wherever they stay. */
static int read_at(const struct bench_decode *d, double bytes, double *gbs)
{
    const unsigned threads = d->info.threads;
    size_t each = (size_t)(bytes / threads) / CLSA_PEAK_UNIT * CLSA_PEAK_UNIT;
    *gbs = d->peaks.read_gbs;
    if (bytes >= (double)bench_memory_bytes())
        return CLI_DONE;
    if (each == 0)
        each = CLSA_PEAK_UNIT;
    struct bench_buffer buffer;
    if (bench_buffer_open(&buffer, each * threads, BENCH_HUGE, threads) != 0)
        return cli_fail_memory();
    *gbs =
        bench_read(clsa_simd_peaks(d->info.simd), threads, buffer.data, each);
    bench_buffer_close(&buffer);
    return CLI_DONE;
}

static bool is_dense(const struct bench_case *c)
{
    return strcmp(c->attention, "dense") == 0;
}

static bool is_indexed(const struct bench_case *c)
{
    return strncmp(c->attention, "clsa", 4) == 0;
}

/* Multiply-adds of a search, one for each value that it reads. */
static double search_macs(const struct bench_decode *d,
                          const struct bench_case *c,
                          const struct bench_decode_result *r)
{
    const double values = 2.0 * d->info.kv_heads * d->info.head_size;
    if (r->searched > 0 && is_indexed(c))
        return (double)c->context * d->info.index_size;
    if (strncmp(c->attention, "blocks", 6) == 0)
        return r->searched / (double)sizeof(float);
    return r->searched / row_of(d) * values;
}

static int compare_cost(const struct bench_decode *d,
                        const struct bench_case *c,
                        struct bench_decode_result *r)
{
    const struct bench_step step = {.info = &d->info,
                                    .weights = &d->weights,
                                    .kv_type = d->common->kv_type,
                                    .index_type = d->common->index_type,
                                    .context = (double)c->context,
                                    .batch = (double)c->batch,
                                    .rows = r->rows,
                                    .changed = r->changed,
                                    .searched = r->searched,
                                    .search_macs = search_macs(d, c, r),
                                    .dense = is_dense(c),
                                    .indexed = is_indexed(c)};
    struct bench_cost cost;
    double set = (double)c->batch * r->rows * row_of(d);
    bench_cost_of(&step, &d->peaks, 1, 1, &cost); /* for the bytes */
    double stream = cost.weights + cost.index + cost.cache;
    CLI_TRY(read_at(d, stream, &stream));
    CLI_TRY(cli_interrupt_check());
    CLI_TRY(read_at(d, set, &set));
    bench_cost_of(&step, &d->peaks, stream, set, &r->cost);
    return CLI_DONE;
}

/* ----------------------------------------------------------------- steps */

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which a share of n values lie; sorts them. */
static double quantile(double *values, uint64_t n, double share)
{
    qsort(values, n, sizeof *values, compare_double);
    if (share == 0.5 && n % 2 == 0)
        return (values[n / 2 - 1] + values[n / 2]) / 2;
    return values[(uint64_t)(share * (double)(n - 1) + 0.5)];
}

/* The token that sequence i reads at step n: of the text, or any. */
static int32_t token_at(const struct bench_decode *d,
                        const struct bench_case *c, uint64_t i, uint64_t n)
{
    uint64_t random = (i + 1) * 0x9e3779b97f4a7c15u + n;
    if (d->file)
        return d->text.ids[i * c->stride + c->context + n];
    random = (random ^ random >> 31) * 0xbf58476d1ce4e5b9u;
    return (int32_t)((random >> 33) % d->info.vocab);
}

static int run_step(const struct bench_decode *d, const struct bench_case *c,
                    uint64_t n, double *ms)
{
    CLI_TRY(cli_interrupt_check());
    int32_t ids[CLI_BATCH_MAX];
    for (uint64_t i = 0; i < c->batch; i++)
        ids[i] = token_at(d, c, i, n);
    double start = bench_now() * 1e3;
    clsa_error error;
    if (clsa_batch_append(c->sessions, ids, (size_t)c->batch, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    *ms = bench_now() * 1e3 - start;
    return CLI_DONE;
}

static void add_stats(const struct bench_case *c,
                      const clsa_session_stats *stats,
                      struct bench_decode_result *r)
{
    r->rows += (double)stats->rows_read;
    r->changed += is_dense(c) ? 0 : (double)stats->rows_changed;
    r->searched += (double)stats->search_bytes;
    r->state = (double)(stats->cache_bytes + stats->window_bytes +
                        stats->working_bytes + stats->policy_bytes);
}

/* Samples of all steps: [1 + BENCH_SAMPLES][steps]. */
static int run_steps(const struct bench_decode *d, const struct bench_case *c,
                     double *samples, struct bench_decode_result *r)
{
    double ms = 0;
    for (uint64_t n = 0; n < BENCH_WARM + d->steps; n++) {
        if (n == BENCH_WARM)
            clsa_model_set_profile(d->model, d->profile);
        CLI_TRY(run_step(d, c, n, &ms));
        if (n < BENCH_WARM)
            continue;
        samples[n - BENCH_WARM] = ms;
        for (uint64_t i = 0; i < c->batch; i++) {
            clsa_session_stats stats;
            clsa_session_get_stats(c->sessions[i], &stats, sizeof stats);
            add_stats(c, &stats, r);
            for (int j = 0; j < BENCH_SAMPLES; j++)
                samples[(uint64_t)(j + 1) * d->steps + n - BENCH_WARM] =
                    j < BENCH_PHASES    ? stats.phases[j].ms
                    : j == BENCH_ATTEND ? stats.attend_ms
                                        : stats.route_ms;
        }
    }
    r->rows /= (double)(d->steps * c->batch);
    r->changed /= (double)(d->steps * c->batch);
    r->searched /= (double)(d->steps * c->batch);
    return CLI_DONE;
}

/* The same with a profile, if one is asked for. */
static int run_profiled(const struct bench_decode *d,
                        const struct bench_case *c, double *samples,
                        struct bench_decode_result *r)
{
    const int status = run_steps(d, c, samples, r);
    clsa_model_get_profile(d->model, &r->profile, sizeof r->profile);
    clsa_model_set_profile(d->model, false);
    return status;
}

static int measure_steps(struct bench_decode *d, const struct bench_case *c,
                         double *samples, struct bench_decode_result *r)
{
    CLI_TRY(run_profiled(d, c, samples, r));
    r->ms = quantile(samples, d->steps, 0.5);
    r->p90 = quantile(samples, d->steps, 0.9);
    for (int j = 0; j < BENCH_SAMPLES; j++)
        r->phase[j] =
            quantile(samples + (uint64_t)(j + 1) * d->steps, d->steps, 0.5);
    r->resident = cli_machine_resident();
    if (!d->budgets) /* once to compare */
        CLI_TRY(bench_decode_peaks(d));
    return compare_cost(d, c, r);
}

int bench_decode_measure(struct bench_decode *d, struct bench_case *c,
                         struct bench_decode_result *r)
{
    memset(r, 0, sizeof *r);
    double *samples = calloc((1 + BENCH_SAMPLES) * d->steps, sizeof *samples);
    if (!samples)
        return cli_fail_memory();
    int status = measure_steps(d, c, samples, r);
    free(samples);
    return status;
}

/* ---------------------------------------------------------------- report */

/* Milliseconds of operation i per step, the mean. */
static double profile_ms(const clsa_profile *p, uint32_t i)
{
    return p->steps ? p->ops[i].ms / (double)p->steps : 0;
}

static double profile_sum(const clsa_profile *p)
{
    double sum = 0;
    for (uint32_t i = 0; i < p->op_count; i++)
        sum += profile_ms(p, i);
    return sum;
}

/* Operations that this model or policy lacks are left out. */
static void print_profile(const clsa_profile *p)
{
    const double sum = profile_sum(p);
    for (uint32_t i = 0; i < p->op_count; i++)
        if (p->ops[i].ms > 0)
            printf("  %-10s %10.3f ms %6.1f %%\n", p->ops[i].name,
                   profile_ms(p, i), 100 * profile_ms(p, i) / sum);
    printf("  %-10s %10.3f ms\n", "step", sum);
}

static json_t *profile_object(const clsa_profile *p)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < p->op_count; i++)
        json_object_set_new(object, p->ops[i].name,
                            json_real(profile_ms(p, i)));
    return object;
}

static void print_line(struct bench_decode *d, const struct bench_case *c,
                       const struct bench_decode_result *r)
{
    if (d->printed++ == 0)
        printf("%-12s %10s %5s %10s %10s %10s %10s %6s %8s %8s\n", "attention",
               "depth", "batch", "ms/step", "p90", "tokens/s", "roofline",
               "share", "changed", "MiB");
    char share[8];
    bench_peak_share_text(share, c->attention, r->cost.ms / r->ms);
    printf("%-12s %10" PRIu64 " %5" PRIu64
           " %10.2f %10.2f %10.2f %10.2f %6s %8.1f %8.0f\n",
           c->attention, c->context, c->batch, r->ms, r->p90,
           (double)c->batch * 1e3 / r->ms, r->cost.ms, share, r->changed,
           (double)r->resident / 1048576);
    if (d->profile)
        print_profile(&r->profile);
    cli_output_flush();
}

static json_t *bytes_object(const struct bench_cost *cost)
{
    return json_pack("{sI sI sI sI}", "weights", (json_int_t)cost->weights,
                     "index", (json_int_t)cost->index, "gather",
                     (json_int_t)cost->gather, "cache",
                     (json_int_t)cost->cache);
}

static json_t *phase_object(const double *ms)
{
    static const char *const names[BENCH_PHASES] = {"self",   "index", "select",
                                                    "gather", "cross", "head"};
    json_t *object = json_object();
    for (int j = 0; j < BENCH_PHASES; j++)
        json_object_set_new(object, names[j], json_real(ms[j]));
    return object;
}

static json_t *result_object(const struct bench_decode *d,
                             const struct bench_case *c,
                             const struct bench_decode_result *r)
{
    json_t *object = json_pack(
        "{so ss so sI sI si ss ss ss so sI sf sf sf sf so so so sf sf s{sf sf} "
        "sf}",
        "shape", cli_json_text(d->shape), "type",
        clsa_type_name(d->weights.type), "attention",
        cli_json_text(c->attention), "depth", (json_int_t)c->context, "batch",
        (json_int_t)c->batch, "threads", (int)d->info.threads, "simd",
        d->info.simd, "kv_type", clsa_type_name(d->common->kv_type),
        "index_type", clsa_type_name(d->common->index_type), "fill",
        cli_json_text(d->fill), "steps", (json_int_t)d->steps, "ms_per_step",
        r->ms, "ms_p90", r->p90, "tokens_per_s", (double)c->batch * 1e3 / r->ms,
        "roofline_ms", r->cost.ms, "roofline_share",
        bench_peak_share(c->attention, r->cost.ms / r->ms), "bytes",
        bytes_object(&r->cost), "phases_ms", phase_object(r->phase),
        "rows_read", r->rows, "rows_changed", r->changed, "peaks", "read_gbs",
        d->peaks.read_gbs, "gather_gbs", d->peaks.gather_gbs, "rss_mib",
        (double)r->resident / 1048576);
    if (d->profile)
        json_object_set_new(object, "profile_ms", profile_object(&r->profile));
    return object;
}

int bench_decode_report(struct bench_decode *d, const struct bench_case *c,
                        const struct bench_decode_result *r)
{
    cli_verbose("%s: peaks read %.1f GB/s, gather %.1f GB/s, fma %.0f GFLOP/s, "
                "int8 %.0f and nibble %.0f Gmac/s",
                c->attention, d->peaks.read_gbs, d->peaks.gather_gbs,
                d->peaks.fma_gflops, d->peaks.int8_gmacs,
                d->peaks.nibble_gmacs);
    cli_verbose("%s: self %.2f, index %.2f, select %.2f, gather %.2f, "
                "cross %.2f, head %.2f ms",
                c->attention, r->phase[0], r->phase[1], r->phase[2],
                r->phase[3], r->phase[4], r->phase[5]);
    if (d->budgets)
        return bench_compare_report(d, c, r);
    if (d->common->json)
        return cli_json_append(d->results, result_object(d, c, r));
    print_line(d, c, r);
    return CLI_DONE;
}
