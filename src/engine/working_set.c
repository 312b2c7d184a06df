/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/working_set.h"

/* Rows of one call of the gather kernel: their addresses are on the stack. */
#define GATHER_ROWS 256

/* Between strips: a row goes to the same place of all strips at once, which
   would meet in one set of a cache if they lay powers of two apart (2048 rows
   of 2 KiB: 440 us, with it 370; Xeon, 2 threads). */
#define STRIP_GAP (3 * (size_t)CLSA_CACHE_LINE)

clsa_status clsa_working_set_open(struct clsa_working_set *set,
                                  const struct clsa_cache_layout *layout,
                                  size_t capacity, clsa_error *error)
{
    struct clsa_working_set s = {.capacity = capacity,
                                 .head_bytes = layout->head_bytes};
    size_t rows, lists = 5 * capacity * sizeof(uint32_t);
    if (!clsa_size_mul(capacity, layout->head_bytes, &s.strip_bytes) ||
        !clsa_size_add(s.strip_bytes, STRIP_GAP, &s.strip_bytes) ||
        !clsa_size_mul(s.strip_bytes, 2 * (size_t)layout->g, &rows) ||
        !clsa_size_add(rows, lists + CLSA_CACHE_LINE, &s.bytes) ||
        !(s.k = clsa_mem_map(s.bytes)))
        return clsa_fail_memory(error, "the working set", s.bytes);
    s.v = s.k + layout->g * s.strip_bytes;
    rows = clsa_round_up(rows, CLSA_CACHE_LINE);
    uint32_t *list = (uint32_t *)(void *)(s.k + rows);
    s.lists = s.rows = list;
    s.order = list + capacity;
    s.fresh = list + 2 * capacity;
    s.next = list + 3 * capacity;
    s.spare = list + 4 * capacity;
    *set = s;
    return CLSA_OK;
}

void clsa_working_set_close(struct clsa_working_set *set)
{
    clsa_mem_unmap(set->k, set->bytes);
    *set = (struct clsa_working_set){0};
}

void clsa_working_set_clear(struct clsa_working_set *set)
{
    set->n = set->new_count = 0;
}

/*
 * Slots of rows that are no longer selected go to `spare` and are given to the
 * fresh rows; when those are used up, slots n, n + 1, ... follow. Slots
 * 0..n-1 are always those in use, so a list that is shorter than the last one
 * (after a change of policy) starts from nothing.
 */
void clsa_working_set_select(struct clsa_working_set *set, size_t n)
{
    enum { UNPLACED = UINT32_MAX };
    uint32_t *placed = set->fresh; /* slot of next[j], then reused */
    size_t i = 0, freed = 0;
    if (n < set->n)
        set->n = 0;
    for (size_t j = 0; j < n; j++) {
        while (i < set->n && set->rows[i] < set->next[j])
            set->spare[freed++] = set->order[i++];
        bool kept = i < set->n && set->rows[i] == set->next[j];
        placed[j] = kept ? set->order[i++] : UNPLACED;
    }
    while (i < set->n)
        set->spare[freed++] = set->order[i++];

    size_t unused = set->n, fresh = 0;
    for (size_t j = 0; j < n; j++) {
        uint32_t slot = placed[j];
        if (slot == UNPLACED) {
            slot = freed ? set->spare[--freed] : (uint32_t)unused++;
            set->fresh[fresh++] = (uint32_t)j;
        }
        set->order[j] = slot;
    }
    uint32_t *rows = set->rows;
    set->rows = set->next;
    set->next = rows;
    set->n = n;
    set->new_count = fresh;
}

void clsa_working_set_copy(struct clsa_working_set *to,
                           const struct clsa_working_set *from)
{
    memcpy(to->k, from->k, (size_t)((unsigned char *)from->lists - from->k));
    memcpy(to->rows, from->rows, from->n * sizeof *to->rows);
    memcpy(to->order, from->order, from->n * sizeof *to->order);
    to->n = from->n;
    to->new_count = 0;
}

void clsa_working_set_gather(struct clsa_working_set *set,
                             const struct clsa_cache *cache,
                             const struct clsa_simd *simd,
                             const struct clsa_worker *worker)
{
    const unsigned char *from[GATHER_ROWS];
    uint32_t slot[GATHER_ROWS];
    struct clsa_gather g = {.from = from,
                            .slot = slot,
                            .to = set->k,
                            .pieces = 2 * (size_t)cache->layout.g,
                            .piece = set->head_bytes,
                            .strip = set->strip_bytes};
    size_t begin, end;
    clsa_share(worker, set->new_count, &begin, &end);
    for (size_t i = begin; i < end; i += g.n) {
        g.n = end - i < GATHER_ROWS ? end - i : GATHER_ROWS;
        for (size_t j = 0; j < g.n; j++) {
            uint32_t fresh = set->fresh[i + j];
            from[j] = clsa_cache_row(cache, set->rows[fresh]);
            slot[j] = set->order[fresh];
        }
        simd->gather(&g);
    }
}
