/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: names, constants, access, conditions and comparisons. */
#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"

static struct clsa_value variable(struct clsa_jinja *j,
                                  const struct clsa_string *name)
{
    const struct clsa_value key = {.kind = CLSA_STRING, .string = name};
    for (const struct clsa_scope *s = j->scope; s; s = s->outer) {
        const struct clsa_value *value = clsa_dict_get(j, s->variables, key);
        if (value)
            return *value;
    }
    const struct clsa_builtin *function = clsa_function_find(name);
    if (function)
        return clsa_builtin_value(j, function, clsa_undefined());
    return (struct clsa_value){.kind = CLSA_UNDEFINED, .string = name};
}

static struct clsa_value sequence(struct clsa_jinja *j,
                                  const struct clsa_node *node,
                                  enum clsa_kind kind)
{
    const struct clsa_value list = clsa_list_new(j, kind, 0);
    for (const struct clsa_node *n = node->first; n; n = n->next)
        clsa_list_add(j, list.list, clsa_evaluate(j, n->first));
    return list;
}

static struct clsa_value dict(struct clsa_jinja *j,
                              const struct clsa_node *node)
{
    const struct clsa_value result = clsa_dict_new(j, CLSA_DICT);
    for (const struct clsa_node *n = node->first; n; n = n->next) {
        const struct clsa_value key = clsa_evaluate(j, n->first);
        clsa_dict_set(j, result.dict, key, clsa_evaluate(j, n->second));
    }
    return result;
}

static struct clsa_value optional(struct clsa_jinja *j,
                                  const struct clsa_node *node)
{
    return node ? clsa_evaluate(j, node) : clsa_none();
}

static struct clsa_value item(struct clsa_jinja *j,
                              const struct clsa_node *node)
{
    const struct clsa_value value = clsa_evaluate(j, node->first);
    const struct clsa_node *key = node->second;
    if (key->kind != CLSA_NODE_SLICE)
        return clsa_get_item(j, value, clsa_evaluate(j, key));
    const struct clsa_value parts[] = {optional(j, key->first),
                                       optional(j, key->second),
                                       optional(j, key->third)};
    return clsa_slice(j, value, parts);
}

/* a < b < c: each value once, up to the first that does not hold. */
static struct clsa_value compare(struct clsa_jinja *j,
                                 const struct clsa_node *node)
{
    struct clsa_value left = clsa_evaluate(j, node->first);
    for (const struct clsa_node *n = node->second; n; n = n->next) {
        const struct clsa_value right = clsa_evaluate(j, n->first);
        if (!clsa_operate(j, n->op, left, right).truth)
            return clsa_bool(false);
        left = right;
    }
    return clsa_bool(true);
}

static struct clsa_value condition(struct clsa_jinja *j,
                                   const struct clsa_node *node)
{
    if (clsa_value_true(clsa_evaluate(j, node->first)))
        return clsa_evaluate(j, node->second);
    return node->third ? clsa_evaluate(j, node->third) : clsa_undefined();
}

/* A filter or a test. */
static struct clsa_value filter(struct clsa_jinja *j,
                                const struct clsa_node *node)
{
    const bool test = node->kind == CLSA_NODE_TEST;
    if (!node->function)
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED, "there is no %s '%.*s'",
                               test ? "test" : "filter",
                               (int)(node->name->size % 100), node->name->data);
    const struct clsa_value value = clsa_evaluate(j, node->first);
    const struct clsa_arguments a = clsa_call_arguments(j, node->second);
    return clsa_builtin_run(j, node->function, value, &a);
}

static struct clsa_value call(struct clsa_jinja *j,
                              const struct clsa_node *node)
{
    const struct clsa_value function = clsa_evaluate(j, node->first);
    const struct clsa_arguments a = clsa_call_arguments(j, node->second);
    return clsa_call(j, function, &a);
}

static struct clsa_value concat(struct clsa_jinja *j,
                                const struct clsa_node *node)
{
    return clsa_join_text(j, sequence(j, node, CLSA_LIST).list);
}

static struct clsa_value negate(struct clsa_jinja *j,
                                const struct clsa_node *node)
{
    const struct clsa_value v = clsa_evaluate(j, node->first);
    const bool minus = node->kind == CLSA_NODE_NEGATE;
    int64_t integer;
    if (v.kind == CLSA_FLOAT)
        return clsa_float(minus ? -v.real : v.real);
    if (v.kind == CLSA_UNDEFINED)
        clsa_fail_undefined(j, v);
    if (!clsa_value_int(v, &integer))
        clsa_jinja_fail(j, "%s is not a number", clsa_value_type(v));
    if (!minus)
        return clsa_int(integer);
    return clsa_operate(j, CLSA_OP_SUB, clsa_int(0), clsa_int(integer));
}

static struct clsa_value truth(struct clsa_jinja *j,
                               const struct clsa_node *node)
{
    const struct clsa_value v = clsa_evaluate(j, node->first);
    if (node->kind == CLSA_NODE_NOT)
        return clsa_bool(!clsa_value_true(v));
    if (clsa_value_true(v) == (node->kind == CLSA_NODE_AND))
        return clsa_evaluate(j, node->second);
    return v;
}

static struct clsa_value evaluate(struct clsa_jinja *j,
                                  const struct clsa_node *node)
{
    struct clsa_value a;
    switch (node->kind) {
    case CLSA_NODE_CONST:
        return node->value;
    case CLSA_NODE_NAME:
        return variable(j, node->name);
    case CLSA_NODE_BODY:
        return *clsa_dict_text(j, j->scope->variables, "");
    case CLSA_NODE_LIST:
        return sequence(j, node, CLSA_LIST);
    case CLSA_NODE_TUPLE:
        return sequence(j, node, CLSA_TUPLE);
    case CLSA_NODE_DICT:
        return dict(j, node);
    case CLSA_NODE_ITEM:
        return item(j, node);
    case CLSA_NODE_ATTRIBUTE:
        return clsa_get_attribute(j, clsa_evaluate(j, node->first), node->name);
    case CLSA_NODE_CALL:
        return call(j, node);
    case CLSA_NODE_FILTER:
    case CLSA_NODE_TEST:
        return filter(j, node);
    case CLSA_NODE_NOT:
    case CLSA_NODE_AND:
    case CLSA_NODE_OR:
        return truth(j, node);
    case CLSA_NODE_NEGATE:
    case CLSA_NODE_PLUS:
        return negate(j, node);
    case CLSA_NODE_CONCAT:
        return concat(j, node);
    case CLSA_NODE_COMPARE:
        return compare(j, node);
    case CLSA_NODE_IF:
        return condition(j, node);
    case CLSA_NODE_ARITHMETIC:
        a = clsa_evaluate(j, node->first);
        return clsa_operate(j, node->op, a, clsa_evaluate(j, node->second));
    default:
        clsa_jinja_fail(j, "a slice stands outside of [ ]");
    }
}

struct clsa_value clsa_evaluate(struct clsa_jinja *j,
                                const struct clsa_node *node)
{
    clsa_jinja_enter(j);
    const struct clsa_value value = evaluate(j, node);
    clsa_jinja_leave(j);
    return value;
}
