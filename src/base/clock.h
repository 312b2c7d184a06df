/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the time that measurements of the engine are made of. */
#ifndef CLSA_BASE_CLOCK_H
#define CLSA_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of a clock that nobody sets. */
static inline uint64_t clsa_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#endif /* CLSA_BASE_CLOCK_H */
