/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numa: the machine as a model uses it: the cores that its threads may run on
 * and the memory nodes that its pages are bound to, as hwloc sees them within
 * the affinity and the cgroup of the process. Without hwloc, or where hwloc is
 * refused, the machine counts as one node.
 *
 * Nodes are numbered 0 .. nodes - 1 here: those that have memory, have a core
 * of their own and were asked for. Cores of a node without memory work for
 * another node. One node means that nothing is ever bound.
 *
 * Immutable once open; any thread may query it.
 */
#ifndef CLSA_BASE_NUMA_H
#define CLSA_BASE_NUMA_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/pin.h"
#include "src/base/status.h"

struct clsa_numa;

/*
 * Look at the machine. `option`: NULL or "auto"; "off": one node, no thread
 * pinned; or a list of node numbers of the system such as "0,2-3".
 */
clsa_status clsa_numa_open(struct clsa_numa **numa, const char *option,
                           clsa_error *error);
void clsa_numa_close(struct clsa_numa *numa);

/* Physical cores of all nodes that this process may use: at least 1. */
unsigned clsa_numa_cores(const struct clsa_numa *numa);

/* Nodes in use, at least 1, and the system's number of one of them. */
unsigned clsa_numa_nodes(const struct clsa_numa *numa);
unsigned clsa_numa_os_node(const struct clsa_numa *numa, unsigned node);

/* One line about what the system refused, or "". */
const char *clsa_numa_notice(const struct clsa_numa *numa);

/*
 * The node for thread i of `threads`, and the CPUs to pin it to: a core for
 * each where there are as many threads as cores, else all CPUs of the node,
 * and none (cpus->any false) where these are all that the process may use.
 */
unsigned clsa_numa_place(const struct clsa_numa *numa, unsigned threads,
                         unsigned i, struct clsa_ids *cpus);

/* Whether threads are pinned, and may be moved. */
bool clsa_numa_pins(const struct clsa_numa *numa);

/* True where the user has bound the threads of OpenMP: nothing is pinned. */
bool clsa_numa_user_bound(const struct clsa_numa *numa);

/* The node that CPUs belong to: the node of the first core among them. */
unsigned clsa_numa_node_of(const struct clsa_numa *numa,
                           const struct clsa_ids *cpus);

/* Let whole pages that nothing has touched yet lie on a node. A wish: where the
   node is full, pages lie elsewhere. */
void clsa_numa_bind(const struct clsa_numa *numa, void *memory, size_t size,
                    unsigned node);

#endif /* CLSA_BASE_NUMA_H */
