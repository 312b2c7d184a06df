/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench machine: the limits of this machine. What memory and caches deliver,
 * in order and at random, and what the arithmetic of a SIMD level takes, with
 * 1, 2, 4, ... threads up to all.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bench/peaks.h"
#include "src/cli/bench/bench.h"
#include "src/cli/commands.h"
#include "src/cli/files.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"

enum {
    STEPS = 12, /* thread counts: powers of two up to 1024, and all */
    ROWS = 3,   /* sizes of gathered rows */
    PLACES = BENCH_CACHES + 1
};

static const size_t row_bytes[ROWS] = {256, 1024, 2048};
static const char *const page_names[] = {"small", "huge"};
static const char *const place_names[PLACES] = {"memory", "L1", "L2", "L3"};

/* All results for one number of threads; 0 where there is no such cache. */
struct step {
    unsigned threads;
    double read[PLACES];
    size_t bytes[PLACES]; /* that each thread reads */
    double gather[2][ROWS];
    size_t ahead[2][ROWS];
    double fma, product[CLSA_PEAK_PRODUCTS];
};

struct machine {
    const char *level;
    const struct clsa_peak_loops *loops;
    struct bench_caches caches;
    unsigned threads, count;
    struct step step[STEPS];
};

/* ---------------------------------------------------------------- measure */

static int measure_reads(struct machine *m, const struct bench_buffer *buffer)
{
    for (unsigned i = 0; i < m->count; i++) {
        struct step *s = &m->step[i];
        const size_t share = buffer->size / s->threads;
        s->bytes[0] = share / CLSA_PEAK_UNIT * CLSA_PEAK_UNIT;
        for (unsigned place = 1; place < PLACES; place++)
            s->bytes[place] = bench_cache_bytes(&m->caches, place, s->threads);
        for (unsigned place = 0; place < PLACES; place++) {
            CLI_TRY(cli_interrupt_check());
            if (s->bytes[place] != 0 && s->bytes[place] <= share)
                s->read[place] = bench_read(m->loops, s->threads, buffer->data,
                                            s->bytes[place]);
        }
    }
    return CLI_DONE;
}

/* One thread and all. */
static bool has_gather(const struct machine *m, unsigned i)
{
    return i == 0 || i == m->count - 1;
}

static int measure_gathers(struct machine *m, const struct bench_buffer *buffer,
                           enum bench_pages pages)
{
    for (unsigned i = 0; i < m->count; i++)
        for (unsigned j = 0; has_gather(m, i) && j < ROWS; j++) {
            struct step *s = &m->step[i];
            CLI_TRY(cli_interrupt_check());
            s->gather[pages][j] =
                bench_gather(m->loops, s->threads, buffer, row_bytes[j],
                             BENCH_PACKED, &s->ahead[pages][j]);
            if (s->gather[pages][j] == 0)
                return cli_fail_memory();
        }
    return CLI_DONE;
}

static int measure_buffer(struct machine *m, const struct bench_buffer *buffer,
                          enum bench_pages pages)
{
    if (pages == BENCH_HUGE)
        CLI_TRY(measure_reads(m, buffer));
    return measure_gathers(m, buffer, pages);
}

static int measure_memory(struct machine *m, enum bench_pages pages)
{
    struct bench_buffer buffer;
    if (bench_buffer_open(&buffer, bench_memory_bytes(), pages, m->threads))
        return cli_fail_memory();
    int status = measure_buffer(m, &buffer, pages);
    bench_buffer_close(&buffer);
    return status;
}

static int measure_arithmetic(struct machine *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        m->step[i].fma = bench_fma(m->loops, m->step[i].threads);
        for (unsigned j = 0; m->loops->product[j].name; j++) {
            CLI_TRY(cli_interrupt_check());
            m->step[i].product[j] =
                bench_product(m->loops, j, m->step[i].threads);
        }
    }
    return CLI_DONE;
}

static int measure(struct machine *m)
{
    for (unsigned threads = 1; threads < m->threads; threads *= 2)
        m->step[m->count++].threads = threads;
    m->step[m->count++].threads = m->threads;
    m->loops = clsa_simd_peaks(m->level);
    bench_caches_read(&m->caches);
    CLI_TRY(measure_memory(m, BENCH_SMALL));
    CLI_TRY(measure_memory(m, BENCH_HUGE));
    return measure_arithmetic(m);
}

/* ------------------------------------------------------------------- text */

static void print_head(const struct machine *m, const char *title)
{
    printf("\n%-40s", title);
    for (unsigned i = 0; i < m->count; i++)
        printf(" %7u", m->step[i].threads);
    printf("\n");
}

static void print_value(double value)
{
    if (value > 0)
        printf(" %7.1f", value);
    else
        printf(" %7s", "-");
}

