/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of lists and dictionaries. Those that Jinja makes generators of give
   a generator here too. */
#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"
#include "src/jinja/text.h"

static bool is_given(struct clsa_value v)
{
    return v.kind != CLSA_ABSENT && v.kind != CLSA_NONE;
}

/* What an item is compared by: an attribute, strings in lower case. */
static struct clsa_value key_of(struct clsa_jinja *j, struct clsa_value item,
                                struct clsa_value attribute, bool exact)
{
    if (is_given(attribute))
        item = clsa_get_path(j, item, attribute);
    if (item.kind == CLSA_STRING && !exact)
        return clsa_text_case(j, item.string, CLSA_CASE_LOWER);
    return item;
}

static struct clsa_value pair(struct clsa_jinja *j, struct clsa_value first,
                              struct clsa_value second)
{
    const struct clsa_value tuple = clsa_list_new(j, CLSA_TUPLE, 2);
    clsa_list_add(j, tuple.list, first);
    clsa_list_add(j, tuple.list, second);
    return tuple;
}

static struct clsa_value copy_items(struct clsa_jinja *j, struct clsa_value v)
{
    return (struct clsa_value){.kind = CLSA_LIST, .list = clsa_list_copy(j, v)};
}

CLSA_BUILTIN(batch)
{
    const int64_t size = clsa_argument_int(j, a->values[0], "batch", 1);
    const struct clsa_list *items = clsa_value_items(j, self);
    const struct clsa_value all = clsa_list_new(j, CLSA_GENERATOR, 0);
    if (size < 1)
        clsa_jinja_fail(j, "batch needs a size of 1 at least");
    for (size_t i = 0; i < items->count;) {
        const struct clsa_value part = clsa_list_new(j, CLSA_LIST, 0);
        for (int64_t k = 0; k < size; k++, i++) {
            if (i < items->count)
                clsa_list_add(j, part.list, items->items[i]);
            else if (is_given(a->values[1]))
                clsa_list_add(j, part.list, a->values[1]);
            else
                break;
        }
        clsa_list_add(j, all.list, part);
    }
    return all;
}

CLSA_BUILTIN(slice)
{
    const int64_t count = clsa_argument_int(j, a->values[0], "slice", 1);
    const struct clsa_list *items = clsa_value_items(j, self);
    const struct clsa_value all = clsa_list_new(j, CLSA_GENERATOR, 0);
    if (count < 1 || count > CLSA_JINJA_RANGE)
        clsa_jinja_fail(j, "slice needs 1 to %d parts", CLSA_JINJA_RANGE);
    const size_t parts = (size_t)count, each = items->count / parts,
                 longer = items->count % parts;
    for (size_t i = 0, at = 0; i < parts; i++) {
        const struct clsa_value part = clsa_list_new(j, CLSA_LIST, 0);
        const size_t end = at + each + (i < longer);
        while (at < end)
            clsa_list_add(j, part.list, items->items[at++]);
        if (is_given(a->values[1]) && i >= longer)
            clsa_list_add(j, part.list, a->values[1]);
        clsa_list_add(j, all.list, part);
    }
    return all;
}

CLSA_BUILTIN(length)
{
    (void)a;
    size_t count;
    if (!clsa_value_length(self, &count))
        clsa_jinja_fail(j, "%s has no length", clsa_value_type(self));
    return clsa_int((int64_t)count);
}

CLSA_BUILTIN(dictsort)
{
    const bool exact = clsa_argument_true(a->values[0], false);
    size_t by = 0;
    if (self.kind == CLSA_UNDEFINED)
        clsa_fail_undefined(j, self);
    if (self.kind != CLSA_DICT)
        clsa_jinja_fail(j, "dictsort needs a dict, not %s",
                        clsa_value_type(self));
    if (a->values[1].kind != CLSA_ABSENT) {
        const struct clsa_string *name =
            clsa_argument_text(j, a->values[1], "dictsort");
        by = clsa_string_is(name, "value");
        if (by == 0 && !clsa_string_is(name, "key"))
            clsa_jinja_fail(j, "dictsort sorts by 'key' or by 'value'");
    }
    const struct clsa_value list = clsa_list_new(j, CLSA_LIST, 0);
    struct clsa_value *keys =
        clsa_jinja_take(j, self.dict->count, sizeof *keys);
    for (size_t i = 0; i < self.dict->count; i++) {
        const struct clsa_entry *e = &self.dict->entries[i];
        clsa_list_add(j, list.list, pair(j, e->key, e->value));
        keys[i] =
            key_of(j, list.list->items[i].list->items[by], clsa_none(), exact);
    }
    clsa_sort(j, list.list->items, keys, list.list->count,
              clsa_argument_true(a->values[2], false));
    return list;
}

