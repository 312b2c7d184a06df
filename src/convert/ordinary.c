/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordinary: the configuration of an ordinary network. One of several media has
 * its text network in text_config; what is outside of it has to say nothing
 * about the text network that is not supported.
 */
#include <math.h>
#include <string.h>

#include "src/convert/job.h"

const struct clsa_kind *clsa_ordinary_find(const json_t *config,
                                           const json_t **text)
{
    const json_t *inner = json_object_get(config, "text_config");
    const char *outer =
        json_string_value(json_object_get(config, "model_type"));
    *text = json_is_object(inner) ? inner : config;
    const char *type = json_string_value(json_object_get(*text, "model_type"));
    if (!type)
        type = outer;
    for (const struct clsa_kind *k = clsa_kinds; type && k->arch; k++)
        for (size_t i = 0; i < 3 && k->types[i]; i++)
            if (strcmp(type, k->types[i]) == 0)
                return k;
    return NULL;
}

/* ------------------------------------------------------------------- sizes */

static clsa_status read_sizes(struct clsa_ordinary *o,
                              const struct clsa_json_source *s)
{
    const struct clsa_kind_defaults *u = &o->kind->usual;
    o->layers = u->layers;
    o->d = u->d;
    o->ffn = u->ffn;
    o->h = u->h;
    o->context = u->context;
    o->eps = u->eps;
    CLSA_TRY(clsa_checkpoint_size(s, "num_hidden_layers", false, &o->layers));
    CLSA_TRY(clsa_checkpoint_refuse(s, "num_hidden_layers",
                                    o->layers > CLSA_LAYER_LIMIT));
    CLSA_TRY(clsa_checkpoint_size(s, "hidden_size", false, &o->d));
    CLSA_TRY(clsa_checkpoint_size(s, "intermediate_size", false, &o->ffn));
    CLSA_TRY(clsa_checkpoint_size(s, "num_attention_heads", false, &o->h));
    o->g = json_object_get(s->object, "num_key_value_heads") || u->g == 0
               ? o->h
               : u->g;
    CLSA_TRY(clsa_checkpoint_size(s, "num_key_value_heads", false, &o->g));
    o->e = u->e ? u->e : o->d / o->h;
    CLSA_TRY(clsa_checkpoint_size(s, "head_dim", false, &o->e));
    CLSA_TRY(clsa_checkpoint_refuse(s, "num_attention_heads", o->e == 0));
    CLSA_TRY(clsa_checkpoint_refuse(s, "head_dim", o->e % 2 != 0));
    CLSA_TRY(clsa_checkpoint_size(s, "vocab_size", false, &o->vocab));
    CLSA_TRY(clsa_json_uint(s, "max_position_embeddings", false, 1,
                            CLSA_CONTEXT_LIMIT, &o->context));
    return clsa_json_number(s, "rms_norm_eps", 1e-20, 1, &o->eps);
}

/* A number that null turns off, and that is `usual` if the key is absent. */
static clsa_status read_cap(const struct clsa_json_source *s, const char *key,
                            double usual, double *value)
{
    const json_t *said = json_object_get(s->object, key);
    *value = said ? 0 : usual;
    return clsa_json_number(s, key, 0, 1e9, value);
}

/* GELU by tanh; hidden_act, which does not count, may leave that open. */
static clsa_status check_gelu(const struct clsa_json_source *s, const char *key,
                              bool counts)
{
    const json_t *value = json_object_get(s->object, key);
    const char *text = json_string_value(value);
    if (!value || json_is_null(value) ||
        (text && (strcmp(text, "gelu_pytorch_tanh") == 0 ||
                  strcmp(text, "gelu_new") == 0 ||
                  (!counts && strcmp(text, "gelu") == 0))))
        return CLSA_OK;
    return clsa_checkpoint_refuse_value(s, key);
}

