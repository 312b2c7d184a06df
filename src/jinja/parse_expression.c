/* SPDX-License-Identifier: Apache-2.0 */
/* Values of expressions and what follows them: access, calls, filters, tests.
   Operators: parse_operators.c. */
#include <string.h>

#include "src/jinja/builtin.h"
#include "src/jinja/parse.h"

/* --------------------------------------------------------------- arguments */

static struct clsa_node *argument(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_ARGUMENT);
    const struct clsa_token *next = p->token;
    if (clsa_parse_skip(p, "*")) {
        node->stars = 1;
    } else if (clsa_parse_skip(p, "**")) {
        node->stars = 2;
    } else if (next->type == CLSA_TOK_NAME &&
               next[1].type == CLSA_TOK_OPERATOR &&
               strcmp(next[1].op, "=") == 0) {
        node->name = clsa_parse_name(p);
        clsa_parse_expect(p, "=");
    }
    node->first = clsa_parse_expression(p);
    return node;
}

/* After "(", up to and with ")". */
static struct clsa_node *arguments(struct clsa_parser *p)
{
    struct clsa_node *first = NULL, **last = &first;
    bool named = false;
    clsa_parse_expect(p, "(");
    while (clsa_parse_item(p, ")", !first)) {
        *last = argument(p);
        if (named && !(*last)->name && !(*last)->stars)
            clsa_jinja_fail(p->j, "an argument without a name follows one "
                                  "with a name");
        named |= (*last)->name != NULL;
        last = &(*last)->next;
    }
    return first;
}

/* ---------------------------------------------------------------- primaries */

static struct clsa_node *constant(struct clsa_parser *p,
                                  struct clsa_value value)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_CONST);
    node->value = value;
    return node;
}

static struct clsa_node *name_or_constant(struct clsa_parser *p)
{
    static const struct {
        const char *name;
        enum clsa_kind kind;
        bool truth;
    } words[] = {{"true", CLSA_BOOL, true},   {"True", CLSA_BOOL, true},
                 {"false", CLSA_BOOL, false}, {"False", CLSA_BOOL, false},
                 {"none", CLSA_NONE, false},  {"None", CLSA_NONE, false}};
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_NAME);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (clsa_parse_skip_name(p, words[i].name)) {
            node->kind = CLSA_NODE_CONST;
            node->value = (struct clsa_value){.kind = words[i].kind,
                                              .truth = words[i].truth};
            return node;
        }
    }
    node->name = clsa_parse_name(p);
    if (clsa_string_is(node->name, "varargs"))
        p->uses |= CLSA_USES_VARARGS;
    else if (clsa_string_is(node->name, "kwargs"))
        p->uses |= CLSA_USES_KWARGS;
    else if (clsa_string_is(node->name, "caller"))
        p->uses |= CLSA_USES_CALLER;
    return node;
}

/* String literals side by side are one. */
static struct clsa_node *strings(struct clsa_parser *p)
{
    struct clsa_node *node = constant(p, p->token->value);
    clsa_parse_advance(p);
    if (p->token->type != CLSA_TOK_STRING)
        return node;
    struct clsa_buffer buffer = {0};
    clsa_buffer_add(p->j, &buffer, node->value.string->data,
                    node->value.string->size);
    for (; p->token->type == CLSA_TOK_STRING; clsa_parse_advance(p))
        clsa_buffer_add(p->j, &buffer, p->token->value.string->data,
                        p->token->value.string->size);
    node->value = clsa_buffer_string(p->j, &buffer);
    return node;
}

static struct clsa_node *list(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_LIST);
    struct clsa_node **last = &node->first;
    clsa_parse_expect(p, "[");
    while (clsa_parse_item(p, "]", !node->first)) {
        /* An element of its own: the same node is no other list's. */
        *last = clsa_parse_make(p, CLSA_NODE_ARGUMENT, clsa_parse_expression(p),
                                NULL);
        last = &(*last)->next;
    }
    return node;
}

static struct clsa_node *dict(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_DICT);
    struct clsa_node **last = &node->first;
    clsa_parse_expect(p, "{");
    while (clsa_parse_item(p, "}", !node->first)) {
        struct clsa_node *key = clsa_parse_expression(p);
        clsa_parse_expect(p, ":");
        *last =
            clsa_parse_make(p, CLSA_NODE_PAIR, key, clsa_parse_expression(p));
        last = &(*last)->next;
    }
    return node;
}

/* (), (a), (a, b). */
static struct clsa_node *parentheses(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_TUPLE);
    clsa_parse_expect(p, "(");
    if (clsa_parse_skip(p, ")"))
        return node;
    node = clsa_parse_tuple(p, false);
    clsa_parse_expect(p, ")");
    return node;
}

struct clsa_node *clsa_parse_primary(struct clsa_parser *p)
{
    struct clsa_node *node;
    switch (p->token->type) {
    case CLSA_TOK_NAME:
        return name_or_constant(p);
    case CLSA_TOK_STRING:
        return strings(p);
    case CLSA_TOK_NUMBER:
        node = constant(p, p->token->value);
        clsa_parse_advance(p);
        return node;
    default:
        if (clsa_parse_is(p, "("))
            return parentheses(p);
        if (clsa_parse_is(p, "["))
            return list(p);
        if (clsa_parse_is(p, "{"))
            return dict(p);
        clsa_parse_unexpected(p);
    }
}

/* ----------------------------------------------------------- after a value */

