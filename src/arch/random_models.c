/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of ordinary models, as their files have them. */
#include <stddef.h>

#include "src/arch/random_like.h"

#define SIZES(layers, d, f, h, g, e)                                           \
    "block_count=" #layers ",embedding_length=" #d ",feed_forward_length=" #f  \
    ",attention.head_count=" #h ",attention.head_count_kv=" #g                 \
    ",attention.key_length=" #e ",attention.value_length=" #e
#define EPS(eps)   ",attention.layer_norm_rms_epsilon=" #eps
#define CONTEXT(n) ",context_length=" #n
#define ROPE(base, rotated)                                                    \
    ",rope.freq_base=" #base ",rope.dimension_count=" #rotated
#define WINDOW(n) ",attention.sliding_window=" #n

#define LLAMA3(layers, d, f, h, e)                                             \
    SIZES(layers, d, f, h, 8, e)                                               \
    EPS(1e-5) CONTEXT(131072) ROPE(500000.0, e)
#define SMOLLM2(layers, d, f, h, g, base)                                      \
    SIZES(layers, d, f, h, g, 64) EPS(1e-5) CONTEXT(8192) ROPE(base, 64)
#define QWEN2(layers, d, f, h, g, e)                                           \
    SIZES(layers, d, f, h, g, e) EPS(1e-6) CONTEXT(32768) ROPE(1e6, e)
#define QWEN3(layers, d, f, h)                                                 \
    SIZES(layers, d, f, h, 8, 128) EPS(1e-6) CONTEXT(40960) ROPE(1e6, 128)
