/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-decoder: embedding and S layers of sliding-window attention, or of
 * gated retention (retention.c). Leaves H in scratch->x.
 */
#include "src/engine/linear.h"
#include "src/engine/products.h"
#include "src/engine/step.h"
#include "src/engine/tiles.h"

static void embed(struct clsa_step *step, const struct clsa_worker *w)
{
    const struct clsa_model *model = step->model;
    const struct clsa_matrix *m = &model->weights.embedding;
    size_t begin, end, d = model->hp.d;
    size_t row = clsa_format_bytes(m->format, d);
    clsa_share(w, step->n, &begin, &end);
    for (size_t c = begin; c < end; c++) {
        float *x = model->scratch->x + c * d;
        model->simd->load[m->format](
            x, (const char *)m->data + (size_t)step->column[c].id * row, d);
        for (size_t i = 0; i < d && model->hp.embedding_scale != 1.0f; i++)
            x[i] *= model->hp.embedding_scale;
        if (model->rope_self)
            clsa_rope_angles(model->scratch, c, step->column[c].position,
                             model->rope_self, model->hp.self.e / 2);
    }
}

size_t clsa_step_run_length(const struct clsa_step *step, size_t c)
{
    size_t run = 1;
    while (c + run < step->n &&
           step->column[c + run].session == step->column[c].session)
        run++;
    return run;
}

/* Makes room in the windows, and places the rows of all columns. */
static void extend_windows(struct clsa_step *step, const struct clsa_worker *w)
{
    for (size_t c = 0, run; c < step->n; c += run) {
        run = clsa_step_run_length(step, c);
        clsa_window_move(&step->column[c].session->window, run, w);
    }
    clsa_barrier(w);
    for (size_t c = 0, run; w->id == 0 && c < step->n; c += run) {
        run = clsa_step_run_length(step, c);
        clsa_window_extend(&step->column[c].session->window, run);
    }
    clsa_barrier(w);
}

/* Norms and rotates the K rows of a layer, and puts K and V in their slots. */
static void store_rows(struct clsa_step *step, const struct clsa_worker *w,
                       uint32_t layer)
{
    const struct clsa_model *model = step->model;
    const struct clsa_simd *simd = model->simd;
    const struct clsa_heads *hd = &model->hp.self;
    struct clsa_scratch *s = model->scratch;
    const float *norm = model->weights.layers[layer].k_norm;
    size_t begin, end, half = hd->e / 2;
    clsa_share(w, step->n * hd->g, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        size_t c = i / hd->g;
        uint32_t head = (uint32_t)(i % hd->g);
        struct clsa_window *window = &step->column[c].session->window;
        uint64_t slot = step->column[c].position - window->base;
        float *k = clsa_window_row(window, layer, 0, head, slot);
        float *v = clsa_window_row(window, layer, 1, head, slot);
        simd->load[CLSA_F32](k, s->k_rows + i * hd->e, hd->e);
        simd->load[CLSA_F32](v, s->v_rows + i * hd->e, hd->e);
        if (norm)
            simd->rms_norm(k, k, norm, hd->e, model->hp.eps);
        if (model->rope_self)
            simd->rope(k, s->cos + c * half, s->sin + c * half, half);
    }
    clsa_barrier(w);
}

static size_t window_count(const struct clsa_step *step, size_t c)
{
    const struct clsa_column *column = &step->column[c];
    return (
        size_t)(column->position + 1 -
                clsa_window_first(&column->session->window, column->position));
}

static enum clsa_format window_locate(const struct clsa_step *step,
                                      size_t layer, size_t c, uint32_t head,
                                      size_t first, struct clsa_rows *rows)
{
    const struct clsa_column *column = &step->column[c];
    const struct clsa_window *window = &column->session->window;
    uint64_t slot =
        clsa_window_first(window, column->position) + first - window->base;
    rows->k = clsa_window_row(window, (uint32_t)layer, 0, head, slot);
    rows->v = clsa_window_row(window, (uint32_t)layer, 1, head, slot);
    rows->stride = window->e * sizeof(float);
    rows->order = NULL;
    return CLSA_F32;
}

/* By tiles, on the way of products; false: by parts. */
static bool attend_tiles(struct clsa_step *step, const struct clsa_worker *w,
                         uint32_t layer)
{
    const struct clsa_model *model = step->model;
    const struct clsa_layer *l = &model->weights.layers[layer];
    struct clsa_act mix = model->scratch->mix;
    struct clsa_tiles *tiles = step->self ? clsa_products_tiles(step->self) : 0;
    size_t begin, end, d = model->hp.d;
    if (!tiles)
        return false;
    if (!clsa_tiles_attend(tiles, step, w, layer, l->q_norm, model->rope_self))
        clsa_products_fail(step->self);
    mix.n = step->n;
    mix.len = (size_t)model->hp.self.h * model->hp.self.e;
    clsa_share(w, step->n, &begin, &end);
    for (size_t c = begin; c < end; c++)
        clsa_product_form(&mix, c);
    clsa_barrier(w);
    clsa_linear_add(w, model->simd, &l->out, &mix, model->scratch->y, d,
                    model->scratch->x, d);
    clsa_barrier(w);
    return true;
}

static void attention(struct clsa_step *step, const struct clsa_worker *w,
                      uint32_t layer)
{
    const struct clsa_model *model = step->model;
    const struct clsa_layer *l = &model->weights.layers[layer];
    const struct clsa_hparams *hp = &model->hp;
    struct clsa_scratch *s = model->scratch;
    struct clsa_act input = s->norm;
    const struct clsa_attention windowed = {
        .heads = &hp->self,
        .n = step->n,
        .most_parts = (hp->window + CLSA_ATTEND_ROWS - 1) / CLSA_ATTEND_ROWS,
        .count = window_count,
        .locate = window_locate,
    };
    input.n = step->n;
    clsa_norm_columns(
        w, model->simd, &input, step->n, s->x, hp->d, l->attn_norm, hp->eps,
        clsa_linear_quantised(&l->q) || clsa_linear_quantised(&l->k) ||
            clsa_linear_quantised(&l->v));
    size_t he = (size_t)hp->self.h * hp->self.e;
    size_t ge = (size_t)hp->self.g * hp->self.e;
    clsa_linear(w, model->simd, &l->q, &input, s->q, he);
    clsa_linear(w, model->simd, &l->k, &input, s->k_rows, ge);
    clsa_linear(w, model->simd, &l->v, &input, s->v_rows, ge);
    clsa_barrier(w);
    store_rows(step, w, layer);
    if (attend_tiles(step, w, layer))
        return;
    clsa_attend(step, w, &windowed, layer, l->q_norm, model->rope_self);
    clsa_attention_out(step, w, &windowed, &l->out, s->x);
}

void clsa_self_decoder(struct clsa_step *step, const struct clsa_worker *w)
{
    const struct clsa_model *model = step->model;
    embed(step, w);
    extend_windows(step, w);
    for (uint32_t layer = 0; layer < model->hp.self_layers; layer++) {
        if (model->hp.mixer == CLSA_MIXER_GATED_RETENTION)
            clsa_retention_layer(step, w, layer);
        else
            attention(step, w, layer);
        clsa_ffn(step, w, &model->weights.layers[layer], model->scratch->x,
                 step->n);
    }
    clsa_step_clock(step, w, CLSA_PHASE_SELF);
}
