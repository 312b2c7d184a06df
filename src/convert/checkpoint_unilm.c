/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of the first YOCO checkpoints (unilm): params.json, two stacks of
 * n_layers / 2 layers, rotary embedding in pairs with the endpoint among its
 * exponents, embeddings times sqrt(d), no norms of q and k, no indexer. A file
 * without sliding_window has gated retention.
 */
#include <math.h>

#include "src/convert/checkpoint.h"

static bool matches(const json_t *config)
{
    return json_object_get(config, "n_layers") &&
           json_object_get(config, "n_self_heads");
}

static clsa_status read_stacks(struct clsa_config *c,
                               const struct clsa_json_source *s)
{
    CLSA_TRY(clsa_checkpoint_size(s, "n_self_heads", true, &c->self.h));
    CLSA_TRY(clsa_checkpoint_size(s, "n_attn_heads", true, &c->cross.h));
    CLSA_TRY(clsa_checkpoint_size(s, "n_attn_kv_heads", true, &c->cross.g));
    CLSA_TRY(clsa_checkpoint_refuse(s, "n_self_heads", c->d % c->self.h != 0));
    CLSA_TRY(clsa_checkpoint_refuse(s, "n_attn_heads", c->d % c->cross.h != 0));
    c->self.g = c->self.h;
    c->self.e = c->d / c->self.h;
    c->cross.e = c->d / c->cross.h;
    c->self.rope.base = c->cross.rope.base = 10000;
    CLSA_TRY(clsa_checkpoint_rope(&c->self, s, ""));
    CLSA_TRY(clsa_checkpoint_rope(&c->cross, s, ""));
    c->self.endpoint = c->cross.endpoint = true;
    c->self.interleaved = c->cross.interleaved = true;
    return CLSA_OK;
}

static clsa_status read(struct clsa_config *c, const struct clsa_json_source *s)
{
    double length = -1;
    CLSA_TRY(clsa_checkpoint_size(s, "n_layers", true, &c->layers));
    CLSA_TRY(clsa_checkpoint_refuse(s, "n_layers", c->layers % 2 != 0));
    c->self_layers = c->layers / 2;
    CLSA_TRY(clsa_checkpoint_size(s, "dim", true, &c->d));
    CLSA_TRY(clsa_checkpoint_size(s, "vocab_size", true, &c->vocab));
    CLSA_TRY(clsa_checkpoint_size(s, "sliding_window", false, &c->window));
    c->retention = c->window == 0;
    CLSA_TRY(clsa_json_number(s, "norm_eps", 1e-20, 1, &c->eps));
    CLSA_TRY(clsa_json_number(s, "max_seq_len", -1, (double)CLSA_CONTEXT_LIMIT,
                              &length));
    c->context = length >= 1 ? (uint64_t)length : 0;
    c->embedding_scale = sqrt((double)c->d);
    return read_stacks(c, s);
}

static const struct clsa_role ends[] = {
    {"embed_tokens", "token_embd", 0},
    {"layer_norm", "output_norm", 0},
    {"output_projection", "output", CLSA_ROLE_OUTPUT},
    {0},
};

#define COMMON                                                                 \
    {"mixer_layer_norm", "attn_norm", 0},                                      \
        {"mixer.q_proj", "attn_q", CLSA_ROLE_ROTATED},                         \
        {"mixer.out_proj", "attn_output", 0},                                  \
        {"final_layer_norm", "ffn_norm", 0}, {"ffn.fc1", "ffn_gate", 0},       \
        {"ffn.gate", "ffn_up", 0},                                             \
    {                                                                          \
        "ffn.fc2", "ffn_down", 0                                               \
    }

static const struct clsa_role self[] = {
    COMMON,
    {"mixer.k_proj", "attn_k", CLSA_ROLE_ROTATED},
    {"mixer.v_proj", "attn_v", 0},
    {"mixer.g_proj", "attn_gate", CLSA_ROLE_RETENTION},
    {"mixer.gt_proj", "attn_decay", CLSA_ROLE_RETENTION},
    {0},
};

static const struct clsa_role cross[] = {COMMON, {0}};

static const struct clsa_role shared[] = {
    {"cross_decoder.kv_layer_norm", "kv_norm", 0},
    {"cross_decoder.k_proj", "attn_k", CLSA_ROLE_ROTATED},
    {"cross_decoder.v_proj", "attn_v", 0},
    {0},
};

const struct clsa_checkpoint clsa_checkpoint_unilm = {
    .name = "unilm",
    .config = "params.json",
    .matches = matches,
    .read = read,
    .ends = ends,
    .self = self,
    .cross = cross,
    .shared = shared,
    .self_prefix = "self_decoder.layers.%u.",
    .cross_prefix = "cross_decoder.layers.%u.",
    .cross_from_zero = true,
};
