/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cross-decoder and the head, for the wanted columns: C layers whose heads
 * all read the same rows, then the logits.
 */
#include "src/engine/linear.h"
#include "src/engine/step.h"

/* Of a cache, read by all heads in turn, while as much is fetched. More does
   not stay near enough. */
#define CLSA_TILE_BYTES ((size_t)128 << 10)
#define LEAST_TILE      16

static size_t cross_count(const struct clsa_step *step, size_t i)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    return column->set ? column->set->n : (size_t)column->position + 1;
}

/* What of the next rows of a dense cache is fetched while a head attends to
   n of them: its heads have each a share of it, so that memory is read in
   order, once, where a head alone would take a few lines of each row. */
static const void *next_rows(const struct clsa_cache *cache, size_t first,
                             size_t end, uint32_t head, size_t n)
{
    const struct clsa_cache_layout *l = &cache->layout;
    if (end - first < 2 * n || n * l->row_bytes > CLSA_TILE_BYTES)
        return NULL;
    return clsa_cache_row(cache, first + n) + head * n * 2 * l->head_bytes;
}

static size_t cross_tile(const struct clsa_step *step, size_t i)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    size_t n = CLSA_ATTEND_ROWS;
    while (n > LEAST_TILE &&
           n * column->session->cache.layout.row_bytes > CLSA_TILE_BYTES)
        n /= 2;
    return column->set ? 0 : n;
}

/* Rows of the working set, or for dense where they lie in the cache: a part
   of CLSA_ATTEND_ROWS rows is always in one page. */
static enum clsa_format cross_locate(const struct clsa_step *step, size_t layer,
                                     size_t i, uint32_t head, size_t first,
                                     struct clsa_rows *rows)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    const struct clsa_working_set *set = column->set;
    const struct clsa_cache *cache = &column->session->cache;
    const struct clsa_cache_layout *l = &cache->layout;
    (void)layer; /* all layers share them */
    if (set) {
        rows->k = set->k + head * set->strip_bytes;
        rows->v = set->v + head * set->strip_bytes;
        rows->stride = set->head_bytes;
        rows->order = set->order + first;
        return l->kv;
    }
    const unsigned char *row = clsa_cache_row(cache, first);
    rows->k = row + head * l->head_bytes;
    rows->v = row + (l->g + head) * l->head_bytes;
    rows->stride = l->row_bytes;
    rows->order = NULL;
    rows->ahead = next_rows(cache, first, cross_count(step, i), head, rows->n);
    return l->kv;
}

/* Rows of column i in any layer, at most. */
static size_t most_rows(const struct clsa_step *step, size_t i)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    size_t slots = column->set ? column->set->capacity : SIZE_MAX;
    return column->position < slots ? (size_t)column->position + 1 : slots;
}

/* The queries of a layer normed and rotated: for policies that look at them, or
   else scaled as well, for attention. */
static void finish_queries(struct clsa_step *step, const struct clsa_worker *w,
                           const float *q_norm)
{
    const float scale = clsa_query_scale(step->model->hp.cross.e);
    const struct clsa_model *model = step->model;
    const struct clsa_heads *hd = &model->hp.cross;
    struct clsa_scratch *s = model->scratch;
    size_t begin, end;
    clsa_share(w, step->m * hd->h, &begin, &end);
    for (size_t j = begin; j < end; j++) {
        float *q = s->q + j * hd->e;
        size_t at = j / hd->h * hd->e / 2;
        if (q_norm)
            model->simd->rms_norm(q, q, q_norm, hd->e, model->hp.eps);
        if (model->rope_cross)
            model->simd->rope(q, s->cos + at, s->sin + at, hd->e / 2);
        for (size_t v = 0; v < hd->e && !step->layered; v++)
            q[v] *= scale;
    }
    clsa_barrier(w);
}

/* What policies learn from the attention of a layer. */
static void show_attention(struct clsa_step *step, const struct clsa_worker *w,
                           const struct clsa_attention *attention)
{
    for (size_t i = 0; i < step->m; i++) {
        const struct clsa_policy *p = &clsa_wanted(step, i)->session->policy;
        if (p->type->seen)
            p->type->seen(step, w, i, attention);
    }
}

static void cross_layer(struct clsa_step *step, const struct clsa_worker *w,
                        uint32_t layer, size_t most_parts)
{
    const struct clsa_model *model = step->model;
    const struct clsa_layer *l = &model->weights.layers[layer];
    const struct clsa_hparams *hp = &model->hp;
    struct clsa_scratch *s = model->scratch;
    struct clsa_act input = s->norm;
    const struct clsa_attention attention = {
        .heads = &hp->cross,
        .n = step->m,
        .most_parts = most_parts,
        .count = cross_count,
        .ready = !step->layered,
        .tile = cross_tile,
        .locate = cross_locate,
    };
    input.n = step->m;
    clsa_norm_columns(w, model->simd, &input, step->m, s->xw, hp->d,
                      l->attn_norm, hp->eps, clsa_linear_quantised(&l->q));
    clsa_linear(w, model->simd, &l->q, &input, s->q,
                (size_t)hp->cross.h * hp->cross.e);
    clsa_barrier(w);
    finish_queries(step, w, l->q_norm);
    if (step->layered) {
        clsa_step_clock(step, w, CLSA_PHASE_CROSS);
        clsa_choose(step, w, layer - hp->self_layers);
    }
    clsa_step_clock(step, w, CLSA_PHASE_CROSS);
    clsa_attend(step, w, &attention, layer, NULL, false);
    clsa_step_clock(step, w, CLSA_PHASE_ATTEND);
    if (step->layered) {
        show_attention(step, w, &attention);
        clsa_step_clock(step, w, CLSA_PHASE_SELECT);
    }
    clsa_attention_out(step, w, &attention, &l->out, s->xw);
    clsa_ffn(step, w, l, s->xw, step->m);
}

void clsa_cross_decoder(struct clsa_step *step, const struct clsa_worker *w)
{
    const struct clsa_model *model = step->model;
    const uint32_t half = model->hp.cross.e / 2;
    size_t begin, end, most_parts = 1;
    clsa_share(w, step->m, &begin, &end);
    for (size_t i = 0; i < step->m; i++) {
        size_t parts =
            (most_rows(step, i) + CLSA_ATTEND_ROWS - 1) / CLSA_ATTEND_ROWS;
        most_parts = parts > most_parts ? parts : most_parts;
        if (model->rope_cross && i >= begin && i < end)
            clsa_rope_angles(model->scratch, i, clsa_wanted(step, i)->position,
                             model->rope_cross, half);
    }
    for (uint32_t i = model->hp.self_layers; i < model->hp.layers; i++)
        cross_layer(step, w, i, most_parts);
    clsa_step_clock(step, w, CLSA_PHASE_CROSS);
}

void clsa_head(struct clsa_step *step, const struct clsa_worker *w)
{
    const struct clsa_model *model = step->model;
    const struct clsa_hparams *hp = &model->hp;
    struct clsa_act input = model->scratch->norm;
    input.n = step->m;
    clsa_norm_columns(w, model->simd, &input, step->m, model->scratch->xw,
                      hp->d, model->weights.output_norm, hp->eps,
                      clsa_linear_quantised(&model->weights.output));
    clsa_linear(w, model->simd, &model->weights.output, &input,
                model->scratch->logits, hp->vocab);
    clsa_barrier(w);
    clsa_step_clock(step, w, CLSA_PHASE_HEAD);
}
