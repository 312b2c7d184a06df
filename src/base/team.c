/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenMP team and its barrier. */
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>

#include "src/base/mem.h"
#include "src/base/team.h"

/* Spins before a waiting thread gives its CPU away: far more than a phase
   takes. Where threads outnumber CPUs the one that is waited for may need this
   CPU, so that a thread gives it away at once. */
#define SPINS_BEFORE_YIELD 50000

/* Where a thread of the team runs. */
struct place {
    struct clsa_ids cpus; /* it is pinned to; none: not pinned */
    unsigned node, rank;
};

struct clsa_team {
    unsigned size, nodes;
    unsigned spins; /* of a waiting thread before it gives its CPU away */
    const struct clsa_numa *numa;
    struct place *place; /* [size] */
    unsigned *node;      /* [nodes] number of the machine's node */
    unsigned *ranks;     /* [nodes] threads of the node */
    _Alignas(CLSA_CACHE_LINE) atomic_uint arrived;
    _Alignas(CLSA_CACHE_LINE) atomic_uint generation;
};

/* The user's places: every thread says on which node it finds itself. */
static void ask_threads(struct clsa_team *t)
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
        struct place *p = &t->place[i];
        unsigned at = 0;
        while (at < t->nodes && t->node[at] != p->node)
            at++;
        if (at == t->nodes)
            t->node[t->nodes++] = p->node;
        p->node = at;
        p->rank = t->ranks[at]++;
    }
}

static bool open_places(struct clsa_team *t)
{
    unsigned nodes = clsa_numa_nodes(t->numa);
    t->place = clsa_mem_calloc(t->size, sizeof *t->place);
    t->node = clsa_mem_calloc(nodes, sizeof *t->node);
    t->ranks = clsa_mem_calloc(nodes, sizeof *t->ranks);
    if (!t->place || !t->node || !t->ranks)
        return false;
    for (unsigned i = 0; i < t->size; i++)
        t->place[i].node =
            clsa_numa_place(t->numa, t->size, i, &t->place[i].cpus);
    if (nodes > 1 && clsa_numa_user_bound(t->numa))
        ask_threads(t);
    count_nodes(t);
    return true;
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
    t->size = threads ? threads : clsa_numa_cores(numa);
    if (t->size > CLSA_MAX_THREADS)
        t->size = CLSA_MAX_THREADS;
    if (t->size <= clsa_numa_cores(numa) ||
        t->size <= (unsigned)omp_get_num_procs())
        t->spins = SPINS_BEFORE_YIELD;
    if (!open_places(t)) {
        const size_t size = t->size * sizeof *t->place;
        clsa_team_close(t);
        return clsa_fail_memory(error, "the thread team", size);
    }
    *team = t;
    return CLSA_OK;
}

void clsa_team_close(struct clsa_team *team)
{
    clsa_mem_free(team->place);
    clsa_mem_free(team->node);
    clsa_mem_free(team->ranks);
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
    if (w.count == team->size && team->nodes > 1) {
        const struct place *place = &team->place[w.id];
        w.node = place->node;
        w.nodes = team->nodes;
        w.rank = place->rank;
        w.ranks = team->ranks[place->node];
    }
    return w;
}

void clsa_team_run(struct clsa_team *team,
                   void (*work)(void *context, struct clsa_worker *worker),
                   void *context)
{
    atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
#pragma omp parallel num_threads(team->size)
    {
        struct clsa_worker worker = this_worker(team);
        const struct clsa_ids *cpus = &team->place[worker.id].cpus;
        struct clsa_ids before;
        bool pinned = cpus->any && clsa_pin_get(&before) &&
                      !clsa_ids_equal(&before, cpus) && clsa_pin_set(cpus);
        work(context, &worker);
        if (pinned)
            clsa_pin_set(&before);
    }
}

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void clsa_barrier(const struct clsa_worker *worker)
{
    struct clsa_team *t = worker->team;
    if (worker->count == 1)
        return;
    unsigned now = atomic_load_explicit(&t->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) ==
        worker->count - 1) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&t->generation, now + 1, memory_order_release);
        return;
    }
    for (unsigned spins = 0;
         atomic_load_explicit(&t->generation, memory_order_acquire) == now;
         spins++) {
        if (spins < t->spins)
            pause_cpu();
        else
            sched_yield();
    }
}
