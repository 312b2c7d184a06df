/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/window.h"

clsa_status clsa_window_open(struct clsa_window *window,
                             const struct clsa_hparams *hp, uint32_t block,
                             clsa_error *error)
{
    struct clsa_window w = {
        .layers = hp->mixer == CLSA_MIXER_SWA ? hp->self_layers : 0,
        .g = hp->self.g,
        .e = hp->self.e,
        .size = hp->window,
        .capacity = 2 * (uint64_t)hp->window + block,
    };
    size_t row = (size_t)w.layers * 2 * w.g * w.e * sizeof *w.rows;
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

void clsa_window_move(const struct clsa_window *window, size_t count,
                      const struct clsa_worker *worker)
{
    if (!is_full(window, count))
        return;
    uint64_t first = first_needed(window);
    size_t begin, end;
    size_t bytes = (size_t)(window->end - first) * window->e * sizeof(float);
    clsa_share(worker, (size_t)window->layers * 2 * window->g, &begin, &end);
    for (size_t strip = begin; strip < end; strip++) {
        float *rows = window->rows + strip * window->capacity * window->e;
        memmove(rows, rows + (first - window->base) * window->e, bytes);
    }
}

void clsa_window_extend(struct clsa_window *window, size_t count)
{
    if (is_full(window, count))
        window->base = first_needed(window);
    if (window->exact < window->base)
        window->exact = window->base;
    window->end += count;
}

bool clsa_window_reaches(const struct clsa_window *window, uint64_t end)
{
    return (end >= window->size ? end - window->size + 1 : 0) >= window->exact;
}

bool clsa_window_truncate(struct clsa_window *window, uint64_t end)
{
    uint64_t reach = (uint64_t)window->layers * (window->size - 1);
    if (clsa_window_reaches(window, end)) {
        window->end = end;
        return true;
    }
    window->base = window->end = window->exact = end > reach ? end - reach : 0;
    return false;
}

void clsa_window_restarted(struct clsa_window *window)
{
    window->exact = first_needed(window);
}

void clsa_window_copy(struct clsa_window *to, const struct clsa_window *from)
{
    uint64_t first = first_needed(from);
    size_t n = (size_t)(from->end - first) * from->e;
    for (uint32_t layer = 0; layer < from->layers; layer++)
        for (int v = 0; v < 2; v++)
            for (uint32_t head = 0; head < from->g; head++)
                memcpy(
                    clsa_window_row(to, layer, v, head, 0),
                    clsa_window_row(from, layer, v, head, first - from->base),
                    n * sizeof(float));
    to->base = first;
    to->exact = from->exact > first ? from->exact : first;
    to->end = from->end;
}
