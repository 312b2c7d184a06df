/* SPDX-License-Identifier: Apache-2.0 */
/* The state of gated retention and its layer. */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/random.h"
#include "src/engine/linear.h"
#include "src/engine/products.h"
#include "src/engine/retention.h"
#include "src/engine/step.h"

clsa_status clsa_retention_open(struct clsa_retention *retention,
                                const struct clsa_hparams *hp,
                                clsa_error *error)
{
    struct clsa_retention r = {
        .layers = hp->self_layers, .h = hp->self.h, .e = hp->self.e};
    if (hp->mixer != CLSA_MIXER_GATED_RETENTION)
        return CLSA_OK;
    if (!clsa_size_mul((size_t)r.layers * r.h, clsa_retention_head_bytes(r.e),
                       &r.bytes) ||
        !(r.state = clsa_mem_map(r.bytes)))
        return clsa_fail_memory(error, "the state of retention", r.bytes);
    *retention = r;
    return CLSA_OK;
}

void clsa_retention_close(struct clsa_retention *retention)
{
    clsa_mem_unmap(retention->state, retention->bytes);
    retention->state = NULL;
}

void clsa_retention_copy(struct clsa_retention *to,
                         const struct clsa_retention *from)
{
    if (from->layers)
        memcpy(to->state, from->state, from->bytes);
}

bool clsa_retention_truncate(struct clsa_retention *retention, uint64_t end,
                             uint64_t length)
{
    if (!retention->layers || length >= end / CLSA_CHUNK * CLSA_CHUNK)
        return true;
    memset(retention->state, 0, retention->bytes);
    return false;
}

/* One head of one layer: its state and what a thread computes with. */
struct head {
    const struct clsa_simd *simd;
    size_t e, ld; /* ld: values from column to column of q, k and v */
    float scale;  /* 1 / sqrt(e) */
    double *sum;  /* [CHUNK] A */
    float *r;     /* [e][e] R^T */
    float *k;     /* [CHUNK][e] */
    float *v;     /* [e][CHUNK] */
    float *old;   /* [CHUNK][e] q R */
    float *new;   /* [CHUNK][e] what the rows of the chunk give */
    float *p;     /* [CHUNK][CHUNK] weights of these */
    float *kd;    /* [e][CHUNK] k, decayed to the end of the chunk */
    float *add;   /* [e][e] what R^T gets */
};

/* Where the parts of the state of a head lie. */
static struct head state_of(const struct clsa_retention *r, uint32_t layer,
                            uint32_t j)
{
    size_t e = r->e;
    unsigned char *state =
        r->state + ((size_t)layer * r->h + j) * clsa_retention_head_bytes(e);
    struct head h = {
        .e = e,
        .ld = r->h * e,
        .scale = 1.0f / sqrtf((float)e),
        .sum = (double *)(void *)state,
        .r = (float *)(void *)(state + CLSA_CHUNK * sizeof(double)),
    };
    h.k = h.r + e * e;
    h.v = h.k + e * CLSA_CHUNK;
    return h;
}

static struct head head_of(const struct clsa_model *model,
                           const struct clsa_session *session, uint32_t layer,
                           uint32_t j, float *scratch)
{
    struct head h = state_of(&session->retention, layer, j);
    h.simd = model->simd;
    h.old = scratch;
    h.new = h.old + h.e *CLSA_CHUNK;
    h.kd = h.new + h.e *CLSA_CHUNK;
    h.p = h.kd + h.e * CLSA_CHUNK;
    h.add = h.p + CLSA_CHUNK * CLSA_CHUNK;
    return h;
}

/* y[c * rows + i] = w[i] . x[c], n columns of x [n][ldx]. */
static void product(const struct head *h, float *y, const float *w, size_t rows,
                    size_t len, float *x, size_t ldx, size_t ldy, size_t n)
{
    const struct clsa_act a = {.n = n, .len = len, .ldx = ldx, .x = x};
    h->simd->matmul[CLSA_F32](y, ldy, w, rows, &a);
}

/* Weights of the rows of the chunk for the query at place t; those behind it
   get 0, which adds nothing. */
