/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: what the control groups of this process allow: memory, and CPU time.
 * Groups of version 1 and 2, the group of the process and those above it as far
 * as they are mounted; the least of them counts. What cannot be read is no
 * limit. The program uses it as well as the library.
 */
#ifndef CLSA_BASE_CGROUP_H
#define CLSA_BASE_CGROUP_H

#include <stdint.h>

struct clsa_cgroup {
    uint64_t memory; /* bytes that may be in use; UINT64_MAX: any */
    uint64_t left;   /* bytes of them that are free, or used as file cache */
    double cpus;     /* seconds of CPU time a second; INFINITY: any */
};

/* `root`: the folder that /proc and the groups are looked up in; "" for the
   system. */
void clsa_cgroup_read(struct clsa_cgroup *limits, const char *root);

/* Threads that are worth it on `cores` cores, at least 1: no more than get a
   whole CPU each. */
unsigned clsa_cgroup_threads(const struct clsa_cgroup *limits, unsigned cores);

#endif /* CLSA_BASE_CGROUP_H */
