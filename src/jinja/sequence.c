/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting, slices, membership, and items and attributes of values. */
#include <string.h>

#include "src/jinja/builtin.h"
#include "src/jinja/node.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"
#include "src/jinja/unicode.h"

/* ----------------------------------------------------------------- sorting */

struct sorter {
    struct clsa_jinja *j;
    struct clsa_value *items, *keys, *old_items, *old_keys;
    bool reverse;
};

/* Merges [from, middle) and [middle, to); equal keys keep their order. */
static void merge(struct sorter *s, size_t from, size_t middle, size_t to)
{
    size_t a = from, b = middle;
    memcpy(s->old_items + from, s->items + from,
           (to - from) * sizeof *s->items);
    memcpy(s->old_keys + from, s->keys + from, (to - from) * sizeof *s->keys);
    for (size_t i = from; i < to; i++) {
        bool second = a == middle;
        clsa_jinja_charge(s->j, 0);
        if (a < middle && b < to) {
            const int order =
                clsa_value_compare(s->j, s->old_keys[b], s->old_keys[a]);
            second = s->reverse ? order > 0 : order < 0;
        }
        const size_t take = second ? b++ : a++;
        s->items[i] = s->old_items[take];
        s->keys[i] = s->old_keys[take];
    }
}

void clsa_sort(struct clsa_jinja *j, struct clsa_value *items,
               struct clsa_value *keys, size_t n, bool reverse)
{
    struct sorter s = {
        .j = j, .items = items, .keys = keys, .reverse = reverse};
    s.old_items = clsa_jinja_take(j, n, sizeof *items);
    s.old_keys = clsa_jinja_take(j, n, sizeof *keys);
    for (size_t run = 1; run < n; run *= 2)
        for (size_t from = 0; from + run < n; from += 2 * run)
            merge(&s, from, from + run,
                  n - from > 2 * run ? from + 2 * run : n);
}

struct clsa_entry *clsa_sorted_entries(struct clsa_jinja *j,
                                       const struct clsa_dict *dict)
{
    const size_t n = dict->count;
    struct clsa_value *order = clsa_jinja_take(j, n, sizeof *order);
    struct clsa_value *keys = clsa_jinja_take(j, n, sizeof *keys);
    struct clsa_entry *sorted = clsa_jinja_take(j, n, sizeof *sorted);
    for (size_t i = 0; i < n; i++) {
        order[i] = clsa_int((int64_t)i);
        keys[i] = dict->entries[i].key;
    }
    clsa_sort(j, order, keys, n, false);
    for (size_t i = 0; i < n; i++)
        sorted[i] = dict->entries[order[i].integer];
    return sorted;
}

/* ------------------------------------------------------------------ slices */

/* A part of a slice as an index from 0 to n, or -1 to n - 1 backwards. */
static int64_t slice_index(struct clsa_jinja *j, struct clsa_value part,
                           int64_t n, bool backwards, int64_t absent)
{
    int64_t index;
    if (part.kind == CLSA_NONE)
        return absent;
    if (!clsa_value_int(part, &index))
        clsa_jinja_fail(j, "%s cannot be an index of a slice",
                        clsa_value_type(part));
    if (index < 0)
        index = index < -n ? -1 : index + n;
    const int64_t low = backwards ? -1 : 0, high = backwards ? n - 1 : n;
    return index < low ? low : index > high ? high : index;
}

/* The characters of a string that a slice takes. */
static struct clsa_value slice_string(struct clsa_jinja *j,
                                      const struct clsa_string *s,
                                      const int64_t at[3])
{
    struct clsa_buffer buffer = {0};
    if (at[2] == 1) {
        const size_t from = (size_t)at[0];
        const size_t to = (size_t)(at[1] > at[0] ? at[1] : at[0]);
        if (s->ascii)
            return clsa_string_part(j, s, from, to);
        clsa_jinja_charge(j, s->size);
        return clsa_string_part(j, s, clsa_chars_offset(s->data, s->size, from),
                                clsa_chars_offset(s->data, s->size, to));
    }
    const struct clsa_list *all = clsa_value_items(
        j, (struct clsa_value){.kind = CLSA_STRING, .string = s});
    for (int64_t i = at[0]; at[2] > 0 ? i < at[1] : i > at[1]; i += at[2])
        clsa_print_add(j, &buffer, all->items[i]);
    return clsa_buffer_string(j, &buffer);
}

