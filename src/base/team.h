/* SPDX-License-Identifier: Apache-2.0 */
/*
 * team: the threads of a model. One OpenMP parallel region per step; inside
 * of it all threads run the same function, take fixed shares of the work of
 * each phase, and meet at spinning barriers. No fork and join per matrix.
 *
 * Work is cut into units whose results do not depend on who computes them, so
 * any number of threads gives the same bits.
 */
#ifndef CLSA_BASE_TEAM_H
#define CLSA_BASE_TEAM_H

#include <stddef.h>

#include "src/base/status.h"

#define CLSA_MAX_THREADS 1024

struct clsa_team;

/* One thread inside of clsa_team_run. */
struct clsa_worker {
    struct clsa_team *team;
    unsigned id;    /* 0 .. count - 1; 0 is the caller's thread */
    unsigned count; /* threads that run */
};

/* `threads` 1..CLSA_MAX_THREADS; 0: one per physical core the process may
   use. */
clsa_status clsa_team_open(struct clsa_team **team, unsigned threads,
                           clsa_error *error);
void clsa_team_close(struct clsa_team *team);

/* The most threads that will run. */
unsigned clsa_team_size(const struct clsa_team *team);

/* Run `work` on all threads; returns when all are done. Not reentrant. */
void clsa_team_run(struct clsa_team *team,
                   void (*work)(void *context, struct clsa_worker *worker),
                   void *context);

/* Wait for all threads; what they wrote before is seen by all after it. */
void clsa_barrier(const struct clsa_worker *worker);

/* This thread's share [*begin, *end) of n units: contiguous, even. */
static inline void clsa_share(const struct clsa_worker *worker, size_t n,
                              size_t *begin, size_t *end)
{
    size_t each = n / worker->count, rest = n % worker->count;
    size_t id = worker->id;
    *begin = id * each + (id < rest ? id : rest);
    *end = *begin + each + (id < rest);
}

#endif /* CLSA_BASE_TEAM_H */
