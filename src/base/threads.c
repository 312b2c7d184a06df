/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that are started only to see that they can be. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "src/base/threads.h"

struct trial {
    pthread_t thread;
    pthread_mutex_t *gate; /* closed until all have been started */
    long id;               /* of the system, 0: not known */
};

static void *wait_at_gate(void *context)
{
    struct trial *t = context;
#ifdef SYS_gettid
    t->id = syscall(SYS_gettid);
#endif
    pthread_mutex_lock(t->gate);
    pthread_mutex_unlock(t->gate);
    return NULL;
}

/* Bytes of OMP_STACKSIZE: a number, of KiB if no unit follows; 0: none. */
static size_t stack_size(void)
{
    static const char units[] = "bkmg";
    const char *text = getenv("OMP_STACKSIZE");
    char *end;
    if (!text || (text += strspn(text, " \t"), *text < '0' || *text > '9'))
        return 0;
    errno = 0;
    const unsigned long long n = strtoull(text, &end, 10);
    end += strspn(end, " \t");
    const char *unit = *end ? strchr(units, *end | 0x20) : units + 1;
    if (errno || !unit)
        return 0;
    const unsigned shift = 10 * (unsigned)(unit - units);
    return n <= SIZE_MAX >> shift ? (size_t)n << shift : 0;
}

/* A thread counts against the limits of the system until it is reaped, which
   is shortly after it was joined. */
static void wait_until_gone(long id)
{
#ifdef SYS_tgkill
    const struct timespec pause = {.tv_nsec = 20000};
    for (int i = 0; id && i < 5000; i++) {
        if (syscall(SYS_tgkill, getpid(), id, 0) != 0)
            return;
        nanosleep(&pause, NULL);
    }
#else
    (void)id;
#endif
}

static unsigned start_all(struct trial *trial, unsigned n,
                          const pthread_attr_t *attributes)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    unsigned started = 0;
    int reason = 0;
    pthread_mutex_lock(&gate);
    while (started < n && !reason) {
        struct trial *t = &trial[started];
        t->gate = &gate;
        reason = pthread_create(&t->thread, attributes, wait_at_gate, t);
        started += !reason;
    }
    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < started; i++)
        pthread_join(trial[i].thread, NULL);
    for (unsigned i = 0; i < started; i++)
        wait_until_gone(trial[i].id);
    pthread_mutex_destroy(&gate);
    errno = reason;
    return started;
}

unsigned clsa_threads_try(unsigned threads)
{
    const size_t stack = stack_size();
    pthread_attr_t attributes;
    if (threads < 2)
        return threads;
    struct trial *trial = calloc(threads - 1, sizeof *trial);
    if (!trial || pthread_attr_init(&attributes)) {
        free(trial);
        errno = ENOMEM;
        return 1;
    }
    if (stack)
        pthread_attr_setstacksize(&attributes, stack); /* or the default */
    const unsigned started = start_all(trial, threads - 1, &attributes);
    const int reason = errno;
    pthread_attr_destroy(&attributes);
    free(trial);
    errno = reason;
    return 1 + started;
}
