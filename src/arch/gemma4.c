/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architecture gemma4 (E2B, E4B): layers with windows and full layers have
 * heads of two sizes and a rope each. The last layers have no K and V and read
 * the store of the last layer of their kind that has. V is normed without
 * weights, scores are not scaled, and each layer gets an input of its own from
 * the token.
 */
#include <inttypes.h>

#include "src/arch/gemma.h"

enum { ROPE_FULL, ROPE_SLIDING, ROPES };

/* Sizes of layers with windows, and how the layers differ. */
struct sizes {
    struct clsa_heads sliding_heads;
    uint32_t own; /* layers that have K and V */
    bool sliding[CLSA_LAYER_LIMIT];
    uint32_t ffn[CLSA_LAYER_LIMIT];
};

static clsa_status read_sliding(struct clsa_network *net, struct sizes *s,
                                const struct clsa_arch_keys *keys)
{
    struct clsa_heads *h = &s->sliding_heads;
    struct clsa_rope *rope = &net->ropes[ROPE_SLIDING];
    uint32_t rotated;
    *h = net->layers[0].heads;
    CLSA_TRY(clsa_keys_size(keys, "attention.key_length_swa", false,
                            CLSA_HEAD_DIM_LIMIT, &h->head_dim));
    CLSA_TRY(clsa_keys_heads(keys, h, "_swa"));
    CLSA_TRY(clsa_keys_fixed(keys, "attention.value_length_swa", h->head_dim,
                             "values are as long as keys"));
    rotated = h->head_dim;
    CLSA_TRY(clsa_keys_fixed(keys, "rope.dimension_count_swa", rotated,
                             "heads of layers with windows are rotated as a "
                             "whole"));
    rope->pairs = rotated / 2;
    rope->base = 10000;
    return clsa_keys_float(keys, "rope.freq_base_swa", false, 1, 1e30,
                           &rope->base);
}

/* The last layer with K and V that is like layer i; `own`: none. */
static uint32_t source_of(const struct sizes *s, uint32_t i)
{
    uint32_t j = s->own;
    while (j > 0 && s->sliding[j - 1] != s->sliding[i])
        j--;
    return j > 0 ? j - 1 : s->own;
}

static clsa_status plan_layer(struct clsa_network *net, const struct sizes *s,
                              uint32_t i, const struct clsa_arch_keys *keys)
{
    struct clsa_layer *l = &net->layers[i];
    if (s->sliding[i]) {
        l->heads = s->sliding_heads;
        l->rope = ROPE_SLIDING;
    }
    l->ffn = s->ffn[i];
    l->scale = 1;
    l->v_normed = true;
    l->writes = i < s->own;
    l->store = l->writes ? i : source_of(s, i);
    if (l->store < s->own)
        return CLSA_OK;
    return clsa_fail(keys->error, CLSA_ERR_FORMAT,
                     "%s: key 'gemma4.attention.shared_kv_layers': no layer "
                     "with K and V is like layer %" PRIu32 ", which has none",
                     keys->gguf->path, i);
}

static clsa_status plan(struct clsa_network *net, const struct clsa_usual *u,
                        const struct sizes *s,
                        const struct clsa_arch_keys *keys)
{
    net->store_count = s->own;
    if (u->window)
        clsa_usual_slide(net, u->window, s->sliding);
    for (uint32_t i = 0; i < u->layers; i++)
        CLSA_TRY(plan_layer(net, s, i, keys));
    for (uint32_t i = 0; i < s->own; i++)
        net->stores[i].head_dim = net->layers[i].heads.head_dim;
    return clsa_keys_finish(keys);
}

static clsa_status read(struct clsa_network *net,
                        const struct clsa_arch_keys *keys)
{
    struct clsa_usual u = {.ropes = ROPES, .layers = 0};
    struct sizes s = {.own = 0};
    uint64_t shared = 0, input = 0;
    CLSA_TRY(
        clsa_keys_size(keys, "block_count", true, CLSA_LAYER_LIMIT, &u.layers));
    CLSA_TRY(clsa_keys_sizes(keys, "feed_forward_length", u.layers,
                             CLSA_SIZE_LIMIT, s.ffn));
    u.ffn = s.ffn[0];
    CLSA_TRY(clsa_usual_read(&u, keys));
    CLSA_TRY(clsa_usual_plan(net, &u, keys->error));
    CLSA_TRY(clsa_gemma_read_ends(net, keys));
    CLSA_TRY(read_sliding(net, &s, keys));
    CLSA_TRY(clsa_keys_pattern(keys, "attention.sliding_window_pattern",
                               u.layers, 1, s.sliding));
    CLSA_TRY(clsa_keys_uint(keys, "attention.shared_kv_layers", false, 0,
                            u.layers - 1, &shared));
    s.own = u.layers - (uint32_t)shared;
    CLSA_TRY(clsa_keys_uint(keys, "embedding_length_per_layer_input", false, 0,
                            CLSA_SIZE_LIMIT / u.layers, &input));
    net->layer_input = (uint32_t)input;
    return plan(net, &u, &s, keys);
}

