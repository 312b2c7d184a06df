/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode: one call of clsa_tokenizer_encode: the way of a text to its tokens.
 *
 *   text -> added tokens cut out -> fragments, normalized -> pieces of the
 *   pre-tokenizer -> one token per byte or character -> merged
 */
#ifndef CLSA_MODEL_ENCODE_H
#define CLSA_MODEL_ENCODE_H

#include "src/model/normalize.h"
#include "src/model/vocab.h"

struct clsa_encoder {
    const struct clsa_vocab *vocab;
    struct clsa_bpe_scratch scratch;
    int32_t *ids;   /* [count] of [capacity] */
    size_t *starts; /* [count] of [capacity]: where tokens begin in the text;
                       NULL unless `places` */
    size_t count, capacity;
    bool places;
    bool special; /* control and unknown tokens are cut out of texts */
    /* The fragment that is encoded. */
    struct clsa_normal normal;
    size_t base, mark; /* its start in the text, for clsa_normal_origin */
    clsa_error *error;
};

/* Room for n more tokens. */
clsa_status clsa_encoder_reserve(struct clsa_encoder *e, size_t n);

/* One token that begins at byte `start` of the text. */
clsa_status clsa_encoder_put(struct clsa_encoder *e, int32_t id, size_t start);

/* Text without added tokens, from byte `base` of the whole text on. */
clsa_status clsa_encode_fragment(struct clsa_encoder *e, const char *text,
                                 size_t size, size_t base);

#endif /* CLSA_MODEL_ENCODE_H */
