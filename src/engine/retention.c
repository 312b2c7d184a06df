/* SPDX-License-Identifier: Apache-2.0 */
/* The state of gated retention, and what its layer does with it. */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/random.h"
#include "src/engine/attention.h"

clsa_status clsa_state_open(struct clsa_state *state,
                            const struct clsa_store_plan *plan,
                            clsa_error *error)
{
    struct clsa_state s = {.heads = plan->kv_heads, .head_dim = plan->head_dim};
    if (!clsa_size_mul(s.heads, clsa_retention_head_bytes(s.head_dim),
                       &s.bytes) ||
        !(s.memory = clsa_mem_map(s.bytes)))
        return clsa_fail_memory(error, "the state of retention", s.bytes);
    *state = s;
    return CLSA_OK;
}

void clsa_state_close(struct clsa_state *state)
{
    clsa_mem_unmap(state->memory, state->bytes);
    state->memory = NULL;
}

void clsa_state_copy(struct clsa_state *to, const struct clsa_state *from)
{
    memcpy(to->memory, from->memory, from->bytes);
    to->end = from->end;
}

void clsa_state_cut(struct clsa_state *state, uint64_t end, bool kept)
{
    state->end = kept ? end : 0;
    if (!kept)
        memset(state->memory, 0, state->bytes);
}

/* One head of one layer: its state and what a thread computes with. */
struct head {
    const struct clsa_simd *simd;
    size_t e, ld;  /* ld: values from token to token of q, k and v */
    float scale;   /* of q . k */
    void *scratch; /* of the worker */
    double *sum;   /* [CHUNK] A */
    float *r;      /* [e][e] R^T */
    float *k;      /* [CHUNK][e] */
    float *v;      /* [e][CHUNK] */
    float *old;    /* [CHUNK][e] q R */
    float *new;    /* [CHUNK][e] what the rows of the chunk give */
    float *p;      /* [CHUNK][CHUNK] weights of these */
    float *kd;     /* [e][CHUNK] k, decayed to the end of the chunk */
    float *add;    /* [e][e] what R^T gets */
};

/* Where the parts of the state of head j of a layer lie. */
static struct head state_of(const struct clsa_state *state,
                            const struct clsa_layer *layer, uint32_t j)
{
    size_t e = state->head_dim;
    unsigned char *memory = state->memory + j * clsa_retention_head_bytes(e);
    struct head h = {
        .e = e,
        .ld = state->heads * e,
        .scale = layer->scale,
        .sum = (double *)(void *)memory,
        .r = (float *)(void *)(memory + CLSA_CHUNK * sizeof(double)),
    };
    h.k = h.r + e * e;
    h.v = h.k + e * CLSA_CHUNK;
    return h;
}

static struct head head_of(const struct clsa_pass *p,
                           const struct clsa_step_token *token, uint32_t j)
{
    struct head h =
        state_of(&clsa_token_store(token, p->layer)->state, p->layer, j);
    h.simd = p->simd;
    h.old =
        p->model->scratch->retention + p->w->id * clsa_retention_scratch(h.e);
    h.new = h.old + h.e *CLSA_CHUNK;
    h.kd = h.new + h.e *CLSA_CHUNK;
    h.p = h.kd + h.e * CLSA_CHUNK;
    h.add = h.p + CLSA_CHUNK * CLSA_CHUNK;
    h.scratch = p->w->scratch;
    return h;
}

/* Rows from v on, ld values from one to the next. */
struct rows {
    float *v;
    size_t ld;
};

/* y[c][i] = w[i] . x[c] for n rows of x; w: [rows][len]. */
static void product(const struct head *h, struct rows y, const float *w,
                    size_t rows, size_t len, struct rows x, size_t n)
{
    const struct clsa_act a = {
        .n = n, .len = len, .ldx = x.ld, .x = x.v, .scratch = h->scratch};
    h->simd->matmul[CLSA_F32](y.v, y.ld, w, rows, &a);
}

/* Weights of the rows of the chunk for the query at place t; later rows get 0,
   which adds nothing. */
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
    const struct rows queries = {q, h->ld}, p = {h->p, CLSA_CHUNK};
    product(h, (struct rows){h->old, h->e}, h->r, h->e, h->e, queries, n);
    product(h, p, h->k, place + n, h->e, queries, n);
    for (size_t i = 0; i < n; i++)
        decay_weights(h, h->p + i * CLSA_CHUNK, place + i);
    product(h, (struct rows){h->new, h->e}, h->v, h->e, CLSA_CHUNK, p, n);
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
    product(h, (struct rows){h->add, h->e}, h->kd, h->e, CLSA_CHUNK,
            (struct rows){h->v, CLSA_CHUNK}, h->e);
    for (size_t i = 0; i < h->e * h->e; i++)
        h->r[i] = decay * h->r[i] + h->add[i];
}

