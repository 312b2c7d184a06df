/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers' own inputs: a row of a table for each token and layer, plus a normed
 * projection of the token's embedding; a layer gates it by the residual. Made
 * once per step, of the layers that the tokens run.
 */
#include <math.h>
#include <string.h>

#include "src/engine/step.h"

/* Embeddings of the tokens that run, prepared for products. */
static void embeddings(const struct clsa_pass *p, const struct clsa_act *input)
{
    const bool blocks = clsa_wants_blocks(&p->net->input_projection[0]);
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t t = loop.begin; t < loop.end; t++) {
            clsa_embed(p, clsa_pass_number(p, t), input->x + t * input->ldx);
            p->backend->prepare(p->backend, input, t, 0, input->len, blocks);
        }
}

/* x [p] of layer i becomes (norm(x / sqrt(d)) + row sqrt(p)) / sqrt(2); `row`
   is memory of the worker. */
static void finish_input(const struct clsa_pass *p, size_t i, size_t id,
                         float *x)
{
    const struct clsa_network *net = p->net;
    const struct clsa_matrix *m = &net->input_embedding;
    const size_t n = net->layer_input;
    const char *from = (const char *)m->data +
                       id * clsa_format_bytes(m->format, m->cols) +
                       clsa_format_bytes(m->format, i * n);
    const float by = 1.0f / sqrtf((float)net->hidden);
    const float of_row = sqrtf((float)n), half = sqrtf(0.5f);
    float *row = p->w->scratch;
    for (size_t j = 0; j < n; j++)
        x[j] *= by;
    p->simd->rms_norm(x, x, net->input_projection_norm, n, net->eps);
    p->simd->load[m->format](row, from, n);
    for (size_t j = 0; j < n; j++)
        x[j] = (x[j] + row[j] * of_row) * half;
}

/* The inputs of layers first .. first + rows of m / p - 1. */
static void project(const struct clsa_pass *p, const struct clsa_act *input,
                    const struct clsa_matrix *m, size_t first)
{
    const size_t n = p->net->layer_input, ld = n * p->net->layer_count;
    float *x = p->model->scratch->layer_input;
    const struct clsa_product product = {m, x + first * n, ld};
    p->backend->multiply(p->backend, p->w, &product, 1, input);
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t t = loop.begin; t < loop.end; t++)
            for (size_t i = first; i < first + m->rows / n; i++)
                finish_input(p, i, (size_t)clsa_pass_token(p, t)->id,
                             x + t * ld + i * n);
}

void clsa_make_layer_inputs(const struct clsa_pass *p, bool before, bool rest)
{
    const struct clsa_network *net = p->net;
    const struct clsa_act input =
        clsa_activations(p, &p->model->scratch->norm, net->hidden);
    if (!net->layer_input)
        return;
    embeddings(p, &input);
    if (before && net->last_writer > 0)
        project(p, &input, &net->input_projection[0], 0);
    if (rest)
        project(p, &input, &net->input_projection[1], net->last_writer);
}

/* The residual of the tokens that run, prepared for products. */
static void take_residual(const struct clsa_pass *p,
                          const struct clsa_act *input)
{
    const bool blocks = clsa_wants_blocks(&p->layer->input_gate);
    const size_t d = input->len;
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t t = loop.begin; t < loop.end; t++) {
            memcpy(input->x + t * input->ldx, p->x + t * d, d * sizeof *p->x);
            p->backend->prepare(p->backend, input, t, 0, d, blocks);
        }
}

void clsa_gate_layer_input(const struct clsa_pass *p,
                           const struct clsa_act *inner)
{
    const struct clsa_layer *l = p->layer;
    const struct clsa_scratch *s = p->model->scratch;
    const struct clsa_act input = clsa_activations(p, &s->norm, p->net->hidden);
    const size_t n = inner->len, i = (size_t)(l - p->net->layers);
    const struct clsa_product gate = {&l->input_gate, s->gate, n};
    take_residual(p, &input);
    p->backend->multiply(p->backend, p->w, &gate, 1, &input);
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t t = loop.begin; t < loop.end; t++) {
            p->simd->gelu_mul(
                inner->x + t * inner->ldx, s->gate + t * n,
                s->layer_input + (t * p->net->layer_count + i) * n, n);
            p->backend->prepare(p->backend, inner, t, 0, n,
                                clsa_wants_blocks(&l->input_proj));
        }
}

void clsa_scale_residual(const struct clsa_pass *p, float scale)
{
    struct clsa_loop loop = clsa_loop(p->w, p->n * p->net->hidden);
    while (clsa_loop_next(&loop))
        for (size_t v = loop.begin; v < loop.end; v++)
            p->x[v] *= scale;
}
