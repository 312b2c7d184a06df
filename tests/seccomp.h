/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp: filters of system calls, for tests that count or refuse them. Only
 * where Linux has them: clsa_seccomp_install fails with errno elsewhere, in
 * containers that refuse it and under qemu-user, and the test says so.
 */
#ifndef CLSA_TESTS_SECCOMP_H
#define CLSA_TESTS_SECCOMP_H

#include <errno.h>

#if defined(__linux__) && __has_include(<linux/seccomp.h>)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLSA_SECCOMP 1

#define LOAD(field)                                                            \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
/* What follows is left out where the value loaded is not `value`. */
#define IF(value, skipped)                                                     \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped)

/* For all threads of the process, and for good; 0, or -1 and errno. */
static inline int clsa_seccomp_install(struct sock_filter *filter,
                                       unsigned short n)
{
    const struct sock_fprog program = {n, filter};
    long failed;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    failed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                     SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (failed > 0)
        errno = ESRCH; /* a thread with other filters */
    return failed ? -1 : 0;
}
#endif

#endif /* CLSA_TESTS_SECCOMP_H */
