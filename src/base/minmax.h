/* SPDX-License-Identifier: Apache-2.0 */
/* minmax: the smaller and the larger of two sizes or counts. */
#ifndef CLSA_BASE_MINMAX_H
#define CLSA_BASE_MINMAX_H

#include <stddef.h>
#include <stdint.h>

static inline size_t clsa_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t clsa_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The same for what may not fit a size_t. */
static inline uint64_t clsa_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t clsa_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif /* CLSA_BASE_MINMAX_H */