/* K and V, or what a layer that reads another's has of them. */
static clsa_status find_kv(struct clsa_finder *f, uint32_t i, size_t d,
                           struct clsa_layer *l)
{
    const size_t ge = (size_t)l->heads.kv_heads * l->heads.head_dim;
    if (!l->writes) {
        clsa_find_unused(f, i, "attn_k");
        clsa_find_unused(f, i, "attn_v");
        clsa_find_unused(f, i, "attn_k_norm");
        return CLSA_OK;
    }
    CLSA_TRY(clsa_find_matrix(f, i, "attn_k", CLSA_REQUIRED, ge, d, &l->k));
    l->v = l->k; /* without a tensor of its own, before K is normed */
    return clsa_find_matrix(f, i, "attn_v", CLSA_USUAL, ge, d, &l->v);
}

static clsa_status find_input(struct clsa_finder *f, uint32_t i, size_t d,
                              size_t n, struct clsa_layer *l)
{
    CLSA_TRY(clsa_find_matrix(f, i, "inp_gate", CLSA_REQUIRED, n, d,
                              &l->input_gate));
    CLSA_TRY(
        clsa_find_matrix(f, i, "proj", CLSA_REQUIRED, d, n, &l->input_proj));
    return clsa_find_vector(f, i, "post_norm", CLSA_REQUIRED, d,
                            &l->input_norm);
}

static clsa_status find_layer(struct clsa_network *net, struct clsa_finder *f,
                              uint32_t i)
{
    struct clsa_layer *l = &net->layers[i];
    const size_t d = net->hidden;
    const size_t he = (size_t)l->heads.heads * l->heads.head_dim;
    CLSA_TRY(
        clsa_find_vector(f, i, "attn_norm", CLSA_REQUIRED, d, &l->attn_norm));
    CLSA_TRY(clsa_find_matrix(f, i, "attn_q", CLSA_REQUIRED, he, d, &l->q));
    CLSA_TRY(find_kv(f, i, d, l));
    CLSA_TRY(clsa_usual_find_qk_norm(f, i, CLSA_REQUIRED, l));
    CLSA_TRY(clsa_find_matrix(f, i, "attn_output", CLSA_REQUIRED, d, he,
                              &l->attn_out));
    CLSA_TRY(clsa_usual_find_ffn(f, i, d, l));
    CLSA_TRY(clsa_gemma_find_norms(f, i, d, l));
    if (net->layer_input)
        CLSA_TRY(find_input(f, i, d, net->layer_input, l));
    return clsa_find_vector(f, i, "layer_output_scale", CLSA_USUAL, 1,
                            &l->output_scale);
}

/* Each layer reads its part of a row by itself. */
static clsa_status check_parts(const struct clsa_network *net,
                               const struct clsa_finder *f)
{
    const struct clsa_matrix *m = &net->input_embedding;
    if (!m->data || net->layer_input % clsa_format_block(m->format) == 0)
        return CLSA_OK;
    return clsa_fail(f->error, CLSA_ERR_UNSUPPORTED,
                     "%s: tensor 'per_layer_token_embd.weight' has blocks that "
                     "belong to several layers: convert the model to bf16 or "
                     "q8_0",
                     f->gguf->path);
}

/* The inputs of the layers up to the last one with K and V, and of the rest,
   which only outputs need. */
static clsa_status find_inputs(struct clsa_network *net, struct clsa_finder *f)
{
    const size_t n = net->layer_input, all = n * net->layer_count;
    struct clsa_matrix *const parts[] = {&net->input_projection[0],
                                         &net->input_projection[1], NULL};
    if (n == 0)
        return CLSA_OK;
    parts[0]->rows = n * net->last_writer;
    parts[1]->rows = all - parts[0]->rows;
    CLSA_TRY(clsa_find_matrix(f, CLSA_NO_LAYER, "per_layer_token_embd",
                              CLSA_REQUIRED, net->vocab, all,
                              &net->input_embedding));
    CLSA_TRY(check_parts(net, f));
    CLSA_TRY(clsa_find_fused(f, CLSA_NO_LAYER, "per_layer_model_proj", all,
                             net->hidden, parts));
    return clsa_find_vector(f, CLSA_NO_LAYER, "per_layer_proj_norm",
                            CLSA_REQUIRED, n, &net->input_projection_norm);
}

static clsa_status find(struct clsa_network *net, struct clsa_finder *f)
{
    CLSA_TRY(clsa_usual_find_ends(f, net));
    CLSA_TRY(find_inputs(net, f));
    for (uint32_t i = 0; i < net->layer_count; i++)
        CLSA_TRY(find_layer(net, f, i));
    CLSA_TRY(clsa_find_rope(f, "rope_freqs", &net->ropes[ROPE_FULL]));
    return clsa_find_rope(f, NULL, &net->ropes[ROPE_SLIDING]);
}

const struct clsa_arch clsa_arch_gemma4 = {
    .name = "gemma4",
    .read = read,
    .find = find,
};
