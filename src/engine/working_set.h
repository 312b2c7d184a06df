/* SPDX-License-Identifier: Apache-2.0 */
/*
 * working_set: the packed K and V of the rows of one selection, which all
 * layers that read under it attend to.
 *
 *   k, v  [g][capacity][e] in the format of the cache
 *
 * A row keeps its slot for as long as it stays selected: from one token to the
 * next only the rows that are new are copied. `order` lists the slots by
 * ascending position, and attention runs in that order, so results depend on
 * the selected rows only and not on the history of the slots.
 *
 * If each layer has a cache of its own, nothing can be shared but the list: the
 * set has no planes, and the layers read the rows where they lie
 * (attend_chosen.c).
 */
#ifndef CLSA_ENGINE_WORKING_SET_H
#define CLSA_ENGINE_WORKING_SET_H

#include "src/base/team.h"
#include "src/engine/cache.h"

/* Between planes: a row goes to the same place of all planes at once, which
   would meet in one set of a cache if they lay powers of two apart (2048 rows
   of 2 KiB: 440 us, with it 370; Xeon, 2 threads). */
#define CLSA_PLANE_GAP (3 * (size_t)CLSA_CACHE_LINE)

struct clsa_working_set {
    size_t capacity;      /* slots */
    size_t n;             /* rows selected */
    size_t new_count;     /* of them not yet copied */
    size_t changed;       /* copied for the last token, in all layers */
    uint32_t *rows;       /* [n] positions, ascending */
    uint32_t *order;      /* [n] slot of rows[i] */
    uint32_t *fresh;      /* [new_count] indices into rows */
    uint32_t *next;       /* [capacity] the list being made */
    uint32_t *spare;      /* [capacity] scratch: slots */
    uint32_t *lists;      /* the five lists, after K and V */
    unsigned char *block; /* all of it: K, V, lists */
    unsigned char *k, *v; /* NULL: lists alone */
    size_t head_bytes;    /* one row of one head */
    size_t plane_bytes;   /* [capacity] rows of one head */
    size_t bytes;
};

/* layout NULL: lists alone. */
clsa_status clsa_working_set_open(struct clsa_working_set *set,
                                  const struct clsa_cache_layout *layout,
                                  size_t capacity, clsa_error *error);
void clsa_working_set_close(struct clsa_working_set *set);

/* Forget what is copied: its rows have changed in the cache. */
void clsa_working_set_clear(struct clsa_working_set *set);

/*
 * Make next[0..n), ascending positions, the selection: rows selected before
 * keep their slots, `fresh` lists the others, none without planes. One thread.
 */
void clsa_working_set_select(struct clsa_working_set *set, size_t n);

/* Have the rows and the bytes of another set of the same kind. */
void clsa_working_set_copy(struct clsa_working_set *to,
                           const struct clsa_working_set *from);

/* Copy parts first..last - 1, of `parts`, of the fresh rows from the cache. */
void clsa_working_set_gather(struct clsa_working_set *set,
                             const struct clsa_cache *cache,
                             const struct clsa_simd *simd, size_t first,
                             size_t last, size_t parts);

#endif /* CLSA_ENGINE_WORKING_SET_H */
