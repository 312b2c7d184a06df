/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait: how a thread of a team waits for the others. It spins while the thread
 * that it waits for has a CPU, which that thread's CPU clock tells. If the
 * clock stands still, somebody else has the CPU: the waiting thread lends its
 * own to the one that it waits for, and sleeps. The lent CPU is given back by
 * the thread that got it, as soon as it has done what it was waited for.
 *
 * Used by team.c and loop.c only.
 */
#ifndef CLSA_BASE_WAIT_H
#define CLSA_BASE_WAIT_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "src/base/mem.h"
#include "src/base/pin.h"

/* What the others have to know of a thread of a region. */
struct clsa_seat {
    /* Chunks of its share that are taken, and the loop that this is about
       (loop.c). */
    _Alignas(CLSA_CACHE_LINE) _Atomic uint64_t claims;
    _Atomic uint64_t busy;   /* loop that it has work of; 0: none */
    _Atomic uint64_t region; /* that it is in; 0: it waits for all to leave */
    atomic_int lent;         /* whether it runs on another's CPU */
    /* Written before `region`. */
    long thread;           /* the system's number of the thread */
    clockid_t clock;       /* its CPU clock */
    bool has_clock;        /* the same is there */
    struct clsa_ids home;  /* CPUs that it goes back to */
    struct clsa_ids found; /* CPUs that it had when it came */
};

/* What threads wait for. */
struct clsa_meeting {
    struct clsa_seat *seat; /* [seats] */
    unsigned seats;
    bool lends;      /* threads may be moved to other CPUs */
    uint64_t region; /* number of the one that runs */
    _Alignas(CLSA_CACHE_LINE) _Atomic uint64_t done;   /* items of its loops */
    _Alignas(CLSA_CACHE_LINE) _Atomic uint64_t passed; /* last whole loop */
    _Atomic uint64_t left; /* threads that have nothing more to do */
    atomic_uint sleepers;  /* threads that sleep, or are about to */
    atomic_uint bell;      /* rung if they have to look again */
    /* CPUs that the process has, told by a thread whose own CPU it has lost
       (another cpuset); 0: no thread has. */
    atomic_uint left_over;
};

/* The calling thread takes its seat, pinned to `cpus` if there are any. */
void clsa_seat_take(struct clsa_meeting *m, struct clsa_seat *seat,
                    const struct clsa_ids *cpus);

/* It has done what it was waited for: back from a CPU that was lent. */
void clsa_seat_return(struct clsa_seat *seat);

/* It has nothing more to do; returns when this is true of all `count`. */
void clsa_seat_leave(struct clsa_meeting *m, unsigned id, unsigned count);

/* How long a thread has been waiting, and for whom. */
struct clsa_patience {
    unsigned turns;
    uint64_t since, look; /* ns; when it began, when it looks again */
    unsigned watched;     /* seat + 1 */
    uint64_t clock;       /* of it at the last look */
};

/*
 * Wait a little for `what` to reach `value`: `passed` a loop, or `left` the
 * number of threads. The caller looks at it, and calls again.
 */
void clsa_wait(struct clsa_meeting *m, unsigned id, struct clsa_patience *wait,
               _Atomic uint64_t *what, uint64_t value);

/* After what others wait for has come true. */
void clsa_wait_over(struct clsa_meeting *m);

#endif /* CLSA_BASE_WAIT_H */
