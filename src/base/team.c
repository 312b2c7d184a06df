/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenMP team and its barrier. */
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>

#include "src/base/mem.h"
#include "src/base/numa.h"
#include "src/base/team.h"

/* Spins before a waiting thread gives its core away: far more than a phase
   takes, so that this happens only where threads outnumber cores. */
#define SPINS_BEFORE_YIELD 50000

struct clsa_team {
    unsigned size;
    _Alignas(CLSA_CACHE_LINE) atomic_uint arrived;
    _Alignas(CLSA_CACHE_LINE) atomic_uint generation;
};

clsa_status clsa_team_open(struct clsa_team **team, unsigned threads,
                           clsa_error *error)
{
    if (threads > CLSA_MAX_THREADS)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "%u threads: use 1 to %d, or 0 for one per core",
                         threads, CLSA_MAX_THREADS);
    struct clsa_team *t = clsa_mem_map(sizeof *t);
    if (!t)
        return clsa_fail_memory(error, "the thread team", sizeof *t);
    t->size = threads ? threads : clsa_numa_cores();
    *team = t;
    return CLSA_OK;
}

void clsa_team_close(struct clsa_team *team)
{
    clsa_mem_unmap(team, sizeof *team);
}

unsigned clsa_team_size(const struct clsa_team *team)
{
    return team->size;
}

void clsa_team_run(struct clsa_team *team,
                   void (*work)(void *context, struct clsa_worker *worker),
                   void *context)
{
    atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
#pragma omp parallel num_threads(team->size)
    {
        struct clsa_worker worker = {
            .team = team,
            .id = (unsigned)omp_get_thread_num(),
            .count = (unsigned)omp_get_num_threads(),
        };
        work(context, &worker);
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
        pause_cpu();
        if (spins >= SPINS_BEFORE_YIELD)
            sched_yield();
    }
}
