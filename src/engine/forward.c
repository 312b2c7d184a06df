/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forward pass, top to bottom as in the picture of network.h:
 *
 *   token -> embedding -> [ norm -> Q (K V) -> store -> select -> attend
 *            -> output projection ; norm -> FFN ] x L -> norm -> logits
 *
 * All tokens run up to the last store; the outputs alone go on from there.
 * Under an observer (observe.h) all tokens run all layers. Shapes: n tokens
 * that run, d hidden, h heads, g kv_heads, e head_dim, f ffn, e_i index_dim.
 * All threads run every line.
 */
#include <math.h>
#include <string.h>

#include "src/engine/observe.h"
#include "src/engine/select.h"

/* cos and sin of token t of the step, of rope r. */
static void set_angles(const struct clsa_pass *p, size_t t, uint32_t r)
{
    const struct clsa_rope *rope = &p->net->ropes[r];
    const struct clsa_step_token *token = &p->step->token[t];
    const struct clsa_scratch *s = p->model->scratch;
    const double magnitude = (double)rope->magnitude;
    const double *frequency = clsa_rope_frequencies(rope, token->session);
    const size_t at = (r * s->n + t) * s->rope_stride;
    for (uint32_t i = 0; frequency && i < rope->pairs; i++) {
        const double angle = (double)token->position * frequency[i];
        s->cos[at + i] = (float)(cos(angle) * magnitude);
        s->sin[at + i] = (float)(sin(angle) * magnitude);
    }
}

void clsa_embed(const struct clsa_pass *p, size_t t, float *x)
{
    const struct clsa_network *net = p->net;
    const struct clsa_matrix *m = &net->embedding;
    const size_t d = net->hidden, row = clsa_format_bytes(m->format, d);
    const size_t id = (size_t)p->step->token[t].id;
    p->simd->load[m->format](x, (const char *)m->data + id * row, d);
    for (size_t i = 0; i < d && net->embedding_scale != 1.0f; i++)
        x[i] *= net->embedding_scale;
}

/* x [n][d] = embedding of the tokens; the angles of their positions. */
static void embed(const struct clsa_pass *p)
{
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t t = loop.begin; t < loop.end; t++) {
            clsa_embed(p, t, p->x + t * p->net->hidden);
            for (uint32_t r = 0; r < p->net->rope_count; r++)
                set_angles(p, t, r);
        }
}

void clsa_norm(const struct clsa_pass *p, const struct clsa_act *input,
               const float *weight, bool blocks)
{
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t t = loop.begin; t < loop.end; t++) {
            p->simd->rms_norm(input->x + t * input->ldx, p->x + t * input->len,
                              weight, input->len, p->net->eps);
            p->backend->prepare(p->backend, input, t, 0, input->len, blocks);
        }
    clsa_op_done(p, CLSA_OP_NORM);
}

/* Products of the same activations. */
struct products {
    struct clsa_product list[CLSA_LOOP_PARTS];
    unsigned count;
};

/* One more, y [n][rows] = W x; a matrix that the model lacks is left out. */
static void add_product(struct products *l, const struct clsa_matrix *m,
                        float *y)
{
    if (m->data)
        l->list[l->count++] = (struct clsa_product){m, y, m->rows};
}

static void multiply(const struct clsa_pass *p, const struct products *l,
                     const struct clsa_act *x, enum clsa_op op)
{
    p->backend->multiply(p->backend, p->w, l->list, l->count, x);
    clsa_op_done(p, op);
}

/* x [d] of the i-th token that runs += y, which gets a bias and a norm. */
static void add_finished(const struct clsa_pass *p, size_t i, const float *bias,
                         const float *norm)
{
    const size_t d = p->net->hidden;
    float *y = p->model->scratch->y + i * d;
    if (bias)
        p->simd->add(y, bias, d);
    if (norm)
        p->simd->rms_norm(y, y, norm, d, p->net->eps);
    p->simd->add(p->x + i * d, y, d);
}

