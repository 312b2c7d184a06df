/* SPDX-License-Identifier: Apache-2.0 */
/* gather.c: rows of a cache copied to a working set, scalar. */
#include <string.h>

#include "simd/ref/ref.h"

static void gather_ref(const struct clsa_gather *g)
{
    for (size_t i = 0; i < g->n; i++)
        for (size_t p = 0; p < g->planes; p++)
            memcpy(g->to + p * g->plane_bytes + g->slot[i] * g->row_bytes,
                   g->from[i] + p * g->row_bytes, g->row_bytes);
}

void clsa_gather_ref(struct clsa_simd *table)
{
    table->gather = gather_ref;
}
