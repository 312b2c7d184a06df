/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoint format of YOCO in flash-linear-attention: model_type yoco with
 * one sub-configuration for each stack. Retention and the cross-decoder rotate
 * pairs, sliding-window layers rotate halves; embeddings are scaled by
 * sqrt(d); the cross-decoder may have a norm of its queries. Defaults are
 * the original's.
 */
#include <math.h>
#include <string.h>

#include "src/convert/checkpoint.h"

static bool matches(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "yoco") == 0 &&
           (json_is_object(json_object_get(config, "self_decoder_attn")) ||
            json_is_object(json_object_get(config, "cross_decoder_attn")));
}

/* rope_theta and rope_inv_freq of a stack, and what no stack may have. */
static clsa_status read_stack(struct clsa_stack *x, uint32_t d,
                              const struct clsa_json_source *s)
{
    const char *exponents = "fla";
    CLSA_TRY(clsa_checkpoint_check(s, NULL));
    x->rope.base = 10000;
    const json_t *theta = json_object_get(s->object, "rope_theta");
    CLSA_TRY(clsa_checkpoint_refuse(s, "rope_theta", json_is_null(theta)));
    CLSA_TRY(clsa_checkpoint_rope(x, s, ""));
    CLSA_TRY(clsa_json_text(s, "rope_inv_freq", &exponents));
    x->endpoint = strcmp(exponents, "yoco") == 0;
    CLSA_TRY(clsa_checkpoint_refuse(s, "rope_inv_freq",
                                    !x->endpoint && strcmp(exponents, "fla")));
    CLSA_TRY(clsa_checkpoint_refuse(s, "num_heads", d % x->h != 0));
    x->e = d / x->h;
    x->interleaved = true;
    return CLSA_OK;
}

static clsa_status read_self(struct clsa_config *c,
                             const struct clsa_json_source *s)
{
    const char *type = "gated_deltanet";
    double normalizer = 16;
    CLSA_TRY(clsa_json_text(s, "type", &type));
    c->retention = strcmp(type, "gated_retention") == 0;
    if (!c->retention && strcmp(type, "swa") != 0)
        return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                         "%s: self_decoder_attn is of the type '%.40s', which "
                         "is not supported: only 'swa' and 'gated_retention' "
                         "are",
                         s->path, type);
    c->self.h = 6;
    CLSA_TRY(clsa_checkpoint_size(s, "num_heads", false, &c->self.h));
    c->self.g = c->self.h;
    if (!c->retention)
        CLSA_TRY(clsa_checkpoint_size(s, "num_v_heads", false, &c->self.g));
    CLSA_TRY(read_stack(&c->self, c->d, s));
    CLSA_TRY(clsa_json_number(s, "gate_logit_normalizer", 0, 1e9, &normalizer));
    CLSA_TRY(
        clsa_checkpoint_refuse(s, "gate_logit_normalizer", normalizer != 16));
    if (c->retention)
        return CLSA_OK;
    c->self.interleaved = c->self.endpoint = false;
    return clsa_checkpoint_size(s, "window_size", true, &c->window);
}

static clsa_status read_cross(struct clsa_config *c,
                              const struct clsa_json_source *s)
{
    const json_t *window = json_object_get(s->object, "window_size");
    c->cross.h = 32;
    CLSA_TRY(clsa_checkpoint_size(s, "num_heads", false, &c->cross.h));
    c->cross.g = c->cross.h;
    CLSA_TRY(clsa_checkpoint_size(s, "num_kv_heads", false, &c->cross.g));
    CLSA_TRY(clsa_checkpoint_refuse(s, "window_size",
                                    window && !json_is_null(window)));
    CLSA_TRY(clsa_checkpoint_choice(s, "qk_norm", &c->qk_norm, &c->no_qk_norm));
    return read_stack(&c->cross, c->d, s);
}