#define PHI(g, e)                                                              \
    SIZES(32, 3072, 8192, PHI_HEADS_##g, g, e)                                 \
    EPS(1e-5)                                                                  \
    CONTEXT(131072)                                                            \
    ROPE(10000.0, 96)                                                          \
    WINDOW(262144)                                                             \
    ",rope.scaling.type=longrope,rope.scaling.original_"                       \
    "context_length=4096"                                                      \
    ",rope.scaling.attn_factor=1.1902381"
#define PHI_HEADS_32 32
#define PHI_HEADS_8  24
#define GEMMA2(layers, d, f, h, g)                                             \
    SIZES(layers, d, f, h, g, 256)                                             \
    EPS(1e-6)                                                                  \
    CONTEXT(8192)                                                              \
    WINDOW(4096) ",attn_logit_softcapping=50.0,final_logit_softcapping=30.0"
#define GEMMA3(layers, d, f, h, g, window, context)                            \
    SIZES(layers, d, f, h, g, 256)                                             \
    EPS(1e-6) CONTEXT(context) WINDOW(window) ",rope.freq_base=1e6"
#define GEMMA4(layers, d, f, g, every, shared)                                 \
    SIZES(layers, d, f, 8, g, 512)                                             \
    EPS(1e-6)                                                                  \
    CONTEXT(131072)                                                            \
    WINDOW(512)                                                                \
    ROPE(1e6, 512)                                                             \
    ",attention.key_length_swa=256,attention.value_length_swa=256"             \
    ",rope.freq_base_swa=10000.0,rope.dimension_count_swa=256"                 \
    ",attention.sliding_window_pattern=" #every                                \
    ",attention.shared_kv_layers=" #shared                                     \
    ",embedding_length_per_layer_input=256,final_logit_softcapping="           \
    "30.0"

const struct clsa_like_model clsa_like_models[] = {
    {"llama-3.2-1b", "llama", "llama-bpe", LLAMA3(16, 2048, 8192, 32, 64),
     128256, true, CLSA_LIKE_LLAMA3, 32},
    {"llama-3.2-3b", "llama", "llama-bpe", LLAMA3(28, 3072, 8192, 24, 128),
     128256, true, CLSA_LIKE_LLAMA3, 32},
    {"llama-3.1-8b", "llama", "llama-bpe", LLAMA3(32, 4096, 14336, 32, 128),
     128256, false, CLSA_LIKE_LLAMA3, 8},
    {"llama-3.1-70b", "llama", "llama-bpe", LLAMA3(80, 8192, 28672, 64, 128),
     128256, false, CLSA_LIKE_LLAMA3, 8},
    {"mistral-7b", "llama", "llama-bpe",
     SIZES(32, 4096, 14336, 32, 8, 128) EPS(1e-5) CONTEXT(32768) ROPE(1e6, 128),
     32768, false, CLSA_LIKE_PLAIN, 0},
    {"smollm2-135m", "llama", "smollm", SMOLLM2(30, 576, 1536, 9, 3, 100000.0),
     49152, true, CLSA_LIKE_PLAIN, 0},
    {"smollm2-360m", "llama", "smollm", SMOLLM2(32, 960, 2560, 15, 5, 100000.0),
     49152, true, CLSA_LIKE_PLAIN, 0},
    {"smollm2-1.7b", "llama", "smollm",
     SMOLLM2(24, 2048, 8192, 32, 32, 130000.0), 49152, true, CLSA_LIKE_PLAIN,
     0},
    {"qwen2.5-0.5b", "qwen2", "qwen2", QWEN2(24, 896, 4864, 14, 2, 64), 151936,
     true, CLSA_LIKE_PLAIN, 0},
    {"qwen2.5-1.5b", "qwen2", "qwen2", QWEN2(28, 1536, 8960, 12, 2, 128),
     151936, true, CLSA_LIKE_PLAIN, 0},
    {"qwen2.5-7b", "qwen2", "qwen2", QWEN2(28, 3584, 18944, 28, 4, 128), 152064,
     false, CLSA_LIKE_PLAIN, 0},
    {"qwen3-0.6b", "qwen3", "qwen2", QWEN3(28, 1024, 3072, 16), 151936, true,
     CLSA_LIKE_PLAIN, 0},
    {"qwen3-1.7b", "qwen3", "qwen2", QWEN3(28, 2048, 6144, 16), 151936, true,
     CLSA_LIKE_PLAIN, 0},
    {"qwen3-4b", "qwen3", "qwen2", QWEN3(36, 2560, 9728, 32), 151936, true,
     CLSA_LIKE_PLAIN, 0},
    {"qwen3-8b", "qwen3", "qwen2", QWEN3(36, 4096, 12288, 32), 151936, false,
     CLSA_LIKE_PLAIN, 0},
    {"smollm3-3b", "smollm3", "smaug-bpe",
     SIZES(36, 2048, 11008, 16, 4, 128) EPS(1e-6) CONTEXT(65536) ROPE(5e6, 128),
     128256, true, CLSA_LIKE_PLAIN, 0},
    {"phi-3.5-mini", "phi3", "gpt-2", PHI(32, 96), 32064, false,
     CLSA_LIKE_LONGROPE, 0},
    {"phi-4-mini", "phi3", "gpt-4o", PHI(8, 128), 200064, true,
     CLSA_LIKE_LONGROPE, 0},
    {"gemma-2-2b", "gemma2", "gpt-2", GEMMA2(26, 2304, 9216, 8, 4), 256000,
     true, CLSA_LIKE_PLAIN, 0},
    {"gemma-3-270m", "gemma3", "gpt-2", GEMMA3(18, 640, 2048, 4, 1, 512, 32768),
     262144, true, CLSA_LIKE_PLAIN, 0},
    {"gemma-3-1b", "gemma3", "gpt-2", GEMMA3(26, 1152, 6912, 4, 1, 512, 32768),
     262144, true, CLSA_LIKE_PLAIN, 0},
    {"gemma-3-4b", "gemma3", "gpt-2",
     GEMMA3(34, 2560, 10240, 8, 4, 1024,
            131072) ",rope.scaling.type=linear,rope.scaling.factor=8.0",
     262208, true, CLSA_LIKE_PLAIN, 0},
    {"gemma-4-e2b", "gemma4", "gpt-2",
     GEMMA4(35, 1536, 6144, 1, 5, 20) ",feed_forward_length=6144*15:12288*20",
     262144, true, CLSA_LIKE_QUARTER, 0},
    {"gemma-4-e4b", "gemma4", "gpt-2", GEMMA4(42, 2560, 10240, 2, 6, 18),
     262144, true, CLSA_LIKE_QUARTER, 0},
    {.name = NULL},
};
