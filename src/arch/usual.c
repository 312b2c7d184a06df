/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, plan and tensors that most architectures have. */
#include <inttypes.h>
#include <math.h>

#include "src/arch/usual.h"

static clsa_status read_heads(struct clsa_usual *u,
                              const struct clsa_arch_keys *keys)
{
    struct clsa_heads *h = &u->heads;
    CLSA_TRY(clsa_keys_size(keys, "attention.head_count", true, CLSA_SIZE_LIMIT,
                            &h->heads));
    h->kv_heads = h->heads;
    CLSA_TRY(clsa_keys_size(keys, "attention.head_count_kv", false,
                            CLSA_SIZE_LIMIT, &h->kv_heads));
    h->head_dim = u->hidden / h->heads;
    CLSA_TRY(
        clsa_keys_size(keys, "attention.key_length",
                       h->head_dim == 0 || h->head_dim > CLSA_HEAD_DIM_LIMIT,
                       CLSA_HEAD_DIM_LIMIT, &h->head_dim));
    CLSA_TRY(clsa_keys_heads(keys, h, ""));
    return clsa_keys_fixed(keys, "attention.value_length", h->head_dim,
                           "values are as long as keys");
}

static clsa_status read_vocab(struct clsa_usual *u,
                              const struct clsa_arch_keys *keys)
{
    const struct clsa_gguf_tensor *t =
        clsa_gguf_tensor(keys->gguf, "token_embd.weight");
    if (!t)
        return clsa_fail(keys->error, CLSA_ERR_FORMAT,
                         "%s: tensor 'token_embd.weight' is missing",
                         keys->gguf->path);
    if (t->shape[1] > CLSA_SIZE_LIMIT)
        return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                         "%s: tensor 'token_embd.weight' has more than %u rows",
                         keys->gguf->path, CLSA_SIZE_LIMIT);
    u->vocab = (uint32_t)t->shape[1];
    return CLSA_OK;
}

/* rope.scaling.*, of the kinds that need no tensors of their own. */
static clsa_status read_scaling(struct clsa_usual *u,
                                const struct clsa_arch_keys *keys)
{
    static const char *const kinds[] = {"none", "linear", "yarn", NULL};
    static const char *const longer[] = {"none", "linear", "yarn", "longrope",
                                         NULL};
    struct clsa_rope *rope = &u->rope;
    unsigned kind = CLSA_ROPE_LINEAR; /* what a factor alone means */
    float off = 0, one = 1;
    rope->factor = rope->magnitude = 1;
    rope->beta_fast = 32;
    rope->beta_slow = 1;
    CLSA_TRY(clsa_keys_choice(keys, "rope.scaling.type",
                              u->longrope ? longer : kinds, &kind));
    rope->scaling =
        kind <= CLSA_ROPE_YARN ? (enum clsa_rope_scaling)kind : CLSA_ROPE_PLAIN;
    CLSA_TRY(clsa_keys_float(keys, "rope.scale_linear", false, 1, 1e6,
                             &rope->factor));
    CLSA_TRY(clsa_keys_float(keys, "rope.scaling.factor",
                             kind == CLSA_ROPE_YARN, 1, 1e6, &rope->factor));
    CLSA_TRY(clsa_keys_uint(keys, "rope.scaling.original_context_length",
                            kind == CLSA_ROPE_YARN, 1, CLSA_CONTEXT_LIMIT,
                            &rope->original));
    CLSA_TRY(clsa_keys_float(keys, "rope.scaling.attn_factor", false, 1e-3, 1e3,
                             &rope->magnitude));
    CLSA_TRY(clsa_keys_float(keys, "rope.scaling.yarn_beta_fast", false, 1e-3,
                             1e6, &rope->beta_fast));
    CLSA_TRY(clsa_keys_float(keys, "rope.scaling.yarn_beta_slow", false, 1e-3,
                             1e6, &rope->beta_slow));
    CLSA_TRY(clsa_keys_float(keys, "rope.scaling.yarn_ext_factor", false, 1, 1,
                             &one));
    CLSA_TRY(clsa_keys_float(keys, "rope.scaling.yarn_attn_factor", false, 1, 1,
                             &one));
    return clsa_keys_float(keys, "rope.scaling.yarn_log_multiplier", false, 0,
                           0, &off);
}

static clsa_status read_rope(struct clsa_usual *u,
                             const struct clsa_arch_keys *keys)
{
    struct clsa_rope *rope = &u->rope;
    uint32_t rotated = u->heads.head_dim;
    rope->base = 10000;
    CLSA_TRY(
        clsa_keys_float(keys, "rope.freq_base", false, 1, 1e30, &rope->base));
    CLSA_TRY(clsa_keys_size(keys, "rope.dimension_count", false,
                            u->heads.head_dim, &rotated));
    rope->pairs = rotated / 2;
    if (rotated % 2)
        return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                         "%s: key '%s.rope.dimension_count' is %" PRIu32
                         ", which is not supported: values are rotated in "
                         "pairs",
                         keys->gguf->path, keys->arch, rotated);
    return read_scaling(u, keys);
}

