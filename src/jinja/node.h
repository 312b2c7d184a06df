/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: the tree of a parsed template. Lists of nodes are chained by `next`.
 *
 *   kind          first, second, third         others
 *   TEXT, CONST                                 value
 *   PRINT         expression
 *   IF            condition, body, else         also of an expression
 *   FOR           target, items, body           else_body, filter
 *   SET           target, expression
 *   SET_BLOCK     target, body                  filter: nested FILTERs
 *   MACRO         parameters, body              name, uses
 *   CALL_BLOCK    CALL, MACRO
 *   FILTER_BLOCK  FILTERs around a BODY, body
 *   WITH          targets, values, body
 *   SCOPE         body                          generation
 *   NAME                                        name
 *   PARAMETER     default or NULL               name
 *   NS_TARGET     NAME                          name (the attribute)
 *   TUPLE, LIST   items
 *   DICT          PAIRs
 *   PAIR          key, value
 *   ITEM          value, key
 *   ATTRIBUTE     value                         name
 *   SLICE         start, stop, step
 *   CALL          function, arguments
 *   FILTER, TEST  value, arguments              function; name
 *   ARGUMENT      value                         name or NULL, stars
 *   NOT, NEGATE, PLUS, AND, OR, ARITHMETIC, CONCAT (a list)
 *   COMPARE       value, OPERANDs
 *   OPERAND       value                         op
 */
#ifndef CLSA_JINJA_NODE_H
#define CLSA_JINJA_NODE_H

#include "src/jinja/jinja.h"

enum clsa_node_kind {
    CLSA_NODE_TEXT,
    CLSA_NODE_PRINT,
    CLSA_NODE_IF,
    CLSA_NODE_FOR,
    CLSA_NODE_SET,
    CLSA_NODE_SET_BLOCK,
    CLSA_NODE_MACRO,
    CLSA_NODE_CALL_BLOCK,
    CLSA_NODE_FILTER_BLOCK,
    CLSA_NODE_WITH,
    CLSA_NODE_SCOPE,
    CLSA_NODE_BREAK,
    CLSA_NODE_CONTINUE,
    CLSA_NODE_CONST,
    CLSA_NODE_BODY, /* the text of a filter block */
    CLSA_NODE_NAME,
    CLSA_NODE_PARAMETER,
    CLSA_NODE_NS_TARGET,
    CLSA_NODE_TUPLE,
    CLSA_NODE_LIST,
    CLSA_NODE_DICT,
    CLSA_NODE_PAIR,
    CLSA_NODE_ITEM,
    CLSA_NODE_ATTRIBUTE,
    CLSA_NODE_SLICE,
    CLSA_NODE_CALL,
    CLSA_NODE_FILTER,
    CLSA_NODE_TEST,
    CLSA_NODE_ARGUMENT,
    CLSA_NODE_NOT,
    CLSA_NODE_NEGATE,
    CLSA_NODE_PLUS,
    CLSA_NODE_AND,
    CLSA_NODE_OR,
    CLSA_NODE_ARITHMETIC,
    CLSA_NODE_CONCAT,
    CLSA_NODE_COMPARE,
    CLSA_NODE_OPERAND
};

enum clsa_operator {
    CLSA_OP_ADD,
    CLSA_OP_SUB,
    CLSA_OP_MUL,
    CLSA_OP_DIV,
    CLSA_OP_FLOOR_DIV,
    CLSA_OP_MOD,
    CLSA_OP_POW,
    CLSA_OP_EQ,
    CLSA_OP_NE,
    CLSA_OP_LT,
    CLSA_OP_LE,
    CLSA_OP_GT,
    CLSA_OP_GE,
    CLSA_OP_IN,
    CLSA_OP_NOT_IN
};

/* Names that the body of a macro uses. */
#define CLSA_USES_VARARGS 1u
#define CLSA_USES_KWARGS  2u
#define CLSA_USES_CALLER  4u

struct clsa_node {
    enum clsa_node_kind kind;
    uint32_t line;
    enum clsa_operator op;
    bool closures;  /* of a loop: macros in its body */
    unsigned uses;  /* CLSA_USES_* */
    unsigned stars; /* 1: *value, 2: **value */
    struct clsa_node *first, *second, *third, *else_body, *filter;
    struct clsa_node *next;
    const struct clsa_string *name;
    struct clsa_value value;
    const struct clsa_builtin *function; /* NULL: unknown, but not reached */
};

#endif /* CLSA_JINJA_NODE_H */
