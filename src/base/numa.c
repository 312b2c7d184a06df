/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine through hwloc, and what is left of it without. What hwloc loads
 * is what the cgroup allows; the affinity of the calling thread (taskset), or
 * the places that the user gave to OpenMP, narrow it down to usable CPUs.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/numa.h"

#ifdef HAVE_HWLOC
#include <hwloc.h>
#endif

/* A core that threads may run on, and the node it works for. */
struct core {
    struct clsa_ids cpus;
    unsigned node;
};

struct node {
    struct clsa_ids cpus; /* of its cores */
    unsigned os_node;
    unsigned cores;
};

struct clsa_numa {
    unsigned nodes, cores;
    struct node *node;      /* [nodes], at least one */
    struct core *core;      /* [cores], by node */
    struct clsa_ids usable; /* CPUs of the process */
    bool pins;              /* threads are pinned */
    bool by_user;           /* OpenMP was told where its threads run */
#ifdef HAVE_HWLOC
    hwloc_topology_t topology;
#endif
    char notice[200];
};

/* Adds to the notice; parts are joined by "; ". */
static void note(struct clsa_numa *numa, const char *format, ...)
    CLSA_PRINTF(2, 3);
static void note(struct clsa_numa *numa, const char *format, ...)
{
    size_t used = strlen(numa->notice), left = sizeof numa->notice - used;
    va_list arguments;
    if (used && left > 2) {
        snprintf(numa->notice + used, left, "; ");
        used += 2;
        left -= 2;
    }
    va_start(arguments, format);
    vsnprintf(numa->notice + used, left, format, arguments);
    va_end(arguments);
}

