/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print: values as text: what str() and repr() of Python give, JSON as
 * json.dumps gives it, and numbers from text, whatever the locale is.
 */
#ifndef CLSA_JINJA_PRINT_H
#define CLSA_JINJA_PRINT_H

#include "src/jinja/jinja.h"

/* str(): a string is given as it is, undefined is empty. */
struct clsa_value clsa_print_str(struct clsa_jinja *j, struct clsa_value v);
void clsa_print_add(struct clsa_jinja *j, struct clsa_buffer *buffer,
                    struct clsa_value v);
void clsa_print_repr(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     struct clsa_value v);

/* Bytes that the text of a real number takes at most, with its NUL. */
#define CLSA_REAL_SIZE 40
/* The shortest text that gives the same number, as repr() of Python. */
void clsa_print_real(char text[CLSA_REAL_SIZE], double real);
/* With a point, of a printf conversion with precision: 'e', 'f' or 'g'. Returns
   the bytes, of which `size` at most are written. */
int clsa_print_fixed(char *text, size_t size, char conversion, int precision,
                     double real);

struct clsa_json_style {
    const char *item_separator, *key_separator;
    int indent; /* -1: all on one line */
    const char *indent_text;
    bool sort_keys, ensure_ascii;
};
void clsa_print_json(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     struct clsa_value v, const struct clsa_json_style *style);

/* Decimal numbers of the whole text; false if it is none, or out of range. */
bool clsa_parse_int(const char *text, size_t size, int64_t *integer);
bool clsa_parse_real(const char *text, size_t size, double *real);

#endif /* CLSA_JINJA_PRINT_H */
