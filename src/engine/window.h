/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window: the K and V rows that the sliding-window attention of one layer
 * still needs.
 *
 * The rows of a KV head are kept in order in a buffer of `capacity` rows; when
 * it is full the last W - 1 rows move to its front. So a window is always one
 * contiguous run, and moving costs about a row per token.
 *
 *   rows [2: K, V][g][capacity][e] floats
 *   slot of position p: p - base;  base <= p < end
 */
#ifndef CLSA_ENGINE_WINDOW_H
#define CLSA_ENGINE_WINDOW_H

#include <stdbool.h>

#include "src/base/minmax.h"
#include "src/base/team.h"
#include "src/model/network.h"

struct clsa_window {
    uint32_t kv_heads, head_dim, size; /* size: W */
    uint64_t capacity;                 /* rows */
    uint64_t base;                     /* position in slot 0 */
    uint64_t end;                      /* positions stored: base..end-1 */
    uint64_t exact;                    /* first of them with all that it saw */
    float *rows;
    size_t bytes;
};

/* Room for a window of the plan and for appends of up to `block` rows. */
clsa_status clsa_window_open(struct clsa_window *window,
                             const struct clsa_store_plan *plan, uint32_t block,
                             clsa_error *error);
void clsa_window_close(struct clsa_window *window);

/* Row `slot` of a KV head; `v` 0 for K, 1 for V. */
static inline float *clsa_window_row(const struct clsa_window *w, int v,
                                     uint32_t head, uint64_t slot)
{
    size_t plane = (size_t)v * w->kv_heads + head;
    return w->rows + (plane * w->capacity + slot) * w->head_dim;
}

/* First position that a query at `position` sees: W - 1 before it, or less if
   the text or a restarted window begins later. */
static inline uint64_t clsa_window_first(const struct clsa_window *w,
                                         uint64_t position)
{
    uint64_t first = position >= w->size ? position - w->size + 1 : 0;
    return clsa_max_u64(first, w->base);
}

/* `count` new rows at the end, whose slots may be written now; the others may
   have been moved to make room. */
void clsa_window_extend(struct clsa_window *window, size_t count);

/* Whether exact rows are there for a truncation to `end`. */
bool clsa_window_reaches(const struct clsa_window *window, uint64_t end);

/* Forget positions from `end` on, whose rows are there (clsa_window_reaches),
   or with `kept` false all of them: the window goes on empty at `end`. */
void clsa_window_cut(struct clsa_window *window, uint64_t end, bool kept);

/* The tokens up to the end have been read again: what a window there sees is
   exact, what lies before it is not. */
void clsa_window_restarted(struct clsa_window *window);

/* Rows that a continuation needs. */
static inline uint64_t clsa_window_kept(const struct clsa_window *w)
{
    return w->end - clsa_window_first(w, w->end);
}

/* Copies them; both have the same plan, and `to` has room for them. */
void clsa_window_copy(struct clsa_window *to, const struct clsa_window *from);

#endif /* CLSA_ENGINE_WINDOW_H */
