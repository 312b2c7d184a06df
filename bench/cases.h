/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cases: what bench/kernels.c times. A family lists its cases; each makes its
 * operands, says what they cost, and does a pass over them.
 */
#ifndef CLSA_BENCH_CASES_H
#define CLSA_BENCH_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/memory.h"
#include "simd/simd.h"

/* What a byte of the case has to come from, and what multiplies. */
enum bench_from { BENCH_MEMORY, BENCH_CACHE, BENCH_ROWS };
enum bench_units { BENCH_MOVES, BENCH_FMA, BENCH_INT8, BENCH_NIBBLES };

struct bench_job;
typedef void bench_pass(const struct bench_job *job,
                        const struct clsa_simd *simd, unsigned thread,
                        unsigned threads);

struct bench_job {
    /* What the family says. */
    const char *kernel;
    char size[64];
    size_t slot; /* offset of the kernel's pointer in struct clsa_simd */
    enum clsa_format format;
    enum bench_from from;
    enum bench_units units;
    unsigned threads;   /* that share a pass */
    double bytes, macs; /* of a pass, all threads together */
    bench_pass *pass;
    void *operands;
    size_t number; /* of the case in its family */
    /* What a pass writes, compared as floats, or bit for bit. */
    unsigned char *out;
    size_t out_bytes;
    bool exact;
    /* Puts operands that a pass changes back; NULL: there are none. */
    void (*restore)(const struct bench_job *job);

    /* From memory: passes take `span` bytes of `memory` in turn. */
    struct bench_buffer *memory;
    size_t span; /* BENCH_ROWS: bytes of a row */

    /* Kept by the frame. */
    size_t turn;            /* number of the pass */
    unsigned char *scratch; /* [threads][CLSA_KERNEL_SCRATCH] */
};

static inline void *bench_scratch(const struct bench_job *job, unsigned thread)
{
    return job->scratch + (size_t)thread * CLSA_KERNEL_SCRATCH;
}

struct bench_family {
    size_t count;
    bool streams; /* cases need job->memory */
    const char *(*name)(size_t i);
    /* Case i for job->threads threads. 0, or -1 for no memory. */
    int (*open)(struct bench_job *job, size_t i);
    void (*close)(struct bench_job *job);
};

extern const struct bench_family bench_products; /* matmul */
extern const struct bench_family bench_scans;
extern const struct bench_family bench_sets; /* topk, gather */
extern const struct bench_family bench_attention;
extern const struct bench_family bench_rows; /* all others, in L2 */

/* The offset of the bytes that a pass reads. */
static inline size_t bench_offset(const struct bench_job *job)
{
    return job->turn % (job->memory->size / job->span) * job->span;
}

/* Rows of `len` values in a format, uniform in -1..1, until the bytes are
   full: 64 of them again and again. bytes is a multiple of a row's. */
void bench_fill(void *data, size_t bytes, enum clsa_format format, size_t len,
                unsigned threads);

/* The first `pattern` bytes, again and again. */
void bench_repeat(void *data, size_t bytes, size_t pattern, unsigned threads);

/* n floats, uniform in -1..1. */
void bench_uniform(float *x, size_t n, uint64_t seed);

#endif /* CLSA_BENCH_CASES_H */
