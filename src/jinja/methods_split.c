/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that cut strings up, put them together, and fill their fields. */
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"
#include "src/jinja/text.h"

/* --------------------------------------------------------------- splitting */

/* The end of the run of white space, or of other characters, at `at`. */
static size_t run_end(const struct clsa_string *s, size_t at, bool space)
{
    uint32_t c;
    while (at < s->size) {
        const size_t n = clsa_char_decode(s->data + at, s->size - at, &c);
        if (clsa_char_space(c) != space)
            break;
        at += n;
    }
    return at;
}

static struct clsa_list *
split_blanks(struct clsa_jinja *j, const struct clsa_string *s, int64_t limit)
{
    struct clsa_list *list = clsa_list_new(j, CLSA_LIST, 0).list;
    size_t at = run_end(s, 0, true);
    for (; at < s->size && limit != 0; limit--) {
        const size_t end = run_end(s, at, false);
        clsa_list_add(j, list, clsa_string_part(j, s, at, end));
        at = run_end(s, end, true);
    }
    if (at < s->size) {
        const struct clsa_value rest = clsa_string_part(j, s, at, s->size);
        clsa_list_add(j, list,
                      clsa_text_strip(j, rest.string, NULL, CLSA_STRIP_RIGHT));
    }
    return list;
}

struct clsa_list *clsa_split(struct clsa_jinja *j, const struct clsa_string *s,
                             const struct clsa_string *separator, int64_t limit)
{
    size_t at = 0;
    if (!separator)
        return split_blanks(j, s, limit);
    if (separator->size == 0)
        clsa_jinja_fail(j, "split needs a separator that is not empty");
    struct clsa_list *list = clsa_list_new(j, CLSA_LIST, 0).list;
    for (; limit != 0; limit--) {
        const size_t found = clsa_find(j, s, separator, at);
        if (found == SIZE_MAX)
            break;
        clsa_list_add(j, list, clsa_string_part(j, s, at, found));
        at = found + separator->size;
    }
    clsa_list_add(j, list, clsa_string_part(j, s, at, s->size));
    return list;
}

static const struct clsa_string *separator_of(struct clsa_jinja *j,
                                              struct clsa_value v)
{
    if (v.kind == CLSA_ABSENT || v.kind == CLSA_NONE)
        return NULL;
    return clsa_argument_text(j, v, "split");
}

CLSA_BUILTIN(split)
{
    return (struct clsa_value){
        .kind = CLSA_LIST,
        .list = clsa_split(j, self.string, separator_of(j, a->values[0]),
                           clsa_argument_int(j, a->values[1], "split", -1))};
}

/* From the right: the first parts of all are one again. */
static struct clsa_value join_first(struct clsa_jinja *j,
                                    const struct clsa_list *all, size_t rest)
{
    const struct clsa_value list = clsa_list_new(j, CLSA_LIST, rest + 1);
    const size_t joined = all->count - rest;
    const struct clsa_string *last = all->items[joined - 1].string;
    const char *start = all->items[0].string->data;
    clsa_list_add(
        j, list.list,
        clsa_string_of(j, start, (size_t)(last->data - start) + last->size));
    for (size_t i = joined; i < all->count; i++)
        clsa_list_add(j, list.list, all->items[i]);
    return list;
}

CLSA_BUILTIN(rsplit)
{
    const struct clsa_string *separator = separator_of(j, a->values[0]);
    const int64_t limit = clsa_argument_int(j, a->values[1], "rsplit", -1);
    struct clsa_list *all = clsa_split(j, self.string, separator, -1);
    if (limit < 0 || (int64_t)all->count <= limit + 1)
        return (struct clsa_value){.kind = CLSA_LIST, .list = all};
    struct clsa_value list = join_first(j, all, (size_t)limit);
    if (!separator) { /* white space before the first part stays */
        const struct clsa_string *first = list.list->items[0].string;
        const size_t end =
            (size_t)(first->data - self.string->data) + first->size;
        list.list->items[0] = clsa_string_part(j, self.string, 0, end);
    }
    return list;
}

CLSA_BUILTIN(splitlines)
{
    return (struct clsa_value){
        .kind = CLSA_LIST,
        .list = clsa_text_lines(j, self.string,
                                clsa_argument_true(a->values[0], false))};
}

/* The text before, the separator, and the text after it. */
static struct clsa_value parts_at(struct clsa_jinja *j,
                                  const struct clsa_string *s, size_t from,
                                  size_t to)
{
    const struct clsa_value tuple = clsa_list_new(j, CLSA_TUPLE, 3);
    clsa_list_add(j, tuple.list, clsa_string_part(j, s, 0, from));
    clsa_list_add(j, tuple.list, clsa_string_part(j, s, from, to));
    clsa_list_add(j, tuple.list, clsa_string_part(j, s, to, s->size));
    return tuple;
}

