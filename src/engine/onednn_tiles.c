/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of prompts in bf16 by the tiles of simd/ (AMX), in place of those of
 * oneDNN, for backend_onednn.c. A work item is a group of up to four tiles of
 * W, 64 rows each: some of their columns are converted, unless they are kept,
 * and meet all tokens, some at a time, so that both stay in L2; then the next
 * columns. A sum goes over all columns in the same order whatever the group and
 * the number of tokens.
 *
 * Activations: groups of sixteen tokens, [k / 32] tiles [16][32] each.
 */
#include <string.h>

#include "src/base/minmax.h"
#include "src/engine/onednn.h"

#define TOKENS 128 /* that a group meets at a time */

/* Bytes of a column of a tile. */
#define COLUMN_BYTES (CLSA_TILE_W * sizeof(uint16_t))

static bool fits(const struct clsa_matrix *w)
{
    return w->cols % CLSA_TILE_STEP == 0;
}

bool clsa_tiles_fit(const struct clsa_network *net)
{
    bool all = net->hidden % CLSA_TILE_STEP == 0 &&
               net->layer_input % CLSA_TILE_STEP == 0;
    for (uint32_t i = 0; i < net->layer_count; i++)
        all = all && fits(&net->layers[i].attn_out) &&
              net->layers[i].ffn % CLSA_TILE_STEP == 0;
    return all;
}

/* ----------------------------------------------------- weights, activations */

/* n values from k on of row i of W, zeros after the last row. */
static void load_row(const struct clsa_onednn *o, const struct clsa_matrix *w,
                     size_t i, size_t k, size_t n, float *to)
{
    const char *row =
        (const char *)w->data + i * clsa_format_bytes(w->format, w->cols);
    if (i < w->rows)
        o->simd->load[w->format](to, row + clsa_format_bytes(w->format, k), n);
    else
        memset(to, 0, n * sizeof *to);
}

void clsa_tiles_convert(const struct clsa_onednn *o, unsigned worker,
                        const struct clsa_matrix *w, size_t tile, size_t k0,
                        size_t n, unsigned char *to)
{
    float *rows = o->workspaces[worker].part;
    for (size_t r = 0; r < CLSA_TILE_W; r += CLSA_TILE_X)
        for (size_t k = 0, part; k < n; k += part) {
            part = clsa_min(n - k, CLSA_TILES_CHUNK);
            for (size_t i = 0; i < CLSA_TILE_X; i++)
                load_row(o, w, tile * CLSA_TILE_W + r + i, k0 + k, part,
                         rows + i * CLSA_TILES_CHUNK);
            o->simd->tile_w(to + k / CLSA_TILE_STEP * CLSA_TILES_BYTES +
                                r / CLSA_TILE_X * CLSA_TILE_BYTES,
                            rows, CLSA_TILES_CHUNK, part);
        }
}

/* Bytes of sixteen tokens. */
static size_t group_bytes(size_t k)
{
    return k / CLSA_TILE_STEP * CLSA_TILE_BYTES;
}

void clsa_tiles_prepare(struct clsa_backend *b, const struct clsa_act *x,
                        size_t t, size_t begin, size_t end, bool blocks)
{
    struct clsa_onednn *o = clsa_onednn_of(b);
    const size_t line = CLSA_TILE_STEP * sizeof(uint16_t);
    (void)begin, (void)end, (void)blocks;
    o->simd->tile_x(o->input + t / CLSA_TILE_X * group_bytes(x->len) +
                        t % CLSA_TILE_X * line,
                    x->x + t * x->ldx, x->len);
}

/* ----------------------------------------------------------------- products */

/* Tiles of a group of W: as many as leave several groups for each worker. */
static size_t group_of(const struct clsa_worker *w, const struct clsa_matrix *m,
                       size_t most)
{
    enum { EACH = 4 };
    const size_t each = clsa_onednn_tiles_of(m) / (EACH * (size_t)w->count);
    return each < 1 ? 1 : clsa_min(each, most);
}

static size_t groups_of(const struct clsa_matrix *m, size_t each)
{
    return (clsa_onednn_tiles_of(m) + each - 1) / each;
}

/* Where the sums of slot i of a worker lie: [n][CLSA_TILE_W]. */
static float *sums_of(const struct clsa_onednn *o, unsigned worker, size_t i)
{
    const size_t n = clsa_round_up(o->n, o->least);
    return (float *)o->workspaces[worker].out + i * n * CLSA_TILE_W;
}

/* Some columns of a tile, converted into a slot. */
static const unsigned char *convert_columns(const struct clsa_onednn *o,
                                            unsigned worker,
                                            const struct clsa_matrix *w,
                                            size_t tile, size_t k0, size_t n,
                                            size_t slot)
{
    const size_t depth = clsa_min(o->most_k, CLSA_TILES_DEPTH);
    unsigned char *to =
        o->workspaces[worker].tile + slot * COLUMN_BYTES * depth;
    clsa_tiles_convert(o, worker, w, tile, k0, n, to);
    return to;
}

