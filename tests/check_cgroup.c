/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of control groups, read from made-up trees: the layouts of version 1
 * and 2, of hosts and of containers; what is broken or missing is no limit. And
 * the defaults that follow from limits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/cgroup.h"
#include "tests/suite.h"

#define MIB (UINT64_C(1) << 20)

static char root[] = "cgroup-XXXXXX";
static struct clsa_cgroup found;

/* A file of the tree, with the folders that it lies in. */
static void put(const char *path, const char *text)
{
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *at = full; (at = strchr(at + 1, '/'));) {
        *at = 0;
        mkdir(full, 0777);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_root(void)
{
    strcpy(root, "cgroup-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

static void read_tree(void)
{
    clsa_cgroup_read(&found, root);
}

#define V2_HOST                                                                \
    "25 30 0:23 / /proc rw - proc proc rw\n"                                   \
    "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 "        \
    "rw,nsdelegate\n"

START_TEST(test_v2_own_group)
{
    put("proc/self/mountinfo", V2_HOST);
    put("proc/self/cgroup", "0::/user.slice/run-1.scope\n");
    put("sys/fs/cgroup/user.slice/run-1.scope/memory.max", "52428800\n");
    put("sys/fs/cgroup/user.slice/run-1.scope/memory.current", "20971520\n");
    put("sys/fs/cgroup/user.slice/run-1.scope/memory.stat",
        "anon 10485760\nfile 10485760\n");
    put("sys/fs/cgroup/user.slice/run-1.scope/cpu.max", "150000 100000\n");
    put("sys/fs/cgroup/other/memory.max", "1048576\n");
    read_tree();
    ck_assert_uint_eq(found.memory, 50 * MIB);
    ck_assert_uint_eq(found.left, 40 * MIB);
    ck_assert_double_eq(found.cpus, 1.5);
}
END_TEST

/* The strictest group counts, each limit for itself. */
START_TEST(test_v2_groups_above)
{
    put("proc/self/mountinfo", V2_HOST);
    put("proc/self/cgroup", "0::/a/b/c\n");
    put("sys/fs/cgroup/a/memory.max", "104857600\n");
    put("sys/fs/cgroup/a/cpu.max", "400000 100000\n");
    put("sys/fs/cgroup/a/b/memory.max", "max\n");
    put("sys/fs/cgroup/a/b/memory.high", "94371840\n");
    put("sys/fs/cgroup/a/b/cpu.max", "25000 50000\n");
    put("sys/fs/cgroup/a/b/c/memory.max", "209715200\n");
    put("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    read_tree();
    ck_assert_uint_eq(found.memory, 90 * MIB);
    ck_assert_double_eq(found.cpus, 0.5);
}
END_TEST

/* In a container with a namespace of its own the mount is the group. */
START_TEST(test_v2_container)
{
    put("proc/self/mountinfo", V2_HOST);
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/memory.max", "1073741824\n");
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    read_tree();
    ck_assert_uint_eq(found.memory, 1024 * MIB);
    ck_assert_double_eq(found.cpus, 2);
}
END_TEST

#define V1_MOUNTS(group)                                                       \
    "33 24 0:28 " group " /sys/fs/cgroup/cpu,cpuacct rw master:9 - cgroup "    \
    "cgroup rw,cpu,cpuacct\n"                                                  \
    "34 24 0:29 " group " /sys/fs/cgroup/cpuset rw - cgroup cgroup "           \
    "rw,cpuset\n"                                                              \
    "35 24 0:30 " group " /sys/fs/cgroup/memory rw - cgroup cgroup "           \
    "rw,memory\n"

START_TEST(test_v1_host)
{
    put("proc/self/mountinfo", V1_MOUNTS("/"));
    put("proc/self/cgroup",
        "5:memory:/jobs/7\n4:cpuset:/x\n3:cpu,cpuacct:/quota\n0::/\n");
    put("sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes",
        "9223372036854771712\n");
    put("sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "67108864\n");
    put("sys/fs/cgroup/memory/jobs/memory.usage_in_bytes", "33554432\n");
    put("sys/fs/cgroup/memory/jobs/memory.stat",
        "cache 4096\nrss 1\ntotal_cache 16777216\n");
    put("sys/fs/cgroup/cpu,cpuacct/quota/cpu.cfs_quota_us", "250000\n");
    put("sys/fs/cgroup/cpu,cpuacct/quota/cpu.cfs_period_us", "100000\n");
    read_tree();
    ck_assert_uint_eq(found.memory, 64 * MIB);
    ck_assert_uint_eq(found.left, 48 * MIB);
    ck_assert_double_eq(found.cpus, 2.5);
}
END_TEST

/* The mount shows the container's group, which /proc names as on the host. */
START_TEST(test_v1_container)
{
    put("proc/self/mountinfo", V1_MOUNTS("/docker/0af3"));
    put("proc/self/cgroup", "5:memory:/docker/0af3\n3:cpuacct,cpu:/docker/"
                            "0af3/inner\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "52428800\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us", "50000\n");
    put("sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_period_us", "100000\n");
    read_tree();
    ck_assert_uint_eq(found.memory, 50 * MIB);
    ck_assert_uint_eq(found.left, 50 * MIB);
    ck_assert_double_eq(found.cpus, 0.5);
}
END_TEST

/* Controllers of version 1 beside an empty tree of version 2, a mount with a
   blank in its name, and a group that is not below what the mount shows. */
START_TEST(test_hybrid)
{
    put("proc/self/mountinfo",
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "35 31 0:32 /pod /my\\040groups/memory rw - cgroup cgroup rw,memory\n");
    put("proc/self/cgroup", "4:memory:/../elsewhere\n0::/\n");
    put("my groups/memory/memory.limit_in_bytes", "31457280\n");
    read_tree();
    ck_assert_uint_eq(found.memory, 30 * MIB);
    ck_assert_double_eq(found.cpus, INFINITY);
}
END_TEST

/* No /proc, no mount, no files, or nonsense in them: no limits. */
START_TEST(test_nothing)
{
    static const char *const mounts[] = {
        NULL, "", "29 23 0:26 / /sys/fs/cgroup rw\n", "- - - -\n", V2_HOST};
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        if (mounts[i])
            put("proc/self/mountinfo", mounts[i]);
        read_tree();
        ck_assert_uint_eq(found.memory, UINT64_MAX);
        ck_assert_uint_eq(found.left, UINT64_MAX);
        ck_assert_double_eq(found.cpus, INFINITY);
    }
    put("proc/self/cgroup", "nonsense\n0::\n::\n");
    put("sys/fs/cgroup/memory.max", "\n");
    put("sys/fs/cgroup/cpu.max", "100000 0\n");
    read_tree();
    ck_assert_uint_eq(found.memory, UINT64_MAX);
    ck_assert_double_eq(found.cpus, INFINITY);
}
END_TEST

START_TEST(test_threads)
{
    static const struct {
        double cpus;
        unsigned cores, threads;
    } cases[] = {{INFINITY, 8, 8}, {0.5, 8, 1}, {1, 8, 1},  {1.99, 8, 1},
                 {2, 8, 2},        {2.5, 2, 2}, {64, 8, 8}, {0, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct clsa_cgroup limits = {.cpus = cases[i].cpus};
        ck_assert_uint_eq(clsa_cgroup_threads(&limits, cases[i].cores),
                          cases[i].threads);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cgroup");
    TCase *tests = tcase_create("cgroup");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, make_root, remove_root);
    tcase_add_test(tests, test_v2_own_group);
    tcase_add_test(tests, test_v2_groups_above);
    tcase_add_test(tests, test_v2_container);
    tcase_add_test(tests, test_v1_host);
    tcase_add_test(tests, test_v1_container);
    tcase_add_test(tests, test_hybrid);
    tcase_add_test(tests, test_nothing);
    tcase_add_test(tests, test_threads);
    return suite_run(suite, CK_FORK_GETENV);
}
