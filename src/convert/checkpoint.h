/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint: the formats of the checkpoints that can be converted. A format
 * reads the sizes of a network from its configuration and names the tensors of
 * each decoder; the rest of the converter knows none of them.
 */
#ifndef CLSA_CONVERT_CHECKPOINT_H
#define CLSA_CONVERT_CHECKPOINT_H

#include <stdint.h>

#include "src/convert/json.h"
#include "src/model/network.h"

/* Frequencies that differ from powers of the base. */
enum clsa_scaling {
    CLSA_SCALING_NONE,
    CLSA_SCALING_LINEAR,   /* all divided by a factor */
    CLSA_SCALING_LLAMA3,   /* low ones divided, high ones not */
    CLSA_SCALING_YARN,     /* the same by a ramp; cos and sin multiplied */
    CLSA_SCALING_LONGROPE, /* by lists of factors, for short and long texts */
    CLSA_SCALING_PROPORTIONAL, /* some pairs of a head, the others not at all */
    CLSA_SCALINGS
};

/* Rotary angles, as a configuration describes them. */
struct clsa_angles {
    double base; /* 0: no rotation */
    enum clsa_scaling scaling;
    double factor, low, high, original; /* as its keys */
    double beta_fast, beta_slow;        /* 0: not said */
    double magnitude;                   /* of cos and sin; 0: the usual one */
    double partial;                     /* of a head that is rotated; 0: 1 */
    const json_t *brief, *wide;         /* lists of LongRoPE */
};

/* What is supported of that, and how it is spelled. */
struct clsa_angle_rules {
    const char *theta;  /* key of the base outside of them; NULL: none */
    const char *layers; /* type of layers that parameters may be nested by */
    bool nested;        /* nothing else counts */
    bool partial;       /* a part of a head may be rotated */
    unsigned scalings;  /* 1 << CLSA_SCALING_..., beside none */
    double length; /* the original context where nothing says it; 0: nothing */
};

/* Heads of one stack. */
struct clsa_stack {
    uint32_t h, g, e;
    bool endpoint;    /* exponents i/(e/2-1) instead of 2i/e */
    bool interleaved; /* pairs (2i, 2i+1) instead of halves */
    struct clsa_angles rope;
};

/* What the keys of the new file say. */
struct clsa_config {
    uint32_t layers, self_layers, d, vocab, window;
    uint64_t context;
    struct clsa_stack self, cross;
    bool retention;
    uint32_t index_size, top_k;  /* 0: no indexer */
    double eps, embedding_scale; /* 1: none */
    bool tied, untied;           /* the output is the embedding, or is not;
                                    neither: the file decides */
    bool qk_norm, no_qk_norm;    /* the same for norms of q and k */
};

enum clsa_role_flags {
    CLSA_ROLE_OPTIONAL = 1,
    CLSA_ROLE_SWA = 2,       /* with sliding-window layers only */
    CLSA_ROLE_RETENTION = 4, /* with retention layers only */
    CLSA_ROLE_ROTATED = 8,   /* rows are heads that are rotated */
    CLSA_ROLE_INDEXER = 16,  /* with an indexer only */
    CLSA_ROLE_OUTPUT = 32,   /* required if the embedding is not tied */
    CLSA_ROLE_QK_NORM = 64,  /* required or left out as qk_norm says */
};

/* A tensor "<theirs>.weight" and its name here, "<ours>.weight". */
struct clsa_role {
    const char *theirs, *ours;
    unsigned flags;
};

struct clsa_checkpoint {
    const char *name;
    const char *config; /* its file */
    bool (*matches)(const json_t *config);
    clsa_status (*read)(struct clsa_config *config,
                        const struct clsa_json_source *s);
    const struct clsa_role *ends;           /* ended by an empty one */
    const struct clsa_role *self, *cross;   /* of a layer */
    const struct clsa_role *shared;         /* of block S */
    const char *self_prefix, *cross_prefix; /* "model.layers.%u." */
    bool cross_from_zero;                   /* the number in cross_prefix */
};

extern const struct clsa_checkpoint clsa_checkpoint_own, clsa_checkpoint_unilm,
    clsa_checkpoint_fla;

/* A size of 1..CLSA_SIZE_LIMIT. */
clsa_status clsa_checkpoint_size(const struct clsa_json_source *s,
                                 const char *key, bool required,
                                 uint32_t *value);

/* A key that may say just one thing, and says it where it is absent. */
clsa_status clsa_checkpoint_refuse(const struct clsa_json_source *s,
                                   const char *key, bool refused);

/* true and false, absent being neither. */
clsa_status clsa_checkpoint_choice(const struct clsa_json_source *s,
                                   const char *key, bool *yes, bool *no);

/* Angles by rope_theta, rope_scaling and rope_parameters, which transformers 5
   writes for both; what the file does not say stays as it is. */
clsa_status clsa_checkpoint_angles(struct clsa_angles *x,
                                   const struct clsa_json_source *s,
                                   const struct clsa_angle_rules *rules);

/* The same for a stack of YOCO; `layers`: the type of layers that the
   parameters may be nested by. */
clsa_status clsa_checkpoint_rope(struct clsa_stack *x,
                                 const struct clsa_json_source *s,
                                 const char *layers);

/* How many times slower than the power of the base a frequency is. */
float clsa_checkpoint_slower(const struct clsa_angles *x, float frequency);

/* Refuses keys that would change what is computed, except those in `reads`
   (NULL at the end; NULL: none), which the format reads itself; the second one,
   after they are known, keys that repeat sizes of heads of e values. */
clsa_status clsa_checkpoint_check(const struct clsa_json_source *s,
                                  const char *const *reads);
clsa_status clsa_checkpoint_check_heads(const struct clsa_json_source *s,
                                        const char *const *reads, uint32_t e,
                                        double embedding_scale);

/* Refuses the value that a key has. */
clsa_status clsa_checkpoint_refuse_value(const struct clsa_json_source *s,
                                         const char *key);
clsa_status clsa_checkpoint_check_sizes(const struct clsa_config *c,
                                        const struct clsa_json_source *s);

/* Lists the keys that nobody knows in list[capacity]; returns their number. */
size_t clsa_checkpoint_unknown(const json_t *object, char *list,
                               size_t capacity);

#endif /* CLSA_CONVERT_CHECKPOINT_H */
