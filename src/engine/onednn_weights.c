/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights for oneDNN. W is cut into tiles of CLSA_TILE_ROWS rows, which are
 * brought into the form that oneDNN reads: once for matrices that the budget
 * has room for, the others a tile at a time whenever they are multiplied.
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/engine/onednn.h"

/* ------------------------------------------------------------------ depths */

const struct clsa_depth *clsa_onednn_depth(const struct clsa_onednn *o,
                                           size_t k)
{
    const struct clsa_depth *depth = o->depth;
    while (depth->k != k)
        depth++;
    return depth;
}

static clsa_status open_depth(struct clsa_onednn *o, size_t k,
                              clsa_error *error)
{
    struct clsa_depth *d = o->depth;
    int shapes = o->type == CLSA_GEMM_INT8 ? CLSA_GEMM_SHAPES : 1;
    while (d < o->depth + CLSA_GEMM_DEPTHS && d->k && d->k != k)
        d++;
    if (d == o->depth + CLSA_GEMM_DEPTHS)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "matrices with more than %d different widths: use "
                         "the option prefill with own",
                         CLSA_GEMM_DEPTHS);
    d->k = k;
    d->bytes = CLSA_TILE_ROWS * k * sizeof(uint16_t);
    o->most_k = clsa_max(o->most_k, k);
    if (o->tiles)
        return CLSA_OK;
    for (int i = 0; i < shapes; i++) {
        if (d->gemm[i])
            continue;
        d->gemm[i] = clsa_onednn_gemm(o->type, o->least << i, CLSA_TILE_ROWS, k,
                                      CLSA_GEMM_ROWS, o->threads, error);
        if (!d->gemm[i])
            return CLSA_ERR_MEMORY;
        if (o->limit > (float)clsa_gemm_limit(d->gemm[i]))
            o->limit = (float)clsa_gemm_limit(d->gemm[i]);
    }
    d->bytes = clsa_round_up(clsa_gemm_bytes(d->gemm[0]), CLSA_CACHE_LINE);
    o->most_bytes = clsa_max(o->most_bytes, d->bytes);
    return CLSA_OK;
}

clsa_status clsa_onednn_open_depths(struct clsa_onednn *o,
                                    const struct clsa_network *net,
                                    clsa_error *error)
{
    CLSA_TRY(open_depth(o, net->hidden, error));
    for (uint32_t i = 0; i < net->layer_count; i++) {
        const struct clsa_layer *l = &net->layers[i];
        CLSA_TRY(open_depth(o, l->ffn, error));
        CLSA_TRY(
            open_depth(o, (size_t)l->heads.heads * l->heads.head_dim, error));
    }
    return net->layer_input ? open_depth(o, net->layer_input, error) : CLSA_OK;
}

void clsa_onednn_close_depths(struct clsa_onednn *o)
{
    for (int i = 0; i < CLSA_GEMM_DEPTHS; i++)
        for (int j = 0; j < CLSA_GEMM_SHAPES; j++)
            clsa_gemm_close(o->depth[i].gemm[j]);
}

/* -------------------------------------------------------- list of matrices */

static void add_matrices(struct clsa_onednn *o,
                         const struct clsa_matrix *const *m)
{
    for (; *m; m++)
        if ((*m)->data)
            o->packs[o->pack_count++].w = *m;
}

/* What a layer multiplies all tokens by, or only outputs. */
static void add_stores(struct clsa_onednn *o, const struct clsa_layer *l)
{
    add_matrices(o, (const struct clsa_matrix *const[]){&l->k, &l->v,
                                                        &l->index_k, NULL});
}

static void add_rest(struct clsa_onednn *o, const struct clsa_layer *l)
{
    add_matrices(o, (const struct clsa_matrix *const[]){
                        &l->index_q, &l->q, &l->attn_out, &l->ret_gate,
                        &l->ret_decay, &l->gate, &l->up, &l->down,
                        &l->input_gate, &l->input_proj, NULL});
}

clsa_status clsa_onednn_list(struct clsa_onednn *o,
                             const struct clsa_network *net, bool outputs,
                             clsa_error *error)
{
    enum { OF_LAYER = 13 };
    const size_t most = OF_LAYER * (size_t)net->layer_count + 3;
    if (!o->packs) {
        if (!(o->packs = clsa_mem_calloc(most, sizeof *o->packs)))
            return clsa_fail_memory(error, "products of a prompt",
                                    most * sizeof *o->packs);
        add_matrices(o, (const struct clsa_matrix *const[]){
                            &net->input_projection[0], NULL});
        for (uint32_t i = 0; i < net->last_writer; i++) {
            add_stores(o, &net->layers[i]);
            add_rest(o, &net->layers[i]);
        }
        add_stores(o, &net->layers[net->last_writer]);
    }
    if (!outputs || o->outputs)
        return CLSA_OK;
    o->outputs = true;
    for (uint32_t i = net->last_writer; i < net->layer_count; i++)
        add_rest(o, &net->layers[i]);
    add_matrices(o, (const struct clsa_matrix *const[]){
                        &net->input_projection[1], &net->output, NULL});
    return CLSA_OK;
}

static size_t pack_bytes(const struct clsa_onednn *o,
                         const struct clsa_matrix *w)
{
    return clsa_onednn_tiles_of(w) * (clsa_onednn_depth(o, w->cols)->bytes +
                                      sizeof(struct clsa_tile_rows));
}

/* ------------------------------------------------------------- conversion */

