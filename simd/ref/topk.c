/* SPDX-License-Identifier: Apache-2.0 */
/* topk.c: exact top-k selection of ranks, scalar: a quickselect. */
#include <string.h>

#include "simd/ref/ref.h"

static inline void swap(uint64_t *a, uint64_t *b)
{
    uint64_t t = *a;
    *a = *b;
    *b = t;
}

/* Value of the k-th largest (k >= 1) of n different values; reorders them. */
static uint64_t kth_largest(uint64_t *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n;
    uint64_t random = 0x9e3779b97f4a7c15u;
    while (hi - lo > 1) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t pivot = v[lo + (size_t)(random >> 33) % (hi - lo)];
        size_t i = lo, j = hi - 1;
        for (;;) { /* larger ones to the front */
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i >= j)
                break;
            swap(&v[i], &v[j]);
        }
        if (j == k - 1) /* v[j] is the pivot, in its final place */
            return pivot;
        if (j > k - 1)
            hi = j;
        else
            lo = j + 1;
    }
    return v[lo];
}

static size_t topk_ref(uint64_t *ranks, size_t n, size_t k, uint64_t *copy)
{
    if (n <= k)
        return n;
    memcpy(copy, ranks, n * sizeof *ranks);
    uint64_t least = kth_largest(copy, n, k);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (ranks[i] >= least)
            ranks[kept++] = ranks[i];
    return kept;
}

void clsa_topk_ref(struct clsa_simd *table)
{
    table->topk = topk_ref;
}
