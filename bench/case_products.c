/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases that stream memory: products with the matrices of a self-decoder layer
 * of shape 1b, for 1, 8 and 16 columns, and scans of 1 M index keys. Each pass
 * takes other memory, so that nothing of it is in a cache.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cases.h"
#include "bench/team.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WIDEST       8192u
#define UNIT         32u /* rows, as in src/engine/linear.h */

static const struct {
    size_t rows, len;
} matrices[] = {{2048, 2048}, {512, 2048},  {512, 2048}, {2048, 2048},
                {8192, 2048}, {8192, 2048}, {2048, 8192}};

static const struct {
    const char *name;
    enum clsa_format format;
    enum bench_units units;
} products[] = {{"matmul_f32", CLSA_F32, BENCH_FMA},
                {"matmul_f16", CLSA_F16, BENCH_FMA},
                {"matmul_bf16", CLSA_BF16, BENCH_FMA},
                {"matmul_q8_0", CLSA_Q8_0, BENCH_INT8},
                {"matmul_q4_0", CLSA_Q4_0, BENCH_NIBBLES},
                {"matmul_q4_k", CLSA_Q4_K, BENCH_NIBBLES},
                {"matmul_q6_k", CLSA_Q6_K, BENCH_INT8},
                {"matmul_q4_1", CLSA_Q4_1, BENCH_NIBBLES},
                {"matmul_q5_0", CLSA_Q5_0, BENCH_NIBBLES},
                {"matmul_q5_1", CLSA_Q5_1, BENCH_NIBBLES},
                {"matmul_q2_k", CLSA_Q2_K, BENCH_NIBBLES},
                {"matmul_q3_k", CLSA_Q3_K, BENCH_INT8},
                {"matmul_q5_k", CLSA_Q5_K, BENCH_NIBBLES},
                {"matmul_iq4_nl", CLSA_IQ4_NL, BENCH_INT8},
                {"matmul_iq4_xs", CLSA_IQ4_XS, BENCH_INT8}};

static const size_t columns[] = {1, 8, 16};

struct product {
    struct clsa_act a; /* columns of WIDEST values */
    size_t rows;       /* of all matrices */
    float *y;          /* [n][rows] */
};

static const char *product_name(size_t i)
{
    return products[i / COUNT(columns)].name;
}

static void product_pass(const struct bench_job *job,
                         const struct clsa_simd *simd, unsigned thread,
                         unsigned threads)
{
    const struct product *p = job->operands;
    const unsigned char *w = job->memory->data + bench_offset(job);
    float *y = p->y;
    for (size_t i = 0; i < COUNT(matrices); i++) {
        struct clsa_act a = p->a;
        size_t at, end;
        a.scratch = bench_scratch(job, thread);
        a.len = matrices[i].len;
        const size_t row = clsa_format_bytes(job->format, a.len);
        bench_share(thread, threads, matrices[i].rows / UNIT, &at, &end);
        at *= UNIT, end *= UNIT;
        simd->matmul[job->format](y + at, p->rows, w + at * row, end - at, &a);
        y += matrices[i].rows;
        w += matrices[i].rows * row;
    }
}

static int open_columns(struct product *p, size_t n)
{
    const struct clsa_simd *ref = clsa_simd_table("ref");
    struct clsa_act *a = &p->a;
    *a = (struct clsa_act){
        .n = n, .len = WIDEST, .ldx = WIDEST, .ldq = WIDEST, .ldd = n};
    a->x = malloc(n * WIDEST * sizeof *a->x);
    a->q = aligned_alloc(64, n * WIDEST); /* as the engine has it */
    a->d = malloc(n * WIDEST / CLSA_BLOCK * sizeof *a->d);
    a->sum = malloc(n * WIDEST / CLSA_BLOCK * sizeof *a->sum);
    p->y = malloc(n * p->rows * sizeof *p->y);
    if (!a->x || !a->q || !a->d || !a->sum || !p->y)
        return -1;
    bench_uniform(a->x, n * WIDEST, 1);
    for (size_t c = 0; c < n; c++)
        ref->quantize(a->q + c * WIDEST, a->d + c, a->sum + c, n,
                      a->x + c * WIDEST, WIDEST);
    return 0;
}

static int open_product(struct bench_job *job, size_t i)
{
    struct product *p = calloc(1, sizeof *p);
    const size_t n = columns[i % COUNT(columns)];
    size_t values = 0;
    job->operands = p;
    if (!p)
        return -1;
    for (size_t j = 0; j < COUNT(matrices); j++) {
        p->rows += matrices[j].rows;
        values += matrices[j].rows * matrices[j].len;
    }
    if (open_columns(p, n) != 0)
        return -1;
    i /= COUNT(columns);
    job->kernel = products[i].name;
    job->format = products[i].format;
    job->units = products[i].units;
    job->slot = offsetof(struct clsa_simd, matmul) +
                job->format * sizeof clsa_simd_table("ref")->matmul[0];
    job->pass = product_pass;
    job->out = (unsigned char *)p->y;
    job->out_bytes = n * p->rows * sizeof *p->y;
    job->span = clsa_format_bytes(job->format, values);
    job->bytes = (double)job->span;
    job->macs = (double)(n * values);
    snprintf(job->size, sizeof job->size, "1b layer, %zu column%s", n,
             n > 1 ? "s" : "");
    if (n == columns[0]) /* the same memory for all of a format */
        bench_fill(job->memory->data, job->memory->size / job->span * job->span,
                   job->format, matrices[0].len, job->threads);
    return 0;
}

