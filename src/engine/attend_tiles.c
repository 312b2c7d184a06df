/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of the tokens of a prompt block to a cache by the kernels of simd/.
 * A work item is a tile: neighboring tokens of one sequence, and a KV head. It
 * reads the rows that all of its tokens see once, with the queries of several
 * tokens at a time, and the last rows token by token.
 *
 * Every query gets the partial softmaxes of the same rows in the same order as
 * in attention.c, and they are combined in the same way: a token gets the bits
 * that it gets alone.
 */
#include <string.h>

#include "src/base/minmax.h"
#include "src/engine/attention.h"

/* Tokens of a tile, at most. A power of two that divides CLSA_ATTEND_ROWS:
   tiles lie at its multiples, so that their tokens read in the same steps. */
#define TILE_TOKENS ((size_t)64)

_Static_assert(CLSA_ATTEND_ROWS % TILE_TOKENS == 0, "above");

/* Queries: r of each of n tokens from i on, numbered token by token. */
struct tile {
    const struct clsa_pass *p;
    uint32_t head; /* KV head */
    size_t i, n;
    uint64_t position; /* of token i */
    size_t parts;      /* of the last token */
    float *partial;    /* [n r][parts][e + 2] */
};

/* m queries from u on, side by side. */
static void copy_queries(const struct tile *t, size_t u, size_t m, float *to)
{
    const struct clsa_heads *hd = &t->p->layer->heads;
    const size_t e = hd->head_dim, r = hd->group;
    const float *q = t->p->model->scratch->q;
    for (size_t end = u + m; u < end; u++, to += e)
        memcpy(to, q + ((t->i + u / r) * hd->heads + t->head * r + u % r) * e,
               e * sizeof *to);
}

/* Partial softmaxes of queries u .. end - 1 over rows from `first` on. */
static void attend_rows(const struct tile *t, size_t u, size_t end,
                        size_t first, struct clsa_rows rows)
{
    const struct clsa_pass *p = t->p;
    const size_t e = p->layer->heads.head_dim, ld = t->parts * (e + 2);
    const size_t part = first / CLSA_ATTEND_ROWS;
    struct clsa_attend_scratch *s = p->w->scratch;
    const enum clsa_format format =
        clsa_attend_locate(p, t->i, t->head, first, &rows);
    rows.ahead = NULL; /* others read it before */
    for (size_t m; u < end; u += m) {
        m = clsa_min(end - u, CLSA_ATTEND_HEADS);
        copy_queries(t, u, m, s->q);
        p->simd->attend[format](s->out, s->q, m, e, &rows);
        clsa_attend_keep(p, t->partial + u * ld + part * (e + 2), ld, m,
                         first % CLSA_ATTEND_ROWS != 0);
    }
}

/* Rows first .. end - 1 for `count` tokens of a tile from `token` on. */
static void attend_tokens(const struct tile *t, size_t token, size_t count,
                          size_t first, size_t end)
{
    struct clsa_attend_scratch *s = t->p->w->scratch;
    const size_t r = t->p->layer->heads.group;
    size_t step = clsa_attend_step(t->p, t->i);
    step = step ? step : CLSA_ATTEND_ROWS;
    for (; first < end; first += step)
        attend_rows(t, token * r, (token + count) * r, first,
                    (struct clsa_rows){.n = clsa_min(end - first, step),
                                       .scratch = s->kernel,
                                       .cap = t->p->layer->softcap});
}

/* attn_out.x of the queries of a tile. */
static void combine(const struct tile *t)
{
    const struct clsa_heads *hd = &t->p->layer->heads;
    const struct clsa_act *out = &t->p->model->scratch->attn_out;
    const size_t e = hd->head_dim, r = hd->group;
    for (size_t u = 0; u < t->n * r; u++)
        t->p->simd->attend_combine(
            out->x + (t->i + u / r) * out->ldx + (t->head * r + u % r) * e,
            t->partial + u * t->parts * (e + 2),
            clsa_parts((size_t)t->position + u / r + 1), e + 2, e);
}

static void attend_tile(const struct tile *t)
{
    const size_t seen = (size_t)t->position + 1; /* by the first token */
    const size_t full = seen / CLSA_ATTEND_ROWS * CLSA_ATTEND_ROWS;
    attend_tokens(t, 0, t->n, 0, full);
    for (size_t j = 0; j < t->n; j++)
        attend_tokens(t, j, 1, full, seen + j);
    combine(t);
}

/* How a block is cut: tile k has the tokens at the k-th multiple of `each`
   positions and on. */
struct cut {
    uint64_t position; /* of the first token */
    size_t each, tiles;
    size_t floats; /* for the partial softmaxes of a tile, of each worker */
};

/* As many tokens as there is room for, or fewer, so that all threads get
   some. `each` is 0 if there is no room for one. */
static struct cut cut_block(const struct clsa_pass *p)
{
    const struct clsa_scratch *s = p->model->scratch;
    const struct clsa_heads *hd = &p->layer->heads;
    struct cut c = {.position = clsa_pass_token(p, 0)->position,
                    .each = TILE_TOKENS,
                    .floats = s->partials / s->threads / 16 * 16};
    const uint64_t last = c.position + p->n - 1;
    const size_t token =
        clsa_parts((size_t)last + 1) * hd->group * ((size_t)hd->head_dim + 2);
    while (c.each && c.each * token > c.floats)
        c.each /= 2;
    while (c.each > 1 && c.each * hd->group > CLSA_ATTEND_HEADS &&
           p->n / c.each * hd->kv_heads < 4 * (size_t)p->w->count)
        c.each /= 2;
    if (c.each)
        c.tiles = (size_t)(last / c.each - c.position / c.each) + 1;
    return c;
}

static void attend_item(const struct clsa_pass *p, const struct cut *c,
                        size_t item)
{
    const uint32_t heads = p->layer->heads.kv_heads;
    const uint64_t tile = c->position / c->each + item / heads;
    const uint64_t begin = clsa_max_u64(tile * c->each, c->position);
    const uint64_t end = clsa_min_u64((tile + 1) * c->each, c->position + p->n);
    attend_tile(&(struct tile){
        .p = p,
        .head = (uint32_t)(item % heads),
        .i = (size_t)(begin - c->position),
        .n = (size_t)(end - begin),
        .position = begin,
        .parts = clsa_parts((size_t)end),
        .partial = p->model->scratch->partial + p->w->id * c->floats,
    });
}

/* Several tokens of one sequence, one after the other. */
static bool are_neighbors(const struct clsa_pass *p)
{
    const struct clsa_step_token *first = clsa_pass_token(p, 0);
    const struct clsa_step_token *last = clsa_pass_token(p, p->n - 1);
    return p->n > 1 && first->session == last->session &&
           last->position - first->position == p->n - 1;
}

bool clsa_attend_tiles(struct clsa_backend *b, const struct clsa_pass *p)
{
    (void)b;
    if (!are_neighbors(p) || !clsa_layer_reads_cache(p->net, p->layer))
        return false;
    const struct cut c = cut_block(p);
    if (!c.each)
        return false;
    struct clsa_loop loop = clsa_loop(p->w, c.tiles * p->layer->heads.kv_heads);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            attend_item(p, &c, i);
    clsa_prepare_attention(p);
    return true;
}