/* x [n][d] += norm(W a + bias), of which norm and bias may be NULL. */
static void add_to_residual(const struct clsa_pass *p,
                            const struct clsa_matrix *m,
                            const struct clsa_act *a, const float *bias,
                            const float *norm)
{
    const size_t d = p->net->hidden;
    const struct clsa_product product = {m, p->model->scratch->y, d};
    if (!bias && !norm) {
        p->backend->multiply_add(p->backend, p->w, &product, a, p->x);
        return;
    }
    p->backend->multiply(p->backend, p->w, &product, 1, a);
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            add_finished(p, i, bias, norm);
}

/* Whether a matrix of a list reads activations quantized in blocks. */
static bool any_blocks(const struct clsa_matrix *const *m)
{
    while (*m && !clsa_wants_blocks(*m))
        m++;
    return *m != NULL;
}

#define ANY_BLOCKS(...)                                                        \
    any_blocks((const struct clsa_matrix *const[]){__VA_ARGS__, NULL})

/* K, V [n][g e] and index keys [n][e_i] of the tokens that run. */
static void add_rows(const struct clsa_pass *p, struct products *products)
{
    const struct clsa_layer *l = p->layer;
    struct clsa_scratch *s = p->model->scratch;
    add_product(products, &l->k, s->k_rows);
    add_product(products, &l->v, s->v_rows);
    add_product(products, &l->index_k, s->index_k);
}

/* Rows and index keys of all tokens to the layer's store, by a norm of their
   own if there is one. */
static void write_store(const struct clsa_pass *p)
{
    const struct clsa_layer *l = p->layer;
    struct clsa_scratch *s = p->model->scratch;
    const struct clsa_act input = clsa_activations(p, &s->norm, p->net->hidden);
    struct products products = {.count = 0};
    clsa_norm(p, &input, clsa_kv_norm(l),
              ANY_BLOCKS(&l->k, &l->v, &l->index_k));
    add_rows(p, &products);
    multiply(p, &products, &input, CLSA_OP_QKV);
    clsa_store_rows(p, false);
    clsa_op_done(p, CLSA_OP_STORE);
}

/* Q [n][h e], and with it K and V to the store if the layer writes it. */
static void project(const struct clsa_pass *p, bool writes)
{
    const struct clsa_layer *l = p->layer;
    struct clsa_scratch *s = p->model->scratch;
    const struct clsa_act input = clsa_activations(p, &s->norm, p->net->hidden);
    struct products products = {.count = 0};
    if (writes && l->kv_norm) {
        write_store(p);
        writes = false;
    }
    clsa_norm(p, &input, l->attn_norm,
              writes ? ANY_BLOCKS(&l->q, &l->k, &l->v, &l->index_k)
                     : ANY_BLOCKS(&l->q));
    add_product(&products, &l->q, s->q);
    if (writes)
        add_rows(p, &products);
    multiply(p, &products, &input, CLSA_OP_QKV);
    if (writes)
        clsa_store_rows(p, true);
    else
        clsa_finish_queries(p);
    clsa_op_done(p, CLSA_OP_STORE);
}

/* Attention of the tokens that run: attn_out [n][h e]. */
static void attention(const struct clsa_pass *p, bool writes)
{
    project(p, writes);
    clsa_observe(p);
    if (p->outputs && clsa_layer_reads_cache(p->net, p->layer))
        clsa_select(p);
    if (!clsa_attend_together(p))
        clsa_attend(p);
    clsa_op_done(p, CLSA_OP_ATTENTION);
}

