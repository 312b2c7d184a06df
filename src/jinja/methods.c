/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of lists, tuples, dictionaries, loops and cyclers. */
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/sequence.h"

/* --------------------------------------------------------- lists and tuples */

CLSA_BUILTIN(append)
{
    clsa_list_add(j, self.list, a->values[0]);
    return clsa_none();
}

CLSA_BUILTIN(extend)
{
    const struct clsa_list *items = clsa_value_items(j, a->values[0]);
    const size_t count = items->count; /* it may be the list itself */
    for (size_t i = 0; i < count; i++)
        clsa_list_add(j, self.list, items->items[i]);
    return clsa_none();
}

/* An index from the start, within 0 and `count`. */
static size_t clamp(int64_t index, size_t count)
{
    const int64_t n = (int64_t)count;
    if (index < 0)
        index = index < -n ? 0 : index + n;
    return (size_t)(index < n ? index : n);
}

CLSA_BUILTIN(insert)
{
    struct clsa_list *list = self.list;
    const size_t at =
        clamp(clsa_argument_int(j, a->values[0], "insert", 0), list->count);
    clsa_list_add(j, list, a->values[1]);
    memmove(list->items + at + 1, list->items + at,
            (list->count - 1 - at) * sizeof *list->items);
    list->items[at] = a->values[1];
    return clsa_none();
}

static struct clsa_value take_item(struct clsa_list *list, size_t at)
{
    const struct clsa_value item = list->items[at];
    list->count--;
    memmove(list->items + at, list->items + at + 1,
            (list->count - at) * sizeof *list->items);
    return item;
}

CLSA_BUILTIN(pop)
{
    struct clsa_list *list = self.list;
    int64_t at = clsa_argument_int(j, a->values[0], "pop", -1);
    if (at < 0)
        at += (int64_t)list->count;
    if (at < 0 || at >= (int64_t)list->count)
        clsa_jinja_fail(j, "pop: the list has no such item");
    clsa_jinja_charge(j, list->count * sizeof *list->items);
    return take_item(list, (size_t)at);
}

/* Where an item is, or -1. */
static int64_t find_item(struct clsa_jinja *j, const struct clsa_list *list,
                         struct clsa_value item)
{
    for (size_t i = 0; i < list->count; i++) {
        clsa_jinja_charge(j, 0);
        if (clsa_value_equal(j, list->items[i], item))
            return (int64_t)i;
    }
    return -1;
}

CLSA_BUILTIN(remove_item)
{
    const int64_t at = find_item(j, self.list, a->values[0]);
    if (at < 0)
        clsa_jinja_fail(j, "remove: the list has no such item");
    take_item(self.list, (size_t)at);
    return clsa_none();
}

CLSA_BUILTIN(clear)
{
    (void)j;
    (void)a;
    self.list->count = 0;
    return clsa_none();
}

CLSA_BUILTIN(copy)
{
    (void)a;
    const struct clsa_value parts[] = {clsa_none(), clsa_none(), clsa_none()};
    return clsa_slice(j, self, parts);
}

CLSA_BUILTIN(reverse)
{
    (void)a;
    const struct clsa_value parts[] = {clsa_none(), clsa_none(), clsa_int(-1)};
    *self.list = *clsa_slice(j, self, parts).list;
    return clsa_none();
}

CLSA_BUILTIN(sort)
{
    struct clsa_list *list = self.list;
    struct clsa_value *keys = clsa_jinja_take(j, list->count, sizeof *keys);
    if (list->count > 0)
        memcpy(keys, list->items, list->count * sizeof *keys);
    clsa_sort(j, list->items, keys, list->count,
              clsa_argument_true(a->values[0], false));
    return clsa_none();
}

CLSA_BUILTIN(index_of)
{
    const int64_t at = find_item(j, self.list, a->values[0]);
    if (at < 0)
        clsa_jinja_fail(j, "index: the list has no such item");
    return clsa_int(at);
}

CLSA_BUILTIN(count)
{
    int64_t n = 0;
    for (size_t i = 0; i < self.list->count; i++) {
        clsa_jinja_charge(j, 0);
        n += clsa_value_equal(j, self.list->items[i], a->values[0]);
    }
    return clsa_int(n);
}

const struct clsa_builtin clsa_list_methods[] = {
    {"append", append, "object", 1},
    {"clear", clear, "", 0},
    {"copy", copy, "", 0},
    {"extend", extend, "iterable", 1},
    {"insert", insert, "index object", 2},
    {"pop", pop, "index", 0},
    {"remove", remove_item, "value", 1},
    {"reverse", reverse, "", 0},
    {"sort", sort, "reverse", 0},
    {0}};

const struct clsa_builtin clsa_tuple_methods[] = {
    {"count", count, "value", 1}, {"index", index_of, "value", 1}, {0}};

/* ------------------------------------------------------------ dictionaries */

CLSA_BUILTIN(get)
{
    const struct clsa_value *value = clsa_dict_get(j, self.dict, a->values[0]);
    if (value)
        return *value;
    return a->values[1].kind == CLSA_ABSENT ? clsa_none() : a->values[1];
}

