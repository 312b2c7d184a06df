/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that choose: default, attr, map, and select with its kin, which run
   other filters and tests by name. */
#include "src/jinja/evaluate.h"
#include "src/jinja/sequence.h"

CLSA_BUILTIN(fallback)
{
    const bool falsy = clsa_argument_true(a->values[1], false);
    if (self.kind != CLSA_UNDEFINED && !(falsy && !clsa_value_true(self)))
        return self;
    return a->values[0].kind == CLSA_ABSENT ? clsa_text(j, "") : a->values[0];
}

/* What is false has no items here, as in Jinja. */
static const struct clsa_list *items_of(struct clsa_jinja *j,
                                        struct clsa_value v)
{
    return clsa_value_items(j, clsa_value_true(v) ? v : clsa_undefined());
}

CLSA_BUILTIN(attr)
{
    return clsa_get_attribute(j, self,
                              clsa_argument_text(j, a->values[0], "attr"));
}

/* The arguments after the first `skip` of them. */
static struct clsa_arguments rest_of(const struct clsa_arguments *a,
                                     size_t skip)
{
    struct clsa_arguments rest = *a;
    rest.values += skip;
    rest.count -= skip;
    return rest;
}

/* map(attribute="name", default=value) */
static struct clsa_value map_attribute(struct clsa_jinja *j,
                                       const struct clsa_list *items,
                                       const struct clsa_arguments *a)
{
    struct clsa_value path = clsa_none(), absent = clsa_undefined();
    const struct clsa_value list = clsa_list_new(j, CLSA_GENERATOR, 0);
    for (size_t i = 0; i < a->named_count; i++) {
        if (clsa_string_is(a->names[i], "attribute"))
            path = a->named[i];
        else if (clsa_string_is(a->names[i], "default"))
            absent = a->named[i];
        else
            clsa_jinja_fail(j, "map has no such argument");
    }
    for (size_t i = 0; i < items->count; i++) {
        const struct clsa_value value = clsa_get_path(j, items->items[i], path);
        clsa_list_add(j, list.list,
                      value.kind == CLSA_UNDEFINED ? absent : value);
    }
    return list;
}

CLSA_BUILTIN(map)
{
    const struct clsa_list *items = items_of(j, self);
    if (a->count == 0 && a->named_count > 0)
        return map_attribute(j, items, a);
    if (a->count == 0)
        clsa_jinja_fail(j, "map needs a filter or an attribute");
    const struct clsa_string *name = clsa_argument_text(j, a->values[0], "map");
    const struct clsa_builtin *filter = clsa_filter_find(name);
    const struct clsa_arguments rest = rest_of(a, 1);
    const struct clsa_value list = clsa_list_new(j, CLSA_GENERATOR, 0);
    if (!filter)
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                               "map: there is no filter '%.*s'",
                               (int)(name->size % 100), name->data);
    clsa_jinja_enter(j);
    for (size_t i = 0; i < items->count; i++)
        clsa_list_add(j, list.list,
                      clsa_builtin_run(j, filter, items->items[i], &rest));
    clsa_jinja_leave(j);
    return list;
}

/* Whether an item passes the test with its arguments; truth without a test. */
static bool passes(struct clsa_jinja *j, struct clsa_value item,
                   const struct clsa_arguments *a)
{
    if (a->count == 0)
        return clsa_value_true(item);
    const struct clsa_string *name =
        clsa_argument_text(j, a->values[0], "select");
    const struct clsa_builtin *test = clsa_test_find(name);
    const struct clsa_arguments rest = rest_of(a, 1);
    if (!test)
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                               "select: there is no test '%.*s'",
                               (int)(name->size % 100), name->data);
    return clsa_value_true(clsa_builtin_run(j, test, item, &rest));
}

static struct clsa_value choose(struct clsa_jinja *j, struct clsa_value self,
                                const struct clsa_arguments *a, bool wanted)
{
    const struct clsa_list *items = items_of(j, self);
    const struct clsa_value list = clsa_list_new(j, CLSA_GENERATOR, 0);
    for (size_t i = 0; i < items->count; i++) {
        clsa_jinja_charge(j, 0);
        if (passes(j, items->items[i], a) == wanted)
            clsa_list_add(j, list.list, items->items[i]);
    }
    return list;
}

static struct clsa_value choose_by(struct clsa_jinja *j, struct clsa_value self,
                                   const struct clsa_arguments *a, bool wanted)
{
    const struct clsa_list *items = items_of(j, self);
    const struct clsa_value list = clsa_list_new(j, CLSA_GENERATOR, 0);
    if (a->count == 0)
        clsa_jinja_fail(j, "selectattr and rejectattr need an attribute");
    const struct clsa_arguments rest = rest_of(a, 1);
    for (size_t i = 0; i < items->count; i++) {
        clsa_jinja_charge(j, 0);
        const struct clsa_value value =
            clsa_get_path(j, items->items[i], a->values[0]);
        if (passes(j, value, &rest) == wanted)
            clsa_list_add(j, list.list, items->items[i]);
    }
    return list;
}

CLSA_BUILTIN(select_)
{
    return choose(j, self, a, true);
}

CLSA_BUILTIN(reject)
{
    return choose(j, self, a, false);
}

CLSA_BUILTIN(selectattr)
{
    return choose_by(j, self, a, true);
}

CLSA_BUILTIN(rejectattr)
{
    return choose_by(j, self, a, false);
}

const struct clsa_builtin clsa_choice_filters[] = {
    {"attr", attr, "name", 1},
    {"d", fallback, "default_value boolean", 0},
    {"default", fallback, "default_value boolean", 0},
    {"map", map, "*", 0},
    {"reject", reject, "*", 0},
    {"rejectattr", rejectattr, "*", 0},
    {"select", select_, "*", 0},
    {"selectattr", selectattr, "*", 0},
    {0}};
