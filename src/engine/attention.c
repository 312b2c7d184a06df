/* SPDX-License-Identifier: Apache-2.0 */
/* Attention by the kernels of simd/: storing rows, parts, combining. */
#include <string.h>

#include "src/base/minmax.h"
#include "src/engine/select.h"

/* Bytes of a dense cache that all heads read in turn while as much is
   prefetched. Larger tiles fall out of L2. */
#define TILE_BYTES    ((size_t)128 << 10)
#define TILE_ROWS_MIN 16

/* ------------------------------------------------------- queries and rows */

/* Pairs (2i, 2i + 1) become (i, i + pairs), of queries as of keys, whose
   products stay the same. */
static void separate_pairs(float *x, size_t pairs)
{
    float odd[CLSA_HEAD_DIM_LIMIT / 2];
    for (size_t i = 0; i < pairs; i++) {
        odd[i] = x[2 * i + 1];
        x[i] = x[2 * i];
    }
    memcpy(x + pairs, odd, pairs * sizeof *x);
}

/* Bias, norm and rotation of head j of the i-th token that runs. */
static void finish_head(const struct clsa_pass *p, size_t i, size_t j,
                        const float *bias, const float *norm, float *x)
{
    const struct clsa_layer *l = p->layer;
    const struct clsa_scratch *s = p->model->scratch;
    const size_t e = l->heads.head_dim;
    if (bias)
        p->simd->add(x, bias + j * e, e);
    if (norm)
        p->simd->rms_norm(x, x, norm, e, p->net->eps);
    if (l->rope == CLSA_NO_ROPE)
        return;
    const struct clsa_rope *rope = &p->net->ropes[l->rope];
    const size_t at = clsa_rope_at(p, i);
    if (rope->adjacent)
        separate_pairs(x, rope->pairs);
    p->simd->rope(x, s->cos + at, s->sin + at, rope->pairs);
}

/* Bias and norm of KV head j of V. */
static void finish_value(const struct clsa_pass *p, size_t j, float *v)
{
    const struct clsa_layer *l = p->layer;
    const size_t e = l->heads.head_dim;
    if (l->v_bias)
        p->simd->add(v, l->v_bias + j * e, e);
    if (l->v_normed)
        p->simd->rms_norm(v, v, NULL, e, p->net->eps);
}

/* Queries that a policy looks at are scaled when they are attended with. */
static bool scaled_later(const struct clsa_pass *p)
{
    return p->outputs && p->step->shows_queries;
}

/* Head j of all heads of the tokens that run. */
static void finish_query(const struct clsa_pass *p, size_t j)
{
    const struct clsa_layer *l = p->layer;
    const size_t e = l->heads.head_dim;
    const bool scale = !scaled_later(p);
    float *q = p->model->scratch->q + j * e;
    finish_head(p, j / l->heads.heads, j % l->heads.heads, l->q_bias, l->q_norm,
                q);
    for (size_t v = 0; scale && v < e; v++)
        q[v] *= l->scale;
}

void clsa_finish_queries(const struct clsa_pass *p)
{
    struct clsa_loop loop = clsa_loop(p->w, p->n * p->layer->heads.heads);
    while (clsa_loop_next(&loop))
        for (size_t j = loop.begin; j < loop.end; j++)
            finish_query(p, j);
}

/* A work item is one store of one sequence, as rows move seldom. */
static void extend_store(const struct clsa_pass *p, size_t item)
{
    const struct clsa_step *step = p->step;
    const size_t stores = step->token[0].session->stores.count;
    size_t t = 0;
    for (size_t i = item / stores; i > 0; i--)
        t += clsa_step_run_length(step, t);
    clsa_store_extend(&step->token[t].session->stores.store[item % stores],
                      clsa_step_run_length(step, t));
}

void clsa_extend_windows(const struct clsa_pass *p)
{
    const struct clsa_step *step = p->step;
    size_t runs = 0;
    for (size_t t = 0; t < step->n; t += clsa_step_run_length(step, t))
        runs++;
    struct clsa_loop loop =
        clsa_loop(p->w, runs * step->token[0].session->stores.count);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            extend_store(p, i);
}

/* KV head j of the i-th token to its slot of the window. */
static void store_in_window(const struct clsa_pass *p, size_t i, uint32_t j,
                            const float *k, const float *v)
{
    const struct clsa_layer *l = p->layer;
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_window *window = clsa_token_window(token, l);
    const size_t e = l->heads.head_dim;
    const uint64_t slot = token->position - window->base;
    float *to = clsa_window_row(window, 0, j, slot);
    p->simd->load[CLSA_F32](to, k, e);
    finish_head(p, i, j, l->k_bias, l->k_norm, to);
    to = clsa_window_row(window, 1, j, slot);
    p->simd->load[CLSA_F32](to, v, e);
    finish_value(p, j, to);
}