CLSA_BUILTIN(first)
{
    (void)a;
    if (self.kind == CLSA_GENERATOR) {
        if (self.list->count == 0)
            return clsa_undefined();
        self.list->count--;
        return *self.list->items++;
    }
    const struct clsa_list *items = clsa_value_items(j, self);
    return items->count > 0 ? items->items[0] : clsa_undefined();
}

CLSA_BUILTIN(last)
{
    (void)a;
    if (self.kind == CLSA_GENERATOR)
        clsa_jinja_fail(j, "a generator has no last item: use list before");
    const struct clsa_list *items = clsa_value_items(j, self);
    return items->count > 0 ? items->items[items->count - 1] : clsa_undefined();
}

/* What items are sorted by: lists of one key for each attribute, which may be
   equal where the keys themselves have no order. */
static struct clsa_value *sort_keys(struct clsa_jinja *j,
                                    const struct clsa_list *items,
                                    struct clsa_value attribute, bool exact)
{
    struct clsa_value *keys = clsa_jinja_take(j, items->count, sizeof *keys);
    const struct clsa_string comma = {.data = ",", .size = 1};
    struct clsa_list *parts = clsa_list_new(j, CLSA_LIST, 1).list;
    if (attribute.kind == CLSA_STRING)
        parts = clsa_split(j, attribute.string, &comma, -1);
    else
        clsa_list_add(j, parts, attribute);
    for (size_t i = 0; i < items->count; i++) {
        keys[i] = clsa_list_new(j, CLSA_LIST, parts->count);
        for (size_t k = 0; k < parts->count; k++)
            clsa_list_add(j, keys[i].list,
                          key_of(j, items->items[i], parts->items[k], exact));
    }
    return keys;
}

CLSA_BUILTIN(sort)
{
    const bool exact = clsa_argument_true(a->values[1], false);
    const struct clsa_value list = copy_items(j, self);
    clsa_sort(j, list.list->items, sort_keys(j, list.list, a->values[2], exact),
              list.list->count, clsa_argument_true(a->values[0], false));
    return list;
}

CLSA_BUILTIN(groupby)
{
    const struct clsa_value by = a->values[0], absent = a->values[1];
    const bool exact = clsa_argument_true(a->values[2], false);
    const struct clsa_value list = copy_items(j, self);
    const struct clsa_value groups = clsa_list_new(j, CLSA_LIST, 0);
    const size_t n = list.list->count;
    struct clsa_value *keys = clsa_jinja_take(j, n, sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        keys[i] = key_of(j, list.list->items[i], by, exact);
        if (keys[i].kind == CLSA_UNDEFINED && is_given(absent))
            keys[i] = absent;
    }
    clsa_sort(j, list.list->items, keys, n, false);
    for (size_t i = 0; i < n; i++) {
        const struct clsa_value item = list.list->items[i];
        if (i == 0 || !clsa_value_equal(j, keys[i - 1], keys[i])) {
            struct clsa_value name = key_of(j, item, by, true);
            if (name.kind == CLSA_UNDEFINED && is_given(absent))
                name = absent;
            const struct clsa_value group =
                pair(j, name, clsa_list_new(j, CLSA_LIST, 0));
            group.list->group = true;
            clsa_list_add(j, groups.list, group);
        }
        const struct clsa_value group =
            groups.list->items[groups.list->count - 1];
        clsa_list_add(j, group.list->items[1].list, item);
    }
    return groups;
}

CLSA_BUILTIN(items)
{
    (void)a;
    const struct clsa_value list = clsa_list_new(j, CLSA_GENERATOR, 0);
    if (self.kind == CLSA_UNDEFINED)
        return list;
    if (self.kind != CLSA_DICT)
        clsa_jinja_fail(j, "items needs a dict, not %s", clsa_value_type(self));
    for (size_t i = 0; i < self.dict->count; i++)
        clsa_list_add(
            j, list.list,
            pair(j, self.dict->entries[i].key, self.dict->entries[i].value));
    return list;
}