static void decay_weights(const struct head *h, float *p, size_t t)
{
    for (size_t s = 0; s <= t; s++)
        p[s] *= h->scale * expf((float)(h->sum[t] - h->sum[s]));
    for (size_t s = t + 1; s < CLSA_CHUNK; s++)
        p[s] = 0;
}

/* Rows place..place+n-1 of the chunk are there; q [n][ld] becomes out. */
static void retain(const struct head *h, float *q, size_t place, size_t n,
                   float eps)
{
    product(h, h->old, h->r, h->e, h->e, q, h->ld, h->e, n);
    product(h, h->p, h->k, place + n, h->e, q, h->ld, CLSA_CHUNK, n);
    for (size_t i = 0; i < n; i++)
        decay_weights(h, h->p + i * CLSA_CHUNK, place + i);
    product(h, h->new, h->v, h->e, CLSA_CHUNK, h->p, CLSA_CHUNK, h->e, n);
    for (size_t i = 0; i < n; i++) {
        float decay = expf((float)h->sum[place + i]), *out = q + i * h->ld;
        for (size_t f = 0; f < h->e; f++)
            out[f] = decay * h->old[i * h->e + f] + h->new[i * h->e + f];
        h->simd->rms_norm(out, out, NULL, h->e, eps);
    }
}

/* The chunk is full: R moves to its end. */
static void finish_chunk(const struct head *h)
{
    const double end = h->sum[CLSA_CHUNK - 1];
    const float decay = expf((float)end);
    for (size_t s = 0; s < CLSA_CHUNK; s++) {
        float left = h->scale * expf((float)(end - h->sum[s]));
        for (size_t i = 0; i < h->e; i++)
            h->kd[i * CLSA_CHUNK + s] = left * h->k[s * h->e + i];
    }
    product(h, h->add, h->kd, h->e, CLSA_CHUNK, h->v, CLSA_CHUNK, h->e, h->e);
    for (size_t i = 0; i < h->e * h->e; i++)
        h->r[i] = decay * h->r[i] + h->add[i];
}

/* log(sigmoid(z)) / 16, for any z. */
static double log_decay(double z)
{
    return (fmin(z, 0) - log1p(exp(-fabs(z)))) / 16;
}

/* Decays are those of normal z. With a mean of them R sums up the rows of the
   last 11 tokens or so. */
static void fill_head(const struct head *h, size_t rows, bool chunks,
                      uint64_t seed)
{
    const float unit = CLSA_RANDOM_UNIT;
    float z[CLSA_CHUNK];
    if (chunks)
        clsa_random_floats(h->r, h->e * h->e, seed,
                           unit * sqrtf(11.0f) * h->scale);
    clsa_random_floats(h->k, rows * h->e, ~seed, unit);
    clsa_random_floats(h->v, h->e * CLSA_CHUNK, clsa_random_stream(seed, 0),
                       unit);
    clsa_random_floats(z, rows, clsa_random_stream(seed, 1), unit);
    for (size_t i = 0; i < rows; i++)
        h->sum[i] = log_decay((double)z[i]) + (i ? h->sum[i - 1] : 0);
}

void clsa_retention_fill(struct clsa_retention *retention, uint64_t tokens,
                         uint64_t seed)
{
    for (uint32_t layer = 0; layer < retention->layers; layer++)
        for (uint32_t j = 0; j < retention->h; j++) {
            const struct head h = state_of(retention, layer, j);
            const uint64_t n = (uint64_t)layer * retention->h + j;
            fill_head(&h, (size_t)(tokens % CLSA_CHUNK), tokens >= CLSA_CHUNK,
                      clsa_random_stream(~seed, n));
        }
}

/* Column c of the step comes to `place` of its chunk: q and k of head j are
   rotated, k, v and the decay are kept. */
static void add_row(struct clsa_step *step, const struct head *h, uint32_t j,
                    size_t c, size_t place)
{
    const struct clsa_model *model = step->model;
    const struct clsa_scratch *s = model->scratch;
    const size_t half = h->e / 2, from = c * h->ld + j * h->e;
    const float *cos = s->cos + c * half, *sin = s->sin + c * half;
    float *k = h->k + place * h->e;
    memcpy(k, s->k_rows + from, h->e * sizeof *k);
    if (model->rope_self) {
        h->simd->rope(s->q + from, cos, sin, half);
        h->simd->rope(k, cos, sin, half);
    }
    for (size_t f = 0; f < h->e; f++)
        h->v[f * CLSA_CHUNK + place] = s->v_rows[from + f];
    h->sum[place] = log_decay((double)s->decay[c * model->hp.self.h + j]) +
                    (place ? h->sum[place - 1] : 0);
}