/* Keys that may say just one thing. */
static clsa_status read_fixed(const struct clsa_arch_keys *keys)
{
    CLSA_TRY(clsa_keys_fixed(keys, "expert_count", 0,
                             "there are no mixtures of experts"));
    return clsa_keys_true(keys, "attention.causal",
                          "tokens see earlier ones only");
}

static clsa_status read_window(struct clsa_usual *u,
                               const struct clsa_arch_keys *keys)
{
    uint64_t window = 0;
    CLSA_TRY(clsa_keys_uint(keys, "attention.sliding_window", false, 0,
                            CLSA_CONTEXT_LIMIT, &window));
    if (window < u->context)
        u->window = (uint32_t)window;
    return CLSA_OK;
}

clsa_status clsa_usual_read(struct clsa_usual *u,
                            const struct clsa_arch_keys *keys)
{
    CLSA_TRY(clsa_keys_size(keys, "block_count", true, CLSA_LAYER_LIMIT,
                            &u->layers));
    CLSA_TRY(clsa_keys_size(keys, "embedding_length", true, CLSA_SIZE_LIMIT,
                            &u->hidden));
    if (u->ffn == 0)
        CLSA_TRY(clsa_keys_size(keys, "feed_forward_length", true,
                                CLSA_SIZE_LIMIT, &u->ffn));
    CLSA_TRY(clsa_keys_uint(keys, "context_length", true, 1, CLSA_CONTEXT_LIMIT,
                            &u->context));
    CLSA_TRY(clsa_keys_float(keys, "attention.layer_norm_rms_epsilon", true,
                             1e-20, 1, &u->eps));
    CLSA_TRY(read_heads(u, keys));
    CLSA_TRY(read_rope(u, keys));
    CLSA_TRY(read_fixed(keys));
    CLSA_TRY(read_window(u, keys));
    return read_vocab(u, keys);
}

clsa_status clsa_usual_plan(struct clsa_network *net,
                            const struct clsa_usual *u, clsa_error *error)
{
    CLSA_TRY(clsa_network_open(net, u->layers, u->layers,
                               u->ropes ? u->ropes : 1, error));
    net->hidden = u->hidden;
    net->vocab = u->vocab;
    net->context = u->context;
    net->eps = u->eps;
    net->embedding_scale = 1;
    net->ropes[0] = u->rope;
    for (uint32_t i = 0; i < u->layers; i++) {
        struct clsa_layer *l = &net->layers[i];
        l->heads = u->heads;
        l->store = i;
        l->writes = true;
        l->rope = 0;
        l->ffn = u->ffn;
        l->scale = 1.0f / sqrtf((float)u->heads.head_dim);
        net->stores[i] = (struct clsa_store_plan){
            .kind = CLSA_STORE_CACHE,
            .kv_heads = u->heads.kv_heads,
            .head_dim = u->heads.head_dim,
        };
    }
    return CLSA_OK;
}

void clsa_usual_slide(struct clsa_network *net, uint32_t window,
                      const bool *sliding)
{
    for (uint32_t i = 0; i < net->store_count; i++)
        if (sliding[i]) {
            net->stores[i].kind = CLSA_STORE_WINDOW;
            net->stores[i].window = window;
        }
}

clsa_status clsa_usual_open(struct clsa_network *net,
                            const struct clsa_arch_keys *keys,
                            enum clsa_usual_rope rope)
{
    struct clsa_usual u = {.longrope = rope == CLSA_USUAL_LONGROPE};
    bool sliding[CLSA_LAYER_LIMIT];
    CLSA_TRY(clsa_usual_read(&u, keys));
    u.rope.adjacent = rope == CLSA_USUAL_PAIRS;
    CLSA_TRY(clsa_usual_plan(net, &u, keys->error));
    CLSA_TRY(clsa_keys_pattern(keys, "attention.sliding_window_pattern",
                               u.layers, CLSA_LAYER_LIMIT + 1, sliding));
    if (u.window)
        clsa_usual_slide(net, u.window, sliding);
    return CLSA_OK;
}

