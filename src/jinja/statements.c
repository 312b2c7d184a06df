/* SPDX-License-Identifier: Apache-2.0 */
/* Statements, and the scopes of variables. */
#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"

/* ------------------------------------------------------------------ scopes */

struct clsa_scope *clsa_scope_enter(struct clsa_jinja *j,
                                    struct clsa_scope *outer)
{
    struct clsa_scope *scope = clsa_jinja_take(j, 1, sizeof *scope);
    scope->outer = outer;
    scope->variables = clsa_dict_new(j, CLSA_DICT).dict;
    j->scope = scope;
    return scope;
}

void clsa_variable_set(struct clsa_jinja *j, const struct clsa_string *name,
                       struct clsa_value value)
{
    clsa_dict_set(j, j->scope->variables,
                  (struct clsa_value){.kind = CLSA_STRING, .string = name},
                  value);
}

/* a, b = value */
static void assign_parts(struct clsa_jinja *j, const struct clsa_node *first,
                         struct clsa_value value)
{
    const struct clsa_list *items = clsa_value_items(j, value);
    size_t count = 0;
    for (const struct clsa_node *n = first; n; n = n->next)
        count++;
    if (count != items->count)
        clsa_jinja_fail(j, "%zu values cannot be assigned to %zu names",
                        items->count, count);
    for (size_t i = 0; first; first = first->next)
        clsa_assign(j, first->first, items->items[i++]);
}

void clsa_assign(struct clsa_jinja *j, const struct clsa_node *target,
                 struct clsa_value value)
{
    if (target->kind == CLSA_NODE_TUPLE) {
        assign_parts(j, target->first, value);
        return;
    }
    if (target->kind == CLSA_NODE_NAME) {
        clsa_variable_set(j, target->name, value);
        return;
    }
    const struct clsa_value space = clsa_evaluate(j, target->first);
    if (space.kind != CLSA_NAMESPACE)
        clsa_jinja_fail(j, "attributes of a %s cannot be set, use namespace()",
                        clsa_value_type(space));
    clsa_dict_set(
        j, space.dict,
        (struct clsa_value){.kind = CLSA_STRING, .string = target->name},
        value);
}

/* ------------------------------------------------------------------- loops */

/* The items that the condition of the loop lets through. */
static const struct clsa_list *filtered(struct clsa_jinja *j,
                                        const struct clsa_node *node,
                                        const struct clsa_list *items)
{
    struct clsa_scope *outer = j->scope;
    struct clsa_list *kept = clsa_list_new(j, CLSA_LIST, 0).list;
    for (size_t i = 0; i < items->count; i++) {
        const struct clsa_value item = items->items[i];
        clsa_scope_enter(j, outer);
        clsa_assign(j, node->first, item);
        if (clsa_value_true(clsa_evaluate(j, node->filter)))
            clsa_list_add(j, kept, item);
    }
    j->scope = outer;
    return kept;
}

/* The items of a loop; a range makes them when they come. */
static struct clsa_for_loop *loop_over(struct clsa_jinja *j,
                                       const struct clsa_node *node)
{
    struct clsa_for_loop *loop = clsa_jinja_take(j, 1, sizeof *loop);
    const struct clsa_value value = clsa_evaluate(j, node->second);
    if (value.kind == CLSA_RANGE && !node->filter) {
        loop->range = value.range;
        loop->count = value.range->count;
        return loop;
    }
    loop->items = clsa_value_items(j, value);
    if (node->filter)
        loop->items = filtered(j, node, loop->items);
    loop->count = loop->items->count;
    return loop;
}

static void run_for(struct clsa_jinja *j, const struct clsa_node *node)
{
    static const struct clsa_string name = {"loop", 4, true, false};
    struct clsa_scope *outer = j->scope, *scope = NULL;
    struct clsa_for_loop *loop = loop_over(j, node);
    const struct clsa_value variable = {.kind = CLSA_LOOP, .loop = loop};
    for (loop->at = 0; loop->at < loop->count; loop->at++) {
        clsa_jinja_charge(j, 0);
        if (!scope || node->closures) /* a macro of the body keeps its own */
            scope = clsa_scope_enter(j, outer);
        clsa_dict_clear(scope->variables);
        j->scope = scope;
        clsa_variable_set(j, &name, variable);
        clsa_assign(j, node->first, clsa_for_loop_item(loop, loop->at));
        clsa_run(j, node->third);
        const enum clsa_flow flow = j->flow;
        j->flow = CLSA_FLOW_ON;
        if (flow == CLSA_FLOW_BREAK)
            break;
    }
    if (loop->count == 0 && node->else_body) {
        clsa_scope_enter(j, outer);
        clsa_run(j, node->else_body);
    }
    j->scope = outer;
}

/* ------------------------------------------------------------ other blocks */

/* What statements write, as a string; their variables are their own. */
static struct clsa_value capture(struct clsa_jinja *j,
                                 const struct clsa_node *first)
{
    struct clsa_buffer buffer = {0}, *out = j->out;
    struct clsa_scope *outer = j->scope;
    clsa_scope_enter(j, outer);
    j->out = &buffer;
    clsa_run(j, first);
    j->out = out;
    j->scope = outer;
    return clsa_buffer_string(j, &buffer);
}

