/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases of the sparse step of shape 1b: selection of rows, their gather from a
 * cold cache, and attention over them (32 query heads on 8 KV heads of 64),
 * packed and where they lie.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cases.h"
#include "bench/team.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    KV_HEADS = 8,
    SHARED = 4, /* query heads of a KV head */
    SIZE = 64,  /* of a head */
    PLANES = 2 * KV_HEADS,
    SELECTED = 2048,
    SCORES = 131072,
    LAYERS = 8,
    PART = CLSA_ATTEND_ROWS,
    BATCH = 256 /* rows of one call of gather */
};

/* -------------------------------------------------------------------- topk */

struct selection {
    float score[SCORES];
    uint64_t rank[SCORES], copy[SCORES];
};

/* As the scan of an index does it: the k best of the first scores give a
   threshold, which rises whenever there are twice as many as are wanted. */
static void topk_pass(const struct bench_job *job, const struct clsa_simd *simd,
                      unsigned thread, unsigned threads)
{
    struct selection *s = job->operands;
    float threshold = -INFINITY;
    size_t n = 0, step = 4 * SELECTED;
    (void)thread, (void)threads;
    for (size_t at = 0; at < SCORES; at += step) {
        n += simd->filter(s->rank + n, s->score + at, step, (uint32_t)at,
                          threshold);
        if (n < 2 * SELECTED && at + step < SCORES)
            continue;
        n = simd->topk(s->rank, n, SELECTED, s->copy);
        threshold = INFINITY;
        for (size_t i = 0; i < n; i++)
            threshold = fminf(threshold, clsa_rank_score(s->rank[i]));
    }
}

static int open_topk(struct bench_job *job)
{
    struct selection *s = malloc(sizeof *s);
    job->operands = s;
    if (!s)
        return -1;
    bench_uniform(s->score, SCORES, 3);
    job->kernel = "topk";
    snprintf(job->size, sizeof job->size, "%d of %d scores", SELECTED, SCORES);
    job->slot = offsetof(struct clsa_simd, topk);
    job->from = BENCH_CACHE;
    job->threads = 1;
    job->bytes = sizeof s->score;
    job->pass = topk_pass;
    job->out = (unsigned char *)s->rank;
    job->out_bytes = SELECTED * sizeof s->rank[0];
    job->exact = true;
    return 0;
}

/* --------------------------------------------------------- a set of rows */

/* Blocks of SELECTED rows of the memory, each ascending, all different. */
struct rows {
    uint32_t *list;
    size_t blocks;
    size_t head_bytes, row_bytes, plane_bytes;
    unsigned char *packed; /* [PLANES][plane_bytes] */
    uint32_t slot[SELECTED];
    float q[KV_HEADS * SHARED * SIZE];
    size_t layers;
    size_t used; /* rows that are attended to */
    float out[KV_HEADS * SELECTED / PART][SHARED][SIZE + 2];
};

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int open_rows(struct bench_job *job, enum clsa_format format)
{
    struct rows *r = calloc(1, sizeof *r);
    job->operands = r;
    job->format = format;
    if (!r)
        return -1;
    r->head_bytes = clsa_format_bytes(format, SIZE);
    r->row_bytes = PLANES * r->head_bytes;
    r->plane_bytes = SELECTED * r->head_bytes + 192; /* as the engine does */
    size_t rows = job->memory->size / r->row_bytes / SELECTED * SELECTED;
    r->blocks = rows / SELECTED;
    r->list = malloc(rows * sizeof *r->list);
    r->packed = aligned_alloc(64, PLANES * r->plane_bytes);
    if (!r->list || !r->packed)
        return -1;
    bench_shuffle(r->list, rows);
    for (size_t i = 0; i < r->blocks; i++)
        qsort(r->list + i * SELECTED, SELECTED, sizeof *r->list, ascending);
    bench_shuffle(r->slot, SELECTED);
    bench_uniform(r->q, COUNT(r->q), 2);
    for (size_t i = 0; i < COUNT(r->q); i++)
        r->q[i] /= 8;
    for (size_t i = 0; i < PLANES; i++)
        bench_fill(r->packed + i * r->plane_bytes, SELECTED * r->head_bytes,
                   format, SIZE, 1);
    bench_fill(job->memory->data, rows * r->row_bytes, format, SIZE,
               job->threads);
    r->layers = 1;
    r->used = SELECTED;
    job->span = r->row_bytes;
    job->out = (unsigned char *)r->out;
    job->out_bytes = sizeof r->out;
    return 0;
}

static void close_rows(struct bench_job *job)
{
    struct rows *r = job->operands;
    if (r && job->slot != offsetof(struct clsa_simd, topk)) {
        free(r->list);
        free(r->packed);
    }
    free(r);
}

static const uint32_t *block(const struct bench_job *job)
{
    const struct rows *r = job->operands;
    return r->list + job->turn % r->blocks * SELECTED;
}

static void gather_pass(const struct bench_job *job,
                        const struct clsa_simd *simd, unsigned thread,
                        unsigned threads)
{
    const struct rows *r = job->operands;
    const uint32_t *list = block(job);
    const unsigned char *from[BATCH];
    struct clsa_gather g = {.from = from,
                            .to = r->packed,
                            .n = BATCH,
                            .planes = PLANES,
                            .row_bytes = r->head_bytes,
                            .plane_bytes = r->plane_bytes};
    size_t at, end;
    bench_share(thread, threads, SELECTED / BATCH, &at, &end);
    for (at *= BATCH, end *= BATCH; at < end; at += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            from[i] = job->memory->data + list[at + i] * r->row_bytes;
        g.slot = r->slot + at;
        simd->gather(&g);
    }
}

