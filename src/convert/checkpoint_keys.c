/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_keys: keys of a configuration that no checkpoint format reads, but
 * that change what a model computes. One that asks for what the engine does not
 * do is refused by name; keys that nobody knows are told.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/convert/checkpoint.h"

/* What a key may say, besides being absent or null. */
enum allowed { ONLY_OFF, ONLY_ON, ONLY_ONE };

static const struct {
    const char *key;
    enum allowed allowed;
} fixed[] = {
    {"add_bias_linear", ONLY_OFF},
    {"add_cross_attention", ONLY_OFF},
    {"add_qkv_bias", ONLY_OFF},
    {"alibi", ONLY_OFF},
    {"attention_bias", ONLY_OFF},
    {"attention_chunk_size", ONLY_OFF},
    {"attention_k_eq_v", ONLY_OFF},
    {"attention_out_bias", ONLY_OFF},
    {"attention_sinks", ONLY_OFF},
    {"attn_bias", ONLY_OFF},
    {"attn_logit_softcapping", ONLY_OFF},
    {"attn_logits_soft_cap", ONLY_OFF},
    {"attn_temperature_tuning", ONLY_OFF},
    {"attnres_block_size", ONLY_OFF},
    {"bias", ONLY_OFF},
    {"clip_qkv", ONLY_OFF},
    {"enable_moe_block", ONLY_OFF},
    {"final_logit_softcapping", ONLY_OFF},
    {"head_bias", ONLY_OFF},
    {"hidden_size_per_layer_input", ONLY_OFF},
    {"is_encoder_decoder", ONLY_OFF},
    {"lm_head_bias", ONLY_OFF},
    {"logits_soft_cap", ONLY_OFF},
    {"mlp_bias", ONLY_OFF},
    {"moe_intermediate_size", ONLY_OFF},
    {"n_routed_experts", ONLY_OFF},
    {"no_rope_layer_interval", ONLY_OFF},
    {"no_rope_layers", ONLY_OFF},
    {"num_experts", ONLY_OFF},
    {"num_global_key_value_heads", ONLY_OFF},
    {"num_kv_shared_layers", ONLY_OFF},
    {"num_local_experts", ONLY_OFF},
    {"o_proj_bias", ONLY_OFF},
    {"parallel_attn", ONLY_OFF},
    {"parallel_residual", ONLY_OFF},
    {"qkv_bias", ONLY_OFF},
    {"qkv_clip", ONLY_OFF},
    {"quantization_config", ONLY_OFF},
    {"rope_interleave", ONLY_OFF},
    {"rope_interleaved", ONLY_OFF},
    {"rope_local_base_freq", ONLY_OFF},
    {"rope_traditional", ONLY_OFF},
    {"scale_attn_by_inverse_layer_idx", ONLY_OFF},
    {"sliding_window_pattern", ONLY_OFF},
    {"use_alibi", ONLY_OFF},
    {"use_bias", ONLY_OFF},
    {"use_bidirectional_attention", ONLY_OFF},
    {"use_double_wide_mlp", ONLY_OFF},
    {"use_parallel_residual", ONLY_OFF},
    {"use_qkv_bias", ONLY_OFF},
    {"is_causal", ONLY_ON},
    {"scale_attn_weights", ONLY_ON},
    {"use_rope", ONLY_ON},
    {"use_sliding_window", ONLY_ON},
    {"attention_scale", ONLY_ONE},
    {"full_attn_mod", ONLY_ONE},
    {"interpolate_factor", ONLY_ONE},
    {"logit_scale", ONLY_ONE},
    {"logits_scaling", ONLY_ONE},
    {"partial_rotary_factor", ONLY_ONE},
    {"residual_multiplier", ONLY_ONE},
    {"rope_percent", ONLY_ONE},
    {"rope_pct", ONLY_ONE},
    {"rope_ratio", ONLY_ONE},
    {"rotary_pct", ONLY_ONE},
};