static clsa_status read(struct clsa_config *c, const struct clsa_json_source *s)
{
    struct clsa_json_source stack = *s;
    struct clsa_stack outer = {.rope = {.base = 0}};
    c->layers = 21;
    c->self_layers = 10;
    c->context = 2048;
    c->eps = 1e-6;
    c->d = 2048;
    c->vocab = 32000;
    CLSA_TRY(clsa_checkpoint_size(s, "num_hidden_layers", false, &c->layers));
    CLSA_TRY(clsa_checkpoint_size(s, "num_self_decoder_layers", false,
                                  &c->self_layers));
    CLSA_TRY(clsa_checkpoint_size(s, "hidden_size", false, &c->d));
    CLSA_TRY(clsa_checkpoint_size(s, "vocab_size", false, &c->vocab));
    CLSA_TRY(clsa_json_uint(s, "max_position_embeddings", false, 1,
                            CLSA_CONTEXT_LIMIT, &c->context));
    CLSA_TRY(clsa_json_number(s, "norm_eps", 1e-20, 1, &c->eps));
    CLSA_TRY(clsa_checkpoint_rope(&outer, s, ""));
    CLSA_TRY(
        clsa_checkpoint_refuse(s, "rope_scaling", outer.rope.scaling != 0));
    c->untied = true; /* where the key is absent */
    c->embedding_scale = sqrt((double)c->d);
    stack.object = json_object_get(s->object, "self_decoder_attn");
    CLSA_TRY(read_self(c, &stack));
    stack.object = json_object_get(s->object, "cross_decoder_attn");
    CLSA_TRY(read_cross(c, &stack));
    /* the stacks have angles of their own */
    return clsa_checkpoint_refuse(s, "rope_theta",
                                  outer.rope.base != 0 &&
                                      (outer.rope.base != c->self.rope.base ||
                                       outer.rope.base != c->cross.rope.base));
}

static const struct clsa_role ends[] = {
    {"model.embeddings", "token_embd", 0},
    {"model.norm", "output_norm", 0},
    {"lm_head", "output", CLSA_ROLE_OUTPUT},
    {0},
};

#define COMMON                                                                 \
    {"attn_norm", "attn_norm", 0},                                             \
        {"attn.q_proj", "attn_q", CLSA_ROLE_ROTATED},                          \
        {"attn.o_proj", "attn_output", 0}, {"mlp_norm", "ffn_norm", 0},        \
        {"mlp.gate_proj", "ffn_gate", 0}, {"mlp.up_proj", "ffn_up", 0},        \
    {                                                                          \
        "mlp.down_proj", "ffn_down", 0                                         \
    }

static const struct clsa_role self[] = {
    COMMON,
    {"attn.k_proj", "attn_k", CLSA_ROLE_ROTATED},
    {"attn.v_proj", "attn_v", 0},
    {"attn.g_proj", "attn_gate", CLSA_ROLE_RETENTION},
    {"attn.gk_proj", "attn_decay", CLSA_ROLE_RETENTION},
    {0},
};

static const struct clsa_role cross[] = {
    COMMON,
    {"attn.q_norm", "attn_q_norm", CLSA_ROLE_QK_NORM | CLSA_ROLE_ROTATED},
    {0},
};

static const struct clsa_role shared[] = {
    {"model.shared_kv_builder.kv_norm", "kv_norm", 0},
    {"model.shared_kv_builder.k_proj", "attn_k", CLSA_ROLE_ROTATED},
    {"model.shared_kv_builder.v_proj", "attn_v", 0},
    {0},
};

const struct clsa_checkpoint clsa_checkpoint_fla = {
    .name = "fla",
    .config = "config.json",
    .matches = matches,
    .read = read,
    .ends = ends,
    .self = self,
    .cross = cross,
    .shared = shared,
    .self_prefix = "model.self_layers.%u.",
    .cross_prefix = "model.cross_layers.%u.",
    .cross_from_zero = true,
};