/* A list such as "0,2-3"; false when it is none. */
static bool parse_list(const char *text, struct clsa_ids *ids)
{
    memset(ids, 0, sizeof *ids);
    for (;;) {
        char *end;
        unsigned long first, last;
        if (*text < '0' || *text > '9')
            return false;
        first = last = strtoul(text, &end, 10);
        if (*end == '-' && end[1] >= '0' && end[1] <= '9')
            last = strtoul(end + 1, &end, 10);
        if (first > last || last >= CLSA_MAX_IDS)
            return false;
        for (; first <= last; first++)
            clsa_ids_add(ids, (unsigned)first);
        if (*end == 0)
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
}

/* CPUs that the process may use, as far as the system tells. */
static void find_usable(struct clsa_numa *numa)
{
    numa->by_user = clsa_pin_by_user(&numa->usable);
    if (!numa->usable.any)
        clsa_pin_get(&numa->usable);
}

/* One node with all usable CPUs, its cores not known one by one. */
static clsa_status one_node(struct clsa_numa *numa, clsa_error *error)
{
    int cpus = omp_get_num_procs();
    if (!numa->node)
        numa->node = clsa_mem_calloc(1, sizeof *numa->node);
    if (!numa->node)
        return clsa_fail_memory(error, "a memory node", sizeof *numa->node);
    clsa_mem_free(numa->core);
    numa->core = NULL;
    numa->nodes = 1;
    numa->cores = cpus > 0 ? (unsigned)cpus : 1;
    return CLSA_OK;
}

#ifdef HAVE_HWLOC

static void add_bitmap(struct clsa_ids *ids, hwloc_const_bitmap_t bitmap)
{
    for (unsigned i = 0; i < CLSA_MAX_IDS / CLSA_ID_BITS; i++) {
        ids->bits[i] |= hwloc_bitmap_to_ith_ulong(bitmap, i);
        ids->any = ids->any || ids->bits[i];
    }
}

static void intersect(struct clsa_ids *ids, const struct clsa_ids *with)
{
    ids->any = false;
    for (unsigned i = 0; i < CLSA_MAX_IDS / CLSA_ID_BITS; i++) {
        ids->bits[i] &= with->bits[i];
        ids->any = ids->any || ids->bits[i];
    }
}

/* CPUs of an object that this process may use. */
static struct clsa_ids cpus_of(const struct clsa_numa *numa, hwloc_obj_t object)
{
    struct clsa_ids cpus = {.any = false};
    add_bitmap(&cpus, object->cpuset);
    if (numa->usable.any && hwloc_topology_is_thissystem(numa->topology))
        intersect(&cpus, &numa->usable);
    return cpus;
}

/* Cores, or CPUs where the machine does not tell its cores. */
static hwloc_obj_type_t core_type(const struct clsa_numa *numa)
{
    return hwloc_get_nbobjs_by_type(numa->topology, HWLOC_OBJ_CORE) > 0
               ? HWLOC_OBJ_CORE
               : HWLOC_OBJ_PU;
}

/* hwloc prints a line if Linux shows it no CPUs (no /sys). */
static bool is_shown(void)
{
#ifdef __linux__
    static const char *const sources[] = {"HWLOC_SYNTHETIC", "HWLOC_XMLFILE",
                                          "HWLOC_FSROOT"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (getenv(sources[i]))
            return true;
    return access("/sys/bus/cpu/devices", R_OK) == 0 ||
           access("/sys/devices/system/cpu", R_OK) == 0;
#else
    return true;
#endif
}

static bool load_topology(struct clsa_numa *numa)
{
    if (!is_shown() || hwloc_topology_init(&numa->topology)) {
        numa->topology = NULL;
        return false;
    }
    hwloc_topology_set_cache_types_filter(numa->topology,
                                          HWLOC_TYPE_FILTER_KEEP_NONE);
    return hwloc_topology_load(numa->topology) == 0;
}

/* The nodes that have memory and are wanted (NULL: all). */
static clsa_status find_nodes(struct clsa_numa *numa,
                              const struct clsa_ids *wanted, clsa_error *error)
{
    int n = hwloc_get_nbobjs_by_type(numa->topology, HWLOC_OBJ_NUMANODE);
    numa->node = clsa_mem_calloc(n > 0 ? (size_t)n : 1, sizeof *numa->node);
    if (!numa->node)
        return clsa_fail_memory(error, "memory nodes",
                                (size_t)n * sizeof *numa->node);
    for (int i = 0; i < n; i++) {
        hwloc_obj_t object = hwloc_get_obj_by_type(
            numa->topology, HWLOC_OBJ_NUMANODE, (unsigned)i);
        if (object->attr->numanode.local_memory == 0 ||
            (wanted && !clsa_ids_has(wanted, object->os_index)))
            continue;
        numa->node[numa->nodes].os_node = object->os_index;
        numa->nodes++;
    }
    return CLSA_OK;
}

/* The node beside a core; `nodes` where none of them is. */
static unsigned local_node(const struct clsa_numa *numa, hwloc_obj_t core)
{
    unsigned i = 0;
    while (i < numa->nodes &&
           !hwloc_bitmap_isset(core->nodeset, numa->node[i].os_node))
        i++;
    return i;
}

static unsigned fewest_cores(const struct clsa_numa *numa)
{
    unsigned best = 0;
    for (unsigned i = 1; i < numa->nodes; i++)
        if (numa->node[i].cores < numa->node[best].cores)
            best = i;
    return best;
}

/*
 * The usable cores, those beside the nodes first. With `all`, cores without a
 * node beside them are dealt to the nodes evenly; else they are not used.
 */
static void find_cores(struct clsa_numa *numa, bool all)
{
    hwloc_obj_type_t type = core_type(numa);
    int n = hwloc_get_nbobjs_by_type(numa->topology, type);
    for (int far = 0; far <= all; far++)
        for (int i = 0; i < n; i++) {
            hwloc_obj_t object =
                hwloc_get_obj_by_type(numa->topology, type, (unsigned)i);
            struct core core = {.cpus = cpus_of(numa, object),
                                .node = local_node(numa, object)};
            if (!core.cpus.any || (core.node == numa->nodes) != far)
                continue;
            if (far)
                core.node = fewest_cores(numa);
            numa->node[core.node].cores++;
            numa->core[numa->cores++] = core;
        }
}

/* Sorts the cores by node and leaves out nodes without any. */
static void order_cores(struct clsa_numa *numa, struct core *from)
{
    unsigned nodes = 0, cores = 0;
    memcpy(from, numa->core, numa->cores * sizeof *from);
    for (unsigned i = 0; i < numa->nodes; i++) {
        if (numa->node[i].cores == 0)
            continue;
        struct node *node = &numa->node[nodes];
        *node = numa->node[i];
        for (unsigned j = 0; j < numa->cores; j++) {
            if (from[j].node != i)
                continue;
            for (unsigned b = 0; b < CLSA_MAX_IDS / CLSA_ID_BITS; b++)
                node->cpus.bits[b] |= from[j].cpus.bits[b];
            node->cpus.any = true;
            numa->core[cores] = from[j];
            numa->core[cores++].node = nodes;
        }
        nodes++;
    }
    numa->nodes = nodes;
}

static clsa_status find_all(struct clsa_numa *numa,
                            const struct clsa_ids *wanted, clsa_error *error)
{
    int n = hwloc_get_nbobjs_by_type(numa->topology, core_type(numa));
    size_t capacity = n > 0 ? (size_t)n : 1;
    CLSA_TRY(find_nodes(numa, wanted, error));
    numa->core = clsa_mem_calloc(capacity, sizeof *numa->core);
    struct core *from = clsa_mem_calloc(capacity, sizeof *from);
    if (!numa->core || !from) {
        clsa_mem_free(from);
        return clsa_fail_memory(error, "cores", capacity * sizeof *from);
    }
    if (numa->nodes) {
        find_cores(numa, !wanted);
        order_cores(numa, from);
    }
    clsa_mem_free(from);
    return CLSA_OK;
}

/* Binds a page to each node, to see whether the system lets us. */
static bool binds(const struct clsa_numa *numa, int *reason)
{
    bool granted = true;
    for (unsigned i = 0; granted && i < numa->nodes; i++) {
        void *page = clsa_mem_map(1);
        hwloc_obj_t node = hwloc_get_numanode_obj_by_os_index(
            numa->topology, numa->node[i].os_node);
        granted = page && hwloc_set_area_membind(
                              numa->topology, page, 1, node->nodeset,
                              HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET) == 0;
        *reason = errno;
        clsa_mem_unmap(page, 1);
    }
    return granted;
}

/* All cores work for one node, which is bound nowhere. */
static void merge_nodes(struct clsa_numa *numa)
{
    for (unsigned i = 0; i < numa->cores; i++)
        numa->core[i].node = 0;
    numa->nodes = 1;
    numa->node[0].cpus = numa->usable;
}

static void check_binding(struct clsa_numa *numa)
{
    int reason = 0;
    if (numa->nodes > 1 && !binds(numa, &reason)) {
        note(numa,
             "memory cannot be bound to NUMA nodes (%s): the system places it",
             strerror(reason));
        merge_nodes(numa);
    }
    numa->pins = !numa->by_user && numa->usable.any &&
                 hwloc_topology_is_thissystem(numa->topology);
    if (numa->pins && !clsa_pin_set(&numa->usable)) {
        note(numa, "threads cannot be pinned to cores (%s)", strerror(errno));
        numa->pins = false;
    }
}

static clsa_status look(struct clsa_numa *numa, const struct clsa_ids *wanted,
                        bool off, clsa_error *error)
{
    if (!load_topology(numa)) {
        note(numa, "hwloc cannot read the machine: nothing is placed");
        return one_node(numa, error);
    }
    CLSA_TRY(find_all(numa, wanted, error));
    if (wanted && numa->nodes != clsa_ids_count(wanted))
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option numa: each node of the list must have memory "
                         "and a core that this process may use");
    if (numa->cores == 0)
        return one_node(numa, error);
    if (off)
        merge_nodes(numa);
    else
        check_binding(numa);
    return CLSA_OK;
}

void clsa_numa_bind(const struct clsa_numa *numa, void *memory, size_t size,
                    unsigned node)
{
    if (numa->nodes < 2)
        return;
    hwloc_obj_t object = hwloc_get_numanode_obj_by_os_index(
        numa->topology, numa->node[node].os_node);
    hwloc_set_area_membind(numa->topology, memory, size, object->nodeset,
                           HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET);
}

static void close_topology(struct clsa_numa *numa)
{
    if (numa->topology)
        hwloc_topology_destroy(numa->topology);
}

#else /* no hwloc */

/* More than one node with memory, as Linux says: "0" or "0-1,3". */
static bool several_nodes(void)
{
    char list[64] = "";
    FILE *file = fopen("/sys/devices/system/node/has_memory", "r");
    if (file) {
        if (!fgets(list, sizeof list, file))
            list[0] = 0;
        fclose(file);
    }
    return strpbrk(list, ",-") != NULL;
}

static clsa_status look(struct clsa_numa *numa, const struct clsa_ids *wanted,
                        bool off, clsa_error *error)
{
    if (!off && (wanted || several_nodes()))
        note(numa, "this build has no hwloc: nothing is placed on NUMA nodes");
    return one_node(numa, error);
}

void clsa_numa_bind(const struct clsa_numa *numa, void *memory, size_t size,
                    unsigned node)
{
    (void)numa, (void)memory, (void)size, (void)node;
}

static void close_topology(struct clsa_numa *numa)
{
    (void)numa;
}

#endif

clsa_status clsa_numa_open(struct clsa_numa **numa, const char *option,
                           clsa_error *error)
{
    bool off = option && strcmp(option, "off") == 0;
    bool list = option && !off && strcmp(option, "auto") != 0;
    struct clsa_ids wanted;
    if (list && !parse_list(option, &wanted))
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option numa: '%s': use auto, off, or nodes such as "
                         "0,2-3",
                         option);
    struct clsa_numa *n = clsa_mem_calloc(1, sizeof *n);
    if (!n)
        return clsa_fail_memory(error, "the machine", sizeof *n);
    find_usable(n);
    clsa_status status = look(n, list ? &wanted : NULL, off, error);
    if (status) {
        clsa_numa_close(n);
        return status;
    }
    *numa = n;
    return CLSA_OK;
}

