/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window: the K and V rows that the self-decoder's sliding-window attention
 * still needs, for all its layers. In the way of a token: the first line,
 * "ring of W rows".
 *
 * The rows of a KV head are kept in order in a buffer of `capacity` rows; when
 * it is full the last W - 1 rows move to its front. So a window is always one
 * contiguous run, and moving costs about a row per token.
 *
 *   rows [S][2: K, V][g][capacity][e] floats
 *   slot of position p: p - base;  base <= p < end
 */
#ifndef CLSA_ENGINE_WINDOW_H
#define CLSA_ENGINE_WINDOW_H

#include <stdbool.h>

#include "src/base/team.h"
#include "src/model/hparams.h"

struct clsa_window {
    uint32_t layers, g, e, size; /* size: W; layers: 0 with retention */
    uint64_t capacity;           /* rows */
    uint64_t base;               /* position in slot 0 */
    uint64_t end;                /* positions stored: base..end-1 */
    uint64_t exact;              /* first of them with all that it saw */
    float *rows;
    size_t bytes;
};

/* Room for windows of hp->window rows and appends of up to `block` rows. */
clsa_status clsa_window_open(struct clsa_window *window,
                             const struct clsa_hparams *hp, uint32_t block,
                             clsa_error *error);
void clsa_window_close(struct clsa_window *window);

/* Row `slot` of a head of a layer; `v` 0 for K, 1 for V. */
static inline float *clsa_window_row(const struct clsa_window *w,
                                     uint32_t layer, int v, uint32_t head,
                                     uint64_t slot)
{
    size_t strip = ((size_t)layer * 2 + (size_t)v) * w->g + head;
    return w->rows + (strip * w->capacity + slot) * w->e;
}

/* First position that a query at `position` sees: W - 1 before it, or less
   where the text or a restarted window begins. */
static inline uint64_t clsa_window_first(const struct clsa_window *w,
                                         uint64_t position)
{
    uint64_t first = position >= w->size ? position - w->size + 1 : 0;
    return first > w->base ? first : w->base;
}

/*
 * Make room for `count` rows at `end`: all threads of a team call it, each
 * moves its share. A barrier has to follow before anybody touches rows or calls
 * clsa_window_extend.
 */
void clsa_window_move(const struct clsa_window *window, size_t count,
                      const struct clsa_worker *worker);

/* Take note of what clsa_window_move has done, and of `count` new rows whose
   slots are now theirs to be written. One thread. */
void clsa_window_extend(struct clsa_window *window, size_t count);

/* Whether rows that are exact are there for a truncation to `end`. */
bool clsa_window_reaches(const struct clsa_window *window, uint64_t end);

/*
 * Forget positions from `end` on. False when rows before it that a window at
 * `end` looks at are gone: the window then is empty at S (W - 1) positions
 * before `end`, as far as all layers together look back. The tokens from
 * window->end to `end` have to be read again, and clsa_window_restarted called.
 */
bool clsa_window_truncate(struct clsa_window *window, uint64_t end);

/* The tokens up to the end have been read again: what a window there sees is
   exact, what lies before it is not. */
void clsa_window_restarted(struct clsa_window *window);

/* Copies what a continuation needs; both have the same model and block. */
void clsa_window_copy(struct clsa_window *to, const struct clsa_window *from);

#endif /* CLSA_ENGINE_WINDOW_H */
