/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers of both decoders are made of: norm, attention, FFN. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "src/engine/linear.h"
#include "src/engine/products.h"
#include "src/engine/step.h"

void clsa_step_clock(struct clsa_step *step, const struct clsa_worker *w,
                     enum clsa_phase phase)
{
    struct timespec t;
    if (w->id != 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double now = (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
    step->phase_ms[phase] += now - step->clock;
    step->clock = now;
}

void clsa_quantise_column(const struct clsa_simd *simd,
                          const struct clsa_act *a, size_t c, size_t begin,
                          size_t end)
{
    size_t at = begin / CLSA_BLOCK * a->ldd + c;
    simd->quantize(a->q + c * a->ldq + begin, a->d + at, a->sum + at, a->ldd,
                   a->x + c * a->ldx + begin, end - begin);
}

void clsa_norm_columns(const struct clsa_worker *w,
                       const struct clsa_simd *simd, struct clsa_act *input,
                       size_t n, const float *x, size_t ldx,
                       const float *weight, float eps, bool quantised)
{
    size_t begin, end;
    clsa_share(w, n, &begin, &end);
    for (size_t c = begin; c < end; c++) {
        simd->rms_norm(input->x + c * input->ldx, x + c * ldx, weight,
                       input->len, eps);
        if (input->form)
            clsa_product_form(input, c);
        else if (quantised)
            clsa_quantise_column(simd, input, c, 0, input->len);
    }
    clsa_barrier(w);
}

/* ffn = silu(gate) * up for the rows of both that this worker has made. */
static void activate(const struct clsa_step *step, const struct clsa_worker *w,
                     const struct clsa_layer *layer, struct clsa_act *inner)
{
    const struct clsa_scratch *s = step->model->scratch;
    const struct clsa_simd *simd = step->model->simd;
    const size_t f = step->model->hp.f;
    size_t begin, end;
    clsa_share_rows(w, f, &begin, &end);
    for (size_t c = 0; c < inner->n && begin < end; c++) {
        simd->silu_mul(inner->x + c * inner->ldx + begin,
                       s->gate + c * f + begin, s->up + c * f + begin,
                       end - begin);
        if (clsa_linear_quantised(&layer->down))
            clsa_quantise_column(simd, inner, c, begin, end);
    }
    clsa_barrier(w);
}

/* The same through products. */
static void activate_products(const struct clsa_worker *w,
                              const struct clsa_layer *layer,
                              const struct clsa_act *input,
                              struct clsa_act *inner)
{
    size_t begin, end;
    clsa_product_gated(w, &layer->gate, &layer->up, input, inner->x,
                       inner->ldx);
    clsa_barrier(w);
    clsa_share(w, inner->n, &begin, &end);
    for (size_t c = begin; c < end; c++)
        clsa_product_form(inner, c);
    clsa_barrier(w);
}

void clsa_ffn(struct clsa_step *step, const struct clsa_worker *w,
              const struct clsa_layer *layer, float *x, size_t n)
{
    struct clsa_scratch *s = step->model->scratch;
    const struct clsa_simd *simd = step->model->simd;
    const struct clsa_hparams *hp = &step->model->hp;
    struct clsa_act input = s->norm, inner = s->ffn;

    input.n = inner.n = n;
    clsa_norm_columns(w, simd, &input, n, x, hp->d, layer->ffn_norm, hp->eps,
                      clsa_linear_quantised(&layer->gate) ||
                          clsa_linear_quantised(&layer->up));
    if (inner.form) {
        activate_products(w, layer, &input, &inner);
    } else {
        clsa_linear(w, simd, &layer->gate, &input, s->gate, hp->f);
        clsa_linear(w, simd, &layer->up, &input, s->up, hp->f);
        activate(step, w, layer, &inner);
    }
    clsa_linear_add(w, simd, &layer->down, &inner, s->y, hp->d, x, hp->d);
    clsa_barrier(w);
}

void clsa_rope_angles(struct clsa_scratch *s, size_t c, uint64_t position,
                      const double *frequency, uint32_t half)
{
    for (uint32_t i = 0; i < half; i++) {
        double angle = (double)position * frequency[i];
        s->cos[c * half + i] = (float)cos(angle);
        s->sin[c * half + i] = (float)sin(angle);
    }
}

float clsa_query_scale(size_t e)
{
    return 1.0f / sqrtf((float)e);
}

static size_t parts_of(size_t rows)
{
    return (rows + CLSA_ATTEND_ROWS - 1) / CLSA_ATTEND_ROWS;
}

void clsa_attend_query(const struct clsa_step *step,
                       const struct clsa_heads *heads, size_t c, size_t h,
                       const float *q_norm, bool rotate, float *q)
{
    const struct clsa_scratch *s = step->model->scratch;
    const struct clsa_simd *simd = step->model->simd;
    const size_t e = heads->e;
    const float scale = clsa_query_scale(e);
    memcpy(q, s->q + (c * heads->h + h) * e, e * sizeof *q);
    if (q_norm)
        simd->rms_norm(q, q, q_norm, e, step->model->hp.eps);
    if (rotate)
        simd->rope(q, s->cos + c * e / 2, s->sin + c * e / 2, e / 2);
    for (size_t v = 0; v < e; v++)
        q[v] *= scale;
}

/* r queries of column c from head h on; copied, if they are not made ready
   before. */
static const float *queries_of(const struct clsa_step *step,
                               const struct clsa_attention *a, size_t c,
                               size_t h, size_t r, const float *q_norm,
                               bool rotate, float *copy)
{
    const size_t e = a->heads->e;
    if (a->ready)
        return step->model->scratch->q + (c * a->heads->h + h) * e;
    for (size_t i = 0; i < r; i++)
        clsa_attend_query(step, a->heads, c, h + i, q_norm, rotate,
                          copy + i * e);
    return copy;
}

/* Rows first .. first + n - 1 of one KV head of one column, up to
   CLSA_ATTEND_HEADS query heads at a time. They are the first of their part, or
   are joined to those before. */
static void attend_rows(struct clsa_step *step, const struct clsa_attention *a,
                        size_t layer, size_t c, size_t first, size_t n,
                        uint32_t head, const float *q_norm, bool rotate)
{
    const struct clsa_simd *simd = step->model->simd;
    const struct clsa_heads *hd = a->heads;
    const size_t e = hd->e, ld = a->most_parts * (e + 2);
    const size_t part = first / CLSA_ATTEND_ROWS;
    float copy[CLSA_ATTEND_HEADS * CLSA_MAX_HEAD];
    float out[CLSA_ATTEND_HEADS * (CLSA_MAX_HEAD + 2)];
    struct clsa_rows rows = {.n = n};
    enum clsa_format format = a->locate(step, layer, c, head, first, &rows);
    for (uint32_t j = 0; j < hd->r; j += CLSA_ATTEND_HEADS) {
        size_t r =
            hd->r - j < CLSA_ATTEND_HEADS ? hd->r - j : CLSA_ATTEND_HEADS;
        size_t h = (size_t)head * hd->r + j; /* first query head */
        float *to = step->model->scratch->partial + (c * hd->h + h) * ld +
                    part * (e + 2);
        simd->attend[format](out,
                             queries_of(step, a, c, h, r, q_norm, rotate, copy),
                             r, e, &rows);
        if (first % CLSA_ATTEND_ROWS)
            simd->attend_join(to, ld, out, r, e);
        else
            for (size_t i = 0; i < r; i++)
                memcpy(to + i * ld, out + i * (e + 2), (e + 2) * sizeof *to);
    }
}

/*
 * Rows of which all heads are read before the next rows, 0: each head has units
 * of its own. The latter where there are few parts, for many threads.
 */
static size_t tile_of(const struct clsa_step *step,
                      const struct clsa_attention *a, size_t c)
{
    enum { ENOUGH = 8 };
    return a->tile && parts_of(a->count(step, c)) >= ENOUGH ? a->tile(step, c)
                                                            : 0;
}

static size_t units_of(const struct clsa_step *step,
                       const struct clsa_attention *a, size_t c)
{
    return parts_of(a->count(step, c)) *
           (tile_of(step, a, c) ? 1 : a->heads->g);
}

/* A unit: one part of one KV head of one column, or of all of them in tiles. */
static void attend_unit(struct clsa_step *step, const struct clsa_attention *a,
                        size_t layer, size_t c, size_t unit,
                        const float *q_norm, bool rotate)
{
    const size_t count = a->count(step, c), tile = tile_of(step, a, c);
    const uint32_t g = a->heads->g;
    size_t first = (tile ? unit : unit / g) * CLSA_ATTEND_ROWS;
    const size_t end =
        count - first < CLSA_ATTEND_ROWS ? count : first + CLSA_ATTEND_ROWS;
    if (!tile) {
        attend_rows(step, a, layer, c, first, end - first, (uint32_t)(unit % g),
                    q_norm, rotate);
        return;
    }
    for (; first < end; first += tile)
        for (uint32_t head = 0; head < g; head++)
            attend_rows(step, a, layer, c, first,
                        end - first < tile ? end - first : tile, head, q_norm,
                        rotate);
}

/*
 * Units of a page of the cache, where each node's threads take those of its own
 * pages: where a column has so many pages that no node gets many more than
 * another. Else 0: units of this column are anybody's.
 */
static size_t page_units(const struct clsa_step *step,
                         const struct clsa_worker *w,
                         const struct clsa_attention *a, size_t c)
{
    enum { ENOUGH = 4 }; /* pages of each node */
    if (w->nodes < 2 || !a->tile || !a->tile(step, c))
        return 0;
    const size_t each = CLSA_PAGE_ROWS / CLSA_ATTEND_ROWS *
                        (tile_of(step, a, c) ? 1 : a->heads->g);
    return units_of(step, a, c) < ENOUGH * w->nodes * each ? 0 : each;
}

void clsa_attend(struct clsa_step *step, const struct clsa_worker *w,
                 const struct clsa_attention *attention, size_t layer,
                 const float *q_norm, bool rotate)
{
    size_t total = 0, begin, end, unit = 0;
    for (size_t c = 0; c < attention->n; c++)
        if (!page_units(step, w, attention, c))
            total += units_of(step, attention, c);
    clsa_share(w, total, &begin, &end);
    for (size_t c = 0; c < attention->n; c++) {
        size_t units = units_of(step, attention, c), from, to;
        size_t each = page_units(step, w, attention, c);
        if (each) {
            clsa_share_pages(w, units, each, &from, &to);
        } else {
            from = begin > unit ? begin - unit : 0;
            to = end > unit ? end - unit : 0;
            to = to < units ? to : units;
            unit += units;
        }
        for (; from < to; from++)
            attend_unit(step, attention, layer, c,
                        each ? clsa_share_unit(w, each, from) : from, q_norm,
                        rotate);
    }
    clsa_barrier(w);
}

/* Query heads whose values together fill whole blocks of activations. */
static size_t heads_of_blocks(const struct clsa_heads *heads)
{
    size_t n = 1;
    while (n * heads->e % CLSA_BLOCK && n < heads->h)
        n++;
    return n;
}

void clsa_attention_out(struct clsa_step *step, const struct clsa_worker *w,
                        const struct clsa_attention *attention,
                        const struct clsa_matrix *out, float *x)
{
    struct clsa_scratch *s = step->model->scratch;
    const struct clsa_simd *simd = step->model->simd;
    const struct clsa_heads *hd = attention->heads;
    size_t e = hd->e, d = step->model->hp.d, begin, end;
    struct clsa_act mix = s->mix;
    /* Products need whole columns, own kernels blocks of them. */
    size_t group = mix.form ? hd->h : heads_of_blocks(hd);
    size_t groups = (hd->h + group - 1) / group;
    mix.n = attention->n;
    mix.len = hd->h * e;
    clsa_share(w, attention->n * groups, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        size_t c = i / groups, h = i % groups * group;
        size_t stop = h + group < hd->h ? h + group : hd->h;
        size_t parts = parts_of(attention->count(step, c));
        for (size_t j = h; j < stop; j++)
            simd->attend_merge(mix.x + c * mix.ldx + j * e,
                               s->partial + (c * hd->h + j) *
                                                attention->most_parts * (e + 2),
                               parts, e + 2, e);
        if (mix.form)
            clsa_product_form(&mix, c);
        else if (clsa_linear_quantised(out))
            clsa_quantise_column(simd, &mix, c, h * e, stop * e);
    }
    clsa_barrier(w);
    clsa_linear_add(w, simd, out, &mix, s->y, d, x, d);
    clsa_barrier(w);
}