CLSA_BUILTIN(join)
{
    const struct clsa_string *between =
        a->values[0].kind == CLSA_ABSENT
            ? clsa_text(j, "").string
            : clsa_print_str(j, a->values[0]).string;
    const struct clsa_list *items = clsa_value_items(j, self);
    if (is_given(a->values[1])) {
        struct clsa_list *parts = clsa_list_new(j, CLSA_LIST, 0).list;
        for (size_t i = 0; i < items->count; i++)
            clsa_list_add(j, parts,
                          clsa_get_path(j, items->items[i], a->values[1]));
        items = parts;
    }
    return clsa_text_join(j, between, items);
}

CLSA_BUILTIN(list)
{
    (void)a;
    return copy_items(j, self);
}

/* The least item, or the largest if `sign` is -1. */
static struct clsa_value extreme(struct clsa_jinja *j, struct clsa_value self,
                                 const struct clsa_arguments *a, int sign)
{
    const bool exact = clsa_argument_true(a->values[0], false);
    const struct clsa_list *items = clsa_value_items(j, self);
    struct clsa_value best = clsa_undefined(), best_key = best;
    for (size_t i = 0; i < items->count; i++) {
        const struct clsa_value key =
            key_of(j, items->items[i], a->values[1], exact);
        if (i > 0 && sign * clsa_value_compare(j, key, best_key) >= 0)
            continue;
        best = items->items[i];
        best_key = key;
    }
    return best;
}

CLSA_BUILTIN(min)
{
    return extreme(j, self, a, 1);
}

CLSA_BUILTIN(max)
{
    return extreme(j, self, a, -1);
}

CLSA_BUILTIN(reverse)
{
    (void)a;
    const struct clsa_value parts[] = {clsa_none(), clsa_none(), clsa_int(-1)};
    if (self.kind == CLSA_STRING)
        return clsa_slice(j, self, parts);
    const struct clsa_list *items = clsa_value_items(j, self);
    const enum clsa_kind kind =
        self.kind == CLSA_GENERATOR ? CLSA_LIST : CLSA_GENERATOR;
    const struct clsa_value list = clsa_list_new(j, kind, items->count);
    for (size_t i = items->count; i > 0; i--)
        clsa_list_add(j, list.list, items->items[i - 1]);
    return list;
}

CLSA_BUILTIN(sum)
{
    const struct clsa_list *items = clsa_value_items(j, self);
    struct clsa_value total =
        a->values[1].kind == CLSA_ABSENT ? clsa_int(0) : a->values[1];
    for (size_t i = 0; i < items->count; i++) {
        struct clsa_value item = items->items[i];
        if (is_given(a->values[0]))
            item = clsa_get_path(j, item, a->values[0]);
        total = clsa_operate(j, CLSA_OP_ADD, total, item);
    }
    return total;
}

CLSA_BUILTIN(unique)
{
    const bool exact = clsa_argument_true(a->values[0], false);
    const struct clsa_list *items = clsa_value_items(j, self);
    const struct clsa_value list = clsa_list_new(j, CLSA_GENERATOR, 0);
    struct clsa_dict *seen = clsa_dict_new(j, CLSA_DICT).dict;
    for (size_t i = 0; i < items->count; i++) {
        const struct clsa_value key =
            key_of(j, items->items[i], a->values[1], exact);
        if (clsa_dict_get(j, seen, key))
            continue;
        clsa_dict_set(j, seen, key, clsa_none());
        clsa_list_add(j, list.list, items->items[i]);
    }
    return list;
}

const struct clsa_builtin clsa_list_filters[] = {
    {"batch", batch, "linecount fill_with", 1},
    {"count", length, "", 0},
    {"dictsort", dictsort, "case_sensitive by reverse", 0},
    {"first", first, "", 0},
    {"groupby", groupby, "attribute default case_sensitive", 1},
    {"items", items, "", 0},
    {"join", join, "d attribute", 0},
    {"last", last, "", 0},
    {"length", length, "", 0},
    {"list", list, "", 0},
    {"max", max, "case_sensitive attribute", 0},
    {"min", min, "case_sensitive attribute", 0},
    {"reverse", reverse, "", 0},
    {"slice", slice, "slices fill_with", 1},
    {"sort", sort, "reverse case_sensitive attribute", 0},
    {"sum", sum, "attribute start", 0},
    {"unique", unique, "case_sensitive attribute", 0},
    {0}};
