/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vocab: the tokens of a model and its merge rules, read from the
 * tokenizer.ggml.* keys and checked. The file spells tokens in the byte
 * alphabet of GPT-2 (printable characters that stand for bytes); here they
 * are the bytes themselves. Nothing refers to the file once open.
 *
 * Kinds of tokens: normal ones come out of merging. Control and user-defined
 * ones are written as they are and come only from being cut out of the text.
 * Unused and unknown ones are written as they are and come from nowhere.
 */
#ifndef CLSA_MODEL_VOCAB_H
#define CLSA_MODEL_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/model/bpe.h"
#include "src/model/gguf.h"

/* The numbers of tokenizer.ggml.token_type. */
enum clsa_token_kind {
    CLSA_TOKEN_NORMAL = 1,
    CLSA_TOKEN_UNKNOWN = 2,
    CLSA_TOKEN_CONTROL = 3,
    CLSA_TOKEN_USER = 4,
    CLSA_TOKEN_UNUSED = 5,
};

struct clsa_vocab {
    size_t count;
    char *bytes;    /* of all tokens, one behind the other */
    size_t *offset; /* [count + 1] in bytes */
    uint8_t *kind;  /* [count] */

    int32_t byte_id[256]; /* normal token of one byte, -1: none */
    int32_t *special;     /* control and user-defined, in order of bytes */
    size_t special_count;
    bool special_start[256]; /* first bytes of these */

    int32_t bos, eos; /* -1: none */
    bool add_bos;

    struct clsa_bpe bpe;
};

/* Fills *vocab, which is to be closed on failure too. The file has to have
   `count` tokens. */
clsa_status clsa_vocab_open(struct clsa_vocab *vocab,
                            const struct clsa_gguf *gguf, size_t count,
                            clsa_error *error);
void clsa_vocab_close(struct clsa_vocab *vocab);

static inline const char *clsa_vocab_bytes(const struct clsa_vocab *vocab,
                                           size_t id, size_t *size)
{
    *size = vocab->offset[id + 1] - vocab->offset[id];
    return vocab->bytes + vocab->offset[id];
}

/*
 * The longest control or user-defined token at the start of text[0..size);
 * -1 when there is none.
 */
int32_t clsa_vocab_special(const struct clsa_vocab *vocab, const char *text,
                           size_t size);

#endif /* CLSA_MODEL_VOCAB_H */