/* K, V and index key of the i-th token to its row of the cache. */
static void store_in_cache(const struct clsa_pass *p, size_t i)
{
    const struct clsa_layer *l = p->layer;
    const struct clsa_scratch *s = p->model->scratch;
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const size_t e = l->heads.head_dim, ge = l->heads.kv_heads * e;
    float *k = s->k_rows + i * ge, *v = s->v_rows + i * ge;
    for (uint32_t j = 0; j < l->heads.kv_heads; j++) {
        finish_head(p, i, j, l->k_bias, l->k_norm, k + j * e);
        finish_value(p, j, v + j * e);
    }
    clsa_cache_write(clsa_token_cache(token, l), p->simd, token->position, k, v,
                     l->index_k.data ? s->index_k + i * l->index_k.rows : NULL);
}

void clsa_store_rows(const struct clsa_pass *p, bool queries)
{
    const struct clsa_heads *hd = &p->layer->heads;
    const struct clsa_scratch *s = p->model->scratch;
    const bool cache = clsa_layer_reads_cache(p->net, p->layer);
    const size_t g = hd->kv_heads;
    struct clsa_loop loop = clsa_loop(p->w, cache ? p->n : p->n * g);
    if (queries)
        clsa_loop_add(&loop, p->n * hd->heads);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++) {
            if (loop.part == 1)
                finish_query(p, i);
            else if (cache)
                store_in_cache(p, i);
            else
                store_in_window(p, i / g, (uint32_t)(i % g),
                                s->k_rows + i * hd->head_dim,
                                s->v_rows + i * hd->head_dim);
        }
}

/* -------------------------------------------------- rows that a token sees */

/* The working set that a token reads; NULL: rows where they lie. */
static const struct clsa_working_set *
set_of(const struct clsa_pass *p, const struct clsa_step_token *token)
{
    return token->set && !clsa_policy_reads_all(&token->session->policy, p->net,
                                                p->layer, token->position)
               ? token->set
               : NULL;
}

static size_t row_count(const struct clsa_pass *p, size_t i)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    if (!clsa_layer_reads_cache(p->net, p->layer))
        return (size_t)(token->position + 1 -
                        clsa_window_first(clsa_token_window(token, p->layer),
                                          token->position));
    const struct clsa_working_set *set = set_of(p, token);
    return set ? set->n : (size_t)token->position + 1;
}

/* The rows that a token sees in any layer, at most. */
static size_t row_count_most(const struct clsa_pass *p, size_t i)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    if (!clsa_layer_reads_cache(p->net, p->layer))
        return p->net->stores[p->layer->store].window;
    const struct clsa_working_set *set = set_of(p, token);
    const size_t slots = set ? set->capacity : SIZE_MAX;
    return token->position < slots ? (size_t)token->position + 1 : slots;
}

/* What is prefetched of the next rows of a dense cache while a head attends to
   n of them: its heads have each a share of it, so that memory is read in
   order, once, where a head alone would take a few lines of each row. */
static const void *rows_ahead(const struct clsa_cache *cache, size_t first,
                              size_t end, uint32_t head, size_t n)
{
    const struct clsa_cache_layout *l = &cache->layout;
    if (end - first < 2 * n || n * l->row_bytes > TILE_BYTES)
        return NULL;
    return clsa_cache_row(cache, first + n) + head * n * 2 * l->head_bytes;
}

static enum clsa_format locate_in_window(const struct clsa_window *window,
                                         uint64_t position, uint32_t head,
                                         size_t first, struct clsa_rows *rows)
{
    const uint64_t slot =
        clsa_window_first(window, position) + first - window->base;
    rows->k = clsa_window_row(window, 0, head, slot);
    rows->v = clsa_window_row(window, 1, head, slot);
    rows->stride = window->head_dim * sizeof(float);
    return CLSA_F32;
}

