/* SPDX-License-Identifier: Apache-2.0 */
/* Times of kernels beside the limits they run into; see kernels.h. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cases.h"
#include "bench/kernels.h"
#include "bench/peaks.h"
#include "bench/team.h"

enum { SAMPLES = 9, POISON = 0xfd };
#define LEAST_SECONDS 2e-4         /* of a sample */
#define LONG_SECONDS  0.1          /* a pass of which is timed once */
#define CACHE_BYTES   (192u << 10) /* read for the speed of L2, by a thread */

static const struct bench_family *const families[] = {
    &bench_products, &bench_scans, &bench_sets, &bench_attention, &bench_rows};

/* Peaks of the arithmetic of a level, measured once for it. */
struct level {
    const struct clsa_simd *simd;
    const struct clsa_peak_loops *loops;
    unsigned threads;          /* that they were measured with; 0: not yet */
    double fma, int8, nibbles; /* G multiply-adds a second */
};

#define LEVELS 8
struct frame {
    const struct bench_kernels_request *request;
    struct level level[LEVELS];
    unsigned levels;
    struct bench_buffer cache; /* CACHE_BYTES for each thread */
    struct bench_buffer memory;
    struct bench_buffer scratch; /* of the kernels, for each thread */
};

/* ----------------------------------------------------------------- operands */

void bench_uniform(float *x, size_t n, uint64_t seed)
{
    uint64_t state = seed * 2 + 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(int32_t)(state >> 32) * 0x1p-31f;
    }
}

struct repeating {
    unsigned char *data;
    size_t bytes, pattern;
};

static void repeat_work(void *context, unsigned thread, unsigned threads)
{
    const struct repeating *f = context;
    size_t begin, end;
    bench_share(thread, threads, f->bytes / f->pattern, &begin, &end);
    for (; begin < end; begin++)
        if (begin > 0)
            memcpy(f->data + begin * f->pattern, f->data, f->pattern);
}

void bench_repeat(void *data, size_t bytes, size_t pattern, unsigned threads)
{
    struct repeating f = {data, bytes, pattern};
    const size_t rest = bytes % pattern;
    bench_run(threads, repeat_work, &f);
    memcpy(f.data + bytes - rest, f.data, rest);
}

void bench_fill(void *data, size_t bytes, enum clsa_format format, size_t len,
                unsigned threads)
{
    const struct clsa_simd *ref = clsa_simd_table("ref");
    const size_t row = clsa_format_bytes(format, len);
    const size_t pattern = row * (bytes / row < 64 ? 1 : 64);
    float *x = malloc(len * sizeof *x);
    for (size_t at = 0; x && at < pattern; at += row) {
        bench_uniform(x, len, at);
        ref->store[format]((char *)data + at, x, len);
    }
    bench_repeat(data, bytes, pattern, threads);
    free(x);
}

/* ------------------------------------------------------------------- timing */

struct sampling {
    struct bench_job *job;
    const struct clsa_simd *simd;
    unsigned passes;
};

static void pass_work(void *context, unsigned thread, unsigned threads)
{
    const struct sampling *s = context;
    struct bench_job mine = *s->job;
    for (unsigned i = 0; i < s->passes; i++, mine.turn++)
        s->job->pass(&mine, s->simd, thread, threads);
}

/* Seconds of a pass, of as many as one sample has. */
static double sample(struct sampling *s)
{
    const double seconds = bench_run(s->job->threads, pass_work, s);
    s->job->turn += s->passes;
    return seconds / s->passes;
}

/* The limit of bytes, read as the case reads them. */
struct limit {
    const struct frame *frame;
    const struct bench_job *job;
    const struct clsa_peak_loops *loops;
    size_t turn, ahead, passes;
};

static volatile uint32_t sink;

static void limit_work(void *context, unsigned thread, unsigned threads)
{
    const struct limit *l = context;
    const struct bench_job *job = l->job;
    const unsigned char *data = l->frame->cache.data + thread * CACHE_BYTES;
    size_t bytes = CACHE_BYTES, begin, end;
    if (job->from == BENCH_MEMORY) {
        bench_share(thread, threads, job->span / CLSA_PEAK_UNIT, &begin, &end);
        bytes = (end - begin) * CLSA_PEAK_UNIT;
        data = job->memory->data +
               l->turn % (job->memory->size / job->span) * job->span +
               begin * CLSA_PEAK_UNIT;
    }
    for (size_t i = 0; i < l->passes; i++)
        sink = l->loops->read(data, bytes, l->ahead);
}

