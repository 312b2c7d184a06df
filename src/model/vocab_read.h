/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vocab_read: the parts of reading a vocabulary, called by vocab.c in the order
 * of this file. The file is hostile input; whatever is wrong is named by file,
 * key and index.
 */
#ifndef CLSA_MODEL_VOCAB_READ_H
#define CLSA_MODEL_VOCAB_READ_H

#include "src/model/vocab.h"

#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES  "tokenizer.ggml.token_type"
#define KEY_MERGES "tokenizer.ggml.merges"

/* Arguments for %.*s: strings of the file may be of any length. */
#define SHOW(s) ((s).size < 48 ? (int)(s).size : 48), (s).text

struct vocab_reader {
    struct clsa_vocab *vocab;
    const struct clsa_gguf *gguf;
    struct clsa_gguf_string *tokens; /* [vocab->count] as spelled */
    uint32_t *slots; /* [mask + 1]: id + 1, 0: free; open addressing */
    size_t mask;
    clsa_error *error;
};

/* vocab_tokens.c: the bytes of all tokens, and the index of those that merging
   may give. */
clsa_status clsa_vocab_read_tokens(struct vocab_reader *r);

/* Writes a spelling with spaces for U+2581; returns the bytes. */
size_t clsa_vocab_from_spaced(struct clsa_gguf_string s, char *bytes);

/* vocab_rules.c: rules of merging, listed or by scores. */
clsa_status clsa_vocab_read_merges(struct vocab_reader *r);
clsa_status clsa_vocab_read_scores(struct vocab_reader *r);

/* vocab_special.c: ids, flags and added tokens. */
clsa_status clsa_vocab_read_special(struct vocab_reader *r);

/* The token spelled `a` followed by `b`, -1: none. */
int64_t clsa_vocab_spelled(const struct vocab_reader *r,
                           struct clsa_gguf_string a,
                           struct clsa_gguf_string b);

#endif /* CLSA_MODEL_VOCAB_READ_H */
