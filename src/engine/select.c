/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of a selection, for all outputs of a step, and the working sets
 * that it fills: which slots rows have, and copying the new ones.
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/select.h"

/* ------------------------------------------------------------- working sets */

/* Rows of one call of the gather kernel: their addresses are on the stack. */
#define GATHER_ROWS 256

/* Bytes of K and V of all slots. */
static bool plane_bytes(const struct clsa_cache_layout *layout,
                        struct clsa_working_set *s, size_t *bytes)
{
    *bytes = 0;
    if (!layout)
        return true;
    s->head_bytes = layout->head_bytes;
    return clsa_size_mul(s->capacity, layout->head_bytes, &s->plane_bytes) &&
           clsa_size_add(s->plane_bytes, CLSA_PLANE_GAP, &s->plane_bytes) &&
           clsa_size_mul(s->plane_bytes, 2 * (size_t)layout->kv_heads, bytes);
}

clsa_status clsa_working_set_open(struct clsa_working_set *set,
                                  const struct clsa_cache_layout *layout,
                                  size_t capacity, clsa_error *error)
{
    struct clsa_working_set s = {.capacity = capacity};
    size_t rows, lists = 5 * capacity * sizeof(uint32_t);
    if (!plane_bytes(layout, &s, &rows) ||
        !clsa_size_add(rows, lists + CLSA_CACHE_LINE, &s.bytes) ||
        !(s.block = clsa_mem_map(s.bytes)))
        return clsa_fail_memory(error, "the working set", s.bytes);
    if (layout) {
        s.k = s.block;
        s.v = s.k + layout->kv_heads * s.plane_bytes;
    }
    rows = clsa_round_up(rows, CLSA_CACHE_LINE);
    uint32_t *list = (uint32_t *)(void *)(s.block + rows);
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
    clsa_mem_unmap(set->block, set->bytes);
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
static void place(struct clsa_working_set *set, size_t n)
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
    set->new_count = fresh;
}

void clsa_working_set_select(struct clsa_working_set *set, size_t n)
{
    if (set->k)
        place(set, n);
    uint32_t *rows = set->rows;
    set->rows = set->next;
    set->next = rows;
    set->n = n;
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
                             const struct clsa_simd *simd, size_t first,
                             size_t last, size_t parts)
{
    const unsigned char *from[GATHER_ROWS];
    uint32_t slot[GATHER_ROWS];
    struct clsa_gather g = {.from = from,
                            .slot = slot,
                            .to = set->k,
                            .planes = 2 * (size_t)cache->layout.kv_heads,
                            .row_bytes = set->head_bytes,
                            .plane_bytes = set->plane_bytes};
    const size_t begin = set->new_count * first / parts;
    const size_t end = set->new_count * last / parts;
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

/* ------------------------------------------------------------------- phases */

/* Whether output i reads all rows at a layer. */
static bool reads_all(const struct clsa_pass *p, size_t i,
                      const struct clsa_layer *layer)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    return clsa_policy_reads_all(&token->session->policy, p->net, layer,
                                 token->position);
}

/* Whether the policy of output i chooses at a layer. */
static bool chooses_at(const struct clsa_pass *p, size_t i,
                       const struct clsa_layer *layer)
{
    const struct clsa_policy *policy = &clsa_pass_token(p, i)->session->policy;
    if (reads_all(p, i, layer))
        return false;
    if (policy->type->chooses)
        return policy->type->chooses(policy, layer);
    return policy->type->selects_at
               ? clsa_policy_selects_at(policy, layer->reader)
               : layer->site;
}

/* The same of the layer that runs. */
static bool chooses(const struct clsa_pass *p, size_t i)
{
    return chooses_at(p, i, p->layer);
}

/* Whether the layer copies rows of a list that was made before it: the working
   set has those of another cache. */
static bool copies(const struct clsa_pass *p, size_t i,
                   const struct clsa_layer *layer)
{
    return layer->new_cache && clsa_pass_token(p, i)->set->k;
}

/* Whether the working set becomes another one at the layer that runs. */
static bool selects(const struct clsa_pass *p, size_t i)
{
    return chooses(p, i) ||
           (!reads_all(p, i, p->layer) && copies(p, i, p->layer));
}

static bool chooses_after(const struct clsa_pass *p, size_t i)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    return clsa_policy_chooses_after(&token->session->policy, p->net, p->layer,
                                     token->position);
}

static bool any_selects(const struct clsa_pass *p)
{
    size_t i = 0;
    while (i < p->n && !selects(p, i))
        i++;
    return i < p->n;
}

