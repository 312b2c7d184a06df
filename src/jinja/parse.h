/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse: the parser, by recursive descent with the precedence of Jinja. It
 * makes the tree of node.h, all of it in the pool.
 */
#ifndef CLSA_JINJA_PARSE_H
#define CLSA_JINJA_PARSE_H

#include "src/jinja/lexer.h"
#include "src/jinja/node.h"

struct clsa_parser {
    struct clsa_jinja *j;
    const struct clsa_token *token;  /* the next one */
    unsigned uses;                   /* CLSA_USES_* of the macro */
    unsigned conditions;             /* open ifs */
    const struct clsa_node *unknown; /* a filter or test that is not there */
    unsigned macros;                 /* that came so far */
    unsigned loops;                  /* open loops of the macro */
};

/* The statements of a template. */
struct clsa_node *clsa_parse(struct clsa_jinja *j, const char *text,
                             size_t size);

struct clsa_node *clsa_parse_node(struct clsa_parser *p,
                                  enum clsa_node_kind kind);
/* An expression, or with commas a tuple; without "if" and "else" if `simple`.
 */
struct clsa_node *clsa_parse_expression(struct clsa_parser *p);
struct clsa_node *clsa_parse_tuple(struct clsa_parser *p, bool simple);
/* `node` with the filters, tests and calls after it. */
struct clsa_node *clsa_parse_filters(struct clsa_parser *p,
                                     struct clsa_node *node);
/* A filter by its name, as after "|". */
struct clsa_node *clsa_parse_filter(struct clsa_parser *p,
                                    struct clsa_node *node);
/* What is assigned to: names, a tuple of them, or the attribute of one. */
struct clsa_node *clsa_parse_target(struct clsa_parser *p, bool attribute);

struct clsa_node *clsa_parse_make(struct clsa_parser *p,
                                  enum clsa_node_kind kind,
                                  struct clsa_node *first,
                                  struct clsa_node *second);
/* A name, a literal, or what brackets hold; and what follows a value without a
   blank: .name [key] (arguments). */
struct clsa_node *clsa_parse_primary(struct clsa_parser *p);
struct clsa_node *clsa_parse_postfix(struct clsa_parser *p,
                                     struct clsa_node *node);
/* Parsing goes into itself: fails if it is too deep. clsa_jinja_leave ends
   it. */
void clsa_parse_enter(struct clsa_parser *p);

void clsa_parse_advance(struct clsa_parser *p);
bool clsa_parse_is_name(const struct clsa_parser *p, const char *name);
bool clsa_parse_is(const struct clsa_parser *p, const char *op);
bool clsa_parse_skip(struct clsa_parser *p, const char *op);

/* Whether another item of a list follows; skips the "," before it, which may
   also be there before `close`, and `close` at the end. */
bool clsa_parse_item(struct clsa_parser *p, const char *close, bool is_first);
bool clsa_parse_skip_name(struct clsa_parser *p, const char *name);
void clsa_parse_expect(struct clsa_parser *p, const char *op);
const struct clsa_string *clsa_parse_name(struct clsa_parser *p);
_Noreturn void clsa_parse_unexpected(struct clsa_parser *p);

#endif /* CLSA_JINJA_PARSE_H */