CLSA_BUILTIN(items)
{
    (void)a;
    const struct clsa_value list =
        clsa_list_new(j, CLSA_LIST, self.dict->count);
    for (size_t i = 0; i < self.dict->count; i++) {
        const struct clsa_value pair = clsa_list_new(j, CLSA_TUPLE, 2);
        clsa_list_add(j, pair.list, self.dict->entries[i].key);
        clsa_list_add(j, pair.list, self.dict->entries[i].value);
        clsa_list_add(j, list.list, pair);
    }
    return list;
}

CLSA_BUILTIN(keys)
{
    (void)a;
    return (struct clsa_value){.kind = CLSA_LIST,
                               .list = clsa_list_copy(j, self)};
}

CLSA_BUILTIN(values)
{
    (void)a;
    const struct clsa_value list =
        clsa_list_new(j, CLSA_LIST, self.dict->count);
    for (size_t i = 0; i < self.dict->count; i++)
        clsa_list_add(j, list.list, self.dict->entries[i].value);
    return list;
}

static void add_all(struct clsa_jinja *j, struct clsa_dict *dict,
                    struct clsa_value from)
{
    if (from.kind != CLSA_DICT)
        clsa_jinja_fail(j, "update needs a dict, not %s",
                        clsa_value_type(from));
    const size_t count = from.dict->count; /* it may be the same */
    for (size_t i = 0; i < count; i++)
        clsa_dict_set(j, dict, from.dict->entries[i].key,
                      from.dict->entries[i].value);
}

CLSA_BUILTIN(update)
{
    for (size_t i = 0; i < a->count; i++)
        add_all(j, self.dict, a->values[i]);
    for (size_t i = 0; i < a->named_count; i++)
        clsa_dict_set(
            j, self.dict,
            (struct clsa_value){.kind = CLSA_STRING, .string = a->names[i]},
            a->named[i]);
    return clsa_none();
}

CLSA_BUILTIN(setdefault)
{
    const struct clsa_value *value = clsa_dict_get(j, self.dict, a->values[0]);
    if (value)
        return *value;
    const struct clsa_value absent =
        a->values[1].kind == CLSA_ABSENT ? clsa_none() : a->values[1];
    clsa_dict_set(j, self.dict, a->values[0], absent);
    return absent;
}

CLSA_BUILTIN(pop_key)
{
    const struct clsa_value *found = clsa_dict_get(j, self.dict, a->values[0]);
    if (!found && a->values[1].kind == CLSA_ABSENT)
        clsa_jinja_fail(j, "pop: the dict has no such key");
    if (!found)
        return a->values[1];
    const struct clsa_value value = *found;
    clsa_jinja_charge(j, self.dict->count * sizeof *self.dict->entries);
    clsa_dict_remove(j, self.dict, a->values[0]);
    return value;
}

CLSA_BUILTIN(copy_dict)
{
    (void)a;
    const struct clsa_value copied = clsa_dict_new(j, CLSA_DICT);
    add_all(j, copied.dict, self);
    return copied;
}

CLSA_BUILTIN(clear_dict)
{
    (void)j;
    (void)a;
    clsa_dict_clear(self.dict);
    return clsa_none();
}

const struct clsa_builtin clsa_dict_methods[] = {
    {"clear", clear_dict, "", 0},
    {"copy", copy_dict, "", 0},
    {"get", get, "key default", 1},
    {"items", items, "", 0},
    {"keys", keys, "", 0},
    {"pop", pop_key, "key default", 1},
    {"setdefault", setdefault, "key default", 1},
    {"update", update, "*", 0},
    {"values", values, "", 0},
    {0}};

/* ------------------------------------------------------- loops and cyclers */

CLSA_BUILTIN(cycle)
{
    if (a->count == 0)
        clsa_jinja_fail(j, "cycle needs at least one value");
    return a->values[self.loop->at % a->count];
}

/* Whether the values differ from the call before. */
CLSA_BUILTIN(changed)
{
    const struct clsa_value now = clsa_list_new(j, CLSA_LIST, a->count);
    for (size_t i = 0; i < a->count; i++)
        clsa_list_add(j, now.list, a->values[i]);
    const struct clsa_value before = {.kind = CLSA_LIST,
                                      .list = self.loop->last};
    const bool differs = !before.list || !clsa_value_equal(j, before, now);
    self.loop->last = now.list;
    return clsa_bool(differs);
}

CLSA_BUILTIN(next)
{
    (void)j;
    (void)a;
    struct clsa_cycler *cycler = self.cycler;
    const struct clsa_value value = cycler->items->items[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->items->count;
    return value;
}

CLSA_BUILTIN(reset)
{
    (void)j;
    (void)a;
    self.cycler->at = 0;
    return clsa_none();
}

const struct clsa_builtin clsa_for_loop_methods[] = {
    {"changed", changed, "*", 0}, {"cycle", cycle, "*", 0}, {0}};

const struct clsa_builtin clsa_cycler_methods[] = {
    {"next", next, "", 0}, {"reset", reset, "", 0}, {0}};
