/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: CPU name from /proc/cpuinfo where it has one, else the machine
 * type of uname. Memory nodes from /sys, memory from /proc and the control
 * groups.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "src/base/cgroup.h"
#include "src/base/minmax.h"
#include "src/cli/library.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"

/* Value of a "model name : VALUE" line, or NULL. */
static const char *cpuinfo_value(char *line)
{
    if (strncmp(line, "model name", 10) != 0)
        return NULL;
    char *value = strchr(line, ':');
    if (!value)
        return NULL;
    value += 1 + strspn(value + 1, " \t");
    value[strcspn(value, "\n")] = '\0';
    return value;
}

void cli_machine_cpu(char *name, size_t capacity)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    struct utsname system;
    const char *value = NULL;
    snprintf(name, capacity, "%s",
             uname(&system) == 0 ? system.machine : "unknown");
    char line[512];
    while (file && !value && fgets(line, sizeof line, file))
        value = cpuinfo_value(line);
    if (value)
        snprintf(name, capacity, "%s", value);
    if (file)
        fclose(file);
}

/* The number after `name` in a file of the system; UINT64_MAX if none. */
static uint64_t system_number(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    uint64_t value = UINT64_MAX, found;
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        if (sscanf(line + strlen(name), "%" SCNu64, &found) == 1)
            value = found;
        break;
    }
    if (file)
        fclose(file);
    return value;
}

uint64_t cli_machine_available(void)
{
    uint64_t available = system_number("/proc/meminfo", "MemAvailable:");
    struct clsa_cgroup cgroup;
    clsa_cgroup_read(&cgroup, "");
    available = available == UINT64_MAX ? UINT64_MAX : available * 1024;
    return clsa_min_u64(cgroup.left, available);
}

int cli_machine_fits(const char *what, uint64_t bytes)
{
    uint64_t available = cli_machine_available();
    if (bytes <= available)
        return CLI_DONE;
    return cli_fail("%s: %.1f GiB do not fit into the %.1f GiB of free memory: "
                    "use smaller sizes or types",
                    what, (double)bytes / 1073741824,
                    (double)available / 1073741824);
}

uint64_t cli_machine_resident(void)
{
    uint64_t kib = system_number("/proc/self/status", "VmRSS:");
    return kib == UINT64_MAX ? 0 : kib * 1024;
}

/* Names of the levels, "ref avx2". */
static int level_names(struct cli_text *names)
{
    const char *const *level = clsa_simd_levels();
    for (; *level; level++) {
        if (names->size > 0)
            CLI_TRY(cli_text_add(names, " ", 1));
        CLI_TRY(cli_text_add(names, *level, strlen(*level)));
    }
    return CLI_DONE;
}

static json_t *level_list(void)
{
    const char *const *level = clsa_simd_levels();
    json_t *list = json_array();
    for (; *level; level++)
        json_array_append_new(list, json_string(*level));
    return list;
}

/* The numbers of the memory nodes, "0-1"; one where the system has no list. */
static void node_list(char *nodes, size_t capacity)
{
    FILE *file = fopen("/sys/devices/system/node/has_memory", "r");
    if (!file || !fgets(nodes, (int)capacity, file))
        snprintf(nodes, capacity, "0");
    nodes[strcspn(nodes, "\n")] = '\0';
    if (file)
        fclose(file);
}

/* Bytes as people read them. */
static void size_text(char text[32], uint64_t bytes)
{
    const bool large = bytes >> 30;
    snprintf(text, 32, "%.1f %s", (double)bytes / (large ? 0x1p30 : 0x1p20),
             large ? "GiB" : "MiB");
}

/* The lines of cores, threads, nodes and memory; limits that are lower than the
   machine are named. */
static void print_resources(uint64_t memory)
{
    const uint32_t cores = clsa_core_count(), threads = clsa_default_threads();
    const uint64_t limit = clsa_default_memory();
    struct clsa_cgroup cgroup;
    char size[32], nodes[256];
    clsa_cgroup_read(&cgroup, "");
    printf("cores    %u\nthreads  %u", cores, threads);
    if (threads < cores || cgroup.cpus < 1)
        printf(" (CPU quota of the control group: %.2f)", cgroup.cpus);
    node_list(nodes, sizeof nodes);
    size_text(size, memory);
    printf("\nnodes    %s\nmemory   %s", nodes, size);
    size_text(size, limit);
    if (limit < memory)
        printf(" (limit of the control group: %s)", size);
    printf("\n");
}

static int print_json(const struct cli_common *common, const char *cpu,
                      long cpus, uint64_t memory)
{
    const char *path = cli_model_path(common);
    char nodes[256];
    node_list(nodes, sizeof nodes);
    return cli_json_print(json_pack(
        "[{ss so sI sI sI ss sI sI so so sb}]", "version", clsa_version(),
        "cpu", cli_json_text(cpu), "cpus", (json_int_t)cpus, "cores",
        (json_int_t)clsa_core_count(), "threads",
        (json_int_t)clsa_default_threads(), "nodes", nodes, "memory",
        (json_int_t)memory, "memory_limit", (json_int_t)clsa_default_memory(),
        "simd", level_list(), "model", cli_json_text(path), "model_present",
        access(path, R_OK) == 0));
}

int cli_machine_print(const struct cli_common *common)
{
    const char *path = cli_model_path(common);
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    const uint64_t memory = (uint64_t)pages * (uint64_t)size;
    struct cli_text names = {0};
    char cpu[256];
    cli_machine_cpu(cpu, sizeof cpu);
    if (common->json)
        return print_json(common, cpu, cpus, memory);
    int status = level_names(&names);
    if (!status) {
        printf("version  %s\ncpu      %s\ncpus     %ld\n", clsa_version(), cpu,
               cpus);
        print_resources(memory);
        printf("simd     %s\nmodel    %s%s\n", names.data, path,
               access(path, R_OK) == 0 ? "" : " (not there)");
    }
    cli_text_free(&names);
    return status;
}
