/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: their arguments, macros, and whatever else can be called. */
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"

/* --------------------------------------------------------------- arguments */

struct builder {
    struct clsa_jinja *j;
    struct clsa_list *values, *names, *named;
};

static void add_named(struct builder *b, const struct clsa_string *name,
                      struct clsa_value value)
{
    for (size_t i = 0; i < b->names->count; i++)
        if (clsa_value_same(
                b->names->items[i],
                (struct clsa_value){.kind = CLSA_STRING, .string = name}))
            clsa_jinja_fail(b->j, "the argument '%.*s' is there twice",
                            (int)(name->size % 100), name->data);
    clsa_list_add(b->j, b->names,
                  (struct clsa_value){.kind = CLSA_STRING, .string = name});
    clsa_list_add(b->j, b->named, value);
}

/* *value or **value */
static void add_all(struct builder *b, unsigned stars, struct clsa_value value)
{
    if (stars == 1) {
        const struct clsa_list *items = clsa_value_items(b->j, value);
        for (size_t i = 0; i < items->count; i++)
            clsa_list_add(b->j, b->values, items->items[i]);
        return;
    }
    if (value.kind != CLSA_DICT)
        clsa_jinja_fail(b->j, "** needs a dict, not %s",
                        clsa_value_type(value));
    for (size_t i = 0; i < value.dict->count; i++)
        add_named(b, clsa_argument_text(b->j, value.dict->entries[i].key, "**"),
                  value.dict->entries[i].value);
}

struct clsa_arguments clsa_call_arguments(struct clsa_jinja *j,
                                          const struct clsa_node *first)
{
    struct clsa_arguments a = {0};
    bool plain = true; /* in order alone: the usual case */
    for (const struct clsa_node *n = first; n; n = n->next) {
        plain &= !n->name && n->stars == 0;
        a.count++;
    }
    if (plain) {
        a.values = clsa_jinja_take(j, a.count, sizeof *a.values);
        for (size_t i = 0; first; first = first->next)
            a.values[i++] = clsa_evaluate(j, first->first);
        return a;
    }
    struct builder b = {.j = j,
                        .values = clsa_list_new(j, CLSA_LIST, 0).list,
                        .names = clsa_list_new(j, CLSA_LIST, 0).list,
                        .named = clsa_list_new(j, CLSA_LIST, 0).list};
    for (const struct clsa_node *n = first; n; n = n->next) {
        const struct clsa_value value = clsa_evaluate(j, n->first);
        if (n->stars > 0)
            add_all(&b, n->stars, value);
        else if (n->name)
            add_named(&b, n->name, value);
        else
            clsa_list_add(j, b.values, value);
    }
    a.values = b.values->items;
    a.count = b.values->count;
    a.named = b.named->items;
    a.named_count = b.named->count;
    a.names = clsa_jinja_take(j, a.named_count, sizeof *a.names);
    for (size_t i = 0; i < a.named_count; i++)
        a.names[i] = b.names->items[i].string;
    return a;
}

/* ------------------------------------------------------------------ macros */

/* Index of an argument given by name; the number of them if it is not there. */
static size_t find_named(const struct clsa_arguments *a,
                         const struct clsa_string *name)
{
    size_t i = 0;
    while (i < a->named_count &&
           (a->names[i]->size != name->size ||
            memcmp(a->names[i]->data, name->data, name->size) != 0))
        i++;
    return i;
}

/* A parameter: in order, by name, its default, or undefined. */
static void bind(struct clsa_jinja *j, const struct clsa_node *parameter,
                 size_t number, const struct clsa_arguments *a)
{
    struct clsa_value value = {.kind = CLSA_UNDEFINED,
                               .string = parameter->name};
    const size_t named = find_named(a, parameter->name);
    if (number < a->count && named < a->named_count)
        clsa_jinja_fail(j, "the argument '%.*s' is there twice",
                        (int)(parameter->name->size % 100),
                        parameter->name->data);
    if (number < a->count)
        value = a->values[number];
    else if (named < a->named_count)
        value = a->named[named];
    else if (parameter->first)
        value = clsa_evaluate(j, parameter->first);
    clsa_variable_set(j, parameter->name, value);
}

static bool is_parameter(const struct clsa_node *macro,
                         const struct clsa_string *name)
{
    for (const struct clsa_node *n = macro->first; n; n = n->next)
        if (n->name->size == name->size &&
            memcmp(n->name->data, name->data, name->size) == 0)
            return true;
    return false;
}