static void close_product(struct bench_job *job)
{
    struct product *p = job->operands;
    if (p) {
        free(p->a.x);
        free(p->a.q);
        free(p->a.d);
        free(p->a.sum);
        free(p->y);
    }
    free(p);
}

const struct bench_family bench_products = {COUNT(products) * COUNT(columns),
                                            true, product_name, open_product,
                                            close_product};

/* -------------------------------------------------------------------- scan */

#define KEYS  ((size_t)1 << 20)
#define LEN   64u
#define BLOCK 4096u /* keys of a call */

#define HEADS 8u

static const char *const scans[] = {"scan_f32", "scan_bf16", "scan_i8",
                                    "scan_heads"};

struct scan {
    struct clsa_index_query query;
    struct clsa_index_heads many;
    float x[HEADS * LEN];
    int16_t q[LEN];
    int8_t bytes[HEADS * LEN];
    int32_t sum[HEADS];
    float weight[HEADS];
    float score[]; /* [threads][BLOCK] */
};

static const char *scan_name(size_t i)
{
    return scans[i];
}

static void scan_pass(const struct bench_job *job, const struct clsa_simd *simd,
                      unsigned thread, unsigned threads)
{
    struct scan *s = job->operands;
    const unsigned char *key = job->memory->data + bench_offset(job);
    const size_t scales = KEYS * LEN;
    float *score = s->score + (size_t)thread * BLOCK;
    size_t at, end;
    bench_share(thread, threads, KEYS / BLOCK, &at, &end);
    for (at *= BLOCK, end *= BLOCK; at < end; at += BLOCK)
        if (job->slot == offsetof(struct clsa_simd, scan_f32))
            simd->scan_f32(score, (const void *)(key + at * LEN * 4), BLOCK,
                           LEN, &s->query);
        else if (job->slot == offsetof(struct clsa_simd, scan_bf16))
            simd->scan_bf16(score, (const void *)(key + at * LEN * 2), BLOCK,
                            LEN, &s->query);
        else if (job->slot == offsetof(struct clsa_simd, scan_heads))
            simd->scan_heads(score, (const void *)(key + at * LEN),
                             (const void *)(key + scales + at * 4), BLOCK, LEN,
                             &s->many);
        else
            simd->scan_i8(score, (const void *)(key + at * LEN),
                          (const void *)(key + scales + at * 4), BLOCK, LEN,
                          &s->query);
}

/* Keys, then their scales, in each span. */
static void fill_i8(struct bench_job *job)
{
    unsigned char *keys = job->memory->data;
    float x[LEN];
    for (size_t i = 0; i < BLOCK; i++) {
        bench_uniform(x, LEN, i);
        for (size_t j = 0; j < LEN; j++)
            keys[i * LEN + j] = (unsigned char)(int8_t)(127 * x[j]);
    }
    bench_repeat(keys, KEYS * LEN, BLOCK * LEN, job->threads);
    bench_uniform((void *)(keys + KEYS * LEN), KEYS, 1);
    bench_repeat(keys, job->memory->size / job->span * job->span, job->span,
                 job->threads);
}

static void make_queries(struct scan *s)
{
    bench_uniform(s->x, HEADS * LEN, 7);
    bench_uniform(s->weight, HEADS, 8);
    for (size_t j = 0; j < LEN; j++)
        s->q[j] = (int16_t)(32767 * s->x[j]);
    for (size_t j = 0; j < HEADS * LEN; j++) {
        s->bytes[j] = (int8_t)(127 * s->x[j]);
        s->sum[j / LEN] += s->bytes[j];
    }
    s->query = (struct clsa_index_query){s->x, s->q, 1 / 32767.0f};
    s->many =
        (struct clsa_index_heads){HEADS, s->bytes, LEN, s->sum, s->weight};
}

static int open_scan(struct bench_job *job, size_t i)
{
    static const size_t slots[] = {offsetof(struct clsa_simd, scan_f32),
                                   offsetof(struct clsa_simd, scan_bf16),
                                   offsetof(struct clsa_simd, scan_i8),
                                   offsetof(struct clsa_simd, scan_heads)};
    static const size_t bytes[] = {LEN * 4, LEN * 2, LEN + 4, LEN + 4};
    const size_t score_bytes = job->threads * BLOCK * sizeof(float);
    struct scan *s = calloc(1, sizeof *s + score_bytes);
    job->operands = s;
    if (!s)
        return -1;
    make_queries(s);
    job->kernel = scans[i];
    job->slot = slots[i];
    job->pass = scan_pass;
    job->out = (unsigned char *)s->score;
    job->out_bytes = score_bytes;
    job->span = KEYS * bytes[i];
    job->bytes = (double)job->span;
    job->macs = (double)KEYS * LEN * (i == 3 ? HEADS : 1);
    snprintf(job->size, sizeof job->size, "%zu M keys of %u", KEYS >> 20, LEN);
    if (i >= 2)
        fill_i8(job);
    else
        bench_fill(job->memory->data, job->memory->size / job->span * job->span,
                   i ? CLSA_BF16 : CLSA_F32, LEN, job->threads);
    return 0;
}

static void close_scan(struct bench_job *job)
{
    free(job->operands);
}

const struct bench_family bench_scans = {COUNT(scans), true, scan_name,
                                         open_scan, close_scan};
