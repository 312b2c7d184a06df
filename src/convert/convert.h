/* SPDX-License-Identifier: Apache-2.0 */
/* convert: what the files of the converter of model folders share. */
#ifndef CLSA_CONVERT_CONVERT_H
#define CLSA_CONVERT_CONVERT_H

#include <jansson.h>

#include "src/base/utf8.h"
#include "src/convert/plan.h"
#include "src/convert/safetensors.h"

/*
 * The keys of the tokenizer of a folder: tokenizer.json with byte-level BPE,
 * or a tiktoken file. bos and eos: ids, or -1.
 */
clsa_status clsa_convert_tokenizer(struct clsa_keys *keys, const char *folder,
                                   uint32_t vocab, int64_t bos, int64_t eos,
                                   const clsa_write_options *options,
                                   clsa_error *error);

/* Tokens by id while a tokenizer is read. */
struct clsa_words {
    uint32_t count;           /* vocab */
    const char **text;        /* [count], NULL: no such id */
    int32_t *kind;            /* [count], clsa_token_kind of the vocabulary */
    struct clsa_bytes merges; /* strings as in the file */
    uint64_t merge_count;
};

/* Reads tokenizer.json, whose texts stay in `root`. */
clsa_status clsa_words_json(struct clsa_words *words, const json_t *root,
                            const char *path, const clsa_write_options *options,
                            clsa_error *error);

/* Reads a tiktoken file; the spellings go to `room`, released by
   clsa_mem_free. */
clsa_status clsa_words_tiktoken(struct clsa_words *words, char **room,
                                const char *path,
                                const clsa_write_options *options,
                                clsa_error *error);

void clsa_words_merge(struct clsa_words *words, const char *a, size_t m,
                      const char *b, size_t n);

#endif /* CLSA_CONVERT_CONVERT_H */
