/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordinary: folders of the networks that people have: Llama, Mistral, SmolLM,
 * Qwen, Phi, Gemma. A kind says what the classes of transformers mean by a
 * configuration: defaults, the keys that count, the names of tensors. The keys
 * and tensors of the new file have llama.cpp's names; what GGUF has no key for
 * is under keys of clsa-convert(1), which src/arch reads.
 */
#ifndef CLSA_CONVERT_ORDINARY_H
#define CLSA_CONVERT_ORDINARY_H

#include "src/convert/checkpoint.h"

struct clsa_job;

enum clsa_kind_flags {
    CLSA_KIND_PAIRS = 1,      /* GGUF has rows of Q and K in pairs */
    CLSA_KIND_QKV_BIAS = 2,   /* always */
    CLSA_KIND_TIED = 4,       /* unless tie_word_embeddings is false */
    CLSA_KIND_PLUS_ONE = 8,   /* GGUF has norms as 1 + w */
    CLSA_KIND_PARTIAL = 16,   /* a part of a head may be rotated */
    CLSA_KIND_TWO_ROPES = 32, /* one of full layers, one of layers with windows
                               */
    CLSA_KIND_GELU = 64,
    CLSA_KIND_GEMMA4 = 128, /* sizes by the kind of layer, shared K and V */
};

/* Which layers have windows. */
enum clsa_kind_windows {
    CLSA_WINDOWS_NONE,
    CLSA_WINDOWS_ALL,
    CLSA_WINDOWS_LATE,      /* with use_sliding_window: layer_types, or from
                               max_window_layers on */
    CLSA_WINDOWS_UNROTATED, /* the same, or those without RoPE */
    CLSA_WINDOWS_EVERY,     /* layer_types, or all but every n-th */
};

/* Flags of the roles of these kinds. */
enum clsa_ordinary_role {
    CLSA_PART_OPTIONAL = 1,
    CLSA_PART_NORM = 2,      /* stored as w, of 1 + w */
    CLSA_PART_ROTATED = 4,   /* rows are heads that are rotated */
    CLSA_PART_QKV_BIAS = 8,  /* with a bias if Q, K and V have it */
    CLSA_PART_OUT_BIAS = 16, /* if the output of attention has it */
    CLSA_PART_MLP_BIAS = 32,
    CLSA_PART_KV = 64,     /* unused in layers that read another's K and V */
    CLSA_PART_V = 128,     /* absent in layers whose V is their K */
    CLSA_PART_INPUT = 256, /* with inputs for each layer only */
    CLSA_PART_BARE = 512,  /* no ".weight" in the folder */
};

/* Values of keys that are absent. */
struct clsa_kind_defaults {
    uint32_t layers, d, ffn, h, g, e; /* g 0: h; e 0: d / h */
    uint32_t context, window, every;
    double eps, theta, theta_sliding, scalar, score_cap, logit_cap;
};

struct clsa_kind {
    const char *types[3]; /* model_type */
    const char *arch;     /* general.architecture */
    unsigned flags;
    enum clsa_kind_windows windows;
    unsigned scalings;        /* of the rope of full layers */
    const char *const *reads; /* keys that clsa_checkpoint_check refuses else */
    const struct clsa_role *layer, *ends;
    struct clsa_kind_defaults usual;
};

/* What a configuration says. */
struct clsa_ordinary {
    const struct clsa_kind *kind;
    uint32_t layers, d, ffn, h, g, e;
    uint32_t vocab;           /* 0: the file does not say */
    uint64_t context, window; /* window 0: none */
    double eps;
    struct clsa_angles rope, sliding_rope;
    bool qkv_bias, out_bias, mlp_bias, tied, untied;
    double scalar;               /* scores are q . k / sqrt of it */
    double score_cap, logit_cap; /* 0: none */
    uint32_t full_e;             /* gemma4: head size of full layers */
    uint32_t shared;             /* last layers without K and V */
    uint32_t input;              /* values of each layer's own input; 0: none */
    bool wide;                   /* layers without K and V have twice the FFN */
    bool v_is_k;                 /* in full layers */
    bool sliding[CLSA_LAYER_LIMIT], unrotated[CLSA_LAYER_LIMIT];
};

/* All kinds, ended by one without a type. */
extern const struct clsa_kind clsa_kinds[];

/* The kind of a configuration, and the object that describes its text network;
   NULL: another network. */
const struct clsa_kind *clsa_ordinary_find(const json_t *config,
                                           const json_t **text);

/* Reads the configuration of the folder. */
clsa_status clsa_ordinary_read(struct clsa_job *j, const json_t *text);

/* ordinary_layers.c: windows, and layers without RoPE. */
clsa_status clsa_ordinary_layers(struct clsa_ordinary *o,
                                 const struct clsa_json_source *s);

/* ordinary_tensors.c: the plan of tensors. */
clsa_status clsa_ordinary_tensors(struct clsa_job *j);

/* ordinary_keys.c: the keys of the new file. */
void clsa_ordinary_keys(struct clsa_job *j);

#endif /* CLSA_CONVERT_ORDINARY_H */