void clsa_numa_close(struct clsa_numa *numa)
{
    if (!numa)
        return;
    close_topology(numa);
    clsa_mem_free(numa->node);
    clsa_mem_free(numa->core);
    clsa_mem_free(numa);
}

unsigned clsa_numa_cores(const struct clsa_numa *numa)
{
    return numa->cores;
}

unsigned clsa_numa_nodes(const struct clsa_numa *numa)
{
    return numa->nodes;
}

unsigned clsa_numa_os_node(const struct clsa_numa *numa, unsigned node)
{
    return numa->node[node].os_node;
}

const char *clsa_numa_notice(const struct clsa_numa *numa)
{
    return numa->notice;
}

unsigned clsa_numa_place(const struct clsa_numa *numa, unsigned threads,
                         unsigned i, struct clsa_ids *cpus)
{
    const struct core *core =
        numa->core ? &numa->core[(size_t)i * numa->cores / threads] : NULL;
    unsigned node = core ? core->node : 0;
    memset(cpus, 0, sizeof *cpus);
    if (!numa->pins)
        return node;
    *cpus = core && threads == numa->cores ? core->cpus : numa->node[node].cpus;
    if (clsa_ids_equal(cpus, &numa->usable))
        memset(cpus, 0, sizeof *cpus);
    return node;
}

bool clsa_numa_pins(const struct clsa_numa *numa)
{
    return numa->pins;
}

bool clsa_numa_user_bound(const struct clsa_numa *numa)
{
    return numa->by_user;
}

unsigned clsa_numa_node_of(const struct clsa_numa *numa,
                           const struct clsa_ids *cpus)
{
    for (unsigned i = 0; numa->core && i < numa->cores; i++)
        for (unsigned b = 0; b < CLSA_MAX_IDS / CLSA_ID_BITS; b++)
            if (numa->core[i].cpus.bits[b] & cpus->bits[b])
                return numa->core[i].node;
    return 0;
}