enum clsa_format clsa_attend_locate(const struct clsa_pass *p, size_t i,
                                    uint32_t head, size_t first,
                                    struct clsa_rows *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_working_set *set = set_of(p, token);
    if (!clsa_layer_reads_cache(p->net, p->layer))
        return locate_in_window(clsa_token_window(token, p->layer),
                                token->position, head, first, rows);
    const struct clsa_cache *cache = clsa_token_cache(token, p->layer);
    const struct clsa_cache_layout *l = &cache->layout;
    if (set) {
        rows->k = set->k + head * set->plane_bytes;
        rows->v = set->v + head * set->plane_bytes;
        rows->stride = set->head_bytes;
        rows->order = set->order + first;
        return l->kv;
    }
    const unsigned char *row = clsa_cache_row(cache, first);
    rows->k = row + head * l->head_bytes;
    rows->v = row + (l->kv_heads + head) * l->head_bytes;
    rows->stride = l->row_bytes;
    rows->ahead =
        rows_ahead(cache, first, (size_t)token->position + 1, head, rows->n);
    return l->kv;
}

/* -------------------------------------------------------------- work items */

size_t clsa_attend_fitting(const struct clsa_cache_layout *layout, size_t most)
{
    size_t n = most;
    while (n > TILE_ROWS_MIN && n * layout->row_bytes > TILE_BYTES)
        n /= 2;
    return n;
}

/* Rows of a dense cache that all heads read before the next ones, a power of
   two up to CLSA_ATTEND_ROWS; 0: rows of a window or a working set. */
static size_t dense_tile(const struct clsa_pass *p, size_t i)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    if (set_of(p, token) || !clsa_layer_reads_cache(p->net, p->layer))
        return 0;
    return clsa_attend_fitting(&clsa_token_cache(token, p->layer)->layout,
                               CLSA_ATTEND_ROWS);
}

/* No less than row_count, but the same from the first loop of a region to its
   last: the working set may get other rows in between. */
static size_t row_bound(const struct clsa_pass *p, size_t i)
{
    return set_of(p, clsa_pass_token(p, i)) ? row_count_most(p, i)
                                            : row_count(p, i);
}

/* dense_tile if there are enough parts for many threads. */
size_t clsa_attend_step(const struct clsa_pass *p, size_t i)
{
    enum { ENOUGH = 8 };
    return clsa_parts(row_bound(p, i)) >= ENOUGH ? dense_tile(p, i) : 0;
}

/* Whether token i reads chosen rows where they lie. */
static bool in_place(const struct clsa_pass *p, size_t i)
{
    const struct clsa_working_set *set = set_of(p, clsa_pass_token(p, i));
    return set && !set->k && clsa_layer_reads_cache(p->net, p->layer);
}

static size_t items_of(const struct clsa_pass *p, size_t i)
{
    const bool all = clsa_attend_step(p, i) || in_place(p, i);
    return clsa_parts(row_bound(p, i)) * (all ? 1 : p->layer->heads.kv_heads);
}

/* Work items of a page of the cache if each node's threads take the items of
   its own pages: if a token has so many pages that no node gets many more than
   another. Else 0: anybody's. */
static size_t page_items(const struct clsa_pass *p, size_t i)
{
    enum { ENOUGH = 4 }; /* pages of each node */
    if (p->w->nodes < 2 || !dense_tile(p, i))
        return 0;
    const size_t each = CLSA_PAGE_ROWS / CLSA_ATTEND_ROWS *
                        (clsa_attend_step(p, i) ? 1 : p->layer->heads.kv_heads);
    return items_of(p, i) < ENOUGH * p->w->nodes * each ? 0 : each;
}

/* r queries of token i from head h on; scaled copies if a policy had to see
   them unscaled. */
static const float *queries_of(const struct clsa_pass *p, size_t i, size_t h,
                               size_t r, float *copy)
{
    const size_t e = p->layer->heads.head_dim;
    const float *q = p->model->scratch->q + (i * p->layer->heads.heads + h) * e;
    if (!scaled_later(p))
        return q;
    for (size_t v = 0; v < r * e; v++)
        copy[v] = q[v] * p->layer->scale;
    return copy;
}

void clsa_attend_keep(const struct clsa_pass *p, float *to, size_t ld, size_t n,
                      bool more)
{
    const struct clsa_attend_scratch *s = p->w->scratch;
    const size_t e = p->layer->heads.head_dim;
    if (more)
        p->simd->attend_accumulate(to, ld, s->out, n, e);
    for (size_t i = 0; i < n && !more; i++)
        memcpy(to + i * ld, s->out + i * (e + 2), (e + 2) * sizeof *to);
}

/* Tells the policy of a token about rows of heads that it learns from. */
static void tell_policy(const struct clsa_pass *p, size_t i,
                        const struct clsa_attended *attended)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_policy *policy = &token->session->policy;
    if (token->set && policy->type->attended &&
        clsa_policy_chooses_after(policy, p->net, p->layer, token->position))
        policy->type->attended(p, i, attended);
}

