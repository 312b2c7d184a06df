/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenMP team and where its threads run. */
#include <errno.h>
#include <omp.h>
#include <string.h>

#include "src/base/cgroup.h"
#include "src/base/mem.h"
#include "src/base/team_parts.h"
#include "src/base/threads.h"

/* After so many regions a team with fewer threads tries all again. */
enum { LOOK_AGAIN = 256 };

/* The user's places: every thread looks up the node that it runs on. */
static void query_threads(struct clsa_team *t)
{
#pragma omp parallel num_threads(t->size)
    {
        struct clsa_ids here;
        if (clsa_pin_get(&here))
            t->place[omp_get_thread_num()].node =
                clsa_numa_node_of(t->numa, &here);
    }
}

/* Renumbers the nodes so that those without a thread are left out. */
static void count_nodes(struct clsa_team *t)
{
    for (unsigned i = 0; i < t->size; i++) {
        struct clsa_place *p = &t->place[i];
        unsigned at = 0;
        while (at < t->nodes && t->node[at] != p->node)
            at++;
        if (at == t->nodes)
            t->node[t->nodes++] = p->node;
        p->node = at;
        p->rank = t->ranks[at]++;
    }
}

clsa_status clsa_team_ready(const struct clsa_team *team, clsa_error *error)
{
    static _Thread_local unsigned had; /* the most that this thread started */
    const unsigned limit = (unsigned)omp_get_thread_limit();
    const unsigned size = team->size < limit ? team->size : limit;
    if (size <= had)
        return CLSA_OK;
    const unsigned started = clsa_threads_try(size);
    if (started < size)
        return clsa_fail(error, CLSA_ERR_MEMORY, CLSA_THREADS_REFUSED, started,
                         size, strerror(errno), started);
#pragma omp parallel num_threads(size)
    (void)omp_get_thread_num(); /* OpenMP starts them, and keeps them */
    had = size;
    return CLSA_OK;
}

static clsa_status open_places(struct clsa_team *t, clsa_error *error)
{
    unsigned nodes = clsa_numa_nodes(t->numa);
    t->place = clsa_mem_calloc(t->size, sizeof *t->place);
    t->node = clsa_mem_calloc(nodes, sizeof *t->node);
    t->ranks = clsa_mem_calloc(nodes, sizeof *t->ranks);
    t->scratch = clsa_mem_map(t->size * CLSA_WORKER_SCRATCH);
    t->meeting.seats = t->size;
    t->meeting.seat = clsa_mem_map(t->size * sizeof *t->meeting.seat);
    if (!t->place || !t->node || !t->ranks || !t->scratch || !t->meeting.seat)
        return clsa_fail_memory(error, "the thread team",
                                t->size * CLSA_WORKER_SCRATCH);
    for (unsigned i = 0; i < t->size; i++)
        t->place[i].node =
            clsa_numa_place(t->numa, t->size, i, &t->place[i].cpus);
    if (nodes > 1 && clsa_numa_user_bound(t->numa)) {
        CLSA_TRY(clsa_team_ready(t, error));
        query_threads(t);
    }
    count_nodes(t);
    t->meeting.lends = t->size > 1 && clsa_numa_pins(t->numa);
    return CLSA_OK;
}

unsigned clsa_team_default(const struct clsa_numa *numa)
{
    struct clsa_cgroup cgroup;
    clsa_cgroup_read(&cgroup, "");
    return clsa_cgroup_threads(&cgroup, clsa_numa_cores(numa));
}

clsa_status clsa_team_open(struct clsa_team **team, unsigned threads,
                           const struct clsa_numa *numa, clsa_error *error)
{
    if (threads > CLSA_MAX_THREADS)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "%u threads: use 1 to %d, or 0 for one per core",
                         threads, CLSA_MAX_THREADS);
    struct clsa_team *t = clsa_mem_map(sizeof *t);
    if (!t)
        return clsa_fail_memory(error, "the thread team", sizeof *t);
    t->numa = numa;
    t->size = threads ? threads : clsa_team_default(numa);
    if (t->size > CLSA_MAX_THREADS)
        t->size = CLSA_MAX_THREADS;
    t->now = t->size;
    const clsa_status status = open_places(t, error);
    if (status)
        clsa_team_close(t);
    else
        *team = t;
    return status;
}

