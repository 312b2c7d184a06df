/* SPDX-License-Identifier: Apache-2.0 */
/* Operators, from the strongest to the weakest, conditions, tuples and
   targets. */
#include "src/jinja/parse.h"

static struct clsa_node *unary(struct clsa_parser *p, bool filters)
{
    struct clsa_node *node;
    clsa_parse_enter(p);
    if (clsa_parse_skip(p, "-")) {
        node = unary(p, false);
        node = clsa_parse_make(p, CLSA_NODE_NEGATE, node, NULL);
    } else if (clsa_parse_skip(p, "+")) {
        node = unary(p, false);
        node = clsa_parse_make(p, CLSA_NODE_PLUS, node, NULL);
    } else {
        node = clsa_parse_primary(p);
    }
    node = clsa_parse_postfix(p, node);
    if (filters)
        node = clsa_parse_filters(p, node);
    clsa_jinja_leave(p->j);
    return node;
}

static struct clsa_node *binary(struct clsa_parser *p, enum clsa_operator op,
                                struct clsa_node *left, struct clsa_node *right)
{
    struct clsa_node *node =
        clsa_parse_make(p, CLSA_NODE_ARITHMETIC, left, right);
    node->op = op;
    return node;
}

static struct clsa_node *power(struct clsa_parser *p)
{
    struct clsa_node *left = unary(p, true);
    while (clsa_parse_skip(p, "**"))
        left = binary(p, CLSA_OP_POW, left, unary(p, true));
    return left;
}

static struct clsa_node *product(struct clsa_parser *p)
{
    struct clsa_node *left = power(p);
    for (;;) {
        if (clsa_parse_skip(p, "*"))
            left = binary(p, CLSA_OP_MUL, left, power(p));
        else if (clsa_parse_skip(p, "/"))
            left = binary(p, CLSA_OP_DIV, left, power(p));
        else if (clsa_parse_skip(p, "//"))
            left = binary(p, CLSA_OP_FLOOR_DIV, left, power(p));
        else if (clsa_parse_skip(p, "%"))
            left = binary(p, CLSA_OP_MOD, left, power(p));
        else
            return left;
    }
}

static struct clsa_node *concatenation(struct clsa_parser *p)
{
    struct clsa_node *left = product(p);
    if (!clsa_parse_is(p, "~"))
        return left;
    struct clsa_node *node = clsa_parse_make(p, CLSA_NODE_CONCAT, left, NULL);
    node->first = clsa_parse_make(p, CLSA_NODE_ARGUMENT, left, NULL);
    struct clsa_node **last = &node->first->next;
    while (clsa_parse_skip(p, "~")) {
        *last = clsa_parse_make(p, CLSA_NODE_ARGUMENT, product(p), NULL);
        last = &(*last)->next;
    }
    return node;
}

static struct clsa_node *sum(struct clsa_parser *p)
{
    struct clsa_node *left = concatenation(p);
    for (;;) {
        if (clsa_parse_skip(p, "+"))
            left = binary(p, CLSA_OP_ADD, left, concatenation(p));
        else if (clsa_parse_skip(p, "-"))
            left = binary(p, CLSA_OP_SUB, left, concatenation(p));
        else
            return left;
    }
}

static bool comparison_operator(struct clsa_parser *p, enum clsa_operator *op)
{
    static const struct {
        const char *text;
        enum clsa_operator op;
    } all[] = {{"==", CLSA_OP_EQ}, {"!=", CLSA_OP_NE}, {"<", CLSA_OP_LT},
               {"<=", CLSA_OP_LE}, {">", CLSA_OP_GT},  {">=", CLSA_OP_GE}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *op = all[i].op;
        if (clsa_parse_skip(p, all[i].text))
            return true;
    }
    *op = CLSA_OP_IN;
    if (clsa_parse_skip_name(p, "in"))
        return true;
    *op = CLSA_OP_NOT_IN;
    if (!clsa_parse_is_name(p, "not") || p->token[1].type != CLSA_TOK_NAME ||
        !clsa_string_is(p->token[1].value.string, "in"))
        return false;
    clsa_parse_advance(p);
    clsa_parse_advance(p);
    return true;
}

