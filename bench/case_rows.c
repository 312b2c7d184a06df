/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases of the other kernels: each thread runs over operands of its own that
 * lie in its L2, in rows of the sizes that shape 1b has.
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    VALUES = 16384, /* of each operand */
    WIDTH = 2048,   /* of a row */
    HEAD = 64,
    KEYS = 512, /* K of all heads of a row */
    TILE = 64,  /* rows of W whose sums come together */
    PARTS = 8,  /* combined to one */
    PART = HEAD + 2,
    HEADS = 16,                                    /* of an accumulation */
    SUMS = VALUES / (HEADS * PART) * HEADS * PART, /* values of all */
    QUERIES = VALUES / CLSA_TILE_KEYS
};

/* Of online softmax: the keys that each query sees, and its state. */
struct online {
    uint8_t begin[QUERIES], end[QUERIES];
    float max[QUERIES], sum[QUERIES], scale[QUERIES];
};

/* Of one thread. `out` is what a pass writes. */
struct operands {
    float x[VALUES], z[VALUES];
    union {
        unsigned char rows[VALUES * 4]; /* x in a row format */
        int32_t sums[VALUES];
        struct online online;
    };
    union {
        float y[VALUES];
        uint64_t ranks[VALUES];
        unsigned char rows[VALUES * 4];
        size_t position;
        struct {
            float d[VALUES / CLSA_BLOCK];
            int32_t sum[VALUES / CLSA_BLOCK];
            int8_t q[VALUES];
        } act;
        struct {
            float scale[VALUES / HEAD];
            int8_t q[VALUES];
        } keys;
    } out;
};

typedef void run(const struct clsa_simd *simd, struct operands *o,
                 enum clsa_format format);

static void rms_norm(const struct clsa_simd *simd, struct operands *o,
                     enum clsa_format format)
{
    (void)format;
    for (size_t i = 0; i < VALUES; i += WIDTH)
        simd->rms_norm(o->out.y + i, o->x + i, o->z, WIDTH, 1e-6f);
}

static void rms_norm_heads(const struct clsa_simd *simd, struct operands *o,
                           enum clsa_format format)
{
    (void)format;
    for (size_t i = 0; i < VALUES; i += HEAD)
        simd->rms_norm(o->out.y + i, o->x + i, o->z, HEAD, 1e-6f);
}

static void rope(const struct clsa_simd *simd, struct operands *o,
                 enum clsa_format format)
{
    (void)format;
    for (size_t i = 0; i < VALUES; i += HEAD)
        simd->rope(o->out.y + i, o->z, o->z + HEAD / 2, HEAD / 2);
}

static void silu_mul(const struct clsa_simd *simd, struct operands *o,
                     enum clsa_format format)
{
    (void)format;
    simd->silu_mul(o->out.y, o->x, o->z, VALUES);
}

static void gelu_mul(const struct clsa_simd *simd, struct operands *o,
                     enum clsa_format format)
{
    (void)format;
    simd->gelu_mul(o->out.y, o->x, o->z, VALUES);
}

static void softcap(const struct clsa_simd *simd, struct operands *o,
                    enum clsa_format format)
{
    (void)format;
    simd->softcap(o->out.y, VALUES, 30);
}

static void add(const struct clsa_simd *simd, struct operands *o,
                enum clsa_format format)
{
    (void)format;
    simd->add(o->out.y, o->x, VALUES);
}

static void quantize(const struct clsa_simd *simd, struct operands *o,
                     enum clsa_format format)
{
    (void)format;
    simd->quantize(o->out.act.q, o->out.act.d, o->out.act.sum, 1, o->x, VALUES);
}

static void quantize_row(const struct clsa_simd *simd, struct operands *o,
                         enum clsa_format format)
{
    (void)format;
    for (size_t i = 0; i < VALUES / HEAD; i++)
        simd->quantize_row(o->out.keys.q + i * HEAD, o->out.keys.scale + i,
                           o->x + i * HEAD, HEAD, 127.0f);
}

static void rescale(const struct clsa_simd *simd, struct operands *o,
                    enum clsa_format format)
{
    (void)format;
    simd->rescale(o->out.y, TILE, o->sums, TILE, VALUES / TILE, TILE, o->x,
                  o->z, o->sums, 0);
}