/* K of head h at base + h * head, V after the K of all heads. */
static void attend_all(const struct bench_job *job,
                       const struct clsa_simd *simd, unsigned thread,
                       unsigned threads, struct clsa_rows rows,
                       const uint32_t *order, size_t head)
{
    struct rows *r = job->operands;
    const unsigned char *base = rows.k;
    const size_t parts = r->used / PART;
    rows.n = PART;
    rows.scratch = bench_scratch(job, thread);
    for (size_t layer = 0; layer < r->layers; layer++) {
        size_t unit, end;
        bench_share(thread, threads, KV_HEADS * parts, &unit, &end);
        for (; unit < end; unit++) {
            const size_t h = unit / parts;
            rows.k = base + h * head +
                     (order ? 0 : unit % parts * PART * rows.stride);
            rows.v = (const unsigned char *)rows.k + KV_HEADS * head;
            rows.order = order ? order + unit % parts * PART : NULL;
            simd->attend[job->format](r->out[unit][0], r->q + h * SHARED * SIZE,
                                      SHARED, SIZE, &rows);
        }
    }
}

static void packed_pass(const struct bench_job *job,
                        const struct clsa_simd *simd, unsigned thread,
                        unsigned threads)
{
    const struct rows *r = job->operands;
    const struct clsa_rows rows = {.k = r->packed, .stride = r->head_bytes};
    attend_all(job, simd, thread, threads, rows, r->slot, r->plane_bytes);
}

/* As many rows in order as there are in a window. */
static void window_pass(const struct bench_job *job,
                        const struct clsa_simd *simd, unsigned thread,
                        unsigned threads)
{
    const struct rows *r = job->operands;
    const size_t plane_bytes = r->used * r->head_bytes;
    const struct clsa_rows rows = {.k = r->packed, .stride = r->head_bytes};
    attend_all(job, simd, thread, threads, rows, NULL, plane_bytes);
}

static void gathered_pass(const struct bench_job *job,
                          const struct clsa_simd *simd, unsigned thread,
                          unsigned threads)
{
    gather_pass(job, simd, thread, threads);
#pragma omp barrier
    packed_pass(job, simd, thread, threads);
#pragma omp barrier
}

static void scattered_pass(const struct bench_job *job,
                           const struct clsa_simd *simd, unsigned thread,
                           unsigned threads)
{
    const struct rows *r = job->operands;
    const struct clsa_rows rows = {.k = job->memory->data,
                                   .stride = r->row_bytes};
    attend_all(job, simd, thread, threads, rows, block(job), r->head_bytes);
}

static int open_gather(struct bench_job *job)
{
    if (open_rows(job, CLSA_BF16) != 0)
        return -1;
    struct rows *r = job->operands;
    job->kernel = "gather";
    job->slot = offsetof(struct clsa_simd, gather);
    snprintf(job->size, sizeof job->size, "%d rows of %zu bytes", SELECTED,
             r->row_bytes);
    job->from = BENCH_ROWS;
    job->bytes = (double)(SELECTED * r->row_bytes);
    job->pass = gather_pass;
    job->out = r->packed;
    job->out_bytes = PLANES * r->plane_bytes;
    job->exact = true;
    return 0;
}

static const char *set_name(size_t i)
{
    return i ? "gather" : "topk";
}

static int open_set(struct bench_job *job, size_t i)
{
    return i ? open_gather(job) : open_topk(job);
}

const struct bench_family bench_sets = {2, true, set_name, open_set,
                                        close_rows};

/* --------------------------------------------------------------- attention */

static const struct {
    const char *kernel, *what;
    enum clsa_format format;
    bench_pass *pass;
    size_t rows, layers;
} attention[] = {{"attend_f32", "packed", CLSA_F32, packed_pass, SELECTED, 1},
                 {"attend_f16", "packed", CLSA_F16, packed_pass, SELECTED, 1},
                 {"attend_bf16", "packed", CLSA_BF16, packed_pass, SELECTED, 1},
                 {"attend_q8_0", "packed", CLSA_Q8_0, packed_pass, SELECTED, 1},
                 {"attend_f32", "window", CLSA_F32, window_pass, 512, 1},
                 {"attend_bf16", "gathered, 8 layers", CLSA_BF16, gathered_pass,
                  SELECTED, LAYERS},
                 {"attend_bf16", "scattered, 8 layers", CLSA_BF16,
                  scattered_pass, SELECTED, LAYERS}};

static const char *attention_name(size_t i)
{
    return attention[i].kernel;
}

static int open_attention(struct bench_job *job, size_t i)
{
    if (open_rows(job, attention[i].format) != 0)
        return -1;
    struct rows *r = job->operands;
    r->layers = attention[i].layers;
    r->used = attention[i].rows;
    job->kernel = attention[i].kernel;
    job->slot = offsetof(struct clsa_simd, attend) +
                job->format * sizeof clsa_simd_table("ref")->attend[0];
    snprintf(job->size, sizeof job->size, "%zu rows, 32/8 heads of 64, %s",
             r->used, attention[i].what);
    job->from = BENCH_CACHE;
    job->units = BENCH_FMA;
    job->bytes = (double)(r->used * r->row_bytes * r->layers);
    job->macs = 2.0 * KV_HEADS * SHARED * SIZE * (double)(r->used * r->layers);
    job->out_bytes = KV_HEADS * r->used / PART * sizeof r->out[0];
    job->pass = attention[i].pass;
    return 0;
}

const struct bench_family bench_attention = {
    COUNT(attention), true, attention_name, open_attention, close_rows};