/* Arguments that no parameter takes: caller, varargs, kwargs, or refused. */
static void bind_others(struct clsa_jinja *j, const struct clsa_node *macro,
                        size_t parameters, const struct clsa_arguments *a)
{
    const struct clsa_value more = clsa_list_new(j, CLSA_TUPLE, 0);
    const struct clsa_value named = clsa_dict_new(j, CLSA_DICT);
    struct clsa_value caller = clsa_undefined();
    for (size_t i = parameters; i < a->count; i++)
        clsa_list_add(j, more.list, a->values[i]);
    for (size_t i = 0; i < a->named_count; i++) {
        const struct clsa_value key = {.kind = CLSA_STRING,
                                       .string = a->names[i]};
        if (is_parameter(macro, a->names[i]))
            continue;
        if (clsa_string_is(a->names[i], "caller") &&
            (macro->uses & CLSA_USES_CALLER))
            caller = a->named[i];
        else
            clsa_dict_set(j, named.dict, key, a->named[i]);
    }
    if (more.list->count > 0 && !(macro->uses & CLSA_USES_VARARGS))
        clsa_jinja_fail(j, "macro '%.*s' takes %zu arguments at most",
                        (int)(macro->name->size % 100), macro->name->data,
                        parameters);
    if (named.dict->count > 0 && !(macro->uses & CLSA_USES_KWARGS))
        clsa_jinja_fail(j, "macro '%.*s' has no argument '%.*s'",
                        (int)(macro->name->size % 100), macro->name->data,
                        (int)(named.dict->entries[0].key.string->size % 100),
                        named.dict->entries[0].key.string->data);
    if (macro->uses & CLSA_USES_CALLER)
        clsa_dict_set_text(j, j->scope->variables, "caller", caller);
    if (macro->uses & CLSA_USES_VARARGS)
        clsa_dict_set_text(j, j->scope->variables, "varargs", more);
    if (macro->uses & CLSA_USES_KWARGS)
        clsa_dict_set_text(j, j->scope->variables, "kwargs", named);
}

struct clsa_value clsa_macro_call(struct clsa_jinja *j,
                                  const struct clsa_macro *macro,
                                  const struct clsa_arguments *a)
{
    struct clsa_buffer buffer = {0}, *out = j->out;
    struct clsa_scope *scope = j->scope;
    const uint32_t line = j->line;
    size_t count = 0;
    clsa_jinja_enter(j);
    clsa_scope_enter(j, macro->scope);
    for (const struct clsa_node *n = macro->node->first; n; n = n->next)
        bind(j, n, count++, a);
    bind_others(j, macro->node, count, a);
    j->out = &buffer;
    clsa_run(j, macro->node->second);
    j->out = out;
    j->scope = scope;
    j->line = line;
    clsa_jinja_leave(j);
    return clsa_buffer_string(j, &buffer);
}

/* ----------------------------------------------------------------- calling */

struct clsa_value clsa_call(struct clsa_jinja *j, struct clsa_value function,
                            const struct clsa_arguments *a)
{
    switch (function.kind) {
    case CLSA_UNDEFINED:
        clsa_fail_undefined(j, function);
    case CLSA_FUNCTION:
        return clsa_builtin_run(j, function.function->builtin,
                                function.function->self, a);
    case CLSA_MACRO:
        return clsa_macro_call(j, function.macro, a);
    case CLSA_JOINER: /* nothing at its first call */
        if (function.cycler->at++ == 0)
            return clsa_text(j, "");
        return function.cycler->items->items[0];
    default:
        clsa_jinja_fail(j, "%s cannot be called", clsa_value_type(function));
    }
}

/* ------------------------------------------------------------------ markup */

struct clsa_value clsa_escape(struct clsa_jinja *j, struct clsa_value v)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    struct clsa_buffer buffer = {0};
    const struct clsa_string *s = clsa_print_str(j, v).string;
    if (s->markup)
        return v;
    for (size_t at = 0, plain = 0; at <= s->size; at++) {
        const char *special =
            at < s->size && s->data[at] ? strchr(from, s->data[at]) : NULL;
        if (at < s->size && !special)
            continue;
        clsa_buffer_add(j, &buffer, s->data + plain, at - plain);
        if (special)
            clsa_buffer_add_text(j, &buffer, to[special - from]);
        plain = at + 1;
    }
    return clsa_string_markup(j, clsa_buffer_string(j, &buffer).string);
}

struct clsa_value clsa_join_text(struct clsa_jinja *j,
                                 const struct clsa_list *parts)
{
    struct clsa_buffer buffer = {0};
    for (size_t i = 0; i < parts->count; i++)
        clsa_print_add(j, &buffer, parts->items[i]);
    return clsa_buffer_string(j, &buffer);
}
