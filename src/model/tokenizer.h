/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer: a vocabulary and the way of texts to tokens and back. Immutable
 * once open; any number of threads may use one at the same time.
 */
#ifndef CLSA_MODEL_TOKENIZER_H
#define CLSA_MODEL_TOKENIZER_H

#include "src/base/status.h"
#include "src/model/gguf.h"
#include "src/model/vocab.h"

struct clsa_tokenizer;

/* Reads the tokenizer.ggml.* keys. `vocab` is the size of the embedding: the
   file has to have that many tokens; 0: any number. */
clsa_status clsa_tokenizer_open(struct clsa_tokenizer **tokenizer,
                                const struct clsa_gguf *gguf, size_t vocab,
                                clsa_error *error);
void clsa_tokenizer_close(struct clsa_tokenizer *tokenizer);

const struct clsa_vocab *
clsa_tokenizer_vocab(const struct clsa_tokenizer *tokenizer);

/* Special ids, -1 where there is none. */
int32_t clsa_tokenizer_bos(const struct clsa_tokenizer *tokenizer);
int32_t clsa_tokenizer_eos(const struct clsa_tokenizer *tokenizer);
int clsa_tokenizer_add_bos(const struct clsa_tokenizer *tokenizer);

/* The tokens that end a generation. */
const int32_t *clsa_tokenizer_ends(const struct clsa_tokenizer *tokenizer,
                                   size_t *count);

/* Tokens of a text; both arrays are to be released by clsa_mem_free. */
struct clsa_tokens {
    int32_t *ids;
    size_t *starts; /* NULL without CLSA_TOKENIZE_PLACES */
    size_t count;
};

/* A flag beside the flags of clsa_text.h: where tokens begin in the text. */
#define CLSA_TOKENIZE_PLACES 0x80000000u

/* As clsa_tokenize, clsa_token_bytes, clsa_token_is_special,
   clsa_detokenize_all and clsa_detokenize of clsa.h. */
clsa_status clsa_tokenizer_encode(const struct clsa_tokenizer *tokenizer,
                                  const char *text, size_t size, unsigned flags,
                                  struct clsa_tokens *tokens,
                                  clsa_error *error);
const char *clsa_tokenizer_bytes(const struct clsa_tokenizer *tokenizer,
                                 int32_t id, size_t *size);
/* The token of the text; a special one comes first, -1 if there is none. */
int32_t clsa_tokenizer_id(const struct clsa_tokenizer *tokenizer,
                          const char *text);
int clsa_tokenizer_special(const struct clsa_tokenizer *tokenizer, int32_t id);
clsa_status clsa_tokenizer_join(const struct clsa_tokenizer *tokenizer,
                                const int32_t *ids, size_t count, char **bytes,
                                size_t *size, clsa_error *error);
clsa_status clsa_tokenizer_decode(const struct clsa_tokenizer *tokenizer,
                                  clsa_detokenizer *state, int32_t id,
                                  char **text, size_t *size, clsa_error *error);

#endif /* CLSA_MODEL_TOKENIZER_H */
