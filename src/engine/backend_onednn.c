/* SPDX-License-Identifier: Apache-2.0 */
/* The backend onednn: memory, activations and products. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/engine/onednn.h"

/* ----------------------------------------------------------------- memory */

struct clsa_gemm *clsa_onednn_gemm(enum clsa_gemm_type type, size_t m, size_t n,
                                   size_t k, enum clsa_gemm_order order,
                                   unsigned threads, clsa_error *error)
{
    struct clsa_gemm *gemm = clsa_gemm_open(type, m, n, k, order, threads, 1);
    if (!gemm)
        clsa_fail(error, CLSA_ERR_MEMORY,
                  "oneDNN refuses a product of %zu values: use the option "
                  "prefill with own",
                  k);
    return gemm;
}

/* Cuts the block, or counts its bytes. */
static size_t lay_out(struct clsa_onednn *o)
{
    struct clsa_arena c = {o->block, 0};
    const size_t n = clsa_round_up(o->n, o->least), f4 = sizeof(float);
    const size_t size = clsa_gemm_size(o->type);
    const size_t group = o->tiles ? CLSA_TILES_GROUP : 1;
    const size_t most = o->tiles ? n : CLSA_GEMM_MOST;
    const size_t tile = most * CLSA_TILE_ROWS;
    const size_t depth = clsa_min(o->most_k, CLSA_TILES_DEPTH);
    o->input = clsa_arena_take(&c, n * o->most_k, size);
    o->scale = clsa_arena_take(&c, n, f4);
    for (unsigned i = 0; i < o->threads; i++) {
        struct clsa_workspace *ws = &o->workspaces[i];
        ws->out = clsa_arena_take(&c, group * tile, f4);
        if (o->tiles) {
            ws->tile = clsa_arena_take(&c, group * CLSA_TILE_W * depth, size);
            ws->part = clsa_arena_take(&c, CLSA_TILE_X * CLSA_TILES_CHUNK, f4);
            continue;
        }
        ws->row = clsa_arena_take(&c, o->most_k, f4);
        ws->plain = clsa_arena_take(&c, CLSA_TILE_ROWS * o->most_k, size);
        ws->tile = clsa_arena_take(&c, o->most_bytes, 1);
        ws->gate = clsa_arena_take(&c, tile, f4);
        ws->up = clsa_arena_take(&c, tile, f4);
    }
    return c.used;
}

static void close_block(struct clsa_onednn *o)
{
    clsa_budget_unmap(o->budget, o->block, o->block_bytes);
    o->block = NULL;
    o->block_bytes = 0;
}

static clsa_status open_block(struct clsa_onednn *o, size_t n,
                              clsa_error *error)
{
    if (n <= o->n)
        return CLSA_OK;
    close_block(o);
    o->n = n;
    size_t bytes = lay_out(o);
    o->block = clsa_budget_map(o->budget, bytes, "products of a prompt", error);
    if (!o->block) {
        o->n = 0;
        return CLSA_ERR_MEMORY;
    }
    o->block_bytes = bytes;
    lay_out(o);
    return CLSA_OK;
}

void clsa_onednn_close(struct clsa_onednn *o)
{
    if (!o)
        return;
    clsa_onednn_close_packs(o);
    clsa_onednn_close_depths(o);
    clsa_prefill_attention_close(o->attention);
    close_block(o);
    clsa_mem_free(o->workspaces);
    clsa_mem_free(o);
}

static clsa_status open_parts(struct clsa_onednn *o, struct clsa_model *model,
                              clsa_error *error)
{
    o->workspaces = clsa_mem_calloc(o->threads, sizeof *o->workspaces);
    if (!o->workspaces)
        return clsa_fail_memory(error, "products of a prompt",
                                o->threads * sizeof *o->workspaces);
    CLSA_TRY(clsa_onednn_open_depths(o, &model->net, error));
    return clsa_prefill_attention_open(&o->attention, model, o->type, error);
}

size_t clsa_onednn_bytes(const struct clsa_onednn *o)
{
    return o ? o->kept + o->block_bytes +
                   clsa_prefill_attention_bytes(o->attention)
             : 0;
}

