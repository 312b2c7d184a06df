/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer: byte-level BPE as published with GPT-2, with the pre-tokenizer
 * pattern of Qwen2 through PCRE2. Special tokens are cut out first. Immutable
 * once open; any number of threads may use one at the same time.
 */
#ifndef CLSA_MODEL_TOKENIZER_H
#define CLSA_MODEL_TOKENIZER_H

#include "src/base/status.h"
#include "src/model/gguf.h"

struct clsa_tokenizer;

/* Reads the tokenizer.ggml.* keys. `vocab` is the size of the embedding: the
   file has to have that many tokens. */
clsa_status clsa_tokenizer_open(struct clsa_tokenizer **tokenizer,
                                const struct clsa_gguf *gguf, size_t vocab,
                                clsa_error *error);
void clsa_tokenizer_close(struct clsa_tokenizer *tokenizer);

/* Special ids, -1 where there is none. */
int32_t clsa_tokenizer_bos(const struct clsa_tokenizer *tokenizer);
int32_t clsa_tokenizer_eos(const struct clsa_tokenizer *tokenizer);
int clsa_tokenizer_add_bos(const struct clsa_tokenizer *tokenizer);

/* As clsa_tokenize, clsa_token_bytes, clsa_token_is_special and
   clsa_detokenize of clsa.h. */
clsa_status clsa_tokenizer_encode(const struct clsa_tokenizer *tokenizer,
                                  const char *text, size_t size, unsigned flags,
                                  int32_t **ids, size_t *count,
                                  clsa_error *error);
const char *clsa_tokenizer_bytes(const struct clsa_tokenizer *tokenizer,
                                 int32_t id, size_t *size);
int clsa_tokenizer_special(const struct clsa_tokenizer *tokenizer, int32_t id);
clsa_status clsa_tokenizer_decode(const struct clsa_tokenizer *tokenizer,
                                  clsa_detokenizer *state, int32_t id,
                                  char **text, size_t *size, clsa_error *error);

#endif /* CLSA_MODEL_TOKENIZER_H */
