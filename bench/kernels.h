/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels: times the kernels of simd.h on all threads, one case after another,
 * at every level that has a version of its own, and beside each the limit of
 * the machine that the case runs into: samples of both are taken in turns, so
 * that a share is a ratio of one moment.
 *
 * After a level is timed its outputs are poisoned, made once more, and compared
 * with the outputs of the scalar version. Used by `clsa bench kernels`.
 */
#ifndef CLSA_BENCH_KERNELS_H
#define CLSA_BENCH_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

struct bench_kernel_result {
    const char *kernel, *level;
    char size[64];
    unsigned threads;
    double ns;         /* median of one pass of all threads over the case */
    double gbs;        /* bytes that have to be moved, in that time */
    double gflops;     /* two for each multiply-add, float or integer */
    const char *limit; /* what bounds it: memory, L2, fma, int8, ... */
    double peak;       /* of the limit: GB/s, or GFLOP/s for arithmetic */
    double share;      /* of the peak */
    double speedup;    /* over level ref */
};

/* Receives each result; true ends the run. */
typedef bool bench_report(void *context,
                          const struct bench_kernel_result *result);

struct bench_kernels_request {
    unsigned threads;
    const char *top;    /* the highest level to run */
    const char *filter; /* a part of the kernels' names, NULL: all */
    bench_report *report;
    void *context;
};

enum bench_outcome {
    BENCH_DONE,
    BENCH_NO_MEMORY,
    BENCH_NO_KERNEL, /* no name contains the filter */
    BENCH_DIFFERS,   /* a result differs from ref */
    BENCH_ENDED      /* by the report */
};

/* *wrong receives the kernel of BENCH_DIFFERS. */
enum bench_outcome bench_kernels(const struct bench_kernels_request *request,
                                 struct bench_kernel_result *wrong);

#endif /* CLSA_BENCH_KERNELS_H */