/* What Gemma has beside the others. */
static clsa_status read_gemma(struct clsa_ordinary *o,
                              const struct clsa_json_source *s)
{
    const struct clsa_kind_defaults *u = &o->kind->usual;
    CLSA_TRY(check_gelu(s, "hidden_activation", true));
    CLSA_TRY(check_gelu(s, "hidden_act", false));
    CLSA_TRY(
        read_cap(s, "attn_logit_softcapping", u->score_cap, &o->score_cap));
    CLSA_TRY(
        read_cap(s, "final_logit_softcapping", u->logit_cap, &o->logit_cap));
    o->scalar = u->scalar;
    return u->scalar > 0 ? clsa_json_number(s, "query_pre_attn_scalar", 1e-9,
                                            1e9, &o->scalar)
                         : CLSA_OK;
}

static clsa_status read_gemma4(struct clsa_ordinary *o,
                               const struct clsa_json_source *s)
{
    const json_t *both =
        json_object_get(s->object, "use_bidirectional_attention");
    const char *which = json_string_value(both);
    uint64_t shared = 0, input = 256;
    uint32_t full_g = o->g;
    if (both && !json_is_null(both) && !json_is_false(both) &&
        (!which || strcmp(which, "vision") != 0))
        return clsa_checkpoint_refuse_value(s, "use_bidirectional_attention");
    o->full_e = 512;
    CLSA_TRY(clsa_checkpoint_size(s, "global_head_dim", false, &o->full_e));
    CLSA_TRY(clsa_checkpoint_refuse(s, "global_head_dim", o->full_e % 2 != 0));
    CLSA_TRY(clsa_json_bool(s, "attention_k_eq_v", &o->v_is_k));
    CLSA_TRY(
        clsa_checkpoint_size(s, "num_global_key_value_heads", false, &full_g));
    if (o->v_is_k && full_g != o->g)
        return clsa_checkpoint_refuse_value(s, "num_global_key_value_heads");
    CLSA_TRY(clsa_json_uint(s, "num_kv_shared_layers", false, 0, o->layers - 1,
                            &shared));
    CLSA_TRY(clsa_json_uint(s, "hidden_size_per_layer_input", false, 0,
                            CLSA_SIZE_LIMIT / o->layers, &input));
    o->shared = (uint32_t)shared;
    o->input = (uint32_t)input;
    return clsa_json_bool(s, "use_double_wide_mlp", &o->wide);
}

/* ------------------------------------------------------------------ angles */

/* Part of a number of values that is even. */
static bool is_even_part(double partial, uint32_t e)
{
    const uint32_t n = (uint32_t)(partial * e);
    return n >= 2 && n % 2 == 0;
}

static clsa_status check_lists(const struct clsa_ordinary *o,
                               const struct clsa_json_source *s)
{
    const struct clsa_angles *x = &o->rope;
    const size_t pairs = (size_t)(x->partial * o->e) / 2;
    if (x->scaling != CLSA_SCALING_LONGROPE ||
        (json_array_size(x->brief) == pairs &&
         json_array_size(x->wide) == pairs))
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_FORMAT,
                     "%s: keys 'short_factor' and 'long_factor' are not lists "
                     "of %zu numbers, one for each pair of a head",
                     s->path, pairs);
}

static clsa_status read_sliding_rope(struct clsa_ordinary *o,
                                     const struct clsa_json_source *s)
{
    const bool gemma4 = (o->kind->flags & CLSA_KIND_GEMMA4) != 0;
    const struct clsa_angle_rules rules = {
        .theta = gemma4 ? NULL : "rope_local_base_freq",
        .layers = "sliding_attention",
        .nested = true,
    };
    o->sliding_rope.base = o->kind->usual.theta_sliding;
    return clsa_checkpoint_angles(&o->sliding_rope, s, &rules);
}

