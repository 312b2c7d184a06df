/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of ordinary networks. Defaults are as in the classes of
 * transformers, which leave keys out of a configuration that have them.
 */
#include "src/convert/ordinary.h"

/* ----------------------------------------------------------------- tensors */

static const struct clsa_role ends[] = {
    {"embed_tokens", "token_embd", 0},
    {"norm", "output_norm", CLSA_PART_NORM},
    {0},
};

static const struct clsa_role gemma4_ends[] = {
    {"embed_tokens", "token_embd", 0},
    {"norm", "output_norm", 0},
    {"embed_tokens_per_layer", "per_layer_token_embd", CLSA_PART_INPUT},
    {"per_layer_model_projection", "per_layer_model_proj", CLSA_PART_INPUT},
    {"per_layer_projection_norm", "per_layer_proj_norm", CLSA_PART_INPUT},
    {0},
};

#define ATTENTION                                                              \
    {"input_layernorm", "attn_norm", CLSA_PART_NORM},                          \
        {"self_attn.q_proj", "attn_q",                                         \
         CLSA_PART_ROTATED | CLSA_PART_QKV_BIAS},                              \
        {"self_attn.k_proj", "attn_k",                                         \
         CLSA_PART_ROTATED | CLSA_PART_QKV_BIAS | CLSA_PART_KV},               \
        {"self_attn.v_proj", "attn_v",                                         \
         CLSA_PART_QKV_BIAS | CLSA_PART_KV | CLSA_PART_V},                     \
    {                                                                          \
        "self_attn.o_proj", "attn_output", CLSA_PART_OUT_BIAS                  \
    }

#define QK_NORM                                                                \
    {"self_attn.q_norm", "attn_q_norm", CLSA_PART_NORM},                       \
    {                                                                          \
        "self_attn.k_norm", "attn_k_norm", CLSA_PART_NORM | CLSA_PART_KV       \
    }

#define MLP                                                                    \
    {"mlp.gate_proj", "ffn_gate", CLSA_PART_MLP_BIAS},                         \
        {"mlp.up_proj", "ffn_up", CLSA_PART_MLP_BIAS},                         \
    {                                                                          \
        "mlp.down_proj", "ffn_down", CLSA_PART_MLP_BIAS                        \
    }

#define FOUR_NORMS                                                             \
    {"post_attention_layernorm", "post_attention_norm", CLSA_PART_NORM},       \
        {"pre_feedforward_layernorm", "ffn_norm", CLSA_PART_NORM},             \
    {                                                                          \
        "post_feedforward_layernorm", "post_ffw_norm", CLSA_PART_NORM          \
    }

static const struct clsa_role llama[] = {
    ATTENTION, MLP, {"post_attention_layernorm", "ffn_norm", 0}, {0}};

static const struct clsa_role qwen3[] = {
    ATTENTION, QK_NORM, MLP, {"post_attention_layernorm", "ffn_norm", 0}, {0}};

static const struct clsa_role phi3[] = {
    {"input_layernorm", "attn_norm", 0},
    {"self_attn.qkv_proj", "attn_qkv", 0},
    {"self_attn.o_proj", "attn_output", 0},
    {"post_attention_layernorm", "ffn_norm", 0},
    {"mlp.gate_up_proj", "ffn_up", 0},
    {"mlp.down_proj", "ffn_down", 0},
    {0},
};

static const struct clsa_role gemma2[] = {ATTENTION, MLP, FOUR_NORMS, {0}};

static const struct clsa_role gemma3[] = {
    ATTENTION, QK_NORM, MLP, FOUR_NORMS, {0}};

static const struct clsa_role gemma4[] = {
    ATTENTION,
    QK_NORM,
    MLP,
    FOUR_NORMS,
    {"per_layer_input_gate", "inp_gate", CLSA_PART_INPUT},
    {"per_layer_projection", "proj", CLSA_PART_INPUT},
    {"post_per_layer_input_norm", "post_norm", CLSA_PART_INPUT},
    {"layer_scalar", "layer_output_scale", CLSA_PART_BARE | CLSA_PART_OPTIONAL},
    {0},
};

/* -------------------------------------------------------------------- keys */

static const char *const llama_reads[] = {"attention_bias", "mlp_bias",
                                          "use_sliding_window", NULL};
static const char *const qwen2_reads[] = {"use_sliding_window", NULL};
static const char *const qwen3_reads[] = {"attention_bias",
                                          "use_sliding_window", NULL};
static const char *const smollm3_reads[] = {
    "attention_bias",         "mlp_bias",
    "use_sliding_window",     "no_rope_layers",
    "no_rope_layer_interval", NULL};
static const char *const phi3_reads[] = {"partial_rotary_factor", NULL};
static const char *const gemma2_reads[] = {"attention_bias",
                                           "attn_logit_softcapping",
                                           "final_logit_softcapping",
                                           "hidden_act",
                                           "hidden_activation",
                                           "query_pre_attn_scalar",
                                           NULL};

static const char *const gemma3_reads[] = {
    "attention_bias",       "attn_logit_softcapping", "final_logit_softcapping",
    "hidden_act",           "hidden_activation",      "query_pre_attn_scalar",
    "rope_local_base_freq", "sliding_window_pattern", NULL};
