/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and lists, and what Python says of values: truth, equality, order. */
#include <stdlib.h>
#include <string.h>

#include "src/jinja/jinja.h"
#include "src/jinja/unicode.h"

/* ----------------------------------------------------------------- strings */

static bool is_ascii(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)data[i] >= 0x80)
            return false;
    return true;
}

struct clsa_value clsa_string_of(struct clsa_jinja *j, const char *data,
                                 size_t size)
{
    struct clsa_string *s = clsa_jinja_take(j, 1, sizeof *s);
    *s = (struct clsa_string){.data = data ? data : "", /* of an empty buffer */
                              .size = size,
                              .ascii = is_ascii(data, size)};
    clsa_jinja_charge(j, size);
    return (struct clsa_value){.kind = CLSA_STRING, .string = s};
}

struct clsa_value clsa_string_copy(struct clsa_jinja *j, const char *data,
                                   size_t size)
{
    char *copy = clsa_jinja_take(j, size, 1);
    if (size > 0)
        memcpy(copy, data, size);
    return clsa_string_of(j, copy, size);
}

struct clsa_value clsa_text(struct clsa_jinja *j, const char *text)
{
    return clsa_string_of(j, text, strlen(text));
}

struct clsa_value clsa_string_part(struct clsa_jinja *j,
                                   const struct clsa_string *s, size_t from,
                                   size_t to)
{
    struct clsa_value part = clsa_string_of(j, s->data + from, to - from);
    return s->markup ? clsa_string_markup(j, part.string) : part;
}

struct clsa_value clsa_string_markup(struct clsa_jinja *j,
                                     const struct clsa_string *s)
{
    struct clsa_string *copy = clsa_jinja_take(j, 1, sizeof *copy);
    *copy = *s;
    copy->markup = true;
    return (struct clsa_value){.kind = CLSA_STRING, .string = copy};
}

bool clsa_string_is(const struct clsa_string *s, const char *text)
{
    return s->size == strlen(text) && memcmp(s->data, text, s->size) == 0;
}

/* ------------------------------------------------------------------- lists */

struct clsa_value clsa_list_new(struct clsa_jinja *j, enum clsa_kind kind,
                                size_t capacity)
{
    struct clsa_list *list = clsa_jinja_take(j, 1, sizeof *list);
    list->capacity = capacity;
    if (capacity > 0)
        list->items = clsa_jinja_take(j, capacity, sizeof *list->items);
    return (struct clsa_value){.kind = kind, .list = list};
}

void clsa_list_add(struct clsa_jinja *j, struct clsa_list *list,
                   struct clsa_value item)
{
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 4;
        struct clsa_value *grown =
            clsa_jinja_take(j, capacity, sizeof *list->items);
        if (list->count > 0)
            memcpy(grown, list->items, list->count * sizeof *grown);
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
}

/* ------------------------------------------------------------------ Python */

bool clsa_value_int(struct clsa_value v, int64_t *integer)
{
    if (v.kind == CLSA_BOOL)
        *integer = v.truth;
    else if (v.kind == CLSA_INT)
        *integer = v.integer;
    else
        return false;
    return true;
}

double clsa_value_real(struct clsa_value v)
{
    int64_t integer = 0;
    if (v.kind == CLSA_FLOAT)
        return v.real;
    if (v.kind == CLSA_BIG) {
        double sum = 0;
        for (size_t i = 0; i < v.string->size; i++)
            if (v.string->data[i] != '-')
                sum = 10 * sum + (v.string->data[i] - '0');
        return v.string->data[0] == '-' ? -sum : sum;
    }
    clsa_value_int(v, &integer);
    return (double)integer;
}

const char *clsa_value_type(struct clsa_value v)
{
    static const char *const names[] = {
        [CLSA_ABSENT] = "nothing",    [CLSA_UNDEFINED] = "undefined",
        [CLSA_NONE] = "None",         [CLSA_BOOL] = "bool",
        [CLSA_INT] = "int",           [CLSA_BIG] = "int",
        [CLSA_FLOAT] = "float",       [CLSA_STRING] = "str",
        [CLSA_RANGE] = "range",       [CLSA_LIST] = "list",
        [CLSA_TUPLE] = "tuple",       [CLSA_GENERATOR] = "generator",
        [CLSA_DICT] = "dict",         [CLSA_NAMESPACE] = "namespace",
        [CLSA_LOOP] = "loop",         [CLSA_MACRO] = "macro",
        [CLSA_FUNCTION] = "function", [CLSA_CYCLER] = "cycler",
        [CLSA_JOINER] = "joiner",
    };
    return names[v.kind];
}