static clsa_status read_ropes(struct clsa_ordinary *o,
                              const struct clsa_json_source *s)
{
    const bool two = (o->kind->flags & CLSA_KIND_TWO_ROPES) != 0;
    const struct clsa_angle_rules rules = {
        .theta = "rope_theta",
        .layers = two ? "full_attention" : "",
        .partial = (o->kind->flags & CLSA_KIND_PARTIAL) != 0,
        .scalings = o->kind->scalings,
        .length = (double)o->context,
    };
    struct clsa_angles *x = &o->rope;
    x->base = o->kind->usual.theta;
    x->partial = 1;
    if (rules.partial)
        CLSA_TRY(
            clsa_json_number(s, "partial_rotary_factor", 1e-6, 1, &x->partial));
    CLSA_TRY(clsa_json_number(s, "original_max_position_embeddings", 1, 1e12,
                              &x->original));
    const json_t *said = json_object_get(s->object, "rope_parameters");
    const json_t *full = json_object_get(said, "full_attention");
    if (two && json_object_size(said) > 0 && !full &&
        !json_object_get(said, "sliding_attention"))
        return clsa_checkpoint_refuse_value(s, "rope_parameters");
    if ((o->kind->flags & CLSA_KIND_GEMMA4) && !json_is_object(full)) {
        x->scaling = CLSA_SCALING_PROPORTIONAL;
        x->factor = 1;
        x->partial = 0.25;
    }
    CLSA_TRY(clsa_checkpoint_angles(x, s, &rules));
    CLSA_TRY(clsa_checkpoint_refuse(s, "partial_rotary_factor",
                                    x->scaling != CLSA_SCALING_PROPORTIONAL &&
                                        !is_even_part(x->partial, o->e)));
    CLSA_TRY(clsa_checkpoint_refuse(s, "factor",
                                    x->scaling != CLSA_SCALING_NONE &&
                                        x->scaling != CLSA_SCALING_LONGROPE &&
                                        x->factor < 1));
    CLSA_TRY(check_lists(o, s));
    return two ? read_sliding_rope(o, s) : CLSA_OK;
}

/* ------------------------------------------------------------------- rest */

static clsa_status read_biases(struct clsa_ordinary *o,
                               const struct clsa_json_source *s)
{
    o->qkv_bias = (o->kind->flags & CLSA_KIND_QKV_BIAS) != 0;
    if (o->qkv_bias)
        return CLSA_OK;
    CLSA_TRY(clsa_json_bool(s, "attention_bias", &o->qkv_bias));
    o->out_bias = o->qkv_bias;
    return clsa_json_bool(s, "mlp_bias", &o->mlp_bias);
}

/* tie_word_embeddings, which may be outside of the text network. */
static clsa_status read_tied(struct clsa_ordinary *o,
                             const struct clsa_json_source *s,
                             const struct clsa_json_source *outer)
{
    static const char key[] = "tie_word_embeddings";
    o->tied = (o->kind->flags & CLSA_KIND_TIED) != 0;
    o->untied = !o->tied;
    CLSA_TRY(clsa_checkpoint_choice(outer, key, &o->tied, &o->untied));
    return clsa_checkpoint_choice(s, key, &o->tied, &o->untied);
}

static clsa_status read_all(struct clsa_ordinary *o,
                            const struct clsa_json_source *s)
{
    CLSA_TRY(read_sizes(o, s));
    CLSA_TRY(clsa_checkpoint_check(s, o->kind->reads));
    CLSA_TRY(clsa_checkpoint_check_heads(s, o->kind->reads, o->e, 1));
    CLSA_TRY(read_biases(o, s));
    if (o->kind->flags & CLSA_KIND_GELU)
        CLSA_TRY(read_gemma(o, s));
    if (o->kind->flags & CLSA_KIND_GEMMA4)
        CLSA_TRY(read_gemma4(o, s));
    CLSA_TRY(read_ropes(o, s));
    return clsa_ordinary_layers(o, s);
}

clsa_status clsa_ordinary_read(struct clsa_job *j, const json_t *text)
{
    const struct clsa_json_source outer =
        clsa_folder_source(&j->folder, &j->folder.config);
    const struct clsa_json_source s = {outer.path, text, outer.error};
    if (text != outer.object)
        CLSA_TRY(clsa_checkpoint_check(&outer, NULL));
    CLSA_TRY(read_tied(&j->ordinary, &s, &outer));
    return read_all(&j->ordinary, &s);
}