static bool any_chooses_by_index(const struct clsa_pass *p)
{
    for (size_t i = 0; i < p->n && p->layer->indexed; i++)
        if (clsa_pass_token(p, i)->session->policy.type->indexed &&
            chooses(p, i))
            return true;
    return false;
}

static bool any_chooses_after(const struct clsa_pass *p)
{
    size_t i = 0;
    while (i < p->n && !chooses_after(p, i))
        i++;
    return i < p->n;
}

/* Query and weight of index head j of the outputs, [m][H] of them. */
static void finish_index_query(const struct clsa_pass *p, size_t j)
{
    const struct clsa_layer *l = p->layer;
    const size_t heads = p->net->indexes.heads, e = l->index_q.rows / heads;
    struct clsa_scratch *s = p->model->scratch;
    clsa_index_query_set(&s->query[j], s->index_x + j * e, s->index_q + j * e,
                         e);
    if (heads == 1)
        return;
    s->index_weights[j] += l->index_bias[j % heads];
    if (clsa_pass_token(p, j / heads)->session->index_type == CLSA_TYPE_I8)
        clsa_index_bytes_set(p->simd, s->index_x + j * e, e,
                             s->index_bytes + j * clsa_index_bytes(e),
                             &s->index_sums[j], &s->index_weights[j]);
}

/* Index queries [m][H][e_i] of the outputs and weights [m][H] of their heads,
   from the same norm as index keys. */
static void make_index_queries(const struct clsa_pass *p)
{
    const struct clsa_layer *l = p->layer;
    struct clsa_scratch *s = p->model->scratch;
    const struct clsa_act input = clsa_activations(p, &s->norm, p->net->hidden);
    const struct clsa_product products[] = {
        {&l->index_q, s->index_x, l->index_q.rows},
        {&l->index_weights, s->index_weights, l->index_weights.rows}};
    clsa_norm(p, &input, clsa_kv_norm(l), clsa_wants_blocks(&l->index_q));
    p->backend->multiply(p->backend, p->w, products,
                         l->index_weights.data ? 2 : 1, &input);
    struct clsa_loop loop = clsa_loop(p->w, p->n * p->net->indexes.heads);
    while (clsa_loop_next(&loop))
        for (size_t j = loop.begin; j < loop.end; j++)
            finish_index_query(p, j);
    clsa_step_clock(p, CLSA_PHASE_ROWS);
    clsa_op_done(p, CLSA_OP_INDEX);
}

/* Work of policies for the outputs of a step. */
struct work {
    const struct clsa_pass *p;
    enum clsa_policy_stage stage;
};

/* What the policy of output i does; NULL: nothing. */
static const struct clsa_policy_work *work_of(const struct work *work, size_t i)
{
    const struct clsa_policy_type *type =
        clsa_pass_token(work->p, i)->session->policy.type;
    const struct clsa_policy_work *w = &type->work[work->stage];
    if (!w->run || (work->stage < CLSA_POLICY_LEARN && !chooses(work->p, i)))
        return NULL;
    return w;
}

static size_t items_of(const struct work *work, size_t i, unsigned node,
                       unsigned nodes)
{
    const struct clsa_policy_work *w = work_of(work, i);
    return w ? w->items(work->p, i, node, nodes) : 0;
}

static size_t items_on_node(const void *work, unsigned node, unsigned nodes)
{
    const struct work *of = work;
    size_t n = 0;
    for (size_t i = 0; i < of->p->n; i++)
        n += items_of(of, i, node, nodes);
    return n;
}

void clsa_policies_work(const struct clsa_pass *p, enum clsa_policy_stage stage,
                        const struct clsa_attention *attention)
{
    const struct work work = {p, stage};
    struct clsa_loop loop = clsa_loop_open(p->w);
    struct clsa_policy_items items = {
        .nodes = p->w->nodes < 2 ? 1 : p->w->nodes, .attention = attention};
    clsa_loop_spread(&loop, items_on_node, &work);
    while (clsa_loop_next(&loop)) {
        items.node = loop.node;
        for (size_t i = 0, n, before = 0; before < loop.end; i++, before += n) {
            n = items_of(&work, i, loop.node, items.nodes);
            items.begin = clsa_max(loop.begin, before) - before;
            items.end = clsa_min(loop.end - before, n);
            if (items.begin < items.end)
                work_of(&work, i)->run(p, i, &items);
        }
    }
}

/* Keeps the list of output i as the rows of a layer. */
static void log_rows(const struct clsa_step_token *token,
                     const struct clsa_layer *layer)
{
    struct clsa_session *s = token->session;
    s->layer_count[layer->reader] = (uint32_t)token->set->n;
    memcpy(s->layer_rows + layer->reader * clsa_session_slots(s),
           token->set->rows, token->set->n * sizeof *s->layer_rows);
}