static double limit_gbs(struct limit *l)
{
    const unsigned threads = l->job->threads;
    const double bytes = l->job->from == BENCH_MEMORY
                             ? (double)l->job->span
                             : (double)CACHE_BYTES * threads;
    const double seconds = bench_run(threads, limit_work, l);
    l->turn++;
    return bytes * (double)l->passes / seconds * 1e-9;
}

/* The prefetch distance that reads fastest here, and as many passes as a
   sample takes. */
static void prepare_limit(struct limit *l)
{
    static const size_t distances[] = {0, 1024, 2048, 4096};
    double best = 0;
    size_t at = 0;
    l->passes = l->job->from == BENCH_MEMORY ? 1 : 128;
    for (size_t i = 0; i < 2 * sizeof distances / sizeof distances[0]; i++) {
        l->ahead = distances[i / 2];
        double gbs = limit_gbs(l);
        if (gbs > best) {
            best = gbs;
            at = l->ahead;
        }
    }
    l->ahead = at;
}

static void measure_arithmetic(struct level *level, unsigned threads)
{
    if (level->threads == threads)
        return;
    level->threads = threads;
    level->fma = bench_fma(level->loops, threads) / 2;
    unsigned product;
    level->int8 = bench_best_product(level->loops, true, threads, &product);
    level->nibbles = bench_best_product(level->loops, false, threads, &product);
}

static double arithmetic(const struct level *level, enum bench_units units)
{
    switch (units) {
    case BENCH_FMA:
        return level->fma;
    case BENCH_INT8:
        return level->int8;
    case BENCH_NIBBLES:
        return level->nibbles;
    default:
        return INFINITY;
    }
}

/* What bounds the case: the slower one of its bytes and its products. */
static void judge(struct bench_kernel_result *r, const struct bench_job *job,
                  double gbs, double gmacs)
{
    static const char *const from[] = {"memory", "L2", "gather"};
    static const char *const units[] = {"", "fma", "int8", "int8"};
    const double moving = job->bytes / gbs, computing = job->macs / gmacs;
    r->gbs = job->bytes / r->ns;
    r->gflops = 2 * job->macs / r->ns;
    r->share = (moving > computing ? moving : computing) / r->ns;
    r->limit = moving > computing ? from[job->from] : units[job->units];
    r->peak = moving > computing ? gbs : 2 * gmacs;
}

/* -------------------------------------------------------------------- a case
 */

static void run_once(struct bench_job *job, const struct clsa_simd *simd)
{
    struct sampling s = {job, simd, 1};
    memset(job->out, POISON, job->out_bytes);
    if (job->restore)
        job->restore(job);
    job->turn = 0;
    sample(&s);
}

/* Whether the output equals the output of ref, except for rounding. */
static bool same(const struct bench_job *job, const unsigned char *want)
{
    const float *a = (const void *)job->out, *b = (const void *)want;
    float largest = 0, apart = 0;
    if (job->exact)
        return memcmp(job->out, want, job->out_bytes) == 0;
    for (size_t i = 0; i < job->out_bytes / sizeof *a; i++) {
        if (!(fabsf(a[i] - b[i]) <= 1e30f))
            return false;
        largest = fmaxf(largest, fabsf(b[i]));
        apart = fmaxf(apart, fabsf(a[i] - b[i]));
    }
    return apart <= 1e-4f * largest;
}

