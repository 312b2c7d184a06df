/* SPDX-License-Identifier: Apache-2.0 */
/* Far attention of queries, and the rows that have most of it. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/train/far.h"

#define GROUP ((size_t)8) /* queries whose weights are computed together */

size_t clsa_far_rows(size_t n)
{
    return clsa_max(n / CLSA_FAR_PART, (size_t)CLSA_FAR_LEAST);
}

static size_t recent_of(size_t n)
{
    return clsa_far_rows(n) / 4;
}

size_t clsa_far_least(size_t n)
{
    return CLSA_FAR_SINKS + clsa_far_rows(n) + 1;
}

clsa_status clsa_far_open(struct clsa_far *far, uint32_t layers,
                          clsa_error *error)
{
    const size_t n = layers;
    *far = (struct clsa_far){.layers = layers};
    for (unsigned kind = 0; kind < CLSA_FAR_KINDS; kind++) {
        far->found[kind] = clsa_mem_calloc(n * n, sizeof(double));
        far->mass[kind] = clsa_mem_calloc(n, sizeof(double));
        if (!far->found[kind] || !far->mass[kind]) {
            clsa_far_close(far);
            return clsa_fail_memory(error, "attention of layers",
                                    n * n * sizeof(double));
        }
    }
    return CLSA_OK;
}

void clsa_far_close(struct clsa_far *far)
{
    for (unsigned kind = 0; kind < CLSA_FAR_KINDS; kind++) {
        clsa_mem_free(far->found[kind]);
        clsa_mem_free(far->mass[kind]);
    }
    *far = (struct clsa_far){0};
}

/* ---------------------------------------------------------------- best rows */

static void swap(float *a, float *b)
{
    const float x = *a;
    *a = *b;
    *b = x;
}

/* The k-th largest of n values, k from 0; moves them. */
static float kth_largest(float *x, size_t n, size_t k)
{
    size_t low = 0, high = n;
    while (high - low > 1) {
        const float pivot = x[low + (high - low) / 2];
        size_t above = low, below = high, i = low;
        while (i < below)
            if (x[i] > pivot)
                swap(&x[i++], &x[above++]);
            else if (x[i] < pivot)
                swap(&x[i], &x[--below]);
            else
                i++;
        if (k < above)
            high = above;
        else if (k >= below)
            low = below;
        else
            return pivot;
    }
    return x[low];
}

void clsa_far_best(const float *weights, size_t first, size_t end, size_t count,
                   uint32_t *best, float *spare)
{
    const size_t n = end - first;
    memcpy(spare, weights + first, n * sizeof *spare);
    const float limit = kth_largest(spare, n, count - 1);
    size_t above = 0, kept = 0;
    for (size_t i = first; i < end; i++)
        above += weights[i] > limit;
    size_t ties = count - above;
    for (size_t i = first; i < end; i++) {
        const bool tie = weights[i] == limit && ties > 0;
        if (tie)
            ties--;
        if (tie || weights[i] > limit)
            best[kept++] = (uint32_t)i;
    }
}

/* ------------------------------------------------------------------ adding */

/* What a group of queries needs. */
struct room {
    float *weights; /* [L][GROUP][n] */
    float *spare;   /* [n] */
    uint32_t *best; /* [K] */
};

static clsa_status open_room(struct room *room, size_t layers, size_t n,
                             clsa_error *error)
{
    room->weights = clsa_mem_calloc(layers * GROUP, n * sizeof(float));
    room->spare = clsa_mem_calloc(n, sizeof *room->spare);
    room->best = clsa_mem_calloc(clsa_far_rows(n), sizeof *room->best);
    if (room->weights && room->spare && room->best)
        return CLSA_OK;
    return clsa_fail_memory(error, "attention of a text",
                            layers * GROUP * n * sizeof(float));
}

static void close_room(struct room *room)
{
    clsa_mem_free(room->weights);
    clsa_mem_free(room->spare);
    clsa_mem_free(room->best);
}

/* Adds one query, number j of the group, whose rows end at `end`. */
static void add_query(struct clsa_far *far, const struct clsa_reading *r,
                      const struct room *room, size_t j, size_t end,
                      unsigned kind)
{
    const uint32_t layers = far->layers;
    const size_t count = clsa_far_rows(r->n) - recent_of(r->n);
    const size_t stop = end - recent_of(r->n);
    for (uint32_t a = 0; a < layers; a++) {
        const float *own = room->weights + (a * GROUP + j) * r->n;
        if (!clsa_reading_sees(r, a))
            continue;
        for (size_t i = CLSA_FAR_SINKS; i < stop; i++)
            far->mass[kind][a] += (double)own[i];
        clsa_far_best(own, CLSA_FAR_SINKS, stop, count, room->best,
                      room->spare);
        for (uint32_t b = 0; b < layers; b++) {
            const float *other = room->weights + (b * GROUP + j) * r->n;
            float sum = 0;
            for (size_t i = 0; i < count; i++)
                sum += other[room->best[i]];
            far->found[kind][(size_t)a * layers + b] += (double)sum;
        }
    }
    far->queries[kind]++;
}

clsa_status clsa_far_add(struct clsa_far *far, struct clsa_reading *r,
                         const uint8_t *kinds, clsa_error *error)
{
    struct room room = {.weights = NULL};
    const size_t layers = far->layers;
    clsa_status status = open_room(&room, layers, r->n, error);
    for (size_t first = 0, n; !status && first < r->m; first += n) {
        n = clsa_min(r->m - first, GROUP);
        memset(room.weights, 0, layers * GROUP * r->n * sizeof(float));
        for (uint32_t i = 0; i < layers; i++)
            if (clsa_reading_sees(r, i))
                clsa_reading_attend(r, i, first, n, 1,
                                    room.weights + i * GROUP * r->n, r->n);
        for (size_t j = 0; j < n; j++)
            add_query(far, r, &room, j, (size_t)r->position[first + j] + 1,
                      kinds[first + j]);
    }
    close_room(&room);
    return status;
}
