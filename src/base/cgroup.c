/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups through their files. /proc/self/mountinfo tells where they are
 * mounted, /proc/self/cgroup which group is ours:
 *
 *   ID PARENT DEVICE ROOT MOUNT OPTIONS [FIELD]... - TYPE SOURCE SUPER_OPTIONS
 *   ID:CONTROLLERS:GROUP
 *
 * ROOT is the group that MOUNT shows, in a container often the container's own.
 */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/cgroup.h"
#include "src/base/minmax.h"

enum { LINE = 8192, PATH = 4096 };

/* Lines and paths, too long for small stacks. */
struct texts {
    char line[LINE]; /* of mountinfo */
    char shown[PATH], mount[PATH], options[PATH];
    char entry[LINE]; /* of the list of our groups */
    char group[PATH], path[3 * PATH];
};

/* Where a controller is found, and the names of its files. */
struct hierarchy {
    const char *type, *controller; /* of mountinfo; NULL: version 2 */
    void (*read)(struct clsa_cgroup *limits, const char *group);
    bool found;
};

/* ------------------------------------------------------------------ files */

static FILE *open_in(const char *folder, const char *name)
{
    char path[PATH];
    const int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && n < PATH ? fopen(path, "r") : NULL;
}

/* The number in a file, after `key` at the start of a line; UINT64_MAX if there
   is none, which the texts "max" and "-1" mean as well. */
static uint64_t number_in(const char *folder, const char *name, const char *key)
{
    FILE *file = open_in(folder, name);
    uint64_t value = UINT64_MAX;
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        const char *text = line + strlen(key);
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        if (*text >= '0' && *text <= '9')
            value = strtoull(text, NULL, 10);
        break;
    }
    if (file)
        fclose(file);
    return value;
}

/* ----------------------------------------------------------------- limits */

/* `cached`: bytes of the group that hold files. */
static void add_memory(struct clsa_cgroup *limits, uint64_t limit,
                       uint64_t used, uint64_t cached)
{
    if (limit == UINT64_MAX)
        return;
    limits->memory = clsa_min_u64(limits->memory, limit);
    if (used == UINT64_MAX)
        used = 0;
    used -= cached < used ? cached : 0;
    limits->left =
        clsa_min_u64(limits->left, limit - clsa_min_u64(used, limit));
}

static void add_quota(struct clsa_cgroup *limits, uint64_t quota,
                      uint64_t period)
{
    if (quota != UINT64_MAX && period != UINT64_MAX && period > 0)
        limits->cpus = fmin(limits->cpus, (double)quota / (double)period);
}

/* Above memory.high a group is slowed down until it hardly moves. */
static void read_v2(struct clsa_cgroup *limits, const char *group)
{
    const uint64_t most = number_in(group, "memory.max", ""),
                   high = number_in(group, "memory.high", "");
    FILE *file = open_in(group, "cpu.max");
    uint64_t quota, period;
    add_memory(limits, clsa_min_u64(most, high),
               number_in(group, "memory.current", ""),
               number_in(group, "memory.stat", "file "));
    if (file && fscanf(file, "%" SCNu64 " %" SCNu64, &quota, &period) == 2)
        add_quota(limits, quota, period);
    if (file)
        fclose(file);
}

static void read_memory(struct clsa_cgroup *limits, const char *group)
{
    add_memory(limits, number_in(group, "memory.limit_in_bytes", ""),
               number_in(group, "memory.usage_in_bytes", ""),
               number_in(group, "memory.stat", "total_cache "));
}

static void read_cpu(struct clsa_cgroup *limits, const char *group)
{
    add_quota(limits, number_in(group, "cpu.cfs_quota_us", ""),
              number_in(group, "cpu.cfs_period_us", ""));
}

/* ----------------------------------------------------------------- groups */

/* Whether a list such as "rw,cpu,cpuacct" names a controller. */
static bool has_name(const char *list, const char *name)
{
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (n == strlen(name) && strncmp(list, name, n) == 0)
            return true;
    }
    return false;
}