/* Gated retention: attn_out [n][h e] = silu(gate) * what the state gives. */
static void retention(const struct clsa_pass *p)
{
    const struct clsa_layer *l = p->layer;
    struct clsa_scratch *s = p->model->scratch;
    const struct clsa_act input = clsa_activations(p, &s->norm, p->net->hidden);
    struct products products = {.count = 0};
    clsa_norm(p, &input, l->attn_norm,
              ANY_BLOCKS(&l->q, &l->k, &l->v, &l->ret_gate, &l->ret_decay));
    add_product(&products, &l->q, s->q);
    add_rows(p, &products);
    add_product(&products, &l->ret_gate, s->attn_out.x);
    products.list[products.count - 1].ld = s->attn_out.ldx;
    add_product(&products, &l->ret_decay, s->decay);
    multiply(p, &products, &input, CLSA_OP_QKV);
    clsa_retain(p);
    clsa_op_done(p, CLSA_OP_ATTENTION);
}

/* x [n][d] += down(silu(gate norm(x)) * up norm(x)). */
static void ffn(const struct clsa_pass *p)
{
    const struct clsa_layer *l = p->layer;
    struct clsa_scratch *s = p->model->scratch;
    const struct clsa_act input = clsa_activations(p, &s->norm, p->net->hidden);
    const struct clsa_act inner = clsa_activations(p, &s->ffn, l->ffn);
    clsa_norm(p, &input, l->ffn_norm, ANY_BLOCKS(&l->gate, &l->up));
    p->backend->gated(p->backend, p, l, &input, &inner);
    add_to_residual(p, &l->down, &inner, l->down_bias, l->ffn_post_norm);
    clsa_op_done(p, CLSA_OP_FFN);
}

/* x [n][d] += norm(proj(gelu(gate x) * the layer's own input of the tokens)),
   and then times a scale. */
static void layer_input(const struct clsa_pass *p)
{
    const struct clsa_layer *l = p->layer;
    const struct clsa_act inner =
        clsa_activations(p, &p->model->scratch->ffn, p->net->layer_input);
    if (!l->input_gate.data && !l->output_scale)
        return;
    if (l->input_gate.data) {
        clsa_gate_layer_input(p, &inner);
        add_to_residual(p, &l->input_proj, &inner, NULL, l->input_norm);
    }
    if (l->output_scale)
        clsa_scale_residual(p, *l->output_scale);
    clsa_op_done(p, CLSA_OP_INPUT);
}

/* Worker 0 looks whether somebody cancels. The others see it when they come to
   the next layer; some may have done another one by then. */
static void look_for_cancel(const struct clsa_pass *p)
{
    if (p->w->id == 0 && p->step->stoppable)
        p->step->stopped = clsa_step_cancelled(p->step);
}

static void run_layer(struct clsa_pass *p, uint32_t i, bool writes)
{
    p->layer = &p->net->layers[i];
    const struct clsa_layer *l = p->layer;
    const struct clsa_act mixed =
        clsa_activations(p, &p->model->scratch->attn_out,
                         (size_t)l->heads.heads * l->heads.head_dim);
    if (l->mixer == CLSA_MIXER_RETENTION)
        retention(p);
    else
        attention(p, writes);
    look_for_cancel(p);
    add_to_residual(p, &l->attn_out, &mixed, l->attn_out_bias,
                    l->attn_post_norm);
    clsa_op_done(p, CLSA_OP_ATTN_OUT);
    ffn(p);
    layer_input(p);
}

/* All tokens begin: x, angles, room in the windows. */
static void begin(struct clsa_pass *p)
{
    p->backend = p->step->stores;
    p->n = p->step->n;
    p->x = p->model->scratch->x;
    embed(p);
    clsa_extend_windows(p);
    clsa_make_layer_inputs(p, true,
                           p->step->stage == CLSA_STAGE_REFILL ||
                               clsa_is_observed(p->step));
    clsa_op_done(p, CLSA_OP_EMBED);
}

/* The layer that all tokens of a step run up to. */
static uint32_t common_end(const struct clsa_pass *p)
{
    if (p->step->stage == CLSA_STAGE_REFILL)
        return p->net->refill_end;
    return clsa_is_observed(p->step) ? p->net->layer_count
                                     : p->net->last_writer;
}

/* All tokens run up to the last store. A refill leaves the caches as they are:
   it makes windows and states again. */
