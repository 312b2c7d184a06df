/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pretoken: cuts text into the pieces inside of which merging takes place, as
 * the pre-tokenizer does that tokenizer.ggml.pre names. The models' makers
 * define these by one or more regular expressions; here they are functions
 * that take time in proportion to the text, whatever it is.
 *
 * A pre-tokenizer has stages. Each stage cuts the pieces of the stage before
 * into the matches of its expression and what is between them.
 */
#ifndef CLSA_MODEL_PRETOKEN_H
#define CLSA_MODEL_PRETOKEN_H

#include <stdbool.h>
#include <stddef.h>

#define CLSA_PRETOKEN_STAGES 6

/* The first match in text[from..end): its start; *length receives its bytes, 0
   when there is none (the start is `end` then). */
typedef size_t clsa_pretoken_stage(const char *text, size_t from, size_t end,
                                   size_t *length);

struct clsa_pretoken {
    const char *names; /* each followed by a space, the usual one first */
    clsa_pretoken_stage *stages[CLSA_PRETOKEN_STAGES + 1]; /* NULL: the end */
    bool ignore_merges; /* a piece that is a token is not merged */
    bool nfc;           /* text is normalized first */
    bool add_bos;       /* the default of tokenizer.ggml.add_bos_token */
};

/* The pre-tokenizer of a name of `size` bytes; NULL if it is not known. */
const struct clsa_pretoken *clsa_pretoken_find(const char *name, size_t size);

/* The names of all, separated by commas, for messages. */
void clsa_pretoken_list(char *list, size_t capacity);

/* Where the pieces are while a text is cut; {0} at first. */
struct clsa_pretoken_cursor {
    size_t end[CLSA_PRETOKEN_STAGES]; /* of the piece of each stage */
};

/*
 * The piece of text[0..size) at `from` < size, where the piece before ended, 0
 * at first. The text is valid UTF-8. Returns the bytes of the piece, at least
 * one character.
 */
size_t clsa_pretoken_next(const struct clsa_pretoken *pretoken,
                          struct clsa_pretoken_cursor *cursor, const char *text,
                          size_t size, size_t from);

/* Expressions that are whole pre-tokenizers, or the last stage:
 * pretoken_words.c. */
clsa_pretoken_stage clsa_pretoken_gpt2, clsa_pretoken_llama3,
    clsa_pretoken_qwen2, clsa_pretoken_qwen35, clsa_pretoken_o200k,
    clsa_pretoken_deepseek_v3;

#endif /* CLSA_MODEL_PRETOKEN_H */