/* Row `i` of W, or zeros after the last one, in the type of the product. */
static void convert_row(const struct clsa_onednn *o, struct clsa_workspace *b,
                        const struct clsa_matrix *w, size_t i, void *to,
                        float *scale, int32_t *minus)
{
    const char *from =
        (const char *)w->data + i * clsa_format_bytes(w->format, w->cols);
    if (i >= w->rows) {
        memset(to, 0, w->cols * clsa_gemm_size(o->type));
        *scale = 0;
        *minus = 0;
        return;
    }
    if (o->type == CLSA_GEMM_F32) {
        o->simd->load[w->format](to, from, w->cols);
        return;
    }
    o->simd->load[w->format](b->row, from, w->cols);
    if (o->type == CLSA_GEMM_BF16) {
        o->simd->store[CLSA_BF16](to, b->row, w->cols);
        return;
    }
    o->simd->quantize_row(to, scale, b->row, w->cols, o->limit);
    *minus = 0;
    for (size_t j = 0; j < w->cols; j++)
        *minus += 128 * ((const int8_t *)to)[j];
}

static bool convert_tile(const struct clsa_onednn *o, unsigned worker,
                         const struct clsa_matrix *w, size_t tile, void *to,
                         struct clsa_tile_rows *rows)
{
    struct clsa_workspace *b = &o->workspaces[worker];
    const size_t bytes = w->cols * clsa_gemm_size(o->type);
    if (o->tiles) {
        clsa_tiles_convert(o, worker, w, tile, 0, w->cols, to);
        return true;
    }
    for (size_t i = 0; i < CLSA_TILE_ROWS; i++)
        convert_row(o, b, w, tile * CLSA_TILE_ROWS + i, b->plain + i * bytes,
                    &rows->scale[i], &rows->minus[i]);
    return clsa_gemm_pack(clsa_onednn_depth(o, w->cols)->gemm[0], worker, to,
                          b->plain) == 0;
}

/* All tiles of the packs from o->packed on, shared out. */
static void convert_packs(void *context, struct clsa_worker *worker)
{
    struct clsa_onednn *o = context;
    clsa_gemm_alone();
    for (size_t i = o->packed; i < o->pack_count; i++) {
        const struct clsa_pack *pack = &o->packs[i];
        size_t bytes = clsa_onednn_depth(o, pack->w->cols)->bytes;
        struct clsa_loop loop =
            clsa_loop(worker, pack->tiles ? clsa_onednn_tiles_of(pack->w) : 0);
        while (clsa_loop_next(&loop))
            for (size_t t = loop.begin; t < loop.end; t++)
                if (!convert_tile(o, worker->id, pack->w, t,
                                  pack->tiles + t * bytes, &pack->rows[t]))
                    o->failed = true;
    }
}

/* Room for the packs that fit. Without memory, or if the limit of the model
   leaves none, there are fewer of them: the other matrices are converted
   whenever they are multiplied. */
static void open_packs(struct clsa_onednn *o)
{
    for (size_t i = o->packed; i < o->pack_count; i++) {
        struct clsa_pack *pack = &o->packs[i];
        size_t bytes = pack_bytes(o, pack->w);
        if (bytes > o->kept_limit - o->kept)
            continue;
        pack->tiles =
            clsa_budget_map(o->budget, bytes, "converted weights", NULL);
        if (!pack->tiles)
            continue;
        pack->rows =
            (struct clsa_tile_rows *)(void *)(pack->tiles + bytes -
                                              clsa_onednn_tiles_of(pack->w) *
                                                  sizeof *pack->rows);
        o->kept += bytes;
    }
}

void clsa_onednn_convert(struct clsa_onednn *o, struct clsa_team *team)
{
    if (o->packed == o->pack_count)
        return;
    open_packs(o);
    clsa_team_run(team, convert_packs, o);
    o->packed = o->pack_count;
}

void clsa_onednn_close_packs(struct clsa_onednn *o)
{
    for (size_t i = 0; i < o->pack_count; i++)
        clsa_budget_unmap(o->budget, o->packs[i].tiles,
                          pack_bytes(o, o->packs[i].w));
    clsa_mem_free(o->packs);
}

static const struct clsa_pack *find_pack(const struct clsa_onednn *o,
                                         const struct clsa_matrix *w)
{
    for (size_t i = 0; i < o->packed; i++)
        if (o->packs[i].w == w)
            return o->packs[i].tiles ? &o->packs[i] : NULL;
    return NULL;
}

const unsigned char *clsa_onednn_kept(const struct clsa_onednn *o,
                                      const struct clsa_matrix *w)
{
    const struct clsa_pack *pack = find_pack(o, w);
    return pack ? pack->tiles : NULL;
}

void clsa_onednn_tile(struct clsa_onednn *o, unsigned worker,
                      const struct clsa_matrix *w, size_t row, size_t there,
                      const unsigned char **tile,
                      const struct clsa_tile_rows **rows)
{
    const struct clsa_pack *pack = find_pack(o, w);
    const size_t i = row / CLSA_TILE_ROWS;
    struct clsa_workspace *ws = &o->workspaces[worker];
    *tile = pack ? pack->tiles + i * clsa_onednn_depth(o, w->cols)->bytes
                 : ws->tile;
    *rows = pack ? &pack->rows[i] : &ws->rows;
    if (!pack && i != there &&
        !convert_tile(o, worker, w, i, ws->tile, &ws->rows))
        o->failed = true;
}
