/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vocab: the tokens of a model and its merge rules, read from the
 * tokenizer.ggml.* keys and checked. The file spells tokens in an alphabet of
 * its model; here they are the bytes that they add to a text. Nothing refers to
 * the file once open.
 *
 * tokenizer.ggml.model:
 * - gpt2: tokens are bytes, spelled in the alphabet of GPT-2 (printable
 *   characters that stand for bytes). Rules are a list, the first one first.
 * - llama: tokens are characters as in SentencePiece, a space spelled U+2581.
 *   A rule is any two tokens that make a third, the highest score first.
 *   Characters that are no token become tokens of their bytes, "<0x0A>".
 * - gemma4: tokens as with llama, rules as with gpt2.
 *
 * Kinds of tokens: normal ones come out of merging. Control, unknown and
 * user-defined ones are written as they are and are cut out of the text;
 * unused ones are nothing and come from nowhere.
 */
#ifndef CLSA_MODEL_VOCAB_H
#define CLSA_MODEL_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/model/added.h"
#include "src/model/bpe.h"
#include "src/model/gguf.h"
#include "src/model/pretoken.h"

/* The numbers of tokenizer.ggml.token_type. */
enum clsa_token_kind {
    CLSA_TOKEN_NORMAL = 1,
    CLSA_TOKEN_UNKNOWN = 2,
    CLSA_TOKEN_CONTROL = 3,
    CLSA_TOKEN_USER = 4,
    CLSA_TOKEN_UNUSED = 5,
    CLSA_TOKEN_BYTE = 6,
};

/* Flags of added tokens. */
enum {
    CLSA_ADDED_RSTRIP = 1, /* takes the white space after it */
    CLSA_ADDED_LSTRIP = 2, /* takes the white space before it */
    CLSA_ADDED_WORD = 4,   /* is none beside a character of words */
    CLSA_ADDED_NORMAL = 8, /* is looked for in the normalized text */
};

/* How a space is put before a text of characters. */
enum clsa_prefix {
    CLSA_PREFIX_NONE,
    CLSA_PREFIX_ALWAYS,  /* before each fragment */
    CLSA_PREFIX_MISSING, /* if it does not begin with a space */
    CLSA_PREFIX_FIRST,   /* the same, at the start of a text alone */
};

/* A slot of the index from bytes to the token that has them. */
struct clsa_vocab_slot {
    uint32_t token; /* id + 1, 0: free */
    uint32_t hash;
};

/* Spaces of the longest token that is nothing else. */
#define CLSA_SPACES 64

struct clsa_vocab {
    size_t count;
    char *bytes;    /* of all tokens, one after the other */
    size_t *offset; /* [count + 1] in bytes */
    uint8_t *kind;  /* [count] */

    char *model; /* tokenizer.ggml.model and .pre, or "" */
    char *pre;
    const struct clsa_pretoken *pretoken; /* NULL: none */
    bool chars; /* tokens are characters: model llama, gemma4 */
    bool ignore_merges, nfc;

    struct clsa_vocab_slot *slots; /* [mask + 1], open addressing: tokens that
                                      merging may give */
    size_t mask;
    int32_t byte_id[256];           /* token of a byte, -1: none */
    struct clsa_added added;        /* of raw texts */
    struct clsa_added added_normal; /* of normalized texts */
    uint8_t *flags;                 /* [count] of CLSA_ADDED_*; NULL: none */
    /* User-defined tokens of spaces only, by their number; -1: none. */
    int32_t spaces[CLSA_SPACES + 1];
    size_t most_spaces; /* 0: there is none */

    int32_t bos, eos, unknown; /* -1: none */
    bool add_bos, add_eos, add_space;
    enum clsa_prefix prefix; /* of add_space */
    int32_t *ends; /* tokens that end a generation: eos first, each once */
    size_t end_count;

    struct clsa_bpe bpe;
    /* In a text of characters nothing merges across these places. */
    bool cut_spaces; /* between anything else and a space */
    bool cut_lines;  /* between a line feed and anything else */
    bool cut_each;   /* before each space, whatever the vocabulary has */
};

/* Fills *vocab, which is to be closed on failure too. The file has to have
   `count` tokens; 0: any number. */
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

/* The token that merging may give with these bytes, -1: none. */
int32_t clsa_vocab_find(const struct clsa_vocab *vocab, const char *bytes,
                        size_t size);

#endif /* CLSA_MODEL_VOCAB_H */
