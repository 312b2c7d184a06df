/* SPDX-License-Identifier: Apache-2.0 */
/*
 * team: threads and clocks of the benchmarks. Work is started on all threads
 * at once and ends with the last of them.
 */
#ifndef CLSA_BENCH_TEAM_H
#define CLSA_BENCH_TEAM_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds of a clock that only goes forward. */
double bench_now(void);

/* Median of n > 0 values, which are sorted by it. */
double bench_median(double *values, size_t n);

/* The smallest of n >= 1 values. */
double bench_least(const double *values, size_t n);

/* One thread's range of the work; thread < threads. */
typedef void bench_work(void *context, unsigned thread, unsigned threads);

/* Runs the work on `threads` threads; seconds from start to end. */
double bench_run(unsigned threads, bench_work *work, void *context);

/* The fastest of `repeats` runs, 1 to BENCH_REPEATS, after one that does not
   count: a peak is what the machine can do, and others slow some runs down. */
#define BENCH_REPEATS 31
double bench_time(unsigned threads, bench_work *work, void *context,
                  unsigned repeats);

/*
 * Measurements ask this between their runs and end early where it returns 1:
 * their results mean nothing then, and the caller has to ask again before it
 * uses them. NULL, as at the start: never.
 */
void bench_stop_when(bool (*asked)(void));
bool bench_is_stopped(void);

/* This thread's range [*begin, *end) of n work items: contiguous, even. */
static inline void bench_share(unsigned thread, unsigned threads, size_t n,
                               size_t *begin, size_t *end)
{
    *begin = n / threads * thread + n % threads * thread / threads;
    *end = n / threads * (thread + 1) + n % threads * (thread + 1) / threads;
}

#endif /* CLSA_BENCH_TEAM_H */
