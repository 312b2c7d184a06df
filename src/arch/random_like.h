/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_like: the keys of models like the ordinary ones that people have, for
 * random weights: "NAME" or "NAME,KEY=VALUE,...", with the names of
 * random_models.c and keys of the architecture in place of those that the model
 * has. `vocab` and `tied` are keys, too.
 */
#ifndef CLSA_ARCH_RANDOM_LIKE_H
#define CLSA_ARCH_RANDOM_LIKE_H

#include "src/model/gguf_write.h"

/* Tensors of factors that the ropes of a model have. */
enum clsa_like_rope {
    CLSA_LIKE_PLAIN,   /* none */
    CLSA_LIKE_LLAMA3,  /* rope_freqs, of Llama 3.1 and later */
    CLSA_LIKE_QUARTER, /* rope_freqs that leave a quarter of the pairs */
    CLSA_LIKE_LONGROPE /* rope_factors_short, rope_factors_long */
};

struct clsa_like_model {
    const char *name, *arch;
    const char *pre;  /* tokenizer.ggml.pre */
    const char *keys; /* KEY=VALUE,... */
    uint32_t vocab;
    bool tied;
    enum clsa_like_rope rope;
    float factor; /* CLSA_LIKE_LLAMA3 */
};

/* The ordinary models; name NULL at the end. */
extern const struct clsa_like_model clsa_like_models[];

struct clsa_like {
    const struct clsa_like_model *model;
    struct clsa_keys keys;
    uint32_t vocab;
    bool tied;
};

/*
 * The keys that a file of this type or mix would have; with those of a
 * tokenizer if `text` is set, and else with those of indexes at three layers,
 * which files that other programs are to read have not. To be released by
 * clsa_like_close, also after an error.
 */
clsa_status clsa_like_open(struct clsa_like *like, const char *shape, int type,
                           bool text, clsa_error *error);
void clsa_like_close(struct clsa_like *like);

/* Whether the model has a tensor of factors of this name, and its values. */
bool clsa_like_has(const struct clsa_like *like, const char *tensor);
void clsa_like_factors(const struct clsa_like *like, const char *tensor,
                       float *factors, size_t n);

/*
 * Keys of a tokenizer of `vocab` tokens, gpt2: bytes, pairs of letters, pairs
 * of these, and three control tokens at the end. It encodes any text.
 */
clsa_status clsa_like_vocab(struct clsa_keys *keys, const char *pre,
                            uint32_t vocab, clsa_error *error);

#endif /* CLSA_ARCH_RANDOM_LIKE_H */
