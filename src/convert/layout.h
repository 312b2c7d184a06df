/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: how the checkpoints of others are built. A layout reads the sizes
 * of a network from its configuration and names the tensors of each part; the
 * rest of the converter knows none of them.
 */
#ifndef CLSA_CONVERT_LAYOUT_H
#define CLSA_CONVERT_LAYOUT_H

#include <stdint.h>

#include "src/convert/json.h"

/* Heads of one stack. */
struct clsa_stack {
    uint32_t h, g, e;
    double base;      /* of the rotary embedding; 0: none */
    bool endpoint;    /* exponents i/(e/2-1) instead of 2i/e */
    bool interleaved; /* pairs (2i, 2i+1) instead of halves */
};

/* What the keys of the new file say. */
struct clsa_config {
    uint32_t layers, self_layers, d, vocab, window;
    uint64_t context;
    struct clsa_stack self, cross;
    bool retention;
    uint32_t index_size, top_k;  /* 0: no indexer */
    double eps, embedding_scale; /* 1: none */
    int64_t bos, eos;            /* -1: none */
};

enum clsa_role_flags {
    CLSA_ROLE_OPTIONAL = 1,
    CLSA_ROLE_SWA = 2,       /* with sliding-window layers only */
    CLSA_ROLE_RETENTION = 4, /* with retention layers only */
    CLSA_ROLE_ROTATED = 8,   /* rows are heads that are rotated */
    CLSA_ROLE_INDEXER = 16,  /* with an indexer only */
};

/* A tensor "<theirs>.weight" and its name here, "<ours>.weight". */
struct clsa_role {
    const char *theirs, *ours;
    unsigned flags;
};

struct clsa_layout {
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

extern const struct clsa_layout clsa_layout_own, clsa_layout_unilm,
    clsa_layout_fla;

#define CLSA_LAYER_LIMIT   1024
#define CLSA_SIZE_LIMIT    (1u << 24)
#define CLSA_CONTEXT_LIMIT ((uint64_t)1 << 31)

/* A size of 1..CLSA_SIZE_LIMIT. */
clsa_status clsa_layout_size(const struct clsa_json_source *s, const char *key,
                             bool required, uint32_t *value);

/* A key that may say just one thing, and says it where it is absent. */
clsa_status clsa_layout_refuse(const struct clsa_json_source *s,
                               const char *key, bool refused);

#endif /* CLSA_CONVERT_LAYOUT_H */