/* Texts that say what every model here has. */
static const struct {
    const char *key, *texts[4];
} named[] = {
    {"act_fn", {"silu", "swish", "swiglu"}},
    {"activation_function", {"silu", "swish", "swiglu"}},
    {"hidden_act", {"silu", "swish", "swiglu"}},
    {"hidden_activation", {"silu", "swish", "swiglu"}},
    {"norm_type", {"rmsnorm", "rms_norm", "RMSNorm"}},
    {"position_embedding_type", {"rope", "rotary"}},
};

static bool is_allowed(const json_t *value, enum allowed allowed)
{
    switch (allowed) {
    case ONLY_OFF:
        return json_is_false(value) ||
               (json_is_number(value) && json_number_value(value) == 0) ||
               ((json_is_array(value) || json_is_object(value)) &&
                json_array_size(value) + json_object_size(value) == 0);
    case ONLY_ON:
        return json_is_true(value);
    case ONLY_ONE:
        return json_is_number(value) && json_number_value(value) == 1;
    }
    return false;
}

static clsa_status refuse(const struct clsa_json_source *s, const char *key,
                          const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const clsa_status status = clsa_fail(
        s->error, CLSA_ERR_UNSUPPORTED,
        "%s: key '%s' is %.60s, which is not supported: a model of this kind "
        "would be computed differently",
        s->path, key, text ? text : "set");
    free(text);
    return status;
}

clsa_status clsa_checkpoint_refuse_value(const struct clsa_json_source *s,
                                         const char *key)
{
    return refuse(s, key, json_object_get(s->object, key));
}

static bool is_read(const char *const *reads, const char *key)
{
    for (; reads && *reads; reads++)
        if (strcmp(*reads, key) == 0)
            return true;
    return false;
}

clsa_status clsa_checkpoint_check(const struct clsa_json_source *s,
                                  const char *const *reads)
{
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const json_t *value = json_object_get(s->object, fixed[i].key);
        if (value && !json_is_null(value) && !is_read(reads, fixed[i].key) &&
            !is_allowed(value, fixed[i].allowed))
            return refuse(s, fixed[i].key, value);
    }
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const json_t *value = json_object_get(s->object, named[i].key);
        const char *text = json_string_value(value);
        bool known =
            !value || json_is_null(value) || is_read(reads, named[i].key);
        for (size_t k = 0; text && k < 4 && named[i].texts[k]; k++)
            known = known || strcmp(text, named[i].texts[k]) == 0;
        if (!known)
            return refuse(s, named[i].key, value);
    }
    return CLSA_OK;
}

/* A key that has to be a number near to `only`, if it is there. */
static clsa_status check_near(const struct clsa_json_source *s, const char *key,
                              double only)
{
    const json_t *value = json_object_get(s->object, key);
    if (!value || json_is_null(value) ||
        (json_is_number(value) &&
         fabs(json_number_value(value) - only) <= 1e-6 * only))
        return CLSA_OK;
    return refuse(s, key, value);
}

/* layer_types: windows in the self-decoder, all tokens above. */
static clsa_status check_layers(const struct clsa_config *c,
                                const struct clsa_json_source *s)
{
    const json_t *types = json_object_get(s->object, "layer_types");
    if (!types || json_is_null(types))
        return CLSA_OK;
    bool same = json_array_size(types) == c->layers && !c->retention;
    for (uint32_t i = 0; same && i < c->layers; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        same = type && strcmp(type, i < c->self_layers ? "sliding_attention"
                                                       : "full_attention") == 0;
    }
    return same ? CLSA_OK : refuse(s, "layer_types", types);
}

clsa_status clsa_checkpoint_check_heads(const struct clsa_json_source *s,
                                        const char *const *reads, uint32_t e,
                                        double embedding_scale)
{
    const struct {
        const char *key;
        double only;
    } sizes[] = {
        {"attention_multiplier", 1 / sqrt((double)e)},
        {"embedding_multiplier", embedding_scale},
        {"head_dim", e},
        {"query_pre_attn_scalar", e},
        {"v_head_dim", e},
        {"global_head_dim", e},
        {"rotary_dim", e},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!is_read(reads, sizes[i].key))
            CLSA_TRY(check_near(s, sizes[i].key, sizes[i].only));
    return CLSA_OK;
}