bool clsa_onednn_failed(struct clsa_onednn *o)
{
    return atomic_exchange(&o->failed, false);
}

/* ------------------------------------------------------------- activations */

/* 128 in place of 0, eight bytes at a time. */
static void make_unsigned(unsigned char *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t eight;
        memcpy(&eight, x + i, sizeof eight);
        eight ^= UINT64_C(0x8080808080808080);
        memcpy(x + i, &eight, sizeof eight);
    }
    for (; i < n; i++)
        x[i] ^= 0x80;
}

/* Whole tokens: all products of a step read the same form. */
static void prepare(struct clsa_backend *b, const struct clsa_act *x, size_t t,
                    size_t begin, size_t end, bool blocks)
{
    struct clsa_onednn *o = clsa_onednn_of(b);
    unsigned char *to = o->input + t * x->len * clsa_gemm_size(o->type);
    const float *from = x->x + t * x->ldx;
    (void)begin, (void)end, (void)blocks;
    switch (o->type) {
    case CLSA_GEMM_F32:
        memcpy(to, from, x->len * sizeof *from);
        break;
    case CLSA_GEMM_BF16:
        o->simd->store[CLSA_BF16](to, from, x->len);
        break;
    default:
        o->simd->quantize_row((int8_t *)to, &o->scale[t], from, x->len, 127);
        make_unsigned(to, x->len);
    }
}

/* ---------------------------------------------------------------- products */

/* A block of a product: tokens of x, rows of W. */
struct block {
    size_t token, tokens, row, rows;
    const unsigned char *tile;
    const struct clsa_tile_rows *by;
};

/* y[t][i] at y + t * ld. */
struct place {
    float *y;
    size_t ld;
};

/* The floats or integers of a block to where its y begins. */
static void deliver(const struct clsa_onednn *o, const void *out,
                    const struct block *t, struct place y, bool add)
{
    const float *from = out;
    if (o->type == CLSA_GEMM_INT8) {
        o->simd->rescale(y.y, y.ld, out, CLSA_TILE_ROWS, t->tokens, t->rows,
                         o->scale + t->token, t->by->scale, t->by->minus, add);
        return;
    }
    for (size_t c = 0; c < t->tokens; c++, y.y += y.ld, from += CLSA_TILE_ROWS)
        if (add)
            o->simd->add(y.y, from, t->rows);
        else
            memcpy(y.y, from, t->rows * sizeof *y.y);
}

/* Prefetches the lines of y that a block will be written to, while it is
   multiplied: they lie far apart. 5 % of a prompt; after one product, where y
   is written soon, it costs 3 %. */
static void prefetch_block(const struct block *t, const float *y, size_t ld)
{
    const size_t line = CLSA_CACHE_LINE / sizeof *y;
    for (size_t c = 0; c < t->tokens; c++)
        for (size_t i = 0; i < t->rows; i += line)
            __builtin_prefetch(y + c * ld + i, 1);
}

/* The largest product for `left` tokens, and the tokens that it takes. */
static const struct clsa_gemm *gemm_for(const struct clsa_onednn *o,
                                        const struct clsa_depth *depth,
                                        size_t left, size_t *tokens)
{
    int shape = CLSA_GEMM_SHAPES - 1;
    while (shape && (!depth->gemm[shape] || o->least << shape > left))
        shape--;
    *tokens = o->least << shape;
    if (*tokens > left)
        *tokens = left;
    return depth->gemm[shape];
}

/* y of a block, with as many tokens at once as there is a product for. */
static void multiply_block(struct clsa_onednn *o, unsigned worker, size_t k,
                           struct block t, struct place y, bool add)
{
    const struct clsa_depth *depth = clsa_onednn_depth(o, k);
    const size_t bytes = k * clsa_gemm_size(o->type);
    void *out = o->workspaces[worker].out;
    size_t end = t.token + t.tokens;
    for (; t.token < end; t.token += t.tokens, y.y += t.tokens * y.ld) {
        const struct clsa_gemm *gemm =
            gemm_for(o, depth, end - t.token, &t.tokens);
        if (clsa_gemm_run(gemm, worker, out, o->input + t.token * bytes,
                          t.tile))
            o->failed = true;
        deliver(o, out, &t, y, add);
    }
}