/* One of the parts of a subscript: an expression or a slice. */
static struct clsa_node *subscript_part(struct clsa_parser *p)
{
    struct clsa_node *slice = clsa_parse_node(p, CLSA_NODE_SLICE);
    if (!clsa_parse_is(p, ":")) {
        slice->first = clsa_parse_expression(p);
        if (!clsa_parse_is(p, ":"))
            return slice->first;
    }
    clsa_parse_expect(p, ":");
    if (!clsa_parse_is(p, ":") && !clsa_parse_is(p, "]") &&
        !clsa_parse_is(p, ","))
        slice->second = clsa_parse_expression(p);
    if (clsa_parse_skip(p, ":") && !clsa_parse_is(p, "]") &&
        !clsa_parse_is(p, ","))
        slice->third = clsa_parse_expression(p);
    return slice;
}

static struct clsa_node *subscript(struct clsa_parser *p,
                                   struct clsa_node *value)
{
    clsa_parse_expect(p, "[");
    struct clsa_node *key = subscript_part(p);
    if (clsa_parse_is(p, ",")) {
        struct clsa_node *tuple =
            clsa_parse_make(p, CLSA_NODE_TUPLE, key, NULL);
        tuple->first = clsa_parse_make(p, CLSA_NODE_ARGUMENT, key, NULL);
        struct clsa_node **last = &tuple->first->next;
        while (clsa_parse_skip(p, ",")) {
            *last =
                clsa_parse_make(p, CLSA_NODE_ARGUMENT, subscript_part(p), NULL);
            last = &(*last)->next;
        }
        key = tuple;
    }
    clsa_parse_expect(p, "]");
    return clsa_parse_make(p, CLSA_NODE_ITEM, value, key);
}

/* value.name, value.0 */
static struct clsa_node *attribute(struct clsa_parser *p,
                                   struct clsa_node *value)
{
    clsa_parse_expect(p, ".");
    if (p->token->type == CLSA_TOK_NUMBER && p->token->value.kind == CLSA_INT) {
        struct clsa_node *key = constant(p, p->token->value);
        clsa_parse_advance(p);
        return clsa_parse_make(p, CLSA_NODE_ITEM, value, key);
    }
    struct clsa_node *node =
        clsa_parse_make(p, CLSA_NODE_ATTRIBUTE, value, NULL);
    node->name = clsa_parse_name(p);
    return node;
}

struct clsa_node *clsa_parse_postfix(struct clsa_parser *p,
                                     struct clsa_node *node)
{
    for (;;) {
        if (clsa_parse_is(p, "."))
            node = attribute(p, node);
        else if (clsa_parse_is(p, "["))
            node = subscript(p, node);
        else if (clsa_parse_is(p, "("))
            node = clsa_parse_make(p, CLSA_NODE_CALL, node, arguments(p));
        else
            return node;
    }
}

/* Jinja refuses unknown filters and tests before it runs a template, except
   where a condition may keep them from being reached. */
static void note_unknown(struct clsa_parser *p, const struct clsa_node *node)
{
    if (!node->function && p->conditions == 0 && !p->unknown)
        p->unknown = node;
}

struct clsa_node *clsa_parse_filter(struct clsa_parser *p,
                                    struct clsa_node *node)
{
    struct clsa_node *filter = clsa_parse_make(p, CLSA_NODE_FILTER, node, NULL);
    filter->name = clsa_parse_name(p);
    filter->function = clsa_filter_find(filter->name);
    note_unknown(p, filter);
    if (clsa_parse_is(p, "("))
        filter->second = arguments(p);
    return filter;
}

/* Whether an argument without parentheses follows the name of a test. */
static bool bare_argument(const struct clsa_parser *p)
{
    static const char *const words[] = {"else", "or", "and", "if",
                                        "is",   "in", "not"};
    if (p->token->type == CLSA_TOK_NAME) {
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (clsa_parse_is_name(p, words[i]))
                return false;
        return true;
    }
    return p->token->type == CLSA_TOK_STRING ||
           p->token->type == CLSA_TOK_NUMBER || clsa_parse_is(p, "[") ||
           clsa_parse_is(p, "{");
}

/* After "is". */
static struct clsa_node *test(struct clsa_parser *p, struct clsa_node *node)
{
    const bool negated = clsa_parse_skip_name(p, "not");
    struct clsa_node *result = clsa_parse_make(p, CLSA_NODE_TEST, node, NULL);
    result->name = clsa_parse_name(p);
    result->function = clsa_test_find(result->name);
    note_unknown(p, result);
    if (clsa_parse_is(p, "("))
        result->second = arguments(p);
    else if (bare_argument(p))
        result->second =
            clsa_parse_make(p, CLSA_NODE_ARGUMENT,
                            clsa_parse_postfix(p, clsa_parse_primary(p)), NULL);
    return negated ? clsa_parse_make(p, CLSA_NODE_NOT, result, NULL) : result;
}

struct clsa_node *clsa_parse_filters(struct clsa_parser *p,
                                     struct clsa_node *node)
{
    for (;;) {
        if (clsa_parse_skip(p, "|"))
            node = clsa_parse_filter(p, node);
        else if (clsa_parse_skip_name(p, "is"))
            node = test(p, node);
        else if (clsa_parse_is(p, "("))
            node = clsa_parse_make(p, CLSA_NODE_CALL, node, arguments(p));
        else
            return node;
    }
}
