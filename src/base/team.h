/* SPDX-License-Identifier: Apache-2.0 */
/*
 * team: the threads of a model. One OpenMP parallel region per step; inside
 * of it all threads run the same function, take fixed shares of the work of
 * each phase, and meet at spinning barriers. No fork and join per matrix.
 *
 * Work is cut into units whose results do not depend on who computes them, so
 * any number of threads gives the same bits.
 *
 * Threads are pinned while a region runs, each by itself on entry, and get
 * back on exit what they had: OpenMP shares its threads with the program that
 * uses the library, and thread 0 is the caller's own.
 */
#ifndef CLSA_BASE_TEAM_H
#define CLSA_BASE_TEAM_H

#include <stddef.h>

#include "src/base/numa.h"

#define CLSA_MAX_THREADS 1024

struct clsa_team;

/* One thread inside of clsa_team_run. */
struct clsa_worker {
    struct clsa_team *team;
    unsigned id;          /* 0 .. count - 1; 0 is the caller's thread */
    unsigned count;       /* threads that run */
    unsigned node, nodes; /* its memory node of those of the team; 0: one */
    unsigned rank, ranks; /* its place among the threads of its node */
};

/* `threads` 1..CLSA_MAX_THREADS; 0: one per core of the machine, which has to
   outlive the team. */
clsa_status clsa_team_open(struct clsa_team **team, unsigned threads,
                           const struct clsa_numa *numa, clsa_error *error);
void clsa_team_close(struct clsa_team *team);

/* Memory nodes that have threads, at least 1. */
unsigned clsa_team_nodes(const struct clsa_team *team);

/* Node of a thread of a team that runs in full. */
unsigned clsa_team_node_of(const struct clsa_team *team, unsigned id);

/* The system's number of a node. */
unsigned clsa_team_os_node(const struct clsa_team *team, unsigned node);

/* Let whole pages that nothing has touched yet lie on a node. Does nothing
   where there is one. */
void clsa_team_bind(const struct clsa_team *team, void *memory, size_t size,
                    unsigned node);

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

/* Rows of a matrix are shared out in units of this many, a block of every
   format. */
#define CLSA_SHARE_ROWS 32

/* This thread's rows [*begin, *end) of a matrix of `rows` rows. */
static inline void clsa_share_rows(const struct clsa_worker *worker,
                                   size_t rows, size_t *begin, size_t *end)
{
    clsa_share(worker, (rows + CLSA_SHARE_ROWS - 1) / CLSA_SHARE_ROWS, begin,
               end);
    *begin *= CLSA_SHARE_ROWS;
    *end *= CLSA_SHARE_ROWS;
    if (*end > rows)
        *end = rows;
    if (*begin > *end)
        *begin = *end;
}

/*
 * As clsa_share, for n units of memory that lies in pages of `each` units, page
 * p on node p % nodes: a worker takes units of its own node only. Its share is
 * counted within those units; clsa_share_unit says which ones they are. With
 * one node this is clsa_share.
 */
static inline void clsa_share_pages(const struct clsa_worker *worker, size_t n,
                                    size_t each, size_t *begin, size_t *end)
{
    struct clsa_worker local = {.id = worker->rank, .count = worker->ranks};
    if (worker->nodes < 2) {
        clsa_share(worker, n, begin, end);
        return;
    }
    size_t full = n / each, rest = n % each, nodes = worker->nodes;
    size_t units = (full / nodes + (worker->node < full % nodes)) * each;
    if (full % nodes == worker->node)
        units += rest;
    clsa_share(&local, units, begin, end);
}

static inline size_t clsa_share_unit(const struct clsa_worker *worker,
                                     size_t each, size_t i)
{
    if (worker->nodes < 2)
        return i;
    return (i / each * worker->nodes + worker->node) * each + i % each;
}

#endif /* CLSA_BASE_TEAM_H */
