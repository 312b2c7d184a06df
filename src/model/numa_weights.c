/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of matrices whose rows lie on the nodes of the threads that use them.
 */
#include <string.h>
#include <sys/mman.h>

#include "src/base/mem.h"
#include "src/base/loop.h"
#include "src/model/numa_weights.h"

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
    size_t first = 0, begin, end;

    for (unsigned i = 0; i < threads; i++) {
        const unsigned node = clsa_team_node_of(team, i);
        clsa_share(i, threads, clsa_row_items(rows), &begin, &end);
        clsa_item_rows(rows, &begin, &end);
        if (i + 1 < threads && clsa_team_node_of(team, i + 1) == node)
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

void clsa_numa_weights_bind(const struct clsa_gguf *gguf,
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
    struct clsa_loop loop = clsa_loop(w, clsa_row_items(c->rows));
    while (clsa_loop_next(&loop)) {
        clsa_item_rows(c->rows, &loop.begin, &loop.end);
        memcpy(c->to + loop.begin * c->row_bytes,
               c->from + loop.begin * c->row_bytes,
               (loop.end - loop.begin) * c->row_bytes);
    }
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

clsa_status clsa_numa_weights_copy(struct clsa_gguf *gguf,
                                   struct clsa_team *team,
                                   struct clsa_budget *budget,
                                   clsa_error *error)
{
    const size_t page = clsa_mem_page();
    size_t size = 0, at = 0;

    if (clsa_team_nodes(team) < 2)
        return CLSA_OK;
    CLSA_TRY(clsa_team_ready(team, error));
    for (size_t i = 0; i < gguf->tensor_count; i++)
        if (is_shared(gguf, &gguf->tensors[i]))
            size += clsa_round_up((size_t)gguf->tensors[i].size, page);
    CLSA_TRY(clsa_budget_take(budget, size, "weights on NUMA nodes", error));
    gguf->numa_weights = clsa_mem_map(size);
    if (!gguf->numa_weights)
        return clsa_fail_memory(error, "weights on NUMA nodes", size);
    gguf->numa_size = size;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        struct clsa_gguf_tensor *t = &gguf->tensors[i];
        if (!is_shared(gguf, t))
            continue;
        copy_tensor(team, t, (unsigned char *)gguf->numa_weights + at);
        at += clsa_round_up((size_t)t->size, page);
    }
    /* After this only keys and vectors of the file are read. */
    clsa_gguf_advise(gguf, MADV_DONTNEED);
    return CLSA_OK;
}
