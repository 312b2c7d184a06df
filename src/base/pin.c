/* SPDX-License-Identifier: Apache-2.0 */
/* Affinity through the calls of Linux, and what OpenMP was told. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/pin.h"

#ifdef HAVE_SCHED_SETAFFINITY
bool clsa_pin_get(struct clsa_ids *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    cpus->any =
        sched_getaffinity(0, sizeof cpus->bits, (cpu_set_t *)cpus->bits) == 0;
    return cpus->any;
}

bool clsa_pin_thread(long thread, const struct clsa_ids *cpus)
{
    return sched_setaffinity((pid_t)thread, sizeof cpus->bits,
                             (const cpu_set_t *)cpus->bits) == 0;
}
#else
bool clsa_pin_get(struct clsa_ids *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    return false;
}

bool clsa_pin_thread(long thread, const struct clsa_ids *cpus)
{
    (void)thread, (void)cpus;
    return false;
}
#endif

bool clsa_pin_set(const struct clsa_ids *cpus)
{
    return clsa_pin_thread(0, cpus);
}

static void add_place(struct clsa_ids *cpus, int place)
{
    int ids[CLSA_MAX_IDS], n = omp_get_place_num_procs(place);
    if (n < 1 || n > CLSA_MAX_IDS)
        return;
    omp_get_place_proc_ids(place, ids);
    for (int i = 0; i < n; i++)
        clsa_ids_add(cpus, (unsigned)ids[i]);
}

bool clsa_pin_by_user(struct clsa_ids *cpus)
{
    static const char *const names[] = {"OMP_PLACES", "OMP_PROC_BIND",
                                        "GOMP_CPU_AFFINITY", "KMP_AFFINITY"};
    bool set = false;
    memset(cpus, 0, sizeof *cpus);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        set = set || getenv(names[i]);
    for (int i = 0; set && i < omp_get_num_places(); i++)
        add_place(cpus, i);
    return set;
}