void clsa_attend_rows(const struct clsa_pass *p, const struct clsa_attention *a,
                      const struct clsa_attend_item *t, enum clsa_format format,
                      const struct clsa_rows *rows)
{
    const struct clsa_heads *hd = &p->layer->heads;
    const size_t e = hd->head_dim, ld = a->most_parts * (e + 2);
    const size_t part = t->first / CLSA_ATTEND_ROWS;
    struct clsa_attend_scratch *s = p->w->scratch;
    for (uint32_t j = 0; j < hd->group; j += CLSA_ATTEND_HEADS) {
        size_t r = hd->group - j < CLSA_ATTEND_HEADS ? hd->group - j
                                                     : CLSA_ATTEND_HEADS;
        size_t h = (size_t)t->head * hd->group + j; /* first query head */
        float *to = clsa_partial(p, a, t->i - a->first, h) + part * (e + 2);
        const float *q = queries_of(p, t->i, h, r, s->q);
        p->simd->attend[format](s->out, q, r, e, rows);
        tell_policy(p, t->i,
                    &(struct clsa_attended){h, r, q, format, rows, t->first});
        clsa_attend_keep(p, to, ld, r, t->first % CLSA_ATTEND_ROWS != 0);
    }
}

/* Rows first .. first + n - 1 of a KV head of token i. */
static void attend_rows(const struct clsa_pass *p,
                        const struct clsa_attention *a,
                        const struct clsa_attend_item *t)
{
    struct clsa_attend_scratch *s = p->w->scratch;
    struct clsa_rows rows = {
        .n = t->n, .scratch = s->kernel, .cap = p->layer->softcap};
    const enum clsa_format format =
        clsa_attend_locate(p, t->i, t->head, t->first, &rows);
    clsa_attend_rows(p, a, t, format, &rows);
}

/* A work item: one part of one KV head of one token, or of all in tiles. */
static void attend_item(const struct clsa_pass *p,
                        const struct clsa_attention *a, size_t i, size_t item)
{
    const size_t count = row_count(p, i), tile = clsa_attend_step(p, i);
    const uint32_t g = p->layer->heads.kv_heads;
    const bool all = tile || in_place(p, i);
    size_t first = (all ? item : item / g) * CLSA_ATTEND_ROWS;
    if (first >= count)
        return;
    const size_t end =
        count - first < CLSA_ATTEND_ROWS ? count : first + CLSA_ATTEND_ROWS;
    if (!all) {
        attend_rows(p, a,
                    &(struct clsa_attend_item){i, first, end - first,
                                               (uint32_t)(item % g)});
        return;
    }
    if (!tile) {
        clsa_attend_chosen(p, a, i, item);
        return;
    }
    for (; first < end; first += tile)
        for (uint32_t head = 0; head < g; head++)
            attend_rows(
                p, a,
                &(struct clsa_attend_item){
                    i, first, end - first < tile ? end - first : tile, head});
}

/* A group of tokens, and who takes its items. */
struct group {
    const struct clsa_pass *p;
    const struct clsa_attention *a;
};

/* Items of token i in a part of the loop: 0 anybody's, 1 a node's. */
static size_t items_in(const struct clsa_pass *p, size_t i, unsigned part,
                       unsigned node)
{
    const size_t each = page_items(p, i), items = items_of(p, i);
    if ((each != 0) != part)
        return 0;
    return each ? clsa_pages_on_node(items, each, node, p->w->nodes) : items;
}

/* Items of all tokens of a group. */
static size_t items_of_group(const struct group *g, unsigned part,
                             unsigned node)
{
    size_t items = 0;
    for (size_t i = 0; i < g->a->n; i++)
        items += items_in(g->p, g->a->first + i, part, node);
    return items;
}

static size_t items_on_node(const void *group, unsigned node, unsigned nodes)
{
    (void)nodes;
    return items_of_group(group, 1, node);
}

/* Partial softmaxes of a group of tokens. */
static void attend_group(const struct clsa_pass *p,
                         const struct clsa_attention *a)
{
    const struct group group = {p, a};
    struct clsa_loop loop = clsa_loop(p->w, items_of_group(&group, 0, 0));
    if (p->w->nodes >= 2)
        clsa_loop_spread(&loop, items_on_node, &group);
    while (clsa_loop_next(&loop)) {
        size_t before = 0;
        for (size_t i = a->first; before < loop.end; i++) {
            const size_t n = items_in(p, i, loop.part, loop.node);
            const size_t each = page_items(p, i);
            size_t j = loop.begin > before ? loop.begin - before : 0;
            for (; j < n && before + j < loop.end; j++)
                attend_item(
                    p, a, i,
                    each ? clsa_pages_item(j, each, loop.node, p->w->nodes)
                         : j);
            before += n;
        }
    }
}

