/* SPDX-License-Identifier: Apache-2.0 */
/* The best lists of sites by dynamic programming, from the last layer down. */
#include <string.h>

#include "src/base/mem.h"
#include "src/train/choose.h"

/* One of the best ways to go on from a layer that is a site. */
struct way {
    double value;  /* what is found from this layer on */
    uint32_t next; /* the next site, */
    uint32_t rank; /* and the number of its way */
};

struct table {
    const struct clsa_sites *choice;
    size_t most;
    struct way *ways; /* [sites][L][most], of m + 1 sites from a layer on */
    size_t *counts;   /* [sites][L] */
};

static struct way *ways_of(const struct table *t, uint32_t m, uint32_t layer)
{
    return t->ways + ((size_t)m * t->choice->layers + layer) * t->most;
}

static size_t *count_of(const struct table *t, uint32_t m, uint32_t layer)
{
    return &t->counts[(size_t)m * t->choice->layers + layer];
}

/* Keeps a way, if it is one of the best of its layer: after those that are as
   good, which came before. */
static void keep(const struct table *t, struct way *ways, size_t *count,
                 const struct way *way)
{
    size_t at = *count;
    while (at > 0 && ways[at - 1].value < way->value)
        at--;
    if (at == t->most)
        return;
    const size_t last = *count < t->most ? (*count)++ : t->most - 1;
    memmove(&ways[at + 1], &ways[at], (last - at) * sizeof *ways);
    ways[at] = *way;
}

/* The ways of m + 1 sites from a layer on. */
static void find_ways(const struct table *t, uint32_t m, uint32_t layer)
{
    const struct clsa_sites *c = t->choice;
    const double *gain = c->gain + (size_t)layer * c->layers;
    struct way *ways = ways_of(t, m, layer);
    double found = 0;
    for (uint32_t next = layer + 1; next <= c->layers; next++) {
        found += gain[next - 1];
        if (next == c->layers) {
            if (m == 0)
                keep(t, ways, count_of(t, m, layer),
                     &(struct way){.value = found, .next = next});
        } else if (m > 0 && c->able[next]) {
            const struct way *rest = ways_of(t, m - 1, next);
            for (uint32_t i = 0; i < *count_of(t, m - 1, next); i++)
                keep(t, ways, count_of(t, m, layer),
                     &(struct way){found + rest[i].value, next, i});
        }
    }
}

static void follow(const struct table *t, uint32_t sites, uint32_t rank,
                   uint32_t *list)
{
    uint32_t layer = t->choice->first;
    for (uint32_t m = sites; m-- > 0;) {
        const struct way *way = &ways_of(t, m, layer)[rank];
        *list++ = layer;
        layer = way->next;
        rank = way->rank;
    }
}

size_t clsa_sites_choose(const struct clsa_sites *choice, uint32_t sites,
                         size_t most, uint32_t *lists)
{
    const size_t cells = (size_t)sites * choice->layers;
    struct table t = {.choice = choice, .most = most};
    size_t n = 0;
    t.ways = clsa_mem_calloc(cells * most + 1, sizeof *t.ways);
    t.counts = clsa_mem_calloc(cells + 1, sizeof *t.counts);
    if (!t.ways || !t.counts || sites == 0)
        goto done;
    for (uint32_t m = 0; m < sites; m++)
        for (uint32_t layer = choice->first; layer < choice->layers; layer++)
            if (choice->able[layer])
                find_ways(&t, m, layer);
    n = *count_of(&t, sites - 1, choice->first);
    for (uint32_t i = 0; i < n; i++)
        follow(&t, sites, i, lists + (size_t)i * sites);
done:
    clsa_mem_free(t.ways);
    clsa_mem_free(t.counts);
    return n;
}

double clsa_sites_value(const struct clsa_sites *choice, const uint32_t *list,
                        size_t sites)
{
    double value = 0;
    for (size_t i = 0; i < sites; i++) {
        const double *gain = choice->gain + (size_t)list[i] * choice->layers;
        const uint32_t end = i + 1 < sites ? list[i + 1] : choice->layers;
        for (uint32_t b = list[i]; b < end; b++)
            value += gain[b];
    }
    return value;
}
