/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin: sets of CPUs, and the affinity of the calling thread. On systems
 * without sched_setaffinity nothing is pinned, and that is no error.
 */
#ifndef CLSA_BASE_PIN_H
#define CLSA_BASE_PIN_H

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define CLSA_MAX_IDS 1024
#define CLSA_ID_BITS (CHAR_BIT * sizeof(unsigned long))

/* A set of the system's numbers, of CPUs or nodes, laid out as the affinity
   calls want it. */
struct clsa_ids {
    unsigned long bits[CLSA_MAX_IDS / CLSA_ID_BITS];
    bool any; /* false: the empty set */
};

static inline void clsa_ids_add(struct clsa_ids *ids, unsigned id)
{
    if (id >= CLSA_MAX_IDS)
        return;
    ids->bits[id / CLSA_ID_BITS] |= 1ul << id % CLSA_ID_BITS;
    ids->any = true;
}

static inline bool clsa_ids_has(const struct clsa_ids *ids, unsigned id)
{
    return id < CLSA_MAX_IDS &&
           ids->bits[id / CLSA_ID_BITS] >> id % CLSA_ID_BITS & 1;
}

static inline bool clsa_ids_equal(const struct clsa_ids *a,
                                  const struct clsa_ids *b)
{
    return memcmp(a->bits, b->bits, sizeof a->bits) == 0;
}

static inline unsigned clsa_ids_count(const struct clsa_ids *ids)
{
    unsigned n = 0;
    for (size_t i = 0; i < CLSA_MAX_IDS / CLSA_ID_BITS; i++)
        n += (unsigned)__builtin_popcountl(ids->bits[i]);
    return n;
}

/* The CPUs that the calling thread may use; false where nobody knows. */
bool clsa_pin_get(struct clsa_ids *cpus);

/* Let the calling thread run on these only; false, and errno, if refused. */
bool clsa_pin_set(const struct clsa_ids *cpus);

/* Let a thread, by the system's number, run on these only. */
bool clsa_pin_thread(long thread, const struct clsa_ids *cpus);

/*
 * True where the environment tells OpenMP which CPUs to use (OMP_PROC_BIND,
 * OMP_PLACES and the older names of the runtimes); `cpus` are the CPUs of all
 * places then, or none if the places are not known.
 */
bool clsa_pin_by_user(struct clsa_ids *cpus);

#endif /* CLSA_BASE_PIN_H */