/* Head j of columns c..c+run-1, which are of one session. */
static void run_head(struct clsa_step *step, uint32_t layer, uint32_t j,
                     size_t c, size_t run, float *scratch)
{
    const struct clsa_model *model = step->model;
    const struct clsa_column *column = &step->column[c];
    const struct head h = head_of(model, column->session, layer, j, scratch);
    size_t place = column->position % CLSA_CHUNK;
    for (size_t n; run; run -= n, c += n, place = 0) {
        n = run < CLSA_CHUNK - place ? run : CLSA_CHUNK - place;
        for (size_t i = 0; i < n; i++)
            add_row(step, &h, j, c + i, place + i);
        retain(&h, model->scratch->q + c * h.ld + j * h.e, place, n,
               model->hp.eps);
        if (place + n == CLSA_CHUNK)
            finish_chunk(&h);
    }
}

/* The heads of all sessions of the step, shared out. */
static void run_heads(struct clsa_step *step, const struct clsa_worker *w,
                      uint32_t layer)
{
    const struct clsa_heads *hd = &step->model->hp.self;
    float *scratch =
        step->model->scratch->retention + w->id * clsa_retention_scratch(hd->e);
    size_t unit = 0;
    for (size_t c = 0, run; c < step->n; c += run) {
        run = clsa_step_run_length(step, c);
        for (uint32_t j = 0; j < hd->h; j++, unit++)
            if (unit % w->count == w->id)
                run_head(step, layer, j, c, run, scratch);
    }
    clsa_barrier(w);
}

/* mix = silu(gate) * out; mix holds the gate, q what the heads gave. */
static void apply_gate(struct clsa_step *step, const struct clsa_worker *w,
                       const struct clsa_act *mix, bool quantised)
{
    const struct clsa_simd *simd = step->model->simd;
    size_t begin, end;
    clsa_share(w, mix->n, &begin, &end);
    for (size_t c = begin; c < end; c++) {
        float *x = mix->x + c * mix->ldx;
        simd->silu_mul(x, x, step->model->scratch->q + c * mix->len, mix->len);
        if (mix->form)
            clsa_product_form(mix, c);
        else if (quantised)
            clsa_quantise_column(simd, mix, c, 0, mix->len);
    }
    clsa_barrier(w);
}

void clsa_retention_layer(struct clsa_step *step, const struct clsa_worker *w,
                          uint32_t layer)
{
    const struct clsa_model *model = step->model;
    const struct clsa_layer *l = &model->weights.layers[layer];
    const struct clsa_hparams *hp = &model->hp;
    struct clsa_scratch *s = model->scratch;
    struct clsa_act input = s->norm, mix = s->mix;
    const size_t he = (size_t)hp->self.h * hp->self.e;
    input.n = mix.n = step->n;
    mix.len = he;
    clsa_norm_columns(
        w, model->simd, &input, step->n, s->x, hp->d, l->attn_norm, hp->eps,
        clsa_linear_quantised(&l->q) || clsa_linear_quantised(&l->k) ||
            clsa_linear_quantised(&l->v) || clsa_linear_quantised(&l->gate_r) ||
            clsa_linear_quantised(&l->decay));
    clsa_linear(w, model->simd, &l->q, &input, s->q, he);
    clsa_linear(w, model->simd, &l->k, &input, s->k_rows, he);
    clsa_linear(w, model->simd, &l->v, &input, s->v_rows, he);
    clsa_linear(w, model->simd, &l->gate_r, &input, mix.x, mix.ldx);
    clsa_linear(w, model->simd, &l->decay, &input, s->decay, hp->self.h);
    clsa_barrier(w);
    run_heads(step, w, layer);
    apply_gate(step, w, &mix, clsa_linear_quantised(&l->out));
    clsa_linear_add(w, model->simd, &l->out, &mix, s->y, hp->d, s->x, hp->d);
    clsa_barrier(w);
}