/* One score in 64 passes. */
static void filter(const struct clsa_simd *simd, struct operands *o,
                   enum clsa_format format)
{
    (void)format;
    simd->filter(o->out.ranks, o->x, VALUES, 0, 1 - 1 / 32.0f);
}

static void argmax(const struct clsa_simd *simd, struct operands *o,
                   enum clsa_format format)
{
    (void)format;
    o->out.position = simd->argmax(o->x, VALUES);
}

static void softmax(const struct clsa_simd *simd, struct operands *o,
                    enum clsa_format format)
{
    (void)format;
    simd->softmax(o->out.y, o->x, VALUES, 2);
}

static void attend_combine(const struct clsa_simd *simd, struct operands *o,
                           enum clsa_format format)
{
    const size_t heads = VALUES / (PARTS * PART);
    (void)format;
    for (size_t i = 0; i < heads; i++)
        simd->attend_combine(o->out.y + i * HEAD, o->z + i * PARTS * PART,
                             PARTS, PART, HEAD);
}

static void attend_accumulate(const struct clsa_simd *simd, struct operands *o,
                              enum clsa_format format)
{
    (void)format;
    for (size_t i = 0; i < SUMS; i += HEADS * PART)
        simd->attend_accumulate(o->out.y + i, PART, o->z + i, HEADS, HEAD);
}

static void softmax_online(const struct clsa_simd *simd, struct operands *o,
                           enum clsa_format format)
{
    struct online *t = &o->online;
    (void)format;
    simd->softmax_online(o->out.y, QUERIES, t->begin, t->end, t->max, t->sum,
                         t->scale);
}

static void scale_add(const struct clsa_simd *simd, struct operands *o,
                      enum clsa_format format)
{
    (void)format;
    simd->scale_add(o->out.y, o->x, o->z, VALUES / HEAD, HEAD);
}

static void score(const struct clsa_simd *simd, struct operands *o,
                  enum clsa_format format)
{
    const struct clsa_rows rows = {.k = o->rows,
                                   .stride = clsa_format_bytes(format, KEYS),
                                   .n = VALUES / KEYS};
    simd->score[format](o->out.y, o->x, KEYS, &rows);
}

static void load(const struct clsa_simd *simd, struct operands *o,
                 enum clsa_format format)
{
    simd->load[format](o->out.y, o->rows, VALUES);
}

static void store(const struct clsa_simd *simd, struct operands *o,
                  enum clsa_format format)
{
    simd->store[format](o->out.rows, o->x, VALUES);
}

/* Rows of 1024 values of x, sixteen of them. */
enum { TILED = VALUES / CLSA_TILE_X, TILED_PART = TILED / 2, TILED_K = 256 };

static void tile_x(const struct clsa_simd *simd, struct operands *o,
                   enum clsa_format format)
{
    (void)format;
    for (size_t i = 0; i < CLSA_TILE_X; i++)
        simd->tile_x(o->out.rows + i * 64, o->x + i * TILED, TILED);
}

static void tile_w(const struct clsa_simd *simd, struct operands *o,
                   enum clsa_format format)
{
    (void)format;
    simd->tile_w(o->out.rows, o->x, TILED, TILED_PART);
}

/* Rows of bf16, taken as tiles of both. */
static void tile_product(const struct clsa_simd *simd, struct operands *o,
                         enum clsa_format format)
{
    const size_t x_bytes = TILED_K / CLSA_TILE_STEP * CLSA_TILE_BYTES;
    (void)format;
    simd->tile_product(o->out.y, 2 * CLSA_TILE_X, o->rows, x_bytes, o->rows,
                       TILED_K, 0);
}

/* What a pass changes in place, as it was before. */
static void restore(const struct bench_job *job)
{
    struct operands *o = job->operands;
    for (unsigned i = 0; i < job->threads; i++)
        memcpy(o[i].out.y, o[i].x, sizeof o[i].x);
}

/* The same, and the state before the first tile. All keys are seen. */
static void restore_online(const struct bench_job *job)
{
    struct operands *o = job->operands;
    restore(job);
    for (unsigned i = 0; i < job->threads; i++)
        for (size_t j = 0; j < QUERIES; j++) {
            o[i].online.begin[j] = 0;
            o[i].online.end[j] = CLSA_TILE_KEYS;
            o[i].online.max[j] = -INFINITY;
            o[i].online.sum[j] = 0;
        }
}

