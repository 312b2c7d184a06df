/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/mman.h>

#include "src/base/mem.h"
#include "src/model/placed.h"

/* A matrix that threads multiply by rows. */
static bool is_shared(const struct clsa_gguf *gguf,
                      const struct clsa_gguf_tensor *t)
{
    return t->dims == 2 && t->data &&
           (strcmp(t->name, "token_embd.weight") != 0 ||
            !clsa_gguf_tensor(gguf, "output.weight"));
}

/* Threads of a node are side by side, so each node gets one run of rows or a
   few. A page with rows of two nodes goes to the first of them. */
static void bind_rows(const struct clsa_team *team, const void *data,
                      size_t rows, size_t row_bytes)
{
    const size_t page = clsa_mem_page();
    const uintptr_t base = (uintptr_t)data;
    const unsigned threads = clsa_team_size(team);
    struct clsa_worker w = {.count = threads};
    size_t first = 0, begin, end;

    for (; w.id < threads; w.id++) {
        const unsigned node = clsa_team_node_of(team, w.id);
        clsa_share_rows(&w, rows, &begin, &end);
        if (w.id + 1 < threads && clsa_team_node_of(team, w.id + 1) == node)
            continue;
        uintptr_t from = clsa_round_up(base + first * row_bytes, page);
        uintptr_t to = clsa_round_up(base + end * row_bytes, page);
        if (from < to)
            clsa_team_bind(team, (void *)from, to - from, node);
        first = end;
    }
}

static void bind_tensor(const struct clsa_team *team,
                        const struct clsa_gguf_tensor *t)
{
    const size_t rows = (size_t)t->shape[1];
    if (rows)
        bind_rows(team, t->data, rows, (size_t)t->size / rows);
}

void clsa_placed_bind(const struct clsa_gguf *gguf,
                      const struct clsa_team *team)
{
    if (clsa_team_nodes(team) < 2)
        return;
    for (size_t i = 0; i < gguf->tensor_count; i++)
        if (is_shared(gguf, &gguf->tensors[i]))
            bind_tensor(team, &gguf->tensors[i]);
}

struct copying {
    const unsigned char *from;
    unsigned char *to;
    size_t rows, row_bytes;
};

static void copy_rows(void *context, struct clsa_worker *w)
{
    const struct copying *c = context;
    size_t begin, end;
    clsa_share_rows(w, c->rows, &begin, &end);
    memcpy(c->to + begin * c->row_bytes, c->from + begin * c->row_bytes,
           (end - begin) * c->row_bytes);
}

static void copy_tensor(struct clsa_team *team, struct clsa_gguf_tensor *t,
                        unsigned char *to)
{
    struct copying c = {.from = t->data, .to = to, .rows = (size_t)t->shape[1]};
    t->data = to;
    bind_tensor(team, t);
    if (c.rows)
        c.row_bytes = (size_t)t->size / c.rows;
    clsa_team_run(team, copy_rows, &c);
}

clsa_status clsa_placed_copy(struct clsa_gguf *gguf, struct clsa_team *team,
                             struct clsa_budget *budget, clsa_error *error)
{
    const size_t page = clsa_mem_page();
    size_t size = 0, at = 0;

    if (clsa_team_nodes(team) < 2)
        return CLSA_OK;
    for (size_t i = 0; i < gguf->tensor_count; i++)
        if (is_shared(gguf, &gguf->tensors[i]))
            size += clsa_round_up((size_t)gguf->tensors[i].size, page);
    CLSA_TRY(clsa_budget_take(budget, size, "weights on NUMA nodes", error));
    gguf->placed = clsa_mem_map(size);
    if (!gguf->placed)
        return clsa_fail_memory(error, "weights on NUMA nodes", size);
    gguf->placed_size = size;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        struct clsa_gguf_tensor *t = &gguf->tensors[i];
        if (!is_shared(gguf, t))
            continue;
        copy_tensor(team, t, (unsigned char *)gguf->placed + at);
        at += clsa_round_up((size_t)t->size, page);
    }
    /* The file is not read again but for its keys and vectors. */
    madvise((void *)(uintptr_t)gguf->base, gguf->size, MADV_DONTNEED);
    return CLSA_OK;
}