/* The group of this process in a hierarchy; "/" where nothing is said. */
static void find_group(const char *root, const struct hierarchy *h,
                       struct texts *t)
{
    FILE *file = open_in(root, "proc/self/cgroup");
    char *line = t->entry;
    strcpy(t->group, "/");
    while (file && fgets(line, sizeof t->entry, file)) {
        char *list = strchr(line, ':'), *path = list;
        if (!list || !(path = strchr(++list, ':')))
            continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        if ((h->controller ? has_name(list, h->controller) : !*list) &&
            strlen(path) < PATH)
            strcpy(t->group, path);
    }
    if (file)
        fclose(file);
}

/* \040 and the like, as mountinfo writes blanks. */
static void unescape(char *text)
{
    char *to = text;
    while (*text) {
        unsigned c;
        if (*text == '\\' && sscanf(text + 1, "%3o", &c) == 1 &&
            strlen(text) >= 4) {
            *to++ = (char)c;
            text += 4;
        } else {
            *to++ = *text++;
        }
    }
    *to = 0;
}

/* The part of a group's path below the group that a mount shows; "" if our
   group lies elsewhere, as it does in a namespace of its own. */
static const char *below(const char *group, const char *shown)
{
    const size_t n = strcmp(shown, "/") == 0 ? 0 : strlen(shown);
    if (strncmp(group, shown, n) != 0 || (group[n] && group[n] != '/') ||
        strncmp(group, "/..", 3) == 0)
        return "";
    return group + n;
}

/* Reads our group and all above it, up to the mount. */
static void climb(struct clsa_cgroup *limits, const char *root,
                  const struct hierarchy *h, struct texts *t)
{
    char *path = t->path;
    find_group(root, h, t);
    const int n = snprintf(path, sizeof t->path, "%s%s", root, t->mount);
    if (n < 0 || (size_t)n + PATH > sizeof t->path)
        return;
    strcpy(path + n, below(t->group, t->shown));
    for (char *end;;) {
        h->read(limits, path);
        if (!path[n] || !(end = strrchr(path + n, '/')))
            return;
        *end = 0;
    }
}

/* A line of mountinfo: the first mount of each hierarchy is ours. */
static void read_mount(struct clsa_cgroup *limits, const char *root,
                       struct texts *t, struct hierarchy *hierarchies)
{
    char type[16];
    const char *rest = strstr(t->line, " - ");
    if (!rest ||
        sscanf(t->line, "%*s %*s %*s %4095s %4095s", t->shown, t->mount) != 2 ||
        sscanf(rest, " - %15s %*s %4095s", type, t->options) != 2)
        return;
    unescape(t->shown);
    unescape(t->mount);
    for (struct hierarchy *h = hierarchies; h->type; h++)
        if (!h->found && strcmp(type, h->type) == 0 &&
            (!h->controller || has_name(t->options, h->controller))) {
            h->found = true;
            climb(limits, root, h, t);
        }
}

void clsa_cgroup_read(struct clsa_cgroup *limits, const char *root)
{
    struct hierarchy hierarchies[] = {{"cgroup2", NULL, read_v2, false},
                                      {"cgroup", "memory", read_memory, false},
                                      {"cgroup", "cpu", read_cpu, false},
                                      {0}};
    FILE *file = open_in(root, "proc/self/mountinfo");
    struct texts *t = malloc(sizeof *t);
    *limits = (struct clsa_cgroup){UINT64_MAX, UINT64_MAX, INFINITY};
    while (file && t && fgets(t->line, sizeof t->line, file))
        read_mount(limits, root, t, hierarchies);
    free(t);
    if (file)
        fclose(file);
}

unsigned clsa_cgroup_threads(const struct clsa_cgroup *limits, unsigned cores)
{
    if (limits->cpus >= (double)cores)
        return cores;
    return limits->cpus < 1 ? 1 : (unsigned)limits->cpus;
}
