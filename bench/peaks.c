/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of the peak loops; see peaks.h. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peaks.h"
#include "bench/team.h"

#define REPEATS      7
#define WINDOW       ((size_t)64 << 20) /* read in one run by a thread */
#define GATHER_BYTES ((size_t)32 << 20) /* copied in one run */
#define MOST_AHEAD   ((size_t)16 << 10) /* bytes of rows asked for */
#define VALUES       4096               /* operands, in L1 */
#define CALLS        500                /* of a loop over them, in one run */

/* What the loops return goes here, so that it is wanted. */
static volatile uint32_t sink;

/* ------------------------------------------------------------------- read */

struct read_run {
    const struct clsa_peak_loops *loops;
    const unsigned char *data;
    size_t bytes, ahead, passes;
    size_t window, turn; /* bytes of a run, and which of them */
};

static void read_work(void *context, unsigned thread, unsigned threads)
{
    const struct read_run *r = context;
    const unsigned char *data = r->data + thread * r->bytes +
                                r->turn % (r->bytes / r->window) * r->window;
    (void)threads;
    for (size_t i = 0; i < r->passes; i++)
        sink = r->loops->read(data, r->window, r->ahead);
}

/* Each run goes on in the buffer after the last run, round and round. */
static double read_time(struct read_run *r, unsigned threads)
{
    double seconds[REPEATS];
    for (unsigned i = 0; i < REPEATS; i++) {
        r->turn++;
        seconds[i] = bench_run(threads, read_work, r);
    }
    return bench_least(seconds, REPEATS);
}

double bench_read(const struct clsa_peak_loops *loops, unsigned threads,
                  const void *data, size_t bytes)
{
    static const size_t distances[] = {0, 1024, 2048, 4096};
    struct read_run r = {.loops = loops,
                         .data = data,
                         .bytes = bytes,
                         .window = bytes < WINDOW ? bytes : WINDOW};
    double best = 0;
    r.passes = WINDOW / r.window;
    bench_run(threads, read_work, &r); /* does not count */
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        if (i > 0 && bench_is_stopped())
            break;
        r.ahead = distances[i];
        double gbs = (double)(threads * r.window * r.passes) /
                     read_time(&r, threads) * 1e-9;
        best = gbs > best ? gbs : best;
    }
    return best;
}

size_t bench_cache_bytes(const struct bench_caches *caches, unsigned cache,
                         unsigned threads)
{
    const size_t below = caches->size[cache - 1];
    size_t bytes = caches->size[cache] / 2;
    if (cache == 3)
        bytes /= threads;
    if (bytes && bytes < 2 * below)
        bytes = 2 * below;
    return bytes / CLSA_PEAK_UNIT * CLSA_PEAK_UNIT;
}

/* ----------------------------------------------------------------- gather */

struct gathering {
    const struct clsa_peak_loops *loops;
    const struct bench_buffer *buffer;
    unsigned char *to; /* `packed` bytes for each thread */
    size_t packed;
    uint32_t *order;
    size_t rows, bytes, ahead;
    size_t next; /* of order, where the next run begins */
};

/* A thread's share of a run's rows, as many at once as fit where they go. */
static void gather_work(void *context, unsigned thread, unsigned threads)
{
    const struct gathering *g = context;
    const size_t most = g->packed / g->bytes;
    size_t at, end, n;
    bench_share(thread, threads, GATHER_BYTES / g->bytes, &at, &end);
    for (; at < end; at += n) {
        n = end - at < most ? end - at : most;
        g->loops->gather(g->to + thread * g->packed, g->buffer->data,
                         g->order + g->next + at, n, g->bytes, g->ahead);
    }
}

/* The fastest of runs that each take other rows. */
static double gather_time(struct gathering *g, unsigned threads)
{
    const size_t each = GATHER_BYTES / g->bytes;
    double seconds[REPEATS];
    for (unsigned i = 0; i < REPEATS; i++) {
        g->next = (g->next + each) % (g->rows / each * each);
        seconds[i] = bench_run(threads, gather_work, g);
    }
    return bench_least(seconds, REPEATS);
}

double bench_gather(const struct clsa_peak_loops *loops, unsigned threads,
                    const struct bench_buffer *buffer, size_t row_bytes,
                    size_t packed, size_t *ahead)
{
    struct gathering g = {
        .loops = loops, .buffer = buffer, .bytes = row_bytes, .packed = packed};
    double best = 0;
    g.rows = buffer->size / row_bytes;
    g.order = calloc(g.rows, sizeof *g.order);
    g.to = aligned_alloc(64, threads * packed);
    if (g.order && g.to) {
        bench_shuffle(g.order, g.rows);
        memset(g.to, 0, threads * packed);
        for (; g.ahead * row_bytes <= MOST_AHEAD &&
               (g.ahead == 0 || !bench_is_stopped());
             g.ahead = g.ahead ? 2 * g.ahead : 1) {
            const double gbs =
                (double)GATHER_BYTES / gather_time(&g, threads) * 1e-9;
            if (gbs > best) {
                best = gbs;
                *ahead = g.ahead;
            }
        }
    }
    free(g.order);
    free(g.to);
    return best;
}