static const char *const gemma4_reads[] = {"attention_k_eq_v",
                                           "final_logit_softcapping",
                                           "global_head_dim",
                                           "hidden_act",
                                           "hidden_activation",
                                           "hidden_size_per_layer_input",
                                           "num_global_key_value_heads",
                                           "num_kv_shared_layers",
                                           "use_bidirectional_attention",
                                           "use_double_wide_mlp",
                                           NULL};

#define USUAL_SCALINGS                                                         \
    (1 << CLSA_SCALING_LINEAR | 1 << CLSA_SCALING_LLAMA3 |                     \
     1 << CLSA_SCALING_YARN)

/* ------------------------------------------------------------------- kinds */

const struct clsa_kind clsa_kinds[] = {
    {{"llama"},
     "llama",
     CLSA_KIND_PAIRS,
     CLSA_WINDOWS_NONE,
     USUAL_SCALINGS,
     llama_reads,
     llama,
     ends,
     {.layers = 32,
      .d = 4096,
      .ffn = 11008,
      .h = 32,
      .context = 2048,
      .eps = 1e-6,
      .theta = 1e4}},
    {{"mistral"},
     "llama",
     CLSA_KIND_PAIRS,
     CLSA_WINDOWS_ALL,
     USUAL_SCALINGS,
     NULL,
     llama,
     ends,
     {.layers = 32,
      .d = 4096,
      .ffn = 14336,
      .h = 32,
      .g = 8,
      .context = 131072,
      .window = 4096,
      .eps = 1e-6,
      .theta = 1e4}},
    {{"qwen2"},
     "qwen2",
     CLSA_KIND_QKV_BIAS,
     CLSA_WINDOWS_LATE,
     USUAL_SCALINGS,
     qwen2_reads,
     llama,
     ends,
     {.layers = 32,
      .d = 4096,
      .ffn = 22016,
      .h = 32,
      .g = 32,
      .context = 32768,
      .window = 4096,
      .every = 28,
      .eps = 1e-6,
      .theta = 1e4}},
    {{"qwen3"},
     "qwen3",
     0,
     CLSA_WINDOWS_LATE,
     USUAL_SCALINGS,
     qwen3_reads,
     qwen3,
     ends,
     {.layers = 32,
      .d = 4096,
      .ffn = 22016,
      .h = 32,
      .g = 32,
      .e = 128,
      .context = 32768,
      .window = 4096,
      .every = 28,
      .eps = 1e-6,
      .theta = 1e4}},
    {{"smollm3"},
     "smollm3",
     CLSA_KIND_PAIRS | CLSA_KIND_TIED,
     CLSA_WINDOWS_UNROTATED,
     USUAL_SCALINGS,
     smollm3_reads,
     llama,
     ends,
     {.layers = 36,
      .d = 2048,
      .ffn = 11008,
      .h = 16,
      .g = 4,
      .context = 32768,
      .every = 4,
      .eps = 1e-6,
      .theta = 2e6}},
    {{"phi3"},
     "phi3",
     CLSA_KIND_PARTIAL,
     CLSA_WINDOWS_ALL,
     1 << CLSA_SCALING_LONGROPE,
     phi3_reads,
     phi3,
     ends,
     {.layers = 32,
      .d = 3072,
      .ffn = 8192,
      .h = 32,
      .context = 4096,
      .eps = 1e-5,
      .theta = 1e4}},
    {{"gemma2"},
     "gemma2",
     CLSA_KIND_TIED | CLSA_KIND_PLUS_ONE | CLSA_KIND_GELU,
     CLSA_WINDOWS_EVERY,
     USUAL_SCALINGS,
     gemma2_reads,
     gemma2,
     ends,
     {.layers = 26,
      .d = 2304,
      .ffn = 9216,
      .h = 8,
      .g = 4,
      .e = 256,
      .context = 8192,
      .window = 4096,
      .every = 2,
      .eps = 1e-6,
      .theta = 1e4,
      .scalar = 256,
      .score_cap = 50,
      .logit_cap = 30}},
    {{"gemma3_text", "gemma3"},
     "gemma3",
     CLSA_KIND_TIED | CLSA_KIND_PLUS_ONE | CLSA_KIND_GELU | CLSA_KIND_TWO_ROPES,
     CLSA_WINDOWS_EVERY,
     USUAL_SCALINGS,
     gemma3_reads,
     gemma3,
     ends,
     {.layers = 26,
      .d = 2304,
      .ffn = 9216,
      .h = 8,
      .g = 4,
      .e = 256,
      .context = 131072,
      .window = 4096,
      .every = 6,
      .eps = 1e-6,
      .theta = 1e6,
      .theta_sliding = 1e4,
      .scalar = 256}},
    {{"gemma4_text", "gemma4"},
     "gemma4",
     CLSA_KIND_TIED | CLSA_KIND_GELU | CLSA_KIND_TWO_ROPES | CLSA_KIND_GEMMA4,
     CLSA_WINDOWS_EVERY,
     USUAL_SCALINGS | 1 << CLSA_SCALING_PROPORTIONAL,
     gemma4_reads,
     gemma4,
     gemma4_ends,
     {.layers = 30,
      .d = 2304,
      .ffn = 9216,
      .h = 8,
      .g = 4,
      .e = 256,
      .context = 131072,
      .window = 512,
      .every = 6,
      .eps = 1e-6,
      .theta = 1e6,
      .theta_sliding = 1e4}},
    {{NULL}, NULL, 0, CLSA_WINDOWS_NONE, 0, NULL, NULL, NULL, {0}},
};
