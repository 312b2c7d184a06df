/* SPDX-License-Identifier: Apache-2.0 */
/* Counting cores through hwloc. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <omp.h>

#include "src/base/numa.h"

#ifdef HAVE_HWLOC
#include <hwloc.h>

/* Cores of the topology with at least one CPU in `allowed`. */
static unsigned cores_within(hwloc_topology_t topology, hwloc_cpuset_t allowed)
{
    unsigned count = 0;
    int n = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
    for (int i = 0; i < n; i++) {
        hwloc_obj_t core =
            hwloc_get_obj_by_type(topology, HWLOC_OBJ_CORE, (unsigned)i);
        if (core && hwloc_bitmap_intersects(core->cpuset, allowed))
            count++;
    }
    return count;
}

static unsigned hwloc_cores(void)
{
    hwloc_topology_t topology;
    unsigned count = 0;
    if (hwloc_topology_init(&topology))
        return 0;
    hwloc_cpuset_t allowed = hwloc_bitmap_alloc();
    if (allowed && hwloc_topology_load(topology) == 0 &&
        hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_PROCESS) == 0)
        count = cores_within(topology, allowed);
    hwloc_bitmap_free(allowed);
    hwloc_topology_destroy(topology);
    return count;
}
#else
static unsigned hwloc_cores(void)
{
    return 0;
}
#endif

unsigned clsa_numa_cores(void)
{
    unsigned cores = hwloc_cores();
    int usable = omp_get_num_procs(); /* CPUs, after affinity */
    if (cores == 0 || (usable > 0 && cores > (unsigned)usable))
        cores = usable > 0 ? (unsigned)usable : 1;
    return cores;
}