/* ------------------------------------------------------------- arithmetic */

/* What all threads read, each in its own L1. */
static struct {
    float x[VALUES];
    _Alignas(64) int8_t q[VALUES]; /* lines: a row of a tile is one */
} values;

struct computing {
    const struct clsa_peak_loops *loops;
    clsa_peak_product *product;
    struct clsa_peak_operands operands;
    float w[CLSA_PEAK_FMA_ROWS];
};

static void fma_work(void *context, unsigned thread, unsigned threads)
{
    const struct computing mine = *(const struct computing *)context;
    float sum = 0;
    (void)threads, (void)thread;
    for (int i = 0; i < CALLS; i++)
        sum += mine.loops->fma(values.x, VALUES, mine.w);
    sink = (uint32_t)sum;
}

double bench_fma(const struct clsa_peak_loops *loops, unsigned threads)
{
    struct computing c = {.loops = loops, .w = {1, 2, 3}};
    const double flops =
        2.0 * CLSA_PEAK_FMA_ROWS * VALUES * CALLS * (double)threads;
    for (int i = 0; i < VALUES; i++)
        values.x[i] = (float)(i % 16) / 16;
    return flops / bench_time(threads, fma_work, &c, REPEATS) * 1e-9;
}

static void product_work(void *context, unsigned thread, unsigned threads)
{
    const struct computing mine = *(const struct computing *)context;
    uint32_t sum = 0;
    (void)threads, (void)thread;
    for (int i = 0; i < CALLS; i++)
        sum += mine.product(&mine.operands);
    sink = sum;
}

double bench_product(const struct clsa_peak_loops *loops, unsigned product,
                     unsigned threads)
{
    struct computing c = {.product = loops->product[product].run};
    const double macs = 1.0 * CLSA_PEAK_ROWS * VALUES * CALLS * threads *
                        (1 + loops->product[product].again);
    for (int i = 0; i < VALUES; i++) {
        values.q[i] = (int8_t)(i % 255 - 127);
        c.operands.sum += values.q[i];
    }
    c.operands.x = values.q;
    for (int i = 0; i < CLSA_PEAK_ROWS * CLSA_PEAK_PATTERN; i++)
        c.operands.w[i / CLSA_PEAK_PATTERN][i % CLSA_PEAK_PATTERN] =
            (int8_t)(i % 16);
    c.operands.n = VALUES;
    return macs / bench_time(threads, product_work, &c, REPEATS) * 1e-9;
}

double bench_best_product(const struct clsa_peak_loops *loops, bool full,
                          unsigned threads, unsigned *product)
{
    double best = 0;
    for (unsigned i = 0; loops->product[i].name; i++) {
        if (full && !loops->product[i].full)
            continue;
        if (i > 0 && bench_is_stopped())
            break;
        double gmacs = bench_product(loops, i, threads);
        if (gmacs > best) {
            best = gmacs;
            *product = i;
        }
    }
    return best;
}

/* -------------------------------------------------------------------- all */

int bench_measure_peaks(struct bench_peaks *peaks,
                        const struct bench_request *request)
{
    const struct clsa_peak_loops *loops = clsa_simd_peaks(request->simd);
    const unsigned threads = request->threads;
    struct bench_peaks all = {.threads = threads};
    const size_t size = bench_memory_bytes();
    struct bench_buffer buffer;
    if (!loops || bench_buffer_open(&buffer, size, BENCH_HUGE, threads) != 0)
        return -1;
    all.read_gbs = bench_read(loops, threads, buffer.data,
                              size / threads / CLSA_PEAK_UNIT * CLSA_PEAK_UNIT);
    size_t ahead;
    if (request->row_bytes)
        all.gather_gbs = bench_gather(loops, threads, &buffer,
                                      request->row_bytes, BENCH_PACKED, &ahead);
    bench_buffer_close(&buffer);
    all.fma_gflops = bench_fma(loops, threads);
    unsigned product;
    all.int8_gmacs = bench_best_product(loops, true, threads, &product);
    all.nibble_gmacs = bench_best_product(loops, false, threads, &product);
    *peaks = all;
    return request->row_bytes && all.gather_gbs == 0 ? -1 : 0;
}