struct clsa_value clsa_slice(struct clsa_jinja *j, struct clsa_value value,
                             const struct clsa_value parts[3])
{
    size_t length;
    int64_t at[3] = {0, 0, 1};
    if (value.kind == CLSA_UNDEFINED)
        clsa_fail_undefined(j, value);
    if (value.kind == CLSA_RANGE)
        value = (struct clsa_value){.kind = CLSA_LIST,
                                    .list = clsa_list_copy(j, value)};
    if (value.kind != CLSA_STRING && value.kind != CLSA_LIST &&
        value.kind != CLSA_TUPLE)
        return clsa_undefined();
    clsa_value_length(value, &length);
    const int64_t n = (int64_t)length;
    if (parts[2].kind != CLSA_NONE && !clsa_value_int(parts[2], &at[2]))
        clsa_jinja_fail(j, "%s cannot be the step of a slice",
                        clsa_value_type(parts[2]));
    if (at[2] == 0)
        clsa_jinja_fail(j, "the step of a slice is 0");
    if (at[2] > n + 1 || at[2] < -n - 1) /* the same, without overflow */
        at[2] = at[2] > 0 ? n + 1 : -n - 1;
    const bool backwards = at[2] < 0;
    at[0] = slice_index(j, parts[0], n, backwards, backwards ? n - 1 : 0);
    at[1] = slice_index(j, parts[1], n, backwards, backwards ? -1 : n);
    if (value.kind == CLSA_STRING)
        return slice_string(j, value.string, at);
    const struct clsa_value list = clsa_list_new(j, value.kind, 0);
    for (int64_t i = at[0]; backwards ? i > at[1] : i < at[1]; i += at[2])
        clsa_list_add(j, list.list, value.list->items[i]);
    clsa_jinja_charge(j, list.list->count * 16);
    return list;
}

/* -------------------------------------------------------------- membership */

size_t clsa_find(struct clsa_jinja *j, const struct clsa_string *text,
                 const struct clsa_string *part, size_t from)
{
    const size_t start = from;
    if (part->size == 0)
        return from;
    while (part->size <= text->size - from) {
        const char *at = memchr(text->data + from, part->data[0],
                                text->size - from - part->size + 1);
        if (!at)
            break;
        from = (size_t)(at - text->data);
        if (part->size > 64)
            clsa_jinja_charge(j, part->size);
        if (memcmp(at, part->data, part->size) == 0) {
            clsa_jinja_charge(j, from - start);
            return from;
        }
        from++;
    }
    clsa_jinja_charge(j, text->size - start);
    return SIZE_MAX;
}

bool clsa_contains(struct clsa_jinja *j, struct clsa_value container,
                   struct clsa_value item)
{
    if (container.kind == CLSA_STRING) {
        if (item.kind == CLSA_UNDEFINED)
            clsa_fail_undefined(j, item);
        if (item.kind != CLSA_STRING)
            clsa_jinja_fail(j, "a string contains strings only, not %s",
                            clsa_value_type(item));
        return clsa_find(j, container.string, item.string, 0) != SIZE_MAX;
    }
    if (container.kind == CLSA_DICT)
        return clsa_dict_get(j, container.dict, item) != NULL;
    const struct clsa_list *items = clsa_value_items(j, container);
    for (size_t i = 0; i < items->count; i++) {
        clsa_jinja_charge(j, 0);
        if (clsa_value_equal(j, items->items[i], item))
            return true;
    }
    return false;
}

/* --------------------------------------------------------- items, attributes
 */

_Noreturn void clsa_fail_undefined(struct clsa_jinja *j, struct clsa_value v)
{
    if (!v.string)
        clsa_jinja_fail(j, "a value that is not defined is used");
    clsa_jinja_fail(j, "'%.*s' is not defined",
                    (int)(v.string->size < 100 ? v.string->size : 100),
                    v.string->data);
}