static const struct clsa_string *
partition_separator(struct clsa_jinja *j, const struct clsa_arguments *a)
{
    const struct clsa_string *s =
        clsa_argument_text(j, a->values[0], "partition");
    if (s->size == 0)
        clsa_jinja_fail(j, "partition needs a separator that is not empty");
    return s;
}

CLSA_BUILTIN(partition)
{
    const struct clsa_string *separator = partition_separator(j, a);
    const size_t at = clsa_find(j, self.string, separator, 0);
    if (at == SIZE_MAX)
        return parts_at(j, self.string, self.string->size, self.string->size);
    return parts_at(j, self.string, at, at + separator->size);
}

CLSA_BUILTIN(rpartition)
{
    const struct clsa_string *separator = partition_separator(j, a);
    size_t at = SIZE_MAX, next = clsa_find(j, self.string, separator, 0);
    while (next != SIZE_MAX) {
        at = next;
        next = clsa_find(j, self.string, separator, next + 1);
    }
    if (at == SIZE_MAX)
        return parts_at(j, self.string, 0, 0);
    return parts_at(j, self.string, at, at + separator->size);
}

CLSA_BUILTIN(join)
{
    const struct clsa_list *items = clsa_value_items(j, a->values[0]);
    for (size_t i = 0; i < items->count; i++)
        clsa_argument_text(j, items->items[i], "join");
    return clsa_text_join(j, self.string, items);
}

/* ------------------------------------------------------------------ format */

/* The value of a field: a number, a name, or the next one. */
static struct clsa_value field(struct clsa_jinja *j, const char *name,
                               size_t size, const struct clsa_arguments *a,
                               size_t *next)
{
    int64_t number;
    if (size == 0)
        number = (int64_t)(*next)++;
    else if (!clsa_parse_int(name, size, &number))
        number = -1;
    if (number >= 0 && (uint64_t)number < a->count)
        return a->values[number];
    for (size_t i = 0; number < 0 && i < a->named_count; i++)
        if (a->names[i]->size == size &&
            memcmp(a->names[i]->data, name, size) == 0)
            return a->named[i];
    clsa_jinja_fail(j, "format has no value for a field");
}

/* {name} or {name:spec}, where spec is what "%" takes, such as ".2f". */
static void add_field(struct clsa_jinja *j, struct clsa_buffer *buffer,
                      const struct clsa_string *text,
                      const struct clsa_arguments *a, size_t *next)
{
    const char *colon = memchr(text->data, ':', text->size);
    const size_t size = colon ? (size_t)(colon - text->data) : text->size;
    const struct clsa_value value = field(j, text->data, size, a, next);
    if (!colon || colon + 1 == text->data + text->size) {
        clsa_print_add(j, buffer, value);
        return;
    }
    static const char known[] = "0123456789.dfeEgGxXos";
    struct clsa_buffer format = {0};
    const char last = text->data[text->size - 1];
    for (size_t i = size + 1; i < text->size; i++)
        if (!text->data[i] || !strchr(known, text->data[i]))
            clsa_jinja_fail(j, "format does not know the field {%.*s}",
                            (int)(text->size % 100), text->data);
    clsa_buffer_add_text(j, &format, "%");
    clsa_buffer_add(j, &format, colon + 1, text->size - size - 1);
    if ((last >= '0' && last <= '9') || last == '.')
        clsa_buffer_add_text(j, &format, value.kind == CLSA_FLOAT ? "g" : "s");
    const struct clsa_value one = clsa_list_new(j, CLSA_TUPLE, 1);
    clsa_list_add(j, one.list, value);
    clsa_print_add(j, buffer,
                   clsa_format(j, clsa_buffer_string(j, &format).string, one));
}

CLSA_BUILTIN(format)
{
    struct clsa_buffer buffer = {0};
    const struct clsa_string *s = self.string;
    size_t next = 0;
    for (size_t at = 0; at < s->size; at++) {
        const char c = s->data[at];
        if ((c != '{' && c != '}') ||
            (at + 1 < s->size && s->data[at + 1] == c)) {
            clsa_buffer_add(j, &buffer, &c, 1);
            at += c == '{' || c == '}';
            continue;
        }
        const char *end = memchr(s->data + at, '}', s->size - at);
        if (c == '}' || !end)
            clsa_jinja_fail(j, "format: a brace stands alone");
        const size_t to = (size_t)(end - s->data);
        add_field(j, &buffer, clsa_string_part(j, s, at + 1, to).string, a,
                  &next);
        at = to;
    }
    return clsa_buffer_string(j, &buffer);
}

const struct clsa_builtin clsa_split_methods[] = {
    {"format", format, "*", 0},
    {"join", join, "iterable", 1},
    {"partition", partition, "sep", 1},
    {"rpartition", rpartition, "sep", 1},
    {"rsplit", rsplit, "sep maxsplit", 0},
    {"split", split, "sep maxsplit", 0},
    {"splitlines", splitlines, "keepends", 0},
    {0}};
