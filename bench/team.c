/* SPDX-License-Identifier: Apache-2.0 */
/* Threads by OpenMP, whose barriers spin. */
#include <omp.h>
#include <stdlib.h>
#include <time.h>

#include "bench/team.h"

static bool (*stop_asked)(void);

void bench_stop_when(bool (*asked)(void))
{
    stop_asked = asked;
}

bool bench_is_stopped(void)
{
    return stop_asked && stop_asked();
}

double bench_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double bench_least(const double *values, size_t n)
{
    double least = values[0];
    for (size_t i = 1; i < n; i++)
        least = values[i] < least ? values[i] : least;
    return least;
}

double bench_run(unsigned threads, bench_work *work, void *context)
{
    double start = 0, end = 0;
#pragma omp parallel num_threads(threads)
    {
#pragma omp barrier
#pragma omp master
        start = bench_now();
#pragma omp barrier
        work(context, (unsigned)omp_get_thread_num(),
             (unsigned)omp_get_num_threads());
#pragma omp barrier
#pragma omp master
        end = bench_now();
    }
    return end - start;
}

double bench_time(unsigned threads, bench_work *work, void *context,
                  unsigned repeats)
{
    unsigned i = 0;
    bench_run(threads, work, context);
    double seconds[BENCH_REPEATS];
    do
        seconds[i++] = bench_run(threads, work, context);
    while (i < repeats && !bench_is_stopped());
    return bench_least(seconds, i);
}