void clsa_team_close(struct clsa_team *team)
{
    clsa_mem_free(team->place);
    clsa_mem_free(team->node);
    clsa_mem_free(team->ranks);
    clsa_mem_unmap(team->scratch, team->size * CLSA_WORKER_SCRATCH);
    clsa_mem_unmap(team->meeting.seat, team->size * sizeof *team->meeting.seat);
    clsa_mem_unmap(team, sizeof *team);
}

unsigned clsa_team_size(const struct clsa_team *team)
{
    return team->size;
}

unsigned clsa_team_nodes(const struct clsa_team *team)
{
    return team->nodes;
}

unsigned clsa_team_node_of(const struct clsa_team *team, unsigned id)
{
    return team->place[id].node;
}

unsigned clsa_team_os_node(const struct clsa_team *team, unsigned node)
{
    return clsa_numa_os_node(team->numa, team->node[node]);
}

void clsa_team_bind(const struct clsa_team *team, void *memory, size_t size,
                    unsigned node)
{
    if (team->nodes > 1)
        clsa_numa_bind(team->numa, memory, size, team->node[node]);
}

/* The thread of this region as a worker. A runtime that gives fewer threads
   than asked for leaves nodes without any: then there is one node for all. */
static struct clsa_worker this_worker(struct clsa_team *team)
{
    struct clsa_worker w = {
        .team = team,
        .id = (unsigned)omp_get_thread_num(),
        .count = (unsigned)omp_get_num_threads(),
    };
    w.scratch = team->scratch + w.id * CLSA_WORKER_SCRATCH;
    if (w.count == team->size && team->nodes > 1) {
        const struct clsa_place *place = &team->place[w.id];
        w.node = place->node;
        w.nodes = team->nodes;
        w.rank = place->rank;
        w.ranks = team->ranks[place->node];
    }
    return w;
}

/* The number of the last loop of a region: a step that is stopped may end a
   few loops earlier for some threads than for others. */
static void keep_loop(struct clsa_team *team, uint64_t loop)
{
    uint64_t last = atomic_load_explicit(&team->loop, memory_order_relaxed);
    while (last < loop && !atomic_compare_exchange_weak_explicit(
                              &team->loop, &last, loop, memory_order_relaxed,
                              memory_order_relaxed))
        ;
}

/* A process may lose CPUs while it runs. As many threads as there are CPUs are
   faster than threads that take turns, the more as OpenMP's spin between two
   regions: it has counted CPUs once. */
static void count_cpus(struct clsa_team *team)
{
    const unsigned cpus = atomic_load(&team->meeting.left_over);
    team->now = cpus > 0 && cpus < team->size ? cpus : team->size;
}

void clsa_team_run(struct clsa_team *team,
                   void (*work)(void *context, struct clsa_worker *worker),
                   void *context)
{
    struct clsa_meeting *m = &team->meeting;
    const uint64_t loop = team->loop;
    m->region++;
    if (m->region % LOOK_AGAIN == 0)
        team->now = team->size;
    const bool whole = team->now == team->size;
    atomic_store_explicit(&m->left_over, 0, memory_order_relaxed);
    atomic_store_explicit(&m->done, 0, memory_order_relaxed);
    atomic_store_explicit(&m->left, 0, memory_order_relaxed);
#pragma omp parallel num_threads(team->now)
    {
        struct clsa_worker worker = this_worker(team);
        struct clsa_turn turn = {.loop = loop};
        worker.turn = &turn;
        clsa_seat_take(m, &m->seat[worker.id], &team->place[worker.id].cpus);
        work(context, &worker);
        keep_loop(team, turn.loop);
        clsa_seat_leave(m, worker.id, worker.count);
    }
    if (whole)
        count_cpus(team);
}