#define SLOT(name) offsetof(struct clsa_simd, name)
#define SLOTS(name, format)                                                    \
    (offsetof(struct clsa_simd, name) + (format) * sizeof(void (*)(void)))
#define N ((size_t)VALUES)
#define LOAD(name, format)                                                     \
    {                                                                          \
        "load_" name, SLOTS(load, format), format, load, 4 * N, 0, 4 * N, 0,   \
            WIDTH                                                              \
    }
#define SCORE(name, format)                                                    \
    {                                                                          \
        "score_" name, SLOTS(score, format), format, score, 4 * KEYS, 0,       \
            4 * (N / KEYS), 0, KEYS                                            \
    }
#define STORE(name, format)                                                    \
    {                                                                          \
        "store_" name, SLOTS(store, format), format, store, 4 * N, 0, 0, 1,    \
            WIDTH                                                              \
    }

/* `moved`: bytes moved in addition to the rows in the format. out: bytes of
   the output; 0: the bytes of the rows. */
static const struct {
    const char *kernel;
    size_t slot;
    enum clsa_format format;
    run *run;
    size_t moved;
    bool in_place;
    size_t out;
    bool exact;
    size_t width;
} kernels[] = {
    {"rms_norm", SLOT(rms_norm), 0, rms_norm, 8 * N, 0, 4 * N, 0, WIDTH},
    {"rms_norm", SLOT(rms_norm), 0, rms_norm_heads, 8 * N, 0, 4 * N, 0, HEAD},
    {"rope", SLOT(rope), 0, rope, 8 * N, 1, 4 * N, 0, HEAD},
    {"silu_mul", SLOT(silu_mul), 0, silu_mul, 12 * N, 0, 4 * N, 0, VALUES},
    {"gelu_mul", SLOT(gelu_mul), 0, gelu_mul, 12 * N, 0, 4 * N, 0, VALUES},
    {"softcap", SLOT(softcap), 0, softcap, 8 * N, 1, 4 * N, 0, VALUES},
    {"add", SLOT(add), 0, add, 12 * N, 1, 4 * N, 0, VALUES},
    {"quantize", SLOT(quantize), 0, quantize, 5 * N + N / 4, 0,
     sizeof((struct operands *)0)->out.act, 1, VALUES},
    {"quantize_row", SLOT(quantize_row), 0, quantize_row, 5 * N + N / 16, 0,
     sizeof((struct operands *)0)->out.keys, 1, HEAD},
    {"rescale", SLOT(rescale), 0, rescale, 8 * N, 0, 4 * N, 1, TILE},
    {"filter", SLOT(filter), 0, filter, 4 * N, 0, 512, 1, VALUES},
    {"argmax", SLOT(argmax), 0, argmax, 4 * N, 0, sizeof(size_t), 1, VALUES},
    {"softmax", SLOT(softmax), 0, softmax, 8 * N, 0, 4 * N, 0, VALUES},
    {"attend_combine", SLOT(attend_combine), 0, attend_combine,
     4 * N + 4 * N / PARTS, 0, N / (PARTS * PART) * HEAD * 4, 0, HEAD},
    {"attend_accumulate", SLOT(attend_accumulate), 0, attend_accumulate,
     12 * (size_t)SUMS, 1, 4 * (size_t)SUMS, 0, HEAD},
    {"softmax_online", SLOT(softmax_online), 0, softmax_online, 8 * N, 1, 4 * N,
     0, CLSA_TILE_KEYS},
    {"scale_add", SLOT(scale_add), 0, scale_add, 12 * N, 1, 4 * N, 0, HEAD},
    {"tile_x", SLOT(tile_x), 0, tile_x, 6 * N, 0, 2 * N, 1, TILED},
    {"tile_w", SLOT(tile_w), 0, tile_w, 3 * N, 0, N, 1, TILED},
    {"tile_product", SLOT(tile_product), CLSA_BF16, tile_product,
     8 * CLSA_TILE_X *CLSA_TILE_W + (size_t)32 * TILED_K, 0,
     8 * CLSA_TILE_X *CLSA_TILE_W, 0, TILED_K},
    SCORE("f32", CLSA_F32),
    SCORE("f16", CLSA_F16),
    SCORE("bf16", CLSA_BF16),
    SCORE("q8_0", CLSA_Q8_0),
    LOAD("f32", CLSA_F32),
    LOAD("f16", CLSA_F16),
    LOAD("bf16", CLSA_BF16),
    LOAD("q8_0", CLSA_Q8_0),
    LOAD("q4_0", CLSA_Q4_0),
    LOAD("q4_k", CLSA_Q4_K),
    LOAD("q6_k", CLSA_Q6_K),
    LOAD("q4_1", CLSA_Q4_1),
    LOAD("q5_0", CLSA_Q5_0),
    LOAD("q5_1", CLSA_Q5_1),
    LOAD("q2_k", CLSA_Q2_K),
    LOAD("q3_k", CLSA_Q3_K),
    LOAD("q5_k", CLSA_Q5_K),
    LOAD("iq4_nl", CLSA_IQ4_NL),
    LOAD("iq4_xs", CLSA_IQ4_XS),
    STORE("f32", CLSA_F32),
    STORE("f16", CLSA_F16),
    STORE("bf16", CLSA_BF16),
    STORE("q8_0", CLSA_Q8_0),
    STORE("q4_0", CLSA_Q4_0),
};