static void run_to_stores(struct clsa_pass *p)
{
    const struct clsa_network *net = p->net;
    const bool refill = p->step->stage == CLSA_STAGE_REFILL;
    const uint32_t end = common_end(p);
    begin(p);
    for (uint32_t i = 0; i < end && !p->step->stopped; i++) {
        const struct clsa_layer *l = &net->layers[i];
        run_layer(p, i,
                  l->writes && !(refill && clsa_layer_reads_cache(net, l)));
    }
    clsa_step_clock(p, CLSA_PHASE_SELF);
    if (refill || p->step->stopped || end == net->layer_count)
        return;
    p->layer = &net->layers[net->last_writer];
    write_store(p);
    clsa_step_clock(p, CLSA_PHASE_ROWS);
}

/* x_out [m][d] = the residual of the outputs, which run from here on. */
static void take_outputs(struct clsa_pass *p)
{
    const size_t d = p->net->hidden;
    struct clsa_scratch *s = p->model->scratch;
    p->backend = p->step->outputs;
    p->outputs = true;
    p->n = p->step->m;
    p->x = s->x_out;
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++) {
            const struct clsa_step_token *token = clsa_pass_token(p, i);
            memcpy(p->x + i * d, s->x + clsa_pass_number(p, i) * d,
                   d * sizeof *p->x);
            if (token->set)
                token->set->changed = 0;
        }
    clsa_make_layer_inputs(p, false, true);
    clsa_op_done(p, CLSA_OP_EMBED);
}

/* Bounds the logits [m][vocab], if the model says so. */
static void cap_logits(const struct clsa_pass *p)
{
    const float cap = p->net->logit_softcap;
    if (cap <= 0)
        return;
    const size_t vocab = p->net->vocab;
    struct clsa_loop loop = clsa_loop(p->w, p->n * vocab);
    while (clsa_loop_next(&loop))
        p->simd->softcap(p->model->scratch->logits + loop.begin,
                         loop.end - loop.begin, cap);
}

/* logits [m][vocab] = output matrix . norm(x) */
static void make_logits(const struct clsa_pass *p)
{
    const struct clsa_network *net = p->net;
    struct clsa_scratch *s = p->model->scratch;
    const struct clsa_act input = clsa_activations(p, &s->norm, net->hidden);
    clsa_norm(p, &input, net->output_norm, ANY_BLOCKS(&net->output));
    struct products products = {.count = 0};
    add_product(&products, &net->output, s->logits);
    multiply(p, &products, &input, CLSA_OP_LOGITS);
    cap_logits(p);
    clsa_op_done(p, CLSA_OP_LOGITS);
    clsa_step_clock(p, CLSA_PHASE_OUTPUT);
}

void clsa_forward(void *context, struct clsa_worker *w)
{
    struct clsa_step *step = context;
    const struct clsa_model *model = step->model;
    struct clsa_pass p = {.step = step,
                          .w = w,
                          .model = model,
                          .net = &model->net,
                          .simd = model->simd};
    if (step->stores->onednn || step->outputs->onednn)
        clsa_gemm_alone();
    if (step->profiled && w->id == 0)
        w->waited = &step->waited;
    clsa_op_done(&p, CLSA_OP_WAIT);
    if (step->early)
        begin(&p);
    else if (step->stage != CLSA_STAGE_OUTPUTS)
        run_to_stores(&p);
    if (step->stage == CLSA_STAGE_REFILL || step->stage == CLSA_STAGE_STORES ||
        step->stopped)
        return;
    take_outputs(&p);
    for (uint32_t i = step->early ? 0 : common_end(&p);
         i < p.net->layer_count && !step->stopped; i++)
        run_layer(&p, i, step->early && p.net->layers[i].writes);
    clsa_step_clock(&p, CLSA_PHASE_CROSS);
    if (step->stage != CLSA_STAGE_LAYERS && !step->stopped)
        make_logits(&p);
}