/* log(sigmoid(z)) / 16, for any z. */
static double log_decay(double z)
{
    return (fmin(z, 0) - log1p(exp(-fabs(z)))) / 16;
}

/* Decays follow from normal z. With their mean R sums up the rows of about
   the last 11 tokens. */
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

void clsa_state_fill(struct clsa_state *state, const struct clsa_layer *layer,
                     uint64_t tokens, uint64_t seed, uint64_t first)
{
    for (uint32_t j = 0; j < state->heads; j++) {
        const struct head h = state_of(state, layer, j);
        fill_head(&h, (size_t)(tokens % CLSA_CHUNK), tokens >= CLSA_CHUNK,
                  clsa_random_stream(~seed, first + j));
    }
    state->end = tokens;
}

/* Token i comes to `place` of its chunk: q and k of head j are rotated, k, v
   and the decay are kept. */
static void add_row(const struct clsa_pass *p, const struct head *h, uint32_t j,
                    size_t i, size_t place)
{
    const struct clsa_scratch *s = p->model->scratch;
    const size_t from = i * h->ld + j * h->e;
    float *k = h->k + place * h->e;
    memcpy(k, s->k_rows + from, h->e * sizeof *k);
    if (p->layer->rope != CLSA_NO_ROPE) {
        const size_t at = clsa_rope_at(p, i);
        h->simd->rope(s->q + from, s->cos + at, s->sin + at, h->e / 2);
        h->simd->rope(k, s->cos + at, s->sin + at, h->e / 2);
    }
    for (size_t f = 0; f < h->e; f++)
        h->v[f * CLSA_CHUNK + place] = s->v_rows[from + f];
    h->sum[place] = log_decay((double)s->decay[i * p->layer->heads.heads + j]) +
                    (place ? h->sum[place - 1] : 0);
}

/* Head j of tokens i .. i + run - 1, which are of one session. */
static void run_head(const struct clsa_pass *p, uint32_t j, size_t i,
                     size_t run)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct head h = head_of(p, token, j);
    size_t place = token->position % CLSA_CHUNK;
    for (size_t n; run; run -= n, i += n, place = 0) {
        n = run < CLSA_CHUNK - place ? run : CLSA_CHUNK - place;
        for (size_t c = 0; c < n; c++)
            add_row(p, &h, j, i + c, place + c);
        retain(&h, p->model->scratch->q + i * h.ld + j * h.e, place, n,
               p->net->eps);
        if (place + n == CLSA_CHUNK)
            finish_chunk(&h);
    }
}

/* The heads of all sessions of the step, session by session. */
static void run_heads(const struct clsa_pass *p)
{
    const uint32_t heads = p->layer->heads.heads;
    size_t runs = 0;
    for (size_t i = 0; i < p->n; i += clsa_step_run_length(p->step, i))
        runs++;
    struct clsa_loop loop = clsa_loop(p->w, runs * heads);
    while (clsa_loop_next(&loop)) {
        size_t item = 0;
        for (size_t i = 0, run; item < loop.end; i += run) {
            run = clsa_step_run_length(p->step, i);
            for (uint32_t j = 0; j < heads; j++, item++)
                if (item >= loop.begin && item < loop.end)
                    run_head(p, j, i, run);
        }
    }
}

/* out = silu(gate) * what the heads gave, which is in q; out holds the gate. */
static void apply_gate(const struct clsa_pass *p)
{
    const struct clsa_layer *l = p->layer;
    const struct clsa_act out =
        clsa_activations(p, &p->model->scratch->attn_out,
                         (size_t)l->heads.heads * l->heads.head_dim);
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++) {
            float *x = out.x + i * out.ldx;
            p->simd->silu_mul(x, x, p->model->scratch->q + i * out.len,
                              out.len);
            p->backend->prepare(p->backend, &out, i, 0, out.len,
                                clsa_wants_blocks(&l->attn_out));
        }
}

void clsa_retain(const struct clsa_pass *p)
{
    run_heads(p);
    apply_gate(p);
}
