/* SPDX-License-Identifier: Apache-2.0 */
/* Seats, lent CPUs and sleep. System calls are made only by threads that have
   waited longer than a loop takes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#include "src/base/wait.h"

/* Nanoseconds. A look at the CPU clock of a thread costs less than one. */
#define LOOK_AFTER UINT64_C(30000)
#define LOOK_EVERY UINT64_C(20000)
#define LOOK_MOST  UINT64_C(1000000)
#define SLEEP_MOST 1000000L

/* Turns of a thread between two looks at the time. */
#define SPINS 32

enum lent { HOME, MOVING, LENT, CLOSED };

static uint64_t time_of(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t))
        return 0;
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ------------------------------------------------------------------ sleep */

#ifdef SYS_futex
static void sleep_until(atomic_uint *bell, unsigned heard)
{
    const struct {
        long seconds, nanoseconds;
    } most = {0, SLEEP_MOST};
    syscall(SYS_futex, bell, FUTEX_WAIT_PRIVATE, heard, &most, NULL, 0);
}

static void wake_all(atomic_uint *bell)
{
    syscall(SYS_futex, bell, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
#else
static void sleep_until(atomic_uint *bell, unsigned heard)
{
    (void)bell, (void)heard;
    sched_yield();
}

static void wake_all(atomic_uint *bell)
{
    (void)bell;
}
#endif

/* Whoever makes it true looks for sleepers after that, and a sleeper looks
   whether it is true after it is counted: one of them sees the other. */
static void sleep_on(struct clsa_meeting *m, _Atomic uint64_t *what,
                     uint64_t value)
{
    atomic_fetch_add(&m->sleepers, 1);
    const unsigned heard = atomic_load(&m->bell);
    if (atomic_load(what) < value)
        sleep_until(&m->bell, heard);
    atomic_fetch_sub(&m->sleepers, 1);
}

void clsa_wait_over(struct clsa_meeting *m)
{
    if (atomic_load(&m->sleepers) == 0)
        return;
    atomic_fetch_add(&m->bell, 1);
    wake_all(&m->bell);
}

/* ------------------------------------------------------------------ seats */

void clsa_seat_take(struct clsa_meeting *m, struct clsa_seat *seat,
                    const struct clsa_ids *cpus)
{
    seat->found.any = false;
    if ((cpus->any || m->lends) && clsa_pin_get(&seat->found)) {
        seat->home = cpus->any ? *cpus : seat->found;
        if (!clsa_ids_equal(&seat->found, &seat->home) &&
            !clsa_pin_set(&seat->home))
            atomic_store(&m->left_over, clsa_ids_count(&seat->found));
    }
    seat->has_clock = pthread_getcpuclockid(pthread_self(), &seat->clock) == 0;
#ifdef __linux__
    seat->thread = syscall(SYS_gettid);
#endif
    atomic_store_explicit(&seat->lent, HOME, memory_order_relaxed);
    atomic_store_explicit(&seat->region, m->region, memory_order_release);
}

void clsa_seat_return(struct clsa_seat *seat)
{
    if (atomic_load_explicit(&seat->lent, memory_order_acquire) != LENT)
        return;
    clsa_pin_set(&seat->home);
    atomic_store_explicit(&seat->lent, HOME, memory_order_release);
}

/* Nobody moves the thread after this. Returns whether it has been moved. */
static bool close_seat(struct clsa_seat *seat)
{
    for (;;) {
        int lent = atomic_load_explicit(&seat->lent, memory_order_acquire);
        if (lent == MOVING)
            sched_yield();
        else if (atomic_compare_exchange_weak_explicit(
                     &seat->lent, &lent, CLOSED, memory_order_acq_rel,
                     memory_order_relaxed))
            return lent == LENT;
    }
}

void clsa_seat_leave(struct clsa_meeting *m, unsigned id, unsigned count)
{
    struct clsa_seat *seat = &m->seat[id];
    struct clsa_patience wait = {0};
    const bool moved = close_seat(seat);
    if (seat->found.any &&
        (moved || !clsa_ids_equal(&seat->found, &seat->home)))
        clsa_pin_set(&seat->found);
    atomic_store_explicit(&seat->region, 0, memory_order_release);
    if (atomic_fetch_add(&m->left, 1) + 1 == count) {
        clsa_wait_over(m);
        return;
    }
    while (atomic_load_explicit(&m->left, memory_order_acquire) < count)
        clsa_wait(m, id, &wait, &m->left, count);
}

/* ---------------------------------------------------------------- waiting */

/* The thread of a seat gets the CPU that this one runs on. */
static void lend(const struct clsa_meeting *m, struct clsa_seat *seat)
{
    const int cpu = sched_getcpu();
    struct clsa_ids here = {.any = false};
    int lent = HOME;
    if (!m->lends || cpu < 0 ||
        !atomic_compare_exchange_strong_explicit(&seat->lent, &lent, MOVING,
                                                 memory_order_acq_rel,
                                                 memory_order_relaxed))
        return;
    clsa_ids_add(&here, (unsigned)cpu);
    const bool moved = here.any && clsa_pin_thread(seat->thread, &here);
    atomic_store_explicit(&seat->lent, moved ? LENT : HOME,
                          memory_order_release);
}

static bool is_late(const struct clsa_meeting *m, const struct clsa_seat *seat,
                    const _Atomic uint64_t *what, uint64_t value)
{
    if (what == &m->left)
        return atomic_load_explicit(&seat->region, memory_order_acquire) ==
               m->region;
    return atomic_load_explicit(&seat->busy, memory_order_acquire) == value;
}

/* A seat that is waited for, the one that was watched (seat + 1) first;
   m->seats: nobody, or somebody who has not come yet. */
static unsigned find_late(const struct clsa_meeting *m, unsigned id,
                          unsigned watched, const _Atomic uint64_t *what,
                          uint64_t value)
{
    unsigned i = 0;
    if (watched && watched <= m->seats &&
        is_late(m, &m->seat[watched - 1], what, value))
        return watched - 1;
    while (i < m->seats && (i == id || !is_late(m, &m->seat[i], what, value)))
        i++;
    return i;
}

/* Looks at the thread that is waited for: sleeps if it has not run since the
   last look. */
static void look(struct clsa_meeting *m, unsigned id,
                 struct clsa_patience *wait, _Atomic uint64_t *what,
                 uint64_t value, uint64_t now)
{
    const unsigned late = find_late(m, id, wait->watched, what, value);
    struct clsa_seat *seat = late < m->seats ? &m->seat[late] : NULL;
    const uint64_t clock = seat && seat->has_clock ? time_of(seat->clock) : 0;
    if (late + 1 == wait->watched && clock == wait->clock) {
        if (seat)
            lend(m, seat);
        sleep_on(m, what, value);
        return;
    }
    uint64_t next = (now - wait->since) / 4;
    next = next < LOOK_EVERY ? LOOK_EVERY : next;
    wait->look = now + (next < LOOK_MOST ? next : LOOK_MOST);
    wait->watched = late + 1;
    wait->clock = clock;
}

void clsa_wait(struct clsa_meeting *m, unsigned id, struct clsa_patience *wait,
               _Atomic uint64_t *what, uint64_t value)
{
    pause_cpu();
    if (++wait->turns % SPINS)
        return;
    const uint64_t now = time_of(CLOCK_MONOTONIC);
    if (!wait->since) {
        wait->since = now;
        wait->look = now + LOOK_AFTER;
    }
    if (now >= wait->look)
        look(m, id, wait, what, value, now);
}