/* Work items: tiles of W by ranges of tokens. */
struct items {
    size_t each, ranges; /* tokens of an item, items of a tile */
    size_t count;
};

/* All tokens, or fewer if W has few tiles; at most `most`. Items begin at a
   multiple of the smallest product. */
static struct items items_of(const struct clsa_onednn *o,
                             const struct clsa_worker *w,
                             const struct clsa_matrix *m, size_t n, size_t most)
{
    const size_t tiles = clsa_onednn_tiles_of(m);
    struct items u;
    u.ranges = (4 * (size_t)w->count + tiles - 1) / tiles;
    if (w->count == 1 || tiles % w->count == 0)
        u.ranges = 1;
    u.each = clsa_round_up((n + u.ranges - 1) / u.ranges, o->least);
    u.each = clsa_min(u.each, most / o->least * o->least);
    u.ranges = (n + u.each - 1) / u.each;
    u.count = tiles * u.ranges;
    return u;
}

static struct block block_of(const struct items *u, size_t i,
                             const struct clsa_matrix *m, size_t n)
{
    const size_t row = i / u->ranges * CLSA_TILE_ROWS;
    const size_t token = i % u->ranges * u->each;
    return (struct block){.token = token,
                          .tokens = n - token < u->each ? n - token : u->each,
                          .row = row,
                          .rows = m->rows - row < CLSA_TILE_ROWS
                                      ? m->rows - row
                                      : CLSA_TILE_ROWS};
}

/* Items begin..end - 1 of y = W x, or y + W x. */
static void multiply_items(struct clsa_onednn *o, const struct clsa_loop *loop,
                           const struct clsa_product *p, const struct items *u,
                           const struct clsa_act *x, bool add)
{
    const unsigned worker = loop->w->id;
    size_t there = SIZE_MAX;
    for (size_t i = loop->begin; i < loop->end; i++) {
        struct block t = block_of(u, i, p->matrix, x->n);
        struct place to = {p->y + t.token * p->ld + t.row, p->ld};
        clsa_onednn_tile(o, worker, p->matrix, t.row, there, &t.tile, &t.by);
        there = t.row / CLSA_TILE_ROWS;
        multiply_block(o, worker, x->len, t, to, add);
    }
}

static void multiply(struct clsa_backend *b, const struct clsa_worker *w,
                     const struct clsa_product *products, unsigned count,
                     const struct clsa_act *x)
{
    struct clsa_loop loop = clsa_loop_open(w);
    struct items u[CLSA_LOOP_PARTS];
    for (unsigned i = 0; i < count; i++) {
        u[i] =
            items_of(clsa_onednn_of(b), w, products[i].matrix, x->n, SIZE_MAX);
        clsa_loop_add(&loop, u[i].count);
    }
    while (clsa_loop_next(&loop))
        multiply_items(clsa_onednn_of(b), &loop, &products[loop.part],
                       &u[loop.part], x, false);
}

static void multiply_add(struct clsa_backend *b, const struct clsa_worker *w,
                         const struct clsa_product *product,
                         const struct clsa_act *x, float *sum)
{
    const struct items u =
        items_of(clsa_onednn_of(b), w, product->matrix, x->n, SIZE_MAX);
    const struct clsa_product to = {product->matrix, sum, product->ld};
    struct clsa_loop loop = clsa_loop(w, u.count);
    while (clsa_loop_next(&loop))
        multiply_items(clsa_onednn_of(b), &loop, &to, &u, x, true);
}

/* A tile of inner is made of both products while they are in the cache. */
static void gated_block(struct clsa_onednn *o, unsigned worker,
                        const struct clsa_layer *layer, struct block t,
                        const struct clsa_act *x, const struct clsa_act *inner)
{
    const struct clsa_workspace *ws = &o->workspaces[worker];
    const struct place gate = {ws->gate, CLSA_TILE_ROWS};
    const struct place up = {ws->up, CLSA_TILE_ROWS};
    float *to = inner->x + t.token * inner->ldx + t.row;
    clsa_onednn_tile(o, worker, &layer->gate, t.row, SIZE_MAX, &t.tile, &t.by);
    multiply_block(o, worker, x->len, t, gate, false);
    prefetch_block(&t, to, inner->ldx);
    clsa_onednn_tile(o, worker, &layer->up, t.row, SIZE_MAX, &t.tile, &t.by);
    multiply_block(o, worker, x->len, t, up, false);
    for (size_t c = 0; c < t.tokens; c++, to += inner->ldx)
        clsa_apply_gate(o->simd, layer, t.row, t.rows, to,
                        ws->gate + c * CLSA_TILE_ROWS,
                        ws->up + c * CLSA_TILE_ROWS);
}

