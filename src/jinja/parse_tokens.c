/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens that the parser looks at, and new nodes. */
#include <string.h>

#include "src/jinja/parse.h"

bool clsa_parse_is_name(const struct clsa_parser *p, const char *name)
{
    return p->token->type == CLSA_TOK_NAME &&
           clsa_string_is(p->token->value.string, name);
}

bool clsa_parse_is(const struct clsa_parser *p, const char *op)
{
    return p->token->type == CLSA_TOK_OPERATOR &&
           strncmp(p->token->op, op, sizeof p->token->op) == 0;
}

void clsa_parse_advance(struct clsa_parser *p)
{
    p->token++;
    p->j->line = p->token->line;
}

bool clsa_parse_skip(struct clsa_parser *p, const char *op)
{
    const bool is = clsa_parse_is(p, op);
    if (is)
        clsa_parse_advance(p);
    return is;
}

bool clsa_parse_skip_name(struct clsa_parser *p, const char *name)
{
    const bool is = clsa_parse_is_name(p, name);
    if (is)
        clsa_parse_advance(p);
    return is;
}

void clsa_parse_unexpected(struct clsa_parser *p)
{
    const struct clsa_token *t = p->token;
    switch (t->type) {
    case CLSA_TOK_NAME:
        clsa_jinja_fail(p->j, "unexpected '%.*s'",
                        (int)(t->value.string->size % 100),
                        t->value.string->data);
    case CLSA_TOK_OPERATOR:
        clsa_jinja_fail(p->j, "unexpected '%s'", t->op);
    case CLSA_TOK_STRING:
        clsa_jinja_fail(p->j, "unexpected string");
    case CLSA_TOK_NUMBER:
        clsa_jinja_fail(p->j, "unexpected number");
    case CLSA_TOK_BLOCK_END:
    case CLSA_TOK_PRINT_END:
        clsa_jinja_fail(p->j, "the tag ends too early");
    default:
        clsa_jinja_fail(p->j, "unexpected end of the template");
    }
}

void clsa_parse_expect(struct clsa_parser *p, const char *op)
{
    if (!clsa_parse_skip(p, op))
        clsa_parse_unexpected(p);
}

bool clsa_parse_item(struct clsa_parser *p, const char *close, bool is_first)
{
    if (clsa_parse_skip(p, close))
        return false;
    if (is_first)
        return true;
    clsa_parse_expect(p, ",");
    return !clsa_parse_skip(p, close);
}

const struct clsa_string *clsa_parse_name(struct clsa_parser *p)
{
    if (p->token->type != CLSA_TOK_NAME)
        clsa_parse_unexpected(p);
    const struct clsa_string *name = p->token->value.string;
    clsa_parse_advance(p);
    return name;
}

struct clsa_node *clsa_parse_node(struct clsa_parser *p,
                                  enum clsa_node_kind kind)
{
    struct clsa_node *node = clsa_jinja_take(p->j, 1, sizeof *node);
    node->kind = kind;
    node->line = p->token->line;
    return node;
}

struct clsa_node *clsa_parse_make(struct clsa_parser *p,
                                  enum clsa_node_kind kind,
                                  struct clsa_node *first,
                                  struct clsa_node *second)
{
    struct clsa_node *node = clsa_parse_node(p, kind);
    node->line = first->line;
    node->first = first;
    node->second = second;
    return node;
}

/* Parsing goes into itself: limit how deep. */
void clsa_parse_enter(struct clsa_parser *p)
{
    if (p->j->depth >= CLSA_JINJA_NESTING)
        clsa_jinja_fail_status(p->j, CLSA_ERR_UNSUPPORTED,
                               "expressions are nested more than %d deep",
                               CLSA_JINJA_NESTING);
    clsa_jinja_enter(p->j);
}
