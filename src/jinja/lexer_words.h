/* SPDX-License-Identifier: Apache-2.0 */
/* lexer_words: the state of the lexer, and the words inside of a tag. */
#ifndef CLSA_JINJA_LEXER_WORDS_H
#define CLSA_JINJA_LEXER_WORDS_H

#include "src/jinja/lexer.h"

struct clsa_lexer {
    struct clsa_jinja *j; /* its line is the line of `at` */
    const char *text;
    size_t size, at;
    bool line_start; /* `at` is at the start of a line */
    size_t open;     /* brackets that are open */
    char brackets[CLSA_JINJA_NESTING];
    struct clsa_token_list *list;
};

void clsa_lexer_add(struct clsa_lexer *x, enum clsa_token_type type,
                    struct clsa_value value);

/* Count the lines of the text [from, to). */
void clsa_lexer_lines(struct clsa_lexer *x, size_t from, size_t to);

/* The word, string, number or operator at `at`. */
void clsa_lexer_word(struct clsa_lexer *x);

#endif /* CLSA_JINJA_LEXER_WORDS_H */