/* The same of all layers from one on that read by this list, if the output is
   the last one. */
static void log_rows_from(const struct clsa_pass *p, size_t i,
                          const struct clsa_layer *first)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_layer *end = p->net->layers + p->net->layer_count;
    if (!token->session->layer_rows || !clsa_output_is_last(p->step, i))
        return;
    for (const struct clsa_layer *l = first; l < end; l++) {
        if (!clsa_layer_reads_cache(p->net, l))
            continue;
        if (l != p->layer && (copies(p, i, l) || chooses_at(p, i, l)))
            return;
        if (!reads_all(p, i, l))
            log_rows(token, l);
    }
}

/* next[0..n) becomes the list of output i. */
static void take_list(const struct clsa_pass *p, size_t i, size_t n)
{
    struct clsa_working_set *set = clsa_pass_token(p, i)->set;
    if (p->layer->new_cache)
        clsa_working_set_clear(set);
    clsa_working_set_select(set, n);
    set->changed += set->new_count;
}

/* The list of output i, which is made now or the last one again. */
static void choose_list(const struct clsa_pass *p, size_t i)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    struct clsa_working_set *set = token->set;
    size_t n = set->n;
    if (chooses(p, i))
        n = token->session->policy.type->rows(p, i, set->next);
    else
        memcpy(set->next, set->rows, n * sizeof *set->next);
    take_list(p, i, n);
    log_rows_from(p, i, p->layer);
}

/* The lists and the slots of the outputs; of those that choose after they have
   attended, or of those that do so before. */
static void choose_rows(const struct clsa_pass *p, bool after)
{
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++) {
            const struct clsa_step_token *token = clsa_pass_token(p, i);
            if (after && chooses_after(p, i)) {
                take_list(
                    p, i,
                    token->session->policy.type->rows(p, i, token->set->next));
                log_rows_from(p, i, p->layer + 1);
            } else if (!after && selects(p, i))
                choose_list(p, i);
        }
    clsa_step_clock(p, CLSA_PHASE_SELECT);
    clsa_op_done(p, CLSA_OP_SELECT);
}

/* The rows that are new, to the working sets. Nobody knows how many these are
   before the loop begins: each output has the same number of parts. */
static void gather(const struct clsa_pass *p, bool after)
{
    enum { PARTS = 64 };
    struct clsa_loop loop = clsa_loop(p->w, p->n * PARTS);
    while (clsa_loop_next(&loop))
        for (size_t j = loop.begin, n; j < loop.end; j += n) {
            const struct clsa_step_token *token = clsa_pass_token(p, j / PARTS);
            const size_t part = j % PARTS;
            n = clsa_min(loop.end - j, PARTS - part);
            if (after ? chooses_after(p, j / PARTS) : selects(p, j / PARTS))
                clsa_working_set_gather(token->set,
                                        clsa_token_cache(token, p->layer),
                                        p->simd, part, part + n, PARTS);
        }
    clsa_step_clock(p, CLSA_PHASE_GATHER);
    clsa_op_done(p, CLSA_OP_GATHER);
}

void clsa_select(const struct clsa_pass *p)
{
    if (!any_selects(p))
        return;
    clsa_step_clock(p, CLSA_PHASE_CROSS);
    if (any_chooses_by_index(p))
        make_index_queries(p);
    clsa_policies_work(p, CLSA_POLICY_BEGIN, NULL);
    clsa_policies_work(p, CLSA_POLICY_SCAN, NULL);
    clsa_step_clock(p, CLSA_PHASE_INDEX);
    clsa_op_done(p, CLSA_OP_SCAN);
    choose_rows(p, false);
    gather(p, false);
}

/* Whether the next layer that reads a cache reads the same one, so that it
   copies no rows itself. */
static bool next_shares(const struct clsa_pass *p)
{
    const struct clsa_layer *l = p->layer + 1;
    const struct clsa_layer *end = p->net->layers + p->net->layer_count;
    while (l < end && !clsa_layer_reads_cache(p->net, l))
        l++;
    return l < end && !l->new_cache;
}

void clsa_select_after(const struct clsa_pass *p)
{
    if (!any_chooses_after(p))
        return;
    clsa_step_clock(p, CLSA_PHASE_CROSS);
    clsa_policies_work(p, CLSA_POLICY_WEIGH, NULL);
    clsa_policies_work(p, CLSA_POLICY_RANK, NULL);
    clsa_step_clock(p, CLSA_PHASE_INDEX);
    clsa_op_done(p, CLSA_OP_SCAN);
    choose_rows(p, true);
    if (next_shares(p))
        gather(p, true);
}
