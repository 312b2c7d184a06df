/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention: what the tokens that run get from the rows of their layer's
 * store. Queries and keys are finished (normed, rotated) first, and K and V go
 * to the store; then the rows are attended to in parts, whose partial softmaxes
 * are combined in ascending order.
 *
 * Parts, KV heads and tokens are the work items that threads share; an item
 * does not depend on who computes it.
 */
#ifndef CLSA_ENGINE_ATTENTION_H
#define CLSA_ENGINE_ATTENTION_H

#include "src/engine/step.h"

/* Parts of CLSA_ATTEND_ROWS rows. */
static inline size_t clsa_parts(size_t rows)
{
    return (rows + CLSA_ATTEND_ROWS - 1) / CLSA_ATTEND_ROWS;
}

/* scratch->q [n][h e] of the layer: normed and rotated; times the scale of
   scores unless a policy looks at queries. */
void clsa_finish_queries(const struct clsa_pass *p);

/* scratch->k_rows (normed, rotated), v_rows and index_k of the tokens that run
   to the store of the layer; with `queries` the same as above in one phase. */
void clsa_store_rows(const struct clsa_pass *p, bool queries);

/* Room in the windows of the step for its tokens. */
void clsa_extend_windows(const struct clsa_pass *p);

/* Partial softmaxes of a group of tokens, as policies see them. */
struct clsa_attention {
    size_t first, n;   /* tokens that run: first .. first + n - 1 */
    size_t most_parts; /* of any of them */
};

/* The partial softmaxes of query head h of token first + i:
   [most_parts][e + 2]. */
static inline float *clsa_partial(const struct clsa_pass *p,
                                  const struct clsa_attention *a, size_t i,
                                  size_t h)
{
    const struct clsa_heads *hd = &p->layer->heads;
    return p->model->scratch->partial +
           (i * hd->heads + h) * a->most_parts * (hd->head_dim + 2);
}

/* scratch->attn_out = attention of the tokens that run, prepared for the output
   projection. */
void clsa_attend(const struct clsa_pass *p);

/* The same in tiles (struct clsa_backend), if there are any for these tokens;
   else false, and nothing was done. */
bool clsa_attend_together(const struct clsa_pass *p);

/* What a worker needs for the kernels, in its scratch. */
struct clsa_attend_scratch {
    unsigned char kernel[CLSA_KERNEL_SCRATCH];
    float q[CLSA_ATTEND_HEADS * CLSA_HEAD_DIM_LIMIT];
    float out[CLSA_ATTEND_HEADS * (CLSA_HEAD_DIM_LIMIT + 2)];
};

_Static_assert(sizeof(struct clsa_attend_scratch) <= CLSA_WORKER_SCRATCH,
               "team.h");

/* Rows of a cache that all heads read in turn from L2, most, most / 2, ...: as
   many as fit while as much is prefetched, and a few if they are long. */
size_t clsa_attend_fitting(const struct clsa_cache_layout *layout, size_t most);

/* Rows of a dense cache that go to a kernel at a time when token i reads it,
   a power of two up to CLSA_ATTEND_ROWS, and that all heads read before the
   next ones; 0: whole parts, each head by itself. */
size_t clsa_attend_step(const struct clsa_pass *p, size_t i);

/* Where rows first .. first + rows->n - 1 of a KV head lie for token i, and
   their format. Rows of a dense cache: a part of CLSA_ATTEND_ROWS rows is in
   one page. */
enum clsa_format clsa_attend_locate(const struct clsa_pass *p, size_t i,
                                    uint32_t head, size_t first,
                                    struct clsa_rows *rows);

/* The partial softmaxes of n heads that the kernel has left in the worker's
   scratch, to theirs, `ld` floats from head to head: they are the first of
   their part, or with `more` are added to those before. */
void clsa_attend_keep(const struct clsa_pass *p, float *to, size_t ld, size_t n,
                      bool more);

/* Rows of a token that runs: some of its part, for a KV head. */
struct clsa_attend_item {
    size_t i; /* token that runs */
    size_t first, n;
    uint32_t head; /* KV head */
};

/* The rows of an item, up to CLSA_ATTEND_HEADS query heads at a time. They are
   the first of their part, or are added to those before. */
void clsa_attend_rows(const struct clsa_pass *p, const struct clsa_attention *a,
                      const struct clsa_attend_item *item,
                      enum clsa_format format, const struct clsa_rows *rows);

/* A part of the chosen rows of token i, which lie in the cache, for all heads
   (attend_chosen.c). */
void clsa_attend_chosen(const struct clsa_pass *p,
                        const struct clsa_attention *a, size_t i, size_t part);

/* Bytes of a thread in scratch->stage for the rows of a cache. */
size_t clsa_stage_bytes(const struct clsa_cache_layout *layout);

/* attn_out.x of the tokens that run, prepared for the output projection. */
void clsa_prepare_attention(const struct clsa_pass *p);

/* `attend` of the backend native: tiles of queries of several tokens, with the
   bits of clsa_attend (attend_tiles.c). */
bool clsa_attend_tiles(struct clsa_backend *b, const struct clsa_pass *p);

/* The same for gated retention (retention.c), whose layer's gate and decay
   are in scratch->attn_out and decay. */
void clsa_retain(const struct clsa_pass *p);

#endif /* CLSA_ENGINE_ATTENTION_H */
