/* SPDX-License-Identifier: Apache-2.0 */
/* convert: what the files of the converter of model folders share. */
#ifndef CLSA_CONVERT_CONVERT_H
#define CLSA_CONVERT_CONVERT_H

#include <jansson.h>

#include "src/base/utf8.h"
#include "src/convert/folder.h"
#include "src/convert/json_pipeline.h"
#include "src/convert/safetensors.h"

/*
 * The keys of the tokenizer of a folder: tokenizer.json with byte-level BPE,
 * or a tiktoken file; special ids; chat templates. `count`: vocab; 0:
 * as many tokens as tokenizer.json has.
 */
clsa_status clsa_convert_tokenizer(struct clsa_keys *keys,
                                   const struct clsa_folder *folder,
                                   uint32_t count);

/* The vocabulary of a checkpoint: tokens by id while a tokenizer is read. */
struct clsa_checkpoint_vocab {
    uint32_t count;      /* vocab */
    const char **text;   /* [count], NULL: no such id */
    int32_t *kind;       /* [count], clsa_token_kind of the vocabulary */
    uint8_t *flags;      /* [count], CLSA_ADDED_* of the vocabulary */
    const char *unknown; /* text of the unknown token, or NULL */
    struct clsa_json_pipeline pipeline;
    struct clsa_bytes merges; /* strings as in the file */
    uint64_t merge_count;
};

/* Reads tokenizer.json, whose texts stay in `root`. */
clsa_status clsa_checkpoint_vocab_json(struct clsa_checkpoint_vocab *vocab,
                                       const json_t *root, const char *path,
                                       const clsa_write_options *options,
                                       clsa_error *error);

/* Reads a tiktoken file; the spellings go to `spellings`, released by
   clsa_mem_free. */
clsa_status clsa_checkpoint_vocab_tiktoken(struct clsa_checkpoint_vocab *vocab,
                                           char **spellings, const char *path,
                                           const clsa_write_options *options,
                                           clsa_error *error);

void clsa_checkpoint_vocab_merge(struct clsa_checkpoint_vocab *vocab,
                                 const char *a, size_t m, const char *b,
                                 size_t n);

/* One more than the highest id of tokenizer.json. */
clsa_status clsa_vocab_json_count(const json_t *root, const char *path,
                                  uint32_t *count, clsa_error *error);

/* The token of a text, a special one first; -1 if there is none. */
int64_t clsa_checkpoint_vocab_find(const struct clsa_checkpoint_vocab *vocab,
                                   const char *text);

/* Ids that the post-processor puts before and after every text, -1: none. */
struct clsa_added_ends {
    int64_t first, last;
};

/*
 * added_tokens.c: the added tokens of tokenizer_config.json, and what the
 * post-processor of tokenizer.json (`root`, NULL: there is none) adds to a
 * text. What would cut or change texts in another way is refused.
 */
clsa_status clsa_added_tokens(struct clsa_checkpoint_vocab *vocab,
                              const struct clsa_folder *folder,
                              const struct clsa_json_source *root,
                              struct clsa_added_ends *ends);

/* CLSA_ADDED_* of an added token. */
uint8_t clsa_added_flags(const json_t *token);

/* special_ids.c: the keys of bos, add_bos, add_eos and the tokens that end a
   text. `added`: of clsa_added_tokens. */
clsa_status clsa_special_ids(struct clsa_keys *keys,
                             const struct clsa_folder *folder,
                             const struct clsa_checkpoint_vocab *vocab,
                             const struct clsa_added_ends *added);

/* chat_templates.c: the keys of the chat templates. */
clsa_status clsa_chat_templates(struct clsa_keys *keys,
                                const struct clsa_folder *folder);

#endif /* CLSA_CONVERT_CONVERT_H */
