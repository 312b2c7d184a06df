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
    const float *from = s->q + (c * heads->h + h) * e;
    memcpy(q, from, e * sizeof *q);
    if (q_norm)
        simd->rms_norm(q, q, q_norm, e, step->model->hp.eps);
    if (rotate)
        simd->rope(q, s->cos + c * e / 2, s->sin + c * e / 2, e / 2);
    for (size_t v = 0; v < e; v++)
        q[v] *= 1.0f / sqrtf((float)e);
}

/* One part of one KV head of one column: up to CLSA_ATTEND_HEADS query heads
   at a time. */
static void attend_part(struct clsa_step *step, const struct clsa_attention *a,
                        size_t layer, size_t c, size_t part, uint32_t head,
                        const float *q_norm, bool rotate)
{
    struct clsa_scratch *s = step->model->scratch;
    const struct clsa_simd *simd = step->model->simd;
    const struct clsa_heads *hd = a->heads;
    size_t e = hd->e, ld = e + 2, count = a->count(step, c);
    size_t first = part * CLSA_ATTEND_ROWS;
    float q[CLSA_ATTEND_HEADS * CLSA_MAX_HEAD];
    float out[CLSA_ATTEND_HEADS * (CLSA_MAX_HEAD + 2)];
    struct clsa_rows rows = {.n = count - first < CLSA_ATTEND_ROWS
                                      ? count - first
                                      : CLSA_ATTEND_ROWS};
    enum clsa_format format = a->locate(step, layer, c, head, first, &rows);
    for (uint32_t j = 0; j < hd->r; j += CLSA_ATTEND_HEADS) {
        size_t r =
            hd->r - j < CLSA_ATTEND_HEADS ? hd->r - j : CLSA_ATTEND_HEADS;
        size_t h = (size_t)head * hd->r + j; /* first query head */
        for (size_t i = 0; i < r; i++)
            clsa_attend_query(step, hd, c, h + i, q_norm, rotate, q + i * e);
        simd->attend[format](out, q, r, e, &rows);
        for (size_t i = 0; i < r; i++) {
            float *to =
                s->partial + ((c * hd->h + h + i) * a->most_parts + part) * ld;
            for (size_t v = 0; v < ld; v++)
                to[v] = out[i * ld + v];
        }
    }
}

static size_t units_of(const struct clsa_step *step,
                       const struct clsa_attention *a, size_t c)
{
    return parts_of(a->count(step, c)) * a->heads->g;
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
    const size_t each = CLSA_PAGE_ROWS / CLSA_ATTEND_ROWS * a->heads->g;
    if (w->nodes < 2 || !a->in_pages || !a->in_pages(step, c) ||
        units_of(step, a, c) < ENOUGH * w->nodes * each)
        return 0;
    return each;
}

void clsa_attend(struct clsa_step *step, const struct clsa_worker *w,
                 const struct clsa_attention *attention, size_t layer,
                 const float *q_norm, bool rotate)
{
    const uint32_t g = attention->heads->g;
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
        for (; from < to; from++) {
            size_t i = each ? clsa_share_unit(w, each, from) : from;
            attend_part(step, attention, layer, c, i / g, (uint32_t)(i % g),
                        q_norm, rotate);
        }
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