/* The tiles first .. end - 1 of W by n tokens, to the slots from `slot` on. */
static void multiply_group(const struct clsa_onednn *o, unsigned worker,
                           const struct clsa_matrix *w, size_t first,
                           size_t end, size_t n, size_t slot)
{
    const unsigned char *kept = clsa_onednn_kept(o, w);
    const unsigned char *at[CLSA_TILES_GROUP];
    const size_t each = group_bytes(w->cols);
    const size_t all = clsa_round_up(n, 2 * CLSA_TILE_X);
    for (size_t k = 0, part; k < w->cols; k += part) {
        part = clsa_min(w->cols - k, CLSA_TILES_DEPTH);
        for (size_t i = first; i < end; i++)
            at[i - first] =
                kept ? kept + COLUMN_BYTES * (i * w->cols + k)
                     : convert_columns(o, worker, w, i, k, part, i - first);
        for (size_t t = 0; t < all; t += TOKENS)
            for (size_t i = 0; i < end - first; i++)
                o->simd->tile_product(sums_of(o, worker, slot + i) +
                                          t * CLSA_TILE_W,
                                      clsa_min(all - t, TOKENS),
                                      o->input + t / CLSA_TILE_X * each +
                                          k / CLSA_TILE_STEP * CLSA_TILE_BYTES,
                                      each, at[i], part, k > 0);
    }
}

/* The sums of a tile to y, or added to it. */
static void deliver(const struct clsa_onednn *o, const float *sums,
                    const struct clsa_product *p, size_t tile, size_t n,
                    bool add)
{
    const size_t row = tile * CLSA_TILE_W;
    const size_t rows = clsa_min(p->matrix->rows - row, CLSA_TILE_W);
    float *y = p->y + row;
    for (size_t t = 0; t < n; t++, y += p->ld, sums += CLSA_TILE_W)
        if (add)
            o->simd->add(y, sums, rows);
        else
            memcpy(y, sums, rows * sizeof *y);
}

/* Groups begin .. end - 1 of y = W x, or y + W x. */
static void multiply_groups(const struct clsa_onednn *o,
                            const struct clsa_loop *loop,
                            const struct clsa_product *p, size_t each, size_t n,
                            bool add)
{
    const size_t tiles = clsa_onednn_tiles_of(p->matrix);
    const unsigned worker = loop->w->id;
    for (size_t g = loop->begin; g < loop->end; g++) {
        const size_t first = g * each, end = clsa_min(first + each, tiles);
        multiply_group(o, worker, p->matrix, first, end, n, 0);
        for (size_t i = first; i < end; i++)
            deliver(o, sums_of(o, worker, i - first), p, i, n, add);
    }
}

void clsa_tiles_multiply(struct clsa_backend *b, const struct clsa_worker *w,
                         const struct clsa_product *products, unsigned count,
                         const struct clsa_act *x)
{
    struct clsa_loop loop = clsa_loop_open(w);
    size_t each[CLSA_LOOP_PARTS];
    for (unsigned i = 0; i < count; i++) {
        each[i] = group_of(w, products[i].matrix, CLSA_TILES_GROUP);
        clsa_loop_add(&loop, groups_of(products[i].matrix, each[i]));
    }
    while (clsa_loop_next(&loop))
        multiply_groups(clsa_onednn_of(b), &loop, &products[loop.part],
                        each[loop.part], x->n, false);
}

void clsa_tiles_multiply_add(struct clsa_backend *b,
                             const struct clsa_worker *w,
                             const struct clsa_product *product,
                             const struct clsa_act *x, float *sum)
{
    const struct clsa_product to = {product->matrix, sum, product->ld};
    const size_t each = group_of(w, to.matrix, CLSA_TILES_GROUP);
    struct clsa_loop loop = clsa_loop(w, groups_of(to.matrix, each));
    while (clsa_loop_next(&loop))
        multiply_groups(clsa_onednn_of(b), &loop, &to, each, x->n, true);
}

/* A tile of inner is made of both products while they are in the cache. */
static void gate_tile(const struct clsa_onednn *o, unsigned worker,
                      const struct clsa_layer *layer, size_t tile, size_t slot,
                      const struct clsa_act *inner)
{
    const size_t row = tile * CLSA_TILE_W;
    const size_t rows = clsa_min(layer->gate.rows - row, CLSA_TILE_W);
    float *gate = sums_of(o, worker, slot);
    float *up = sums_of(o, worker, slot + CLSA_TILES_GROUP / 2);
    float *to = inner->x + row;
    for (size_t t = 0; t < inner->n; t++, to += inner->ldx) {
        clsa_apply_gate(o->simd, layer, row, rows, to, gate, up);
        gate += CLSA_TILE_W;
        up += CLSA_TILE_W;
    }
}

static void gated_group(const struct clsa_onednn *o, unsigned worker,
                        const struct clsa_layer *layer, size_t first,
                        size_t end, const struct clsa_act *inner)
{
    multiply_group(o, worker, &layer->gate, first, end, inner->n, 0);
    multiply_group(o, worker, &layer->up, first, end, inner->n,
                   CLSA_TILES_GROUP / 2);
    for (size_t i = first; i < end; i++)
        gate_tile(o, worker, layer, i, i - first, inner);
}

void clsa_tiles_gated(struct clsa_backend *b, const struct clsa_pass *p,
                      const struct clsa_layer *layer, const struct clsa_act *x,
                      const struct clsa_act *inner)
{
    const size_t tiles = clsa_onednn_tiles_of(&layer->gate);
    const size_t each = group_of(p->w, &layer->gate, CLSA_TILES_GROUP / 2);
    struct clsa_loop groups = clsa_loop(p->w, groups_of(&layer->gate, each));
    (void)x;
    while (clsa_loop_next(&groups))
        for (size_t g = groups.begin; g < groups.end; g++)
            gated_group(clsa_onednn_of(b), p->w->id, layer, g * each,
                        clsa_min(g * each + each, tiles), inner);
    struct clsa_loop tokens = clsa_loop(p->w, inner->n);
    while (clsa_loop_next(&tokens))
        for (size_t t = tokens.begin; t < tokens.end; t++)
            clsa_tiles_prepare(b, inner, t, 0, inner->len, false);
}