clsa_status clsa_checkpoint_check_sizes(const struct clsa_config *c,
                                        const struct clsa_json_source *s)
{
    CLSA_TRY(
        clsa_checkpoint_check_heads(s, NULL, c->cross.e, c->embedding_scale));
    return check_layers(c, s);
}

/* --------------------------------------------------------------- unknown */

/* Keys that are read elsewhere, or that change nothing here. */
static const char *const known[] = {
    "architectures",
    "attention_dropout",
    "auto_map",
    "bos_token_id",
    "classifier_dropout",
    "cross_decoder_attn",
    "cross_decoder_rope",
    "dim",
    "dtype",
    "embd_pdrop",
    "embedding_multiplier",
    "eos_token_id",
    "fuse_cross_entropy",
    "fuse_norm",
    "fuse_swiglu",
    "head_dim",
    "hidden_dim",
    "hidden_dropout",
    "hidden_ratio",
    "hidden_size",
    "id2label",
    "index_head_dim",
    "index_n_heads",
    "index_topk",
    "initializer_range",
    "intermediate_size",
    "keys_to_ignore_at_inference",
    "label2id",
    "layer_types",
    "load_checkpoint",
    "max_batch_size",
    "max_length",
    "max_position_embeddings",
    "max_seq_len",
    "model_parallel_size",
    "model_type",
    "n_attn_heads",
    "n_attn_kv_heads",
    "n_layers",
    "n_self_heads",
    "norm_eps",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "num_self_decoder_layers",
    "pad_token_id",
    "pretraining_tp",
    "problem_type",
    "qk_norm",
    "resid_pdrop",
    "return_dict",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "self_decoder_attn",
    "sep_token_id",
    "sliding_window",
    "tie_word_embeddings",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "use_l2warp",
    "use_return_dict",
    "vocab_size",
    /* of ordinary networks, and of networks of several media */
    "_sliding_window_pattern",
    "audio_config",
    "audio_token_id",
    "boa_token_id",
    "boi_token_id",
    "boi_token_index",
    "cache_implementation",
    "eoa_token_id",
    "eoa_token_index",
    "eoi_token_id",
    "eoi_token_index",
    "image_token_id",
    "image_token_index",
    "max_window_layers",
    "mm_tokens_per_image",
    "original_max_position_embeddings",
    "text_config",
    "top_k_experts",
    "video_token_id",
    "vision_config",
    "vision_soft_tokens_per_image",
    "vocab_size_per_layer_input",
    /* of generations, which old versions of transformers write */
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "is_decoder",
    "length_penalty",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "prefix",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "top_k",
    "top_p",
    "torchscript",
    "typical_p",
    "use_bfloat16",
    /* in the objects of fla */
    "allow_neg_eigval",
    "conv_size",
    "expand_v",
    "gate_logit_normalizer",
    "mode",
    "num_heads",
    "num_kv_heads",
    "num_v_heads",
    "rope_inv_freq",
    "type",
    "use_gate",
    "use_short_conv",
    "window_size",
    /* compared with the sizes */
    "attention_multiplier",
    "global_head_dim",
    "query_pre_attn_scalar",
    "rotary_dim",
    "v_head_dim",
};

static bool is_known(const char *key)
{
    bool found = *key == '_' || strncmp(key, "output_", 7) == 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        found = found || strcmp(key, known[i]) == 0;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        found = found || strcmp(key, fixed[i].key) == 0;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        found = found || strcmp(key, named[i].key) == 0;
    return found;
}

size_t clsa_checkpoint_unknown(const json_t *object, char *list,
                               size_t capacity)
{
    size_t count = 0, used = 0;
    const char *key;
    json_t *value;
    *list = '\0';
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (json_is_null(value) || is_known(key))
            continue;
        if (used < capacity)
            used += (size_t)snprintf(list + used, capacity - used, "%s%.40s",
                                     count ? ", " : "", key);
        count++;
    }
    return count;
}
