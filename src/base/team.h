/* SPDX-License-Identifier: Apache-2.0 */
/*
 * team: the threads of a model. One OpenMP parallel region per step; inside
 * of it all workers run the same function, whose work they share in loops
 * (loop.h). No fork and join per matrix.
 *
 * The result of a work item does not depend on the worker that computes it, so
 * any number of threads gives the same bits.
 *
 * Threads are pinned while a region runs, each by itself on entry, and get
 * back on exit what they had: OpenMP shares its threads with the program that
 * uses the library, and thread 0 is the caller's own.
 */
#ifndef CLSA_BASE_TEAM_H
#define CLSA_BASE_TEAM_H

#include <stddef.h>

#include "src/base/minmax.h"
#include "src/base/numa.h"

#define CLSA_MAX_THREADS 1024

/* Bytes for what would be large on a stack: threads may have 64 KiB of it, or
   the 128 KiB of musl. What is there does not outlast an item. */
#define CLSA_WORKER_SCRATCH ((size_t)128 << 10)

struct clsa_team;
struct clsa_turn;

/* One thread inside of clsa_team_run. */
struct clsa_worker {
    struct clsa_team *team;
    unsigned id;            /* 0 .. count - 1; 0 is the caller's thread */
    unsigned count;         /* threads that run */
    unsigned node, nodes;   /* its memory node in the team; nodes 0: one */
    unsigned rank, ranks;   /* its place among the threads of its node */
    struct clsa_turn *turn; /* how far it is; NULL: alone, in a test */
    uint64_t *waited;       /* gets the ns that it waits for other threads at
                               the ends of loops; NULL: not measured */
    void *scratch;          /* [CLSA_WORKER_SCRATCH] of its own, at a page */
};

/* Threads of a team that is not told how many: one per core, no more than the
   CPU quota of the control group keeps busy. */
unsigned clsa_team_default(const struct clsa_numa *numa);

/* `threads` 1..CLSA_MAX_THREADS; 0: the default of the machine, which has to
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

/* Whether the calling thread can run the team: it has the threads, or the
   system lets it start them. Due before clsa_team_run, and before files are
   made. */
clsa_status clsa_team_ready(const struct clsa_team *team, clsa_error *error);

/* The most threads that will run. */
unsigned clsa_team_size(const struct clsa_team *team);

/* Run `work` on all threads; returns when all have come back from it. Not
   reentrant. */
void clsa_team_run(struct clsa_team *team,
                   void (*work)(void *context, struct clsa_worker *worker),
                   void *context);

/* The range [*begin, *end) of worker `id` of `count` of n work items:
   contiguous, even. */
static inline void clsa_share(unsigned id, unsigned count, size_t n,
                              size_t *begin, size_t *end)
{
    size_t each = n / count, rest = n % count;
    *begin = id * each + clsa_min(id, rest);
    *end = *begin + each + (id < rest);
}

/* Rows of a matrix in a work item: a block of every format. */
#define CLSA_SHARE_ROWS 32

/* Work items of a matrix of `rows` rows. */
static inline size_t clsa_row_items(size_t rows)
{
    return (rows + CLSA_SHARE_ROWS - 1) / CLSA_SHARE_ROWS;
}

/* The same as rows: [*begin, *end) of items become rows. */
static inline void clsa_item_rows(size_t rows, size_t *begin, size_t *end)
{
    *begin *= CLSA_SHARE_ROWS;
    *end = clsa_min(*end * CLSA_SHARE_ROWS, rows);
}

#endif /* CLSA_BASE_TEAM_H */