clsa_status clsa_usual_find_attention(struct clsa_finder *f, uint32_t i,
                                      size_t d, struct clsa_layer *layer)
{
    const size_t e = layer->heads.head_dim;
    const size_t he = layer->heads.heads * e, ge = layer->heads.kv_heads * e;
    CLSA_TRY(clsa_find_vector(f, i, "attn_norm", CLSA_REQUIRED, d,
                              &layer->attn_norm));
    CLSA_TRY(clsa_find_matrix(f, i, "attn_q", CLSA_REQUIRED, he, d, &layer->q));
    if (layer->writes) {
        CLSA_TRY(
            clsa_find_matrix(f, i, "attn_k", CLSA_REQUIRED, ge, d, &layer->k));
        CLSA_TRY(
            clsa_find_matrix(f, i, "attn_v", CLSA_REQUIRED, ge, d, &layer->v));
    }
    return clsa_find_matrix(f, i, "attn_output", CLSA_REQUIRED, d, he,
                            &layer->attn_out);
}

clsa_status clsa_usual_find_biases(struct clsa_finder *f, uint32_t i, size_t d,
                                   enum clsa_presence presence,
                                   struct clsa_layer *layer)
{
    const size_t e = layer->heads.head_dim;
    const size_t he = layer->heads.heads * e, ge = layer->heads.kv_heads * e;
    CLSA_TRY(clsa_find_bias(f, i, "attn_q", presence, he, &layer->q_bias));
    CLSA_TRY(clsa_find_bias(f, i, "attn_k", presence, ge, &layer->k_bias));
    CLSA_TRY(clsa_find_bias(f, i, "attn_v", presence, ge, &layer->v_bias));
    return clsa_find_bias(f, i, "attn_output", CLSA_OPTIONAL, d,
                          &layer->attn_out_bias);
}

clsa_status clsa_usual_find_qk_norm(struct clsa_finder *f, uint32_t i,
                                    enum clsa_presence presence,
                                    struct clsa_layer *layer)
{
    const size_t e = layer->heads.head_dim;
    CLSA_TRY(
        clsa_find_vector(f, i, "attn_q_norm", presence, e, &layer->q_norm));
    return layer->writes ? clsa_find_vector(f, i, "attn_k_norm", presence, e,
                                            &layer->k_norm)
                         : CLSA_OK;
}

clsa_status clsa_usual_find_ffn(struct clsa_finder *f, uint32_t i, size_t d,
                                struct clsa_layer *layer)
{
    const size_t n = layer->ffn;
    CLSA_TRY(
        clsa_find_vector(f, i, "ffn_norm", CLSA_REQUIRED, d, &layer->ffn_norm));
    CLSA_TRY(
        clsa_find_matrix(f, i, "ffn_gate", CLSA_REQUIRED, n, d, &layer->gate));
    CLSA_TRY(clsa_find_matrix(f, i, "ffn_up", CLSA_REQUIRED, n, d, &layer->up));
    CLSA_TRY(
        clsa_find_matrix(f, i, "ffn_down", CLSA_REQUIRED, d, n, &layer->down));
    CLSA_TRY(
        clsa_find_bias(f, i, "ffn_gate", CLSA_OPTIONAL, n, &layer->gate_bias));
    CLSA_TRY(clsa_find_bias(f, i, "ffn_up", CLSA_OPTIONAL, n, &layer->up_bias));
    return clsa_find_bias(f, i, "ffn_down", CLSA_OPTIONAL, d,
                          &layer->down_bias);
}

clsa_status clsa_usual_find_ends(struct clsa_finder *f,
                                 struct clsa_network *net)
{
    const size_t d = net->hidden, vocab = net->vocab;
    CLSA_TRY(clsa_find_matrix(f, CLSA_NO_LAYER, "token_embd", CLSA_REQUIRED,
                              vocab, d, &net->embedding));
    CLSA_TRY(clsa_find_vector(f, CLSA_NO_LAYER, "output_norm", CLSA_REQUIRED, d,
                              &net->output_norm));
    net->output = net->embedding;
    return clsa_find_matrix(f, CLSA_NO_LAYER, "output", CLSA_USUAL, vocab, d,
                            &net->output);
}

clsa_status clsa_usual_find(struct clsa_network *net, struct clsa_finder *f,
                            enum clsa_presence biases, bool norms)
{
    const size_t d = net->hidden;
    CLSA_TRY(clsa_usual_find_ends(f, net));
    for (uint32_t i = 0; i < net->layer_count; i++) {
        struct clsa_layer *l = &net->layers[i];
        CLSA_TRY(clsa_usual_find_attention(f, i, d, l));
        CLSA_TRY(clsa_usual_find_biases(f, i, d, biases, l));
        if (norms)
            CLSA_TRY(clsa_usual_find_qk_norm(f, i, CLSA_REQUIRED, l));
        CLSA_TRY(clsa_usual_find_ffn(f, i, d, l));
    }
    return clsa_find_rope(f, "rope_freqs", &net->ropes[0]);
}