/* ---------------------------------------------------------------- combining */

/* Query heads whose values together fill whole blocks of activations. */
static size_t heads_of_blocks(const struct clsa_heads *hd)
{
    size_t n = 1;
    while (n * hd->head_dim % CLSA_BLOCK && n < hd->heads)
        n++;
    return n;
}

/* attn_out of a group of tokens, prepared for the output projection. */
static void combine_group(const struct clsa_pass *p,
                          const struct clsa_attention *a)
{
    const struct clsa_heads *hd = &p->layer->heads;
    const size_t e = hd->head_dim;
    const bool blocks = clsa_wants_blocks(&p->layer->attn_out);
    const size_t each = p->backend->onednn ? hd->heads : heads_of_blocks(hd);
    const size_t ranges = (hd->heads + each - 1) / each; /* of a token */
    const struct clsa_act out =
        clsa_activations(p, &p->model->scratch->attn_out, hd->heads * e);
    struct clsa_loop loop = clsa_loop(p->w, a->n * ranges);
    while (clsa_loop_next(&loop))
        for (size_t j = loop.begin; j < loop.end; j++) {
            const size_t i = j / ranges, h = j % ranges * each;
            const size_t stop = clsa_min(h + each, hd->heads);
            const size_t t = a->first + i, parts = clsa_parts(row_count(p, t));
            for (size_t head = h; head < stop; head++)
                p->simd->attend_combine(out.x + t * out.ldx + head * e,
                                        clsa_partial(p, a, i, head), parts,
                                        e + 2, e);
            p->backend->prepare(p->backend, &out, t, h * e, stop * e, blocks);
        }
}

void clsa_prepare_attention(const struct clsa_pass *p)
{
    const struct clsa_heads *hd = &p->layer->heads;
    const struct clsa_act out = clsa_activations(
        p, &p->model->scratch->attn_out, (size_t)hd->heads * hd->head_dim);
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            p->backend->prepare(p->backend, &out, i, 0, out.len,
                                clsa_wants_blocks(&p->layer->attn_out));
}

/* Tokens whose partial softmaxes fit; all, but where a prompt reads caches. */
static size_t group_size(const struct clsa_pass *p, size_t most_parts)
{
    const struct clsa_heads *hd = &p->layer->heads;
    const size_t each = hd->heads * most_parts * (hd->head_dim + 2);
    const size_t fit = p->model->scratch->partials / each;
    return clsa_min(fit, p->n);
}

void clsa_attend(const struct clsa_pass *p)
{
    const bool cross = p->outputs && clsa_layer_reads_cache(p->net, p->layer);
    struct clsa_attention a = {.most_parts = 1};
    for (size_t i = 0; i < p->n; i++) {
        size_t parts = clsa_parts(row_count_most(p, i));
        a.most_parts = clsa_max(parts, a.most_parts);
    }
    const size_t group = group_size(p, a.most_parts);
    if (cross)
        clsa_step_clock(p, CLSA_PHASE_CROSS);
    for (; a.first < p->n; a.first += group) {
        a.n = p->n - a.first < group ? p->n - a.first : group;
        attend_group(p, &a);
        if (cross)
            clsa_step_clock(p, CLSA_PHASE_ATTEND);
        if (cross && p->step->shows_queries) {
            clsa_op_done(p, CLSA_OP_ATTENTION);
            clsa_policies_work(p, CLSA_POLICY_LEARN, &a);
            clsa_step_clock(p, CLSA_PHASE_SELECT);
            clsa_op_done(p, CLSA_OP_SELECT);
        }
        combine_group(p, &a);
        clsa_op_done(p, CLSA_OP_ATTENTION);
    }
    if (cross && p->step->shows_queries)
        clsa_select_after(p);
}

/* Outputs that see all rows of the stores, and whose queries nobody looks at.
 */
static bool are_plain(const struct clsa_pass *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (clsa_pass_token(p, i)->set)
            return false;
    return !p->step->shows_queries;
}

bool clsa_attend_together(const struct clsa_pass *p)
{
    const bool cross = p->outputs && clsa_layer_reads_cache(p->net, p->layer);
    if (p->outputs && !are_plain(p))
        return false;
    if (cross)
        clsa_step_clock(p, CLSA_PHASE_CROSS);
    const bool done = p->backend->attend(p->backend, p);
    if (cross && done)
        clsa_step_clock(p, CLSA_PHASE_ATTEND);
    return done;
}
