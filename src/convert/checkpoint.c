/* SPDX-License-Identifier: Apache-2.0 */
/* What the checkpoint formats share, and the format that training for clsa
   writes. */
#include <string.h>

#include "src/convert/checkpoint.h"

clsa_status clsa_checkpoint_size(const struct clsa_json_source *s,
                                 const char *key, bool required,
                                 uint32_t *value)
{
    uint64_t wide = *value;
    CLSA_TRY(clsa_json_uint(s, key, required, 1, CLSA_SIZE_LIMIT, &wide));
    *value = (uint32_t)wide;
    return CLSA_OK;
}

clsa_status clsa_checkpoint_refuse(const struct clsa_json_source *s,
                                   const char *key, bool refused)
{
    if (!refused)
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key '%s' has a value that is not supported", s->path,
                     key);
}

clsa_status clsa_checkpoint_choice(const struct clsa_json_source *s,
                                   const char *key, bool *yes, bool *no)
{
    const json_t *value = json_object_get(s->object, key);
    bool choice = false;
    CLSA_TRY(clsa_json_bool(s, key, &choice));
    if (value && !json_is_null(value)) {
        *yes = choice;
        *no = !choice;
    }
    return CLSA_OK;
}

static bool matches_own(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "yoco") == 0 &&
           !json_is_object(json_object_get(config, "self_decoder_attn")) &&
           !json_is_object(json_object_get(config, "cross_decoder_attn"));
}

static clsa_status read_heads(struct clsa_config *c,
                              const struct clsa_json_source *s)
{
    struct clsa_stack *x = &c->cross;
    CLSA_TRY(clsa_checkpoint_size(s, "num_attention_heads", true, &x->h));
    x->g = x->h;
    CLSA_TRY(clsa_checkpoint_size(s, "num_key_value_heads", false, &x->g));
    x->e = c->d / x->h;
    CLSA_TRY(clsa_checkpoint_size(s, "head_dim", false, &x->e));
    c->self = *x;
    c->self.rope.base = x->rope.base = 10000;
    CLSA_TRY(clsa_checkpoint_rope(&c->self, s, "sliding_attention"));
    bool rotated = false;
    CLSA_TRY(clsa_json_bool(s, "cross_decoder_rope", &rotated));
    if (rotated)
        return clsa_checkpoint_rope(x, s, "full_attention");
    x->rope.base = 0;
    return CLSA_OK;
}

static clsa_status read_indexer(struct clsa_config *c,
                                const struct clsa_json_source *s)
{
    uint32_t heads = 1;
    CLSA_TRY(clsa_checkpoint_size(s, "index_n_heads", false, &heads));
    CLSA_TRY(clsa_checkpoint_refuse(s, "index_n_heads", heads != 1));
    CLSA_TRY(clsa_checkpoint_size(s, "index_head_dim", false, &c->index_size));
    CLSA_TRY(
        clsa_checkpoint_size(s, "index_topk", c->index_size != 0, &c->top_k));
    return CLSA_OK;
}

static clsa_status read_own(struct clsa_config *c,
                            const struct clsa_json_source *s)
{
    CLSA_TRY(clsa_checkpoint_size(s, "num_hidden_layers", true, &c->layers));
    CLSA_TRY(clsa_checkpoint_size(s, "num_self_decoder_layers", true,
                                  &c->self_layers));
    CLSA_TRY(clsa_checkpoint_size(s, "hidden_size", true, &c->d));
    CLSA_TRY(clsa_checkpoint_size(s, "vocab_size", true, &c->vocab));
    CLSA_TRY(clsa_checkpoint_size(s, "sliding_window", true, &c->window));
    CLSA_TRY(clsa_json_uint(s, "max_position_embeddings", true, 1,
                            CLSA_CONTEXT_LIMIT, &c->context));
    CLSA_TRY(clsa_json_number(s, "rms_norm_eps", 1e-20, 1, &c->eps));
    CLSA_TRY(clsa_json_number(s, "embedding_multiplier", 1e-9, 1e9,
                              &c->embedding_scale));
    CLSA_TRY(clsa_checkpoint_choice(s, "qk_norm", &c->qk_norm, &c->no_qk_norm));
    CLSA_TRY(read_heads(c, s));
    return read_indexer(c, s);
}

static const struct clsa_role own_ends[] = {
    {"model.embed_tokens", "token_embd", 0},
    {"model.norm", "output_norm", 0},
    {"lm_head", "output", CLSA_ROLE_OUTPUT},
    {0},
};

#define OWN_COMMON                                                             \
    {"input_layernorm", "attn_norm", 0},                                       \
        {"self_attn.q_proj", "attn_q", CLSA_ROLE_ROTATED},                     \
        {"self_attn.o_proj", "attn_output", 0},                                \
        {"self_attn.q_norm", "attn_q_norm",                                    \
         CLSA_ROLE_QK_NORM | CLSA_ROLE_ROTATED},                               \
        {"post_attention_layernorm", "ffn_norm", 0},                           \
        {"mlp.gate_proj", "ffn_gate", 0}, {"mlp.up_proj", "ffn_up", 0},        \
    {                                                                          \
        "mlp.down_proj", "ffn_down", 0                                         \
    }

static const struct clsa_role own_self[] = {
    OWN_COMMON,
    {"self_attn.k_proj", "attn_k", CLSA_ROLE_ROTATED},
    {"self_attn.v_proj", "attn_v", 0},
    {"self_attn.k_norm", "attn_k_norm", CLSA_ROLE_QK_NORM | CLSA_ROLE_ROTATED},
    {0},
};

static const struct clsa_role own_cross[] = {OWN_COMMON, {0}};

static const struct clsa_role own_shared[] = {
    {"model.shared_kv.norm", "kv_norm", 0},
    {"model.shared_kv.k_proj", "attn_k", CLSA_ROLE_ROTATED},
    {"model.shared_kv.v_proj", "attn_v", 0},
    {"model.shared_kv.k_norm", "attn_k_norm",
     CLSA_ROLE_QK_NORM | CLSA_ROLE_ROTATED},
    {"model.indexer.q_proj", "indexer.q_proj", CLSA_ROLE_INDEXER},
    {"model.indexer.k_proj", "indexer.k_proj", CLSA_ROLE_INDEXER},
    {0},
};

const struct clsa_checkpoint clsa_checkpoint_own = {
    .name = "clsa",
    .config = "config.json",
    .matches = matches_own,
    .read = read_own,
    .ends = own_ends,
    .self = own_self,
    .cross = own_cross,
    .shared = own_shared,
    .self_prefix = "model.layers.%u.",
    .cross_prefix = "model.layers.%u.",
};
