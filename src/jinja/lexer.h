/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lexer: a template cut into tokens: text, delimiters, and the words between
 * them, with the white space control of trim_blocks and lstrip_blocks, which
 * chat templates are written for.
 */
#ifndef CLSA_JINJA_LEXER_H
#define CLSA_JINJA_LEXER_H

#include "src/jinja/jinja.h"

enum clsa_token_type {
    CLSA_TOK_END, /* of the template */
    CLSA_TOK_DATA,
    CLSA_TOK_BLOCK_BEGIN,
    CLSA_TOK_BLOCK_END,
    CLSA_TOK_PRINT_BEGIN,
    CLSA_TOK_PRINT_END,
    CLSA_TOK_NAME,
    CLSA_TOK_STRING,
    CLSA_TOK_NUMBER,
    CLSA_TOK_OPERATOR
};

struct clsa_token {
    enum clsa_token_type type;
    uint32_t line;
    char op[3];              /* operator */
    struct clsa_value value; /* number, or string of data, name, string */
};

struct clsa_token_list {
    struct clsa_token *tokens; /* the last one is CLSA_TOK_END */
    size_t count, capacity;
};

/* `text` is valid UTF-8, has newlines "\n" only, and stays. */
void clsa_lexer_run(struct clsa_jinja *j, const char *text, size_t size,
                    struct clsa_token_list *list);

/* The value of a string literal between its quotes. */
struct clsa_value clsa_lexer_literal(struct clsa_jinja *j, const char *text,
                                     size_t size);
/* The value of the number at the start of the text, and its bytes. */
struct clsa_value clsa_lexer_number(struct clsa_jinja *j, const char *text,
                                    size_t size, size_t *used);

#endif /* CLSA_JINJA_LEXER_H */
