/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse WHAT[,WHAT...] COMMAND [ARGUMENT...]: runs a command in a system that
 * refuses what containers, sandboxes and mounts refuse.
 *
 *   code     memory that is written and executed, as MemoryDenyWriteExecute=yes
 *            of systemd does it by a filter
 *   mdwe     the same by prctl(PR_SET_MDWE), as systemd does it on Linux 6.3
 *   mmap     mappings of files that are only read (ENODEV): a file system
 *            without them
 *   chmod    permissions and owners of files (EPERM)
 *   sync     fsync (EINVAL)
 *   service  what SystemCallFilter=~@resources ~@privileged leaves out (EPERM)
 *   threads  threads and processes (EAGAIN)
 *
 * Exit status: 77, and a line, if this system does not let us refuse it, 125 if
 * it is called wrongly; else that of the command.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/seccomp.h"

enum { UNABLE = 77, WRONG = 125 };

#ifdef CLSA_SECCOMP

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

enum test { ALWAYS, ALL_BITS, ANY_BIT, EQUAL };

/* A call that is refused if each condition on its arguments holds. */
struct rule {
    const char *what;
    long call;
    int reason;
    struct {
        enum test test;
        unsigned argument;
        uint32_t value;
    } when[2];
};

#define WRITTEN_CODE (PROT_WRITE | PROT_EXEC)

static const struct rule rules[] = {
    {"code", SYS_mmap, EPERM, {{ALL_BITS, 2, WRITTEN_CODE}}},
    {"code", SYS_mprotect, EPERM, {{ANY_BIT, 2, PROT_EXEC}}},
#ifdef SYS_pkey_mprotect
    {"code", SYS_pkey_mprotect, EPERM, {{ANY_BIT, 2, PROT_EXEC}}},
#endif
    {"mmap",
     SYS_mmap,
     ENODEV,
     {{EQUAL, 2, PROT_READ}, {EQUAL, 3, MAP_PRIVATE}}},
    {"chmod", SYS_fchmod, EPERM, {{ALWAYS}}},
    {"chmod", SYS_fchmodat, EPERM, {{ALWAYS}}},
    {"chmod", SYS_fchown, EPERM, {{ALWAYS}}},
    {"chmod", SYS_fchownat, EPERM, {{ALWAYS}}},
#ifdef SYS_chmod
    {"chmod", SYS_chmod, EPERM, {{ALWAYS}}},
    {"chmod", SYS_chown, EPERM, {{ALWAYS}}},
#endif
    {"sync", SYS_fsync, EINVAL, {{ALWAYS}}},
    {"service", SYS_sched_setaffinity, EPERM, {{ALWAYS}}},
    {"service", SYS_mbind, EPERM, {{ALWAYS}}},
    {"service", SYS_set_mempolicy, EPERM, {{ALWAYS}}},
    {"service", SYS_move_pages, EPERM, {{ALWAYS}}},
    {"service", SYS_prlimit64, EPERM, {{ALWAYS}}},
    {"service", SYS_setpriority, EPERM, {{ALWAYS}}},
    {"service", SYS_fchown, EPERM, {{ALWAYS}}},
    {"service", SYS_fchownat, EPERM, {{ALWAYS}}},
    {"threads", SYS_clone, EAGAIN, {{ALWAYS}}},
#ifdef SYS_clone3
    {"threads", SYS_clone3, EAGAIN, {{ALWAYS}}},
#endif
};

/* A filter of one rule: all that are installed are asked. */
static int install(const struct rule *rule)
{
    struct sock_filter filter[16] = {LOAD(nr)};
    unsigned n = 1;
    unsigned jumps[4], jump_count = 0;

    jumps[jump_count++] = n;
    filter[n++] = (struct sock_filter)IF((uint32_t)rule->call, 0);
    for (size_t i = 0; i < 2 && rule->when[i].test != ALWAYS; i++) {
        const uint32_t value = rule->when[i].value;
        filter[n++] = (struct sock_filter)LOAD(args[rule->when[i].argument]);
        if (rule->when[i].test != EQUAL)
            filter[n++] =
                (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, value);
        jumps[jump_count++] = n;
        filter[n++] = rule->when[i].test == ANY_BIT
                          ? (struct sock_filter)BPF_JUMP(
                                BPF_JMP | BPF_JSET | BPF_K, value, 0, 0)
                          : (struct sock_filter)IF(value, 0);
    }
    filter[n++] =
        (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | (uint32_t)rule->reason);
    for (unsigned i = 0; i < jump_count; i++)
        filter[jumps[i]].jf = (unsigned char)(n - jumps[i] - 1);
    filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    return clsa_seccomp_install(filter, (unsigned short)n);
}

/* 0, or -1 and errno; EINVAL: nothing of that name. */
static int refuse(const char *what)
{
    bool known = false;
    if (strcmp(what, "mdwe") == 0)
        return prctl(PR_SET_MDWE, 1, 0, 0, 0);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].what, what) == 0) {
            known = true;
            if (install(&rules[i]) != 0)
                return -1;
        }
    if (!known) {
        fprintf(stderr, "refuse: '%s' is not known\n", what);
        exit(WRONG);
    }
    return 0;
}

#else

static int refuse(const char *what)
{
    (void)what;
    errno = ENOSYS;
    return -1;
}

#endif

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: refuse WHAT[,WHAT...] COMMAND...\n");
        return WRONG;
    }
    for (char *rest = argv[1], *what; (what = strsep(&rest, ","));)
        if (refuse(what) != 0) {
            fprintf(stderr, "refuse %s: %s\n", what, strerror(errno));
            return UNABLE;
        }
    execvp(argv[2], argv + 2);
    fprintf(stderr, "refuse: %s: %s\n", argv[2], strerror(errno));
    return WRONG;
}
