/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timing of one kernel: samples of as many calls as last 0.2 ms, the median
 * of 15 of them. Good for a ratio between levels within one run.
 */
#include <stdlib.h>
#include <time.h>

#include "tests/kernels/kernels.h"

#define SAMPLES   15
#define SAMPLE_NS 2e5
#define MOST      (1u << 20)

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sample(const struct clsa_simd *table, unsigned calls,
                     void (*run)(const struct clsa_simd *, void *), void *arg)
{
    const double start = now();
    for (unsigned i = 0; i < calls; i++)
        run(table, arg);
    return now() - start;
}

void test_time(struct test *t, void (*run)(const struct clsa_simd *, void *),
               void *arg)
{
    double ns[SAMPLES];
    unsigned calls = 1;

    while (calls < MOST && sample(t->simd, calls, run, arg) < SAMPLE_NS)
        calls *= 2;
    for (int i = 0; i < SAMPLES; i++)
        ns[i] = sample(t->simd, calls, run, arg) / calls;
    qsort(ns, SAMPLES, sizeof ns[0], ascending);
    t->ns = ns[SAMPLES / 2];
}
