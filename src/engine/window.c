/* SPDX-License-Identifier: Apache-2.0 */
/* The sliding buffer of one layer's K and V rows. */
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/window.h"

clsa_status clsa_window_open(struct clsa_window *window,
                             const struct clsa_store_plan *plan, uint32_t block,
                             clsa_error *error)
{
    struct clsa_window w = {
        .kv_heads = plan->kv_heads,
        .head_dim = plan->head_dim,
        .size = plan->window,
        .capacity = 2 * (uint64_t)plan->window + block,
    };
    size_t row = 2 * (size_t)w.kv_heads * w.head_dim * sizeof *w.rows;
    if (!clsa_size_mul(row, w.capacity, &w.bytes) ||
        !(w.rows = clsa_mem_map(w.bytes)))
        return clsa_fail_memory(error, "the attention windows", w.bytes);
    *window = w;
    return CLSA_OK;
}

void clsa_window_close(struct clsa_window *window)
{
    clsa_mem_unmap(window->rows, window->bytes);
    window->rows = NULL;
}

static bool is_full(const struct clsa_window *w, size_t count)
{
    return w->end - w->base + count > w->capacity;
}

/* First position that positions from `end` on may still look at. */
static uint64_t first_needed(const struct clsa_window *w)
{
    return clsa_window_first(w, w->end);
}

/* The rows that are still needed, to the front. */
static void move_rows(const struct clsa_window *w)
{
    const uint64_t first = first_needed(w);
    const size_t bytes = (size_t)(w->end - first) * w->head_dim * sizeof(float);
    for (size_t plane = 0; plane < 2 * (size_t)w->kv_heads; plane++) {
        float *rows = w->rows + plane * w->capacity * w->head_dim;
        memmove(rows, rows + (first - w->base) * w->head_dim, bytes);
    }
}

void clsa_window_extend(struct clsa_window *window, size_t count)
{
    if (is_full(window, count)) {
        move_rows(window);
        window->base = first_needed(window);
    }
    if (window->exact < window->base)
        window->exact = window->base;
    window->end += count;
}

bool clsa_window_reaches(const struct clsa_window *window, uint64_t end)
{
    return (end >= window->size ? end - window->size + 1 : 0) >= window->exact;
}

void clsa_window_cut(struct clsa_window *window, uint64_t end, bool kept)
{
    window->end = end;
    if (!kept)
        window->base = window->exact = end;
}

void clsa_window_restarted(struct clsa_window *window)
{
    window->exact = first_needed(window);
}

void clsa_window_copy(struct clsa_window *to, const struct clsa_window *from)
{
    uint64_t first = first_needed(from);
    size_t bytes = (size_t)(from->end - first) * from->head_dim * sizeof(float);
    for (int v = 0; v < 2; v++)
        for (uint32_t head = 0; head < from->kv_heads; head++)
            memcpy(clsa_window_row(to, v, head, 0),
                   clsa_window_row(from, v, head, first - from->base), bytes);
    to->base = first;
    to->exact = clsa_max_u64(from->exact, first);
    to->end = from->end;
}