static struct clsa_node *comparison(struct clsa_parser *p)
{
    enum clsa_operator op;
    struct clsa_node *node = sum(p);
    if (!comparison_operator(p, &op))
        return node;
    node = clsa_parse_make(p, CLSA_NODE_COMPARE, node, NULL);
    struct clsa_node **last = &node->second;
    do {
        *last = clsa_parse_make(p, CLSA_NODE_OPERAND, sum(p), NULL);
        (*last)->op = op;
        last = &(*last)->next;
    } while (comparison_operator(p, &op));
    return node;
}

static struct clsa_node *negation(struct clsa_parser *p)
{
    struct clsa_node *node;
    clsa_parse_enter(p);
    if (clsa_parse_skip_name(p, "not"))
        node = clsa_parse_make(p, CLSA_NODE_NOT, negation(p), NULL);
    else
        node = comparison(p);
    clsa_jinja_leave(p->j);
    return node;
}

static struct clsa_node *conjunction(struct clsa_parser *p)
{
    struct clsa_node *left = negation(p);
    while (clsa_parse_skip_name(p, "and"))
        left = clsa_parse_make(p, CLSA_NODE_AND, left, negation(p));
    return left;
}

static struct clsa_node *disjunction(struct clsa_parser *p)
{
    struct clsa_node *left = conjunction(p);
    while (clsa_parse_skip_name(p, "or"))
        left = clsa_parse_make(p, CLSA_NODE_OR, left, conjunction(p));
    return left;
}

/* A if B else C: an unknown filter in A may not be reached. */
struct clsa_node *clsa_parse_expression(struct clsa_parser *p)
{
    clsa_parse_enter(p);
    const struct clsa_node *unknown = p->unknown;
    struct clsa_node *value = disjunction(p);
    if (clsa_parse_is_name(p, "if"))
        p->unknown = unknown;
    p->conditions++;
    while (clsa_parse_skip_name(p, "if")) {
        struct clsa_node *node =
            clsa_parse_make(p, CLSA_NODE_IF, disjunction(p), value);
        if (clsa_parse_skip_name(p, "else"))
            node->third = clsa_parse_expression(p);
        value = node;
    }
    p->conditions--;
    clsa_jinja_leave(p->j);
    return value;
}

struct clsa_node *clsa_parse_tuple(struct clsa_parser *p, bool simple)
{
    struct clsa_node *first =
        simple ? disjunction(p) : clsa_parse_expression(p);
    if (!clsa_parse_is(p, ","))
        return first;
    struct clsa_node *node = clsa_parse_make(p, CLSA_NODE_TUPLE, first, NULL);
    node->first = clsa_parse_make(p, CLSA_NODE_ARGUMENT, first, NULL);
    struct clsa_node **last = &node->first->next;
    while (clsa_parse_skip(p, ",")) {
        if (p->token->type == CLSA_TOK_BLOCK_END ||
            p->token->type == CLSA_TOK_PRINT_END || clsa_parse_is(p, ")"))
            break;
        *last = clsa_parse_make(
            p, CLSA_NODE_ARGUMENT,
            simple ? disjunction(p) : clsa_parse_expression(p), NULL);
        last = &(*last)->next;
    }
    return node;
}

struct clsa_node *clsa_parse_target(struct clsa_parser *p, bool attribute)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_NAME);
    if (clsa_parse_skip(p, "(")) { /* (a, b) */
        node = clsa_parse_target(p, false);
        clsa_parse_expect(p, ")");
    } else {
        node->name = clsa_parse_name(p);
    }
    if (attribute && clsa_parse_skip(p, ".")) {
        node = clsa_parse_make(p, CLSA_NODE_NS_TARGET, node, NULL);
        node->name = clsa_parse_name(p);
    }
    if (!clsa_parse_is(p, ","))
        return node;
    struct clsa_node *tuple = clsa_parse_make(p, CLSA_NODE_TUPLE, node, NULL);
    tuple->first = clsa_parse_make(p, CLSA_NODE_ARGUMENT, node, NULL);
    struct clsa_node **last = &tuple->first->next;
    while (clsa_parse_skip(p, ",")) {
        if (p->token->type != CLSA_TOK_NAME && !clsa_parse_is(p, "("))
            break;
        node = clsa_parse_node(p, CLSA_NODE_NAME);
        if (clsa_parse_skip(p, "(")) {
            node = clsa_parse_target(p, false);
            clsa_parse_expect(p, ")");
        } else {
            node->name = clsa_parse_name(p);
        }
        *last = clsa_parse_make(p, CLSA_NODE_ARGUMENT, node, NULL);
        last = &(*last)->next;
    }
    return tuple;
}