/* The filters around the text of a block. */
static struct clsa_value filter_text(struct clsa_jinja *j,
                                     const struct clsa_node *filters,
                                     struct clsa_value text)
{
    struct clsa_scope *outer = j->scope;
    clsa_scope_enter(j, outer);
    clsa_dict_set_text(j, j->scope->variables, "", text); /* CLSA_NODE_BODY */
    const struct clsa_value result = clsa_evaluate(j, filters);
    j->scope = outer;
    return result;
}

static void run_call(struct clsa_jinja *j, const struct clsa_node *node)
{
    struct clsa_macro *macro = clsa_jinja_take(j, 1, sizeof *macro);
    *macro = (struct clsa_macro){node->second, j->scope};
    const struct clsa_value function = clsa_evaluate(j, node->first->first);
    struct clsa_arguments a = clsa_call_arguments(j, node->first->second);
    const struct clsa_string **names =
        clsa_jinja_take(j, a.named_count + 1, sizeof *names);
    struct clsa_value *named =
        clsa_jinja_take(j, a.named_count + 1, sizeof *named);
    for (size_t i = 0; i < a.named_count; i++) {
        names[i] = a.names[i];
        named[i] = a.named[i];
    }
    names[a.named_count] = node->second->name;
    named[a.named_count++] =
        (struct clsa_value){.kind = CLSA_MACRO, .macro = macro};
    a.names = names;
    a.named = named;
    clsa_print_add(j, j->out, clsa_call(j, function, &a));
}

static void run_with(struct clsa_jinja *j, const struct clsa_node *node)
{
    struct clsa_scope *outer = j->scope;
    struct clsa_scope *inner = clsa_scope_enter(j, outer);
    for (const struct clsa_node *set = node->first; set; set = set->next) {
        j->scope = outer;
        const struct clsa_value value = clsa_evaluate(j, set->second);
        j->scope = inner;
        clsa_assign(j, set->first, value);
    }
    clsa_run(j, node->second);
    j->scope = outer;
}

static void run_macro(struct clsa_jinja *j, const struct clsa_node *node)
{
    struct clsa_macro *macro = clsa_jinja_take(j, 1, sizeof *macro);
    *macro = (struct clsa_macro){node, j->scope};
    clsa_variable_set(j, node->name,
                      (struct clsa_value){.kind = CLSA_MACRO, .macro = macro});
}

static void run_if(struct clsa_jinja *j, const struct clsa_node *node)
{
    while (!clsa_value_true(clsa_evaluate(j, node->first))) {
        const struct clsa_node *other = node->third;
        if (!other || other->kind != CLSA_NODE_IF || other->next) {
            clsa_run(j, other);
            return;
        }
        node = other;
    }
    clsa_run(j, node->second);
}

static void run_block(struct clsa_jinja *j, const struct clsa_node *node)
{
    struct clsa_value text;
    switch (node->kind) {
    case CLSA_NODE_SET_BLOCK:
        text = capture(j, node->second);
        if (j->flow == CLSA_FLOW_ON)
            clsa_assign(j, node->first, filter_text(j, node->filter, text));
        break;
    case CLSA_NODE_FILTER_BLOCK:
        text = capture(j, node->second);
        if (j->flow == CLSA_FLOW_ON)
            clsa_print_add(j, j->out, filter_text(j, node->first, text));
        break;
    case CLSA_NODE_SCOPE:
        clsa_print_add(j, j->out, capture(j, node->first));
        break;
    default:
        clsa_jinja_fail(j, "the tag is not supported");
    }
}

static void run_statement(struct clsa_jinja *j, const struct clsa_node *node)
{
    switch (node->kind) {
    case CLSA_NODE_TEXT:
        clsa_print_add(j, j->out, node->value);
        break;
    case CLSA_NODE_PRINT:
        clsa_print_add(j, j->out, clsa_evaluate(j, node->first));
        break;
    case CLSA_NODE_IF:
        run_if(j, node);
        break;
    case CLSA_NODE_FOR:
        run_for(j, node);
        break;
    case CLSA_NODE_SET:
        clsa_assign(j, node->first, clsa_evaluate(j, node->second));
        break;
    case CLSA_NODE_MACRO:
        run_macro(j, node);
        break;
    case CLSA_NODE_CALL_BLOCK:
        run_call(j, node);
        break;
    case CLSA_NODE_WITH:
        run_with(j, node);
        break;
    case CLSA_NODE_BREAK:
        j->flow = CLSA_FLOW_BREAK;
        break;
    case CLSA_NODE_CONTINUE:
        j->flow = CLSA_FLOW_CONTINUE;
        break;
    default:
        run_block(j, node);
    }
}

void clsa_run(struct clsa_jinja *j, const struct clsa_node *first)
{
    clsa_jinja_enter(j);
    for (; first && j->flow == CLSA_FLOW_ON; first = first->next) {
        j->line = first->line;
        run_statement(j, first);
    }
    clsa_jinja_leave(j);
}