bool clsa_value_true(struct clsa_value v)
{
    switch (v.kind) {
    case CLSA_ABSENT:
    case CLSA_UNDEFINED:
    case CLSA_NONE:
        return false;
    case CLSA_BOOL:
        return v.truth;
    case CLSA_INT:
        return v.integer != 0;
    case CLSA_FLOAT:
        return v.real != 0;
    case CLSA_STRING:
        return v.string->size > 0;
    case CLSA_LIST:
    case CLSA_TUPLE:
        return v.list->count > 0;
    case CLSA_DICT:
        return v.dict->count > 0;
    case CLSA_RANGE:
        return v.range->count > 0;
    default:
        return true;
    }
}

static bool same_string(const struct clsa_string *a,
                        const struct clsa_string *b)
{
    return a->size == b->size &&
           (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* Integers against reals as Python does, without rounding. */
static int compare_numbers(struct clsa_value a, struct clsa_value b)
{
    int64_t x, y;
    if (clsa_value_int(a, &x) && clsa_value_int(b, &y))
        return x < y ? -1 : x > y;
    long double r = clsa_value_real(a), s = clsa_value_real(b);
    if (clsa_value_int(a, &x))
        r = (long double)x;
    if (clsa_value_int(b, &y))
        s = (long double)y;
    return r < s ? -1 : r > s;
}

static bool equal_numbers(struct clsa_value a, struct clsa_value b)
{
    if (a.kind == CLSA_BIG && b.kind == CLSA_BIG)
        return same_string(a.string, b.string);
    if (clsa_value_real(a) != clsa_value_real(b)) /* NaN too */
        return false;
    return compare_numbers(a, b) == 0;
}

static bool equal_lists(struct clsa_jinja *j, const struct clsa_list *a,
                        const struct clsa_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!clsa_value_equal(j, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool equal_dicts(struct clsa_jinja *j, const struct clsa_dict *a,
                        const struct clsa_dict *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct clsa_value *other = clsa_dict_get(j, b, a->entries[i].key);
        if (!other || !clsa_value_equal(j, a->entries[i].value, *other))
            return false;
    }
    return true;
}

bool clsa_value_same(struct clsa_value a, struct clsa_value b)
{
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case CLSA_ABSENT:
    case CLSA_UNDEFINED:
    case CLSA_NONE:
        return true;
    case CLSA_BOOL:
        return a.truth == b.truth;
    case CLSA_INT:
        return a.integer == b.integer;
    case CLSA_FLOAT:
        return a.real == b.real;
    case CLSA_STRING:
        return same_string(a.string, b.string);
    default:
        return a.list == b.list;
    }
}

bool clsa_value_equal(struct clsa_jinja *j, struct clsa_value a,
                      struct clsa_value b)
{
    bool equal;
    if (clsa_is_number(a) && clsa_is_number(b))
        return equal_numbers(a, b);
    if (a.kind != b.kind)
        return false;
    clsa_jinja_enter(j);
    if (a.kind == CLSA_STRING) {
        clsa_jinja_charge(j, a.string->size);
        equal = same_string(a.string, b.string);
    } else if (a.kind == CLSA_LIST || a.kind == CLSA_TUPLE) {
        equal = equal_lists(j, a.list, b.list);
    } else if (a.kind == CLSA_DICT) {
        equal = equal_dicts(j, a.dict, b.dict);
    } else {
        equal = clsa_value_same(a, b);
    }
    clsa_jinja_leave(j);
    return equal;
}

static int compare_strings(const struct clsa_string *a,
                           const struct clsa_string *b)
{
    const size_t n = a->size < b->size ? a->size : b->size;
    const int order = n > 0 ? memcmp(a->data, b->data, n) : 0;
    if (order != 0)
        return order;
    return a->size < b->size ? -1 : a->size > b->size;
}

static int compare_lists(struct clsa_jinja *j, const struct clsa_list *a,
                         const struct clsa_list *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (!clsa_value_equal(j, a->items[i], b->items[i]))
            return clsa_value_compare(j, a->items[i], b->items[i]);
    return a->count < b->count ? -1 : a->count > b->count;
}

int clsa_value_compare(struct clsa_jinja *j, struct clsa_value a,
                       struct clsa_value b)
{
    if (clsa_is_number(a) && clsa_is_number(b))
        return compare_numbers(a, b);
    if (a.kind == CLSA_STRING && b.kind == CLSA_STRING) {
        clsa_jinja_charge(j, a.string->size);
        return compare_strings(a.string, b.string);
    }
    if ((a.kind != CLSA_LIST && a.kind != CLSA_TUPLE) || a.kind != b.kind)
        clsa_jinja_fail(j, "%s and %s have no order", clsa_value_type(a),
                        clsa_value_type(b));
    clsa_jinja_enter(j);
    const int order = compare_lists(j, a.list, b.list);
    clsa_jinja_leave(j);
    return order;
}

/* ------------------------------------------------------------------- items */

static const struct clsa_list *characters(struct clsa_jinja *j,
                                          const struct clsa_string *s)
{
    struct clsa_list *list = clsa_list_new(j, CLSA_LIST, s->size).list;
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        const size_t n = clsa_char_decode(s->data + at, s->size - at, &c);
        clsa_list_add(j, list, clsa_string_of(j, s->data + at, n));
        at += n;
    }
    return list;
}

static struct clsa_value range_item(const struct clsa_range *range, size_t at)
{
    return clsa_int(range->start + (int64_t)at * range->step);
}

struct clsa_value clsa_for_loop_item(const struct clsa_for_loop *loop,
                                     size_t at)
{
    return loop->items ? loop->items->items[at] : range_item(loop->range, at);
}

bool clsa_value_iterable(struct clsa_value v)
{
    switch (v.kind) {
    case CLSA_UNDEFINED:
    case CLSA_STRING:
    case CLSA_LIST:
    case CLSA_TUPLE:
    case CLSA_RANGE:
    case CLSA_GENERATOR:
    case CLSA_DICT:
    case CLSA_LOOP:
        return true;
    default:
        return false;
    }
}

const struct clsa_list *clsa_value_items(struct clsa_jinja *j,
                                         struct clsa_value v)
{
    struct clsa_list *list;
    switch (v.kind) {
    case CLSA_LIST:
    case CLSA_TUPLE:
        return v.list;
    case CLSA_UNDEFINED:
        return clsa_list_new(j, CLSA_LIST, 0).list;
    case CLSA_STRING:
        return characters(j, v.string);
    case CLSA_RANGE:
        list = clsa_list_new(j, CLSA_LIST, v.range->count).list;
        for (size_t i = 0; i < v.range->count; i++)
            clsa_list_add(j, list, range_item(v.range, i));
        return list;
    case CLSA_GENERATOR:
        list = clsa_list_new(j, CLSA_LIST, 0).list;
        *list = *v.list;
        *v.list = (struct clsa_list){0};
        return list;
    case CLSA_DICT:
        list = clsa_list_new(j, CLSA_LIST, v.dict->count).list;
        for (size_t i = 0; i < v.dict->count; i++)
            clsa_list_add(j, list, v.dict->entries[i].key);
        return list;
    default:
        clsa_jinja_fail(j, "%s has no items to go through", clsa_value_type(v));
    }
}

bool clsa_value_length(struct clsa_value v, size_t *length)
{
    switch (v.kind) {
    case CLSA_UNDEFINED:
        *length = 0;
        return true;
    case CLSA_STRING:
        *length = v.string->ascii
                      ? v.string->size
                      : clsa_chars_count(v.string->data, v.string->size);
        return true;
    case CLSA_LIST:
    case CLSA_TUPLE:
        *length = v.list->count;
        return true;
    case CLSA_DICT:
        *length = v.dict->count;
        return true;
    case CLSA_LOOP:
        *length = v.loop->count;
        return true;
    case CLSA_RANGE:
        *length = v.range->count;
        return true;
    default:
        return false;
    }
}

struct clsa_list *clsa_list_copy(struct clsa_jinja *j, struct clsa_value v)
{
    const struct clsa_list *items = clsa_value_items(j, v);
    struct clsa_list *copy = clsa_list_new(j, CLSA_LIST, items->count).list;
    clsa_jinja_charge(j, items->count * sizeof *items->items);
    for (size_t i = 0; i < items->count; i++)
        clsa_list_add(j, copy, items->items[i]);
    return copy;
}