static void gated(struct clsa_backend *b, const struct clsa_pass *p,
                  const struct clsa_layer *layer, const struct clsa_act *x,
                  const struct clsa_act *inner)
{
    const struct items u =
        items_of(clsa_onednn_of(b), p->w, &layer->gate, x->n, CLSA_GEMM_MOST);
    struct clsa_loop tiles = clsa_loop(p->w, u.count);
    while (clsa_loop_next(&tiles))
        for (size_t i = tiles.begin; i < tiles.end; i++)
            gated_block(clsa_onednn_of(b), p->w->id, layer,
                        block_of(&u, i, &layer->gate, x->n), x, inner);
    struct clsa_loop tokens = clsa_loop(p->w, inner->n);
    while (clsa_loop_next(&tokens))
        for (size_t t = tokens.begin; t < tokens.end; t++)
            prepare(b, inner, t, 0, inner->len, false);
}

/* ------------------------------------------------------------------- opening
 */

static clsa_status open_onednn(struct clsa_model *model,
                               enum clsa_prefill prefill, clsa_error *error)
{
    struct clsa_onednn *o = clsa_mem_calloc(1, sizeof *o);
    if (!o)
        return clsa_fail_memory(error, "products of a prompt", sizeof *o);
    o->backend = (struct clsa_backend){
        .simd = model->simd,
        .onednn = true,
        .prepare = prepare,
        .multiply = multiply,
        .multiply_add = multiply_add,
        .gated = gated,
        .attend = clsa_prefill_attend,
    };
    o->type = (enum clsa_gemm_type)prefill;
    o->tiles = o->type == CLSA_GEMM_BF16 && model->simd->tiles &&
               clsa_tiles_fit(&model->net);
    if (o->tiles) {
        o->backend.prepare = clsa_tiles_prepare;
        o->backend.multiply = clsa_tiles_multiply;
        o->backend.multiply_add = clsa_tiles_multiply_add;
        o->backend.gated = clsa_tiles_gated;
    }
    o->least = o->type == CLSA_GEMM_F32 ? CLSA_GEMM_LEAST_F32 : CLSA_GEMM_LEAST;
    o->simd = model->simd;
    o->threads = clsa_team_size(model->team);
    o->kept_limit = model->prefill_memory;
    o->budget = &model->budget;
    o->limit = 127;
    clsa_status status = open_parts(o, model, error);
    if (status) {
        clsa_onednn_close(o);
        return status;
    }
    model->onednn = o;
    return CLSA_OK;
}

clsa_status clsa_onednn_reserve(struct clsa_model *model,
                                enum clsa_prefill prefill, size_t n,
                                bool outputs, clsa_error *error)
{
    if (prefill == CLSA_PREFILL_NATIVE)
        return CLSA_OK;
    if (model->onednn && model->onednn->type != (enum clsa_gemm_type)prefill) {
        clsa_onednn_close(model->onednn);
        model->onednn = NULL;
    }
    if (!model->onednn)
        CLSA_TRY(open_onednn(model, prefill, error));
    struct clsa_onednn *o = model->onednn;
    CLSA_TRY(open_block(o, n, error));
    CLSA_TRY(clsa_onednn_list(o, &model->net, outputs, error));
    clsa_onednn_convert(o, model->team);
    if (!clsa_onednn_failed(o))
        return CLSA_OK;
    clsa_onednn_close(o);
    model->onednn = NULL;
    return clsa_fail(error, CLSA_ERR_MEMORY,
                     "oneDNN has no memory to convert weights with");
}

struct clsa_backend *clsa_onednn_backend(struct clsa_onednn *o)
{
    return &o->backend;
}