static void print_reads(const struct machine *m)
{
    print_head(m, "read, GB/s; threads:");
    for (unsigned place = 0; place < PLACES; place++) {
        if (m->step[0].read[place] == 0)
            continue;
        printf("  %-38s", place_names[place]);
        for (unsigned i = 0; i < m->count; i++)
            print_value(m->step[i].read[place]);
        printf("\n");
    }
}

static void print_gathers(const struct machine *m)
{
    print_head(m, "random rows from memory, GB/s");
    for (unsigned pages = BENCH_SMALL; pages <= BENCH_HUGE; pages++)
        for (unsigned j = 0; j < ROWS; j++) {
            printf("  %4zu bytes, %-5s pages %*s", row_bytes[j],
                   page_names[pages], 15, "");
            for (unsigned i = 0; i < m->count; i++)
                print_value(m->step[i].gather[pages][j]);
            printf("\n");
        }
}

static void print_arithmetic(const struct machine *m)
{
    print_head(m, "multiply-adds in float, GFLOP/s");
    printf("  %-38s", "f32");
    for (unsigned i = 0; i < m->count; i++)
        print_value(m->step[i].fma);
    printf("\n");
    print_head(m, "multiply-adds of integers, Gmac/s");
    for (unsigned j = 0; m->loops->product[j].name; j++) {
        printf("  %-2s %-35s", m->loops->product[j].full ? "s8" : "u4",
               m->loops->product[j].name);
        for (unsigned i = 0; i < m->count; i++)
            print_value(m->step[i].product[j]);
        printf("\n");
    }
}

static void print_text(const struct machine *m, const char *cpu)
{
    printf("cpu      %s\nsimd     %s\nthreads  %u\n", cpu, m->level,
           m->threads);
    print_reads(m);
    print_gathers(m);
    print_arithmetic(m);
}

/* ------------------------------------------------------------------- JSON */

static json_t *read_list(const struct machine *m)
{
    json_t *list = json_array();
    for (unsigned place = 0; place < PLACES; place++)
        for (unsigned i = 0; i < m->count; i++)
            if (m->step[i].read[place] > 0)
                json_array_append_new(
                    list, json_pack("{ss si sI sf}", "from", place_names[place],
                                    "threads", (int)m->step[i].threads, "bytes",
                                    (json_int_t)m->step[i].bytes[place], "gbs",
                                    m->step[i].read[place]));
    return list;
}

static json_t *gather_list(const struct machine *m)
{
    json_t *list = json_array();
    for (unsigned pages = BENCH_SMALL; pages <= BENCH_HUGE; pages++)
        for (unsigned j = 0; j < ROWS; j++)
            for (unsigned i = 0; i < m->count; i++)
                if (has_gather(m, i))
                    json_array_append_new(
                        list, json_pack("{sI ss si sI sf}", "bytes",
                                        (json_int_t)row_bytes[j], "pages",
                                        page_names[pages], "threads",
                                        (int)m->step[i].threads, "ahead",
                                        (json_int_t)m->step[i].ahead[pages][j],
                                        "gbs", m->step[i].gather[pages][j]));
    return list;
}

static json_t *fma_list(const struct machine *m)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < m->count; i++)
        json_array_append_new(list, json_pack("{si sf}", "threads",
                                              (int)m->step[i].threads, "gflops",
                                              m->step[i].fma));
    return list;
}

static json_t *product_list(const struct machine *m)
{
    json_t *list = json_array();
    for (unsigned j = 0; m->loops->product[j].name; j++)
        for (unsigned i = 0; i < m->count; i++)
            json_array_append_new(
                list, json_pack("{ss ss si sf}", "instructions",
                                m->loops->product[j].name, "weights",
                                m->loops->product[j].full ? "s8" : "u4",
                                "threads", (int)m->step[i].threads, "gmacs",
                                m->step[i].product[j]));
    return list;
}

static int print_json(const struct machine *m, const char *cpu)
{
    return cli_json_print(json_pack(
        "[{so ss si so so so so}]", "cpu", cli_json_text(cpu), "simd", m->level,
        "threads", (int)m->threads, "read", read_list(m), "gather",
        gather_list(m), "fma", fma_list(m), "int8", product_list(m)));
}

static int bench_machine_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_bench_machine;
    struct cli_common common = CLI_COMMON_INIT;
    struct machine machine = {0};
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &common, &first));
    if (first == 0)
        return CLI_DONE;
    CLI_TRY(cli_bench_simd(&common, &machine.level));
    CLI_TRY(cli_bench_threads(&common, &machine.threads));
    CLI_TRY(measure(&machine));
    char cpu[256];
    cli_machine_cpu(cpu, sizeof cpu);
    if (common.json)
        return print_json(&machine, cpu);
    print_text(&machine, cpu);
    return CLI_DONE;
}

const struct cli_command cli_command_bench_machine = {
    .name = "bench machine",
    .usage = "",
    .summary = "Measure the limits of this machine.",
    .groups = CLI_GROUP_THREADS,
    .run = bench_machine_run};
