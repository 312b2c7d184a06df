/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded machines (tests/data/machines, made by make_machines.py): the
 * default number of threads, the memory nodes that a model uses, and the node
 * of each thread. Without hwloc nothing of this can be tried: status 77.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/cgroup.h"
#include "src/base/numa.h"
#include "tests/suite.h"

/* `each`, `two`: the system's node of each thread, one digit a thread, of one
   per core and of two threads. */
struct machine {
    const char *name;
    const char *option; /* numa */
    unsigned cores, nodes;
    const char *each, *two;
};

static const struct machine machines[] = {
    /* Cores count, not their hardware threads. */
    {"desktop", NULL, 8, 1, "00000000", "00"},
    {"two-sockets", NULL, 16, 2, "0000000011111111", "01"},
    {"two-sockets", "1", 8, 1, "11111111", "11"},
    {"two-sockets", "off", 16, 1, "0000000000000000", "00"},
    /* Cores of both kinds; work is shared out again while it is done. */
    {"hybrid", NULL, 14, 1, "00000000000000", "00"},
    /* Cores without memory beside them work for the node that has some. */
    {"bare-node", NULL, 8, 1, "00000000", "00"},
    {"no-node", NULL, 8, 1, "00000000", "00"},
    {"clusters", NULL, 16, 4, "0000111122223333", "02"},
    {"clusters", "1,3", 8, 2, "11113333", "13"},
    /* Memory that is as far from all cores is used if it is asked for. */
    {"expander", NULL, 8, 2, "00001111", "01"},
    {"expander", "2", 8, 1, "22222222", "22"},
    {"far-first", NULL, 8, 2, "11112222", "12"},
    {"gaps", NULL, 8, 2, "00008888", "08"},
    {"gaps", "8", 4, 1, "8888", "88"},
    /* Virtual machines may show CPUs only. */
    {"no-cores", NULL, 4, 1, "0000", "00"},
};

/* Nodes that cannot be asked for: not there, or without memory. */
static const struct machine refused[] = {
    {.name = "two-sockets", .option = "2"},
    {.name = "two-sockets", .option = "0-2"},
    {.name = "bare-node", .option = "1"},
    {.name = "gaps", .option = "0-8"},
};

static clsa_status open_machine(struct clsa_numa **numa,
                                const struct machine *m, clsa_error *error)
{
    const char *folder = getenv("CLSA_TEST_DATA");
    char path[1200];
    snprintf(path, sizeof path, "%s/machines/%s.xml",
             folder ? folder : "tests/data", m->name);
    setenv("HWLOC_XMLFILE", path, 1);
    const clsa_status status = clsa_numa_open(numa, m->option, error);
    unsetenv("HWLOC_XMLFILE");
    return status;
}

static void check_places(const struct clsa_numa *numa, const char *where)
{
    const unsigned threads = (unsigned)strlen(where);
    for (unsigned i = 0; i < threads; i++) {
        struct clsa_ids cpus;
        const unsigned node = clsa_numa_place(numa, threads, i, &cpus);
        ck_assert_uint_lt(node, clsa_numa_nodes(numa));
        ck_assert_msg(clsa_numa_os_node(numa, node) ==
                          (unsigned)(where[i] - '0'),
                      "thread %u of %u: node %u, not %c", i, threads,
                      clsa_numa_os_node(numa, node), where[i]);
        ck_assert_msg(!cpus.any, "pinned, but this is another machine");
    }
}

START_TEST(placed)
{
    const struct machine *m = &machines[_i];
    struct clsa_numa *numa;
    clsa_error error;
    ck_assert_msg(open_machine(&numa, m, &error) == CLSA_OK, "%s: %s", m->name,
                  error.message);
    ck_assert_msg(clsa_numa_cores(numa) == m->cores, "%s: %u cores, not %u",
                  m->name, clsa_numa_cores(numa), m->cores);
    ck_assert_msg(clsa_numa_nodes(numa) == m->nodes, "%s: %u nodes, not %u",
                  m->name, clsa_numa_nodes(numa), m->nodes);
    ck_assert_str_eq(clsa_numa_notice(numa), "");
    ck_assert_uint_eq(strlen(m->each), m->cores);
    check_places(numa, m->each);
    check_places(numa, m->two);
    /* The default of -t: the cores, or the whole CPUs of a quota. */
    const struct clsa_cgroup all = {.cpus = 1e9}, quota = {.cpus = 3.5};
    ck_assert_uint_eq(clsa_cgroup_threads(&all, clsa_numa_cores(numa)),
                      m->cores);
    ck_assert_uint_eq(clsa_cgroup_threads(&quota, clsa_numa_cores(numa)), 3);
    clsa_numa_close(numa);
}
END_TEST

START_TEST(not_there)
{
    struct clsa_numa *numa;
    clsa_error error;
    ck_assert_int_eq(open_machine(&numa, &refused[_i], &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "option numa"));
}
END_TEST

int main(void)
{
#ifndef HAVE_HWLOC
    printf("SKIP check_machines: this build has no hwloc\n");
    return SUITE_SKIPPED;
#else
    Suite *suite = suite_create("machines");
    TCase *tests = tcase_create("machines");
    tcase_add_loop_test(tests, placed, 0,
                        (int)(sizeof machines / sizeof *machines));
    tcase_add_loop_test(tests, not_there, 0,
                        (int)(sizeof refused / sizeof *refused));
    suite_add_tcase(suite, tests);
    return suite_run(suite, CK_FORK_GETENV);
#endif
}