static struct clsa_value loop_attribute(const struct clsa_for_loop *loop,
                                        const struct clsa_string *name)
{
    const size_t n = loop->count, at = loop->at;
    const struct {
        const char *name;
        struct clsa_value value;
    } all[] = {
        {"index", clsa_int((int64_t)at + 1)},
        {"index0", clsa_int((int64_t)at)},
        {"revindex", clsa_int((int64_t)(n - at))},
        {"revindex0", clsa_int((int64_t)(n - at) - 1)},
        {"first", clsa_bool(at == 0)},
        {"last", clsa_bool(at + 1 >= n)},
        {"length", clsa_int((int64_t)n)},
        {"depth", clsa_int(1)},
        {"depth0", clsa_int(0)},
        {"previtem", at > 0 && at <= n ? clsa_for_loop_item(loop, at - 1)
                                       : clsa_undefined()},
        {"nextitem",
         at + 1 < n ? clsa_for_loop_item(loop, at + 1) : clsa_undefined()},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (clsa_string_is(name, all[i].name))
            return all[i].value;
    return (struct clsa_value){.kind = CLSA_UNDEFINED, .string = name};
}

/* Attributes of Python's objects: methods. CLSA_ABSENT: there is none. */
static struct clsa_value attribute(struct clsa_jinja *j,
                                   struct clsa_value value,
                                   const struct clsa_string *name)
{
    const struct clsa_value key = {.kind = CLSA_STRING, .string = name};
    const struct clsa_value *found = NULL;
    const struct clsa_builtin *method = clsa_method_find(value.kind, name);
    if (method)
        return clsa_builtin_value(j, method, value);
    if (value.kind == CLSA_NAMESPACE)
        found = clsa_dict_get(j, value.dict, key);
    if (value.kind == CLSA_LOOP)
        return loop_attribute(value.loop, name);
    if (value.kind == CLSA_TUPLE && value.list->group &&
        (clsa_string_is(name, "grouper") || clsa_string_is(name, "list")))
        return value.list->items[clsa_string_is(name, "list")];
    if (value.kind == CLSA_CYCLER && clsa_string_is(name, "current"))
        return value.cycler->items->items[value.cycler->at];
    if (value.kind == CLSA_MACRO && clsa_string_is(name, "name"))
        return (struct clsa_value){.kind = CLSA_STRING,
                                   .string = value.macro->node->name};
    return found ? *found : (struct clsa_value){.kind = CLSA_ABSENT};
}

/* CLSA_ABSENT: there is none. */
static struct clsa_value indexed(struct clsa_jinja *j, struct clsa_value value,
                                 struct clsa_value key)
{
    const struct clsa_value absent = {.kind = CLSA_ABSENT};
    int64_t index;
    size_t length;
    if (value.kind == CLSA_DICT) {
        if (key.kind == CLSA_LIST || key.kind == CLSA_DICT)
            return absent;
        const struct clsa_value *found = clsa_dict_get(j, value.dict, key);
        return found ? *found : absent;
    }
    if ((value.kind != CLSA_STRING && value.kind != CLSA_LIST &&
         value.kind != CLSA_TUPLE && value.kind != CLSA_RANGE) ||
        !clsa_value_int(key, &index))
        return absent;
    clsa_value_length(value, &length);
    if (index < 0)
        index += (int64_t)length;
    if (index < 0 || index >= (int64_t)length)
        return absent;
    if (value.kind == CLSA_RANGE)
        return clsa_int(value.range->start + index * value.range->step);
    if (value.kind != CLSA_STRING)
        return value.list->items[index];
    const struct clsa_value parts[] = {clsa_int(index), clsa_int(index + 1),
                                       clsa_none()};
    return clsa_slice(j, value, parts);
}

struct clsa_value clsa_get_item(struct clsa_jinja *j, struct clsa_value value,
                                struct clsa_value key)
{
    if (value.kind == CLSA_UNDEFINED)
        clsa_fail_undefined(j, value);
    struct clsa_value found = indexed(j, value, key);
    if (found.kind == CLSA_ABSENT && key.kind == CLSA_STRING)
        found = attribute(j, value, key.string);
    if (found.kind != CLSA_ABSENT)
        return found;
    return (struct clsa_value){.kind = CLSA_UNDEFINED,
                               .string =
                                   key.kind == CLSA_STRING ? key.string : NULL};
}

struct clsa_value clsa_get_attribute(struct clsa_jinja *j,
                                     struct clsa_value value,
                                     const struct clsa_string *name)
{
    const struct clsa_value key = {.kind = CLSA_STRING, .string = name};
    if (value.kind == CLSA_UNDEFINED)
        clsa_fail_undefined(j, value);
    struct clsa_value found = attribute(j, value, name);
    if (found.kind == CLSA_ABSENT)
        found = indexed(j, value, key);
    if (found.kind != CLSA_ABSENT)
        return found;
    return (struct clsa_value){.kind = CLSA_UNDEFINED, .string = name};
}

struct clsa_value clsa_get_path(struct clsa_jinja *j, struct clsa_value value,
                                struct clsa_value path)
{
    if (path.kind != CLSA_STRING)
        return clsa_get_item(j, value, path);
    const char *at = path.string->data, *end = at + path.string->size;
    for (;;) {
        const char *point = memchr(at, '.', (size_t)(end - at));
        const char *to = point ? point : end;
        struct clsa_value key = clsa_string_of(j, at, (size_t)(to - at));
        int64_t index;
        if (to > at && *at != '-' && *at != '+' &&
            clsa_parse_int(at, (size_t)(to - at), &index))
            key = clsa_int(index);
        value = clsa_get_item(j, value, key);
        if (!point)
            return value;
        at = point + 1;
    }
}