static void rows_pass(const struct bench_job *job, const struct clsa_simd *simd,
                      unsigned thread, unsigned threads)
{
    struct operands *o = job->operands;
    (void)threads;
    kernels[job->number].run(simd, o + thread, job->format);
}

/* Cosines, then sines: what is rotated again and again keeps its size. */
static void make_rotation(float *z)
{
    for (int i = 0; i < HEAD / 2; i++) {
        z[i] = cosf((float)i);
        z[HEAD / 2 + i] = sinf((float)i);
    }
}

/* Integers within 2^20. */
static void make_sums(int32_t *sums, const float *x)
{
    for (size_t i = 0; i < VALUES; i++)
        sums[i] = (int32_t)(x[i] * 0x1p20f);
}

static const char *rows_name(size_t i)
{
    return kernels[i].kernel;
}

static int open_rows(struct bench_job *job, size_t i)
{
    const enum clsa_format format = kernels[i].format;
    const bool formats = kernels[i].run == load || kernels[i].run == store ||
                         kernels[i].run == score ||
                         kernels[i].run == tile_product;
    const size_t rows = clsa_format_bytes(format, VALUES);
    struct operands *o = calloc(job->threads, sizeof *o);
    job->operands = o;
    if (!o)
        return -1;
    for (unsigned j = 0; j < job->threads; j++) {
        bench_uniform(o[j].x, VALUES, j);
        bench_uniform(o[j].z, VALUES, j + 99);
        if (kernels[i].run == rope)
            make_rotation(o[j].z);
        if (kernels[i].run == rescale)
            make_sums(o[j].sums, o[j].x);
        if (formats)
            bench_fill(o[j].rows, rows, format, WIDTH, 1);
    }
    /* the sums of weights of attend_combine */
    for (unsigned j = 0; j < VALUES; j++)
        if (kernels[i].run == attend_combine && j % PART == PART - 1)
            o[0].z[j] = 1 + o[0].z[j] * o[0].z[j];
    job->kernel = kernels[i].kernel;
    snprintf(job->size, sizeof job->size, "%zu values, %zu a row", N,
             kernels[i].width);
    job->slot = kernels[i].slot;
    job->format = format;
    job->from = BENCH_CACHE;
    job->bytes =
        (double)job->threads * (double)(kernels[i].moved + formats * rows);
    if (kernels[i].run == score) {
        job->units = BENCH_FMA;
        job->macs = (double)job->threads * VALUES;
    }
    job->pass = rows_pass;
    job->out = (unsigned char *)&o->out;
    job->out_bytes = kernels[i].out ? kernels[i].out : rows;
    job->exact = kernels[i].exact;
    job->restore = !kernels[i].in_place               ? NULL
                   : kernels[i].run == softmax_online ? restore_online
                                                      : restore;
    return 0;
}

static void close_rows(struct bench_job *job)
{
    free(job->operands);
}

const struct bench_family bench_rows = {COUNT(kernels), false, rows_name,
                                        open_rows, close_rows};
