/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numa: what hwloc knows of the machine. Without hwloc, or where it is
 * refused, the machine counts as one node with the CPUs that the process may
 * use.
 */
#ifndef CLSA_BASE_NUMA_H
#define CLSA_BASE_NUMA_H

/* Physical cores that this process may use (affinity, cgroups): at least 1. */
unsigned clsa_numa_cores(void);

#endif /* CLSA_BASE_NUMA_H */
