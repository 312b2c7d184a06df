/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: CPU name from /proc/cpuinfo where it has one, else the machine
 * type of uname. Memory nodes from /sys, memory from /proc and the control
 * group.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "src/cli/engine.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"

/* Value of a "model name : VALUE" line, or NULL. */
static const char *cpuinfo_value(char *line)
{
    char *value;

    if (strncmp(line, "model name", 10) != 0)
        return NULL;
    value = strchr(line, ':');
    if (value == NULL)
        return NULL;
    value += 1 + strspn(value + 1, " \t");
    value[strcspn(value, "\n")] = '\0';
    return value;
}

void cli_machine_cpu(char *name, size_t capacity)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    struct utsname system;
    char line[512];
    const char *value = NULL;

    snprintf(name, capacity, "%s",
             uname(&system) == 0 ? system.machine : "unknown");
    while (file != NULL && value == NULL && fgets(line, sizeof line, file))
        value = cpuinfo_value(line);
    if (value != NULL)
        snprintf(name, capacity, "%s", value);
    if (file != NULL)
        fclose(file);
}

/* The number behind `name` in a file of the system, UINT64_MAX: none. */
static uint64_t system_number(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    uint64_t value = UINT64_MAX, found;
    char line[256];

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        if (sscanf(line + strlen(name), "%" SCNu64, &found) == 1)
            value = found;
        break;
    }
    if (file != NULL)
        fclose(file);
    return value;
}

uint64_t cli_machine_available(void)
{
    uint64_t available = system_number("/proc/meminfo", "MemAvailable:");
    uint64_t limit = system_number("/sys/fs/cgroup/memory.max", "");
    uint64_t used = system_number("/sys/fs/cgroup/memory.current", "");
    uint64_t cached = system_number("/sys/fs/cgroup/memory.stat", "file ");

    available = available == UINT64_MAX ? UINT64_MAX : available * 1024;
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return available;
    used -= cached < used ? cached : 0;
    limit -= used < limit ? used : limit;
    return limit < available ? limit : available;
}

int cli_machine_fits(const char *what, uint64_t bytes)
{
    uint64_t available = cli_machine_available();

    if (bytes <= available)
        return CLI_DONE;
    return cli_fail("%s: %.1f GiB do not fit into the %.1f GiB of memory that "
                    "are free: use smaller sizes or types",
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

    for (; *level != NULL; level++) {
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

    for (; *level != NULL; level++)
        json_array_append_new(list, json_string(*level));
    return list;
}

/* The numbers of the memory nodes, "0-1"; one where the system has no list. */
static void node_list(char *nodes, size_t capacity)
{
    FILE *file = fopen("/sys/devices/system/node/has_memory", "r");

    if (file == NULL || fgets(nodes, (int)capacity, file) == NULL)
        snprintf(nodes, capacity, "0");
    nodes[strcspn(nodes, "\n")] = '\0';
    if (file != NULL)
        fclose(file);
}

int cli_machine_print(const struct cli_common *common)
{
    const char *path = cli_model_path(common);
    int present = access(path, R_OK) == 0;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    uint64_t memory = (uint64_t)pages * (uint64_t)size;
    struct cli_text names = {0};
    char cpu[256], nodes[256];
    int status;

    cli_machine_cpu(cpu, sizeof cpu);
    node_list(nodes, sizeof nodes);
    if (common->json)
        return cli_json_print(json_pack(
            "[{ss so sI sI ss sI so so sb}]", "version", clsa_version(), "cpu",
            cli_json_text(cpu), "cpus", (json_int_t)cpus, "cores",
            (json_int_t)clsa_core_count(), "nodes", nodes, "memory",
            (json_int_t)memory, "simd", level_list(), "model",
            cli_json_text(path), "model_present", present));
    status = level_names(&names);
    if (status == CLI_DONE)
        printf("version  %s\ncpu      %s\ncpus     %ld\n"
               "cores    %u\nnodes    %s\n"
               "memory   %.1f GiB\nsimd     %s\nmodel    %s%s\n",
               clsa_version(), cpu, cpus, clsa_core_count(), nodes,
               (double)memory / 1073741824, names.data, path,
               present ? "" : " (not there)");
    cli_text_free(&names);
    return status;
}