static void time_level(struct frame *f, struct bench_job *job,
                       struct level *level, struct bench_kernel_result *r)
{
    struct sampling s = {job, level->simd, 1};
    struct limit limit = {.frame = f, .job = job, .loops = level->loops};
    double rows_gbs = 0;
    unsigned samples = SAMPLES;
    measure_arithmetic(level, job->threads);
    size_t ahead;
    if (job->from == BENCH_ROWS)
        rows_gbs =
            bench_gather(level->loops, job->threads, job->memory, job->span,
                         job->out_bytes / job->threads, &ahead);
    else
        prepare_limit(&limit);
    if (sample(&s) > LONG_SECONDS && level->simd == f->level[0].simd)
        samples = 1; /* ref */
    while (sample(&s) * s.passes < LEAST_SECONDS)
        s.passes *= 2;
    double kernel[SAMPLES], gbs[SAMPLES];
    for (unsigned i = 0; i < samples; i++) {
        gbs[i] = job->from == BENCH_ROWS ? rows_gbs : limit_gbs(&limit);
        kernel[i] = sample(&s);
    }
    r->ns = bench_median(kernel, samples) * 1e9;
    judge(r, job, bench_median(gbs, samples), arithmetic(level, job->units));
}

static const void *version(const struct clsa_simd *table,
                           const struct bench_job *job)
{
    const void *p;
    memcpy(&p, (const char *)table + job->slot, sizeof p);
    return p;
}

static enum bench_outcome run_levels(struct frame *f, struct bench_job *job,
                                     struct bench_kernel_result *r)
{
    unsigned char *want = malloc(job->out_bytes);
    enum bench_outcome outcome = BENCH_DONE;
    double ref = 0;
    if (!want)
        return BENCH_NO_MEMORY;
    run_once(job, f->level[0].simd);
    memcpy(want, job->out, job->out_bytes);
    for (unsigned i = 0; i < f->levels && outcome == BENCH_DONE; i++) {
        struct level *level = &f->level[i];
        if (i > 0 &&
            version(level->simd, job) == version(f->level[i - 1].simd, job))
            continue;
        r->level = level->simd->name;
        time_level(f, job, level, r);
        if (i == 0)
            ref = r->ns;
        r->speedup = ref / r->ns;
        run_once(job, level->simd);
        if (!same(job, want))
            outcome = BENCH_DIFFERS;
        else if (f->request->report(f->request->context, r))
            outcome = BENCH_ENDED;
    }
    free(want);
    return outcome;
}

static enum bench_outcome run_case(struct frame *f,
                                   const struct bench_family *family, size_t i,
                                   struct bench_kernel_result *r)
{
    struct bench_job job = {.number = i,
                            .threads = f->request->threads,
                            .memory = &f->memory,
                            .scratch = f->scratch.data};
    if ((family->streams && !f->memory.data &&
         bench_buffer_open(&f->memory, bench_memory_bytes(), BENCH_HUGE,
                           job.threads) != 0) ||
        family->open(&job, i) != 0) {
        family->close(&job);
        return BENCH_NO_MEMORY;
    }
    r->kernel = job.kernel;
    r->threads = job.threads;
    memcpy(r->size, job.size, sizeof r->size);
    enum bench_outcome outcome = run_levels(f, &job, r);
    family->close(&job);
    return outcome;
}

static enum bench_outcome run_all(struct frame *f,
                                  struct bench_kernel_result *r)
{
    enum bench_outcome outcome = BENCH_NO_KERNEL, last = BENCH_DONE;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        for (size_t j = 0; j < families[i]->count; j++)
            if (last == BENCH_DONE &&
                (!f->request->filter ||
                 strstr(families[i]->name(j), f->request->filter)))
                outcome = last = run_case(f, families[i], j, r);
    return outcome;
}

enum bench_outcome bench_kernels(const struct bench_kernels_request *request,
                                 struct bench_kernel_result *wrong)
{
    const char *const *names = clsa_simd_names();
    struct frame f = {.request = request};
    enum bench_outcome outcome = BENCH_NO_MEMORY;
    for (; *names && f.levels < LEVELS; names++) {
        f.level[f.levels].simd = clsa_simd_table(*names);
        f.level[f.levels++].loops = clsa_simd_peaks(*names);
        if (strcmp(*names, request->top) == 0)
            break;
    }
    if (bench_buffer_open(&f.cache, request->threads * CACHE_BYTES, BENCH_HUGE,
                          request->threads) == 0 &&
        bench_buffer_open(&f.scratch, request->threads * CLSA_KERNEL_SCRATCH,
                          BENCH_HUGE, request->threads) == 0)
        outcome = run_all(&f, wrong);
    bench_buffer_close(&f.cache);
    bench_buffer_close(&f.memory);
    bench_buffer_close(&f.scratch);
    return outcome;
}
