/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of text. What is no string is printed first. */
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"
#include "src/jinja/text.h"

static const struct clsa_string *text_of(struct clsa_jinja *j,
                                         struct clsa_value v)
{
    return clsa_print_str(j, v).string;
}

/* A text argument, or what it is without. */
static const struct clsa_string *
text_or(struct clsa_jinja *j, struct clsa_value v, const char *absent)
{
    if (v.kind == CLSA_ABSENT)
        return absent ? clsa_text(j, absent).string : NULL;
    return clsa_argument_text(j, v, "the filter");
}

CLSA_BUILTIN(capitalize)
{
    (void)a;
    return clsa_text_capitalize(j, text_of(j, self));
}

CLSA_BUILTIN(center)
{
    const int64_t width = clsa_argument_int(j, a->values[0], "center", 80);
    return clsa_text_pad(j, text_of(j, self), width, clsa_text(j, " ").string,
                         CLSA_STRIP_LEFT | CLSA_STRIP_RIGHT);
}

CLSA_BUILTIN(escape)
{
    (void)a;
    return clsa_escape(j, self);
}

CLSA_BUILTIN(force_escape)
{
    (void)a;
    struct clsa_string plain = *text_of(j, self);
    plain.markup = false;
    return clsa_escape(
        j, (struct clsa_value){.kind = CLSA_STRING, .string = &plain});
}

CLSA_BUILTIN(format)
{
    struct clsa_value values = clsa_list_new(j, CLSA_TUPLE, a->count);
    if (a->count > 0 && a->named_count > 0)
        clsa_jinja_fail(j, "format takes arguments in order or by name");
    for (size_t i = 0; i < a->count; i++)
        clsa_list_add(j, values.list, a->values[i]);
    if (a->named_count > 0)
        values = clsa_dict_new(j, CLSA_DICT);
    for (size_t i = 0; i < a->named_count; i++)
        clsa_dict_set(
            j, values.dict,
            (struct clsa_value){.kind = CLSA_STRING, .string = a->names[i]},
            a->named[i]);
    return clsa_format(j, text_of(j, self), values);
}

/* The text before each line: so many blanks, or a string. */
static struct clsa_value indention(struct clsa_jinja *j,
                                   struct clsa_value width)
{
    if (width.kind == CLSA_STRING)
        return width;
    return clsa_operate(j, CLSA_OP_MUL, clsa_text(j, " "),
                        clsa_int(clsa_argument_int(j, width, "indent", 4)));
}

CLSA_BUILTIN(indent)
{
    struct clsa_buffer buffer = {0};
    const struct clsa_value before = indention(j, a->values[0]);
    const bool first = clsa_argument_true(a->values[1], false);
    const bool blank = clsa_argument_true(a->values[2], false);
    const struct clsa_value text = clsa_operate(
        j, CLSA_OP_ADD, clsa_print_str(j, self), clsa_text(j, "\n"));
    const struct clsa_list *lines = clsa_text_lines(j, text.string, false);
    for (size_t i = 0; i < lines->count; i++) {
        const struct clsa_value line = lines->items[i];
        if (i > 0)
            clsa_buffer_add_text(j, &buffer, "\n");
        if (i == 0 ? first : blank || line.string->size > 0)
            clsa_print_add(j, &buffer, before);
        clsa_print_add(j, &buffer, line);
    }
    return clsa_buffer_string(j, &buffer);
}

CLSA_BUILTIN(lower)
{
    (void)a;
    return clsa_text_case(j, text_of(j, self), CLSA_CASE_LOWER);
}

CLSA_BUILTIN(upper)
{
    (void)a;
    return clsa_text_case(j, text_of(j, self), CLSA_CASE_UPPER);
}

CLSA_BUILTIN(replace)
{
    const int64_t count =
        a->values[2].kind == CLSA_NONE
            ? -1
            : clsa_argument_int(j, a->values[2], "replace", -1);
    return clsa_text_replace(j, text_of(j, self), text_of(j, a->values[0]),
                             text_of(j, a->values[1]), count);
}

CLSA_BUILTIN(safe)
{
    (void)a;
    return clsa_string_markup(j, text_of(j, self));
}

CLSA_BUILTIN(string)
{
    (void)a;
    return clsa_print_str(j, self);
}

static bool separates_title(uint32_t c)
{
    return clsa_char_space(c) || c == '-' || c == '(' || c == '{' || c == '[' ||
           c == '<';
}

CLSA_BUILTIN(title)
{
    (void)a;
    return clsa_text_title(j, text_of(j, self), separates_title,
                           CLSA_CASE_UPPER);
}

CLSA_BUILTIN(trim)
{
    const struct clsa_string *chars =
        a->values[0].kind == CLSA_NONE ? NULL : text_or(j, a->values[0], NULL);
    return clsa_text_strip(j, text_of(j, self), chars,
                           CLSA_STRIP_LEFT | CLSA_STRIP_RIGHT);
}

CLSA_BUILTIN(truncate)
{
    const struct clsa_string *s = text_of(j, self);
    const int64_t length = clsa_argument_int(j, a->values[0], "truncate", 255);
    const struct clsa_string *end = text_or(j, a->values[2], "...");
    const int64_t leeway = clsa_argument_int(j, a->values[3], "truncate", 5);
    const int64_t end_chars = (int64_t)clsa_chars_count(end->data, end->size);
    const int64_t chars = (int64_t)clsa_chars_count(s->data, s->size);
    struct clsa_buffer buffer = {0};
    if (length < end_chars || leeway < 0)
        clsa_jinja_fail(j, "truncate needs a length of %d at least",
                        (int)end_chars);
    if (chars <= length || chars - length <= leeway)
        return clsa_print_str(j, self);
    size_t to =
        clsa_chars_offset(s->data, s->size, (size_t)(length - end_chars));
    size_t word = to;
    while (word > 0 && s->data[word - 1] != ' ')
        word--;
    if (word > 0 && !clsa_argument_true(a->values[1], false))
        to = word - 1;
    clsa_buffer_add(j, &buffer, s->data, to);
    clsa_buffer_add(j, &buffer, end->data, end->size);
    return clsa_buffer_string(j, &buffer);
}

CLSA_BUILTIN(wordcount)
{
    (void)a;
    const struct clsa_string *s = text_of(j, self);
    bool inside = false;
    int64_t count = 0;
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        at += clsa_char_decode(s->data + at, s->size - at, &c);
        const bool word = clsa_char_alpha(c) || clsa_char_digit(c) || c == '_';
        count += word && !inside;
        inside = word;
    }
    return clsa_int(count);
}

/* A C string of the pool. */
static const char *c_string(struct clsa_jinja *j, const struct clsa_string *s)
{
    char *copy = clsa_jinja_take(j, s->size + 1, 1);
    if (s->size > 0)
        memcpy(copy, s->data, s->size);
    return copy;
}

CLSA_BUILTIN(tojson)
{
    struct clsa_buffer buffer = {0};
    struct clsa_json_style style = {
        .item_separator = ", ", .key_separator = ": ", .indent = -1};
    const struct clsa_value indent = a->values[1], separators = a->values[2];
    style.ensure_ascii = clsa_argument_true(a->values[0], false);
    style.sort_keys = clsa_argument_true(a->values[3], false);
    if (indent.kind == CLSA_STRING) {
        style.indent = 1;
        style.indent_text = c_string(j, indent.string);
    } else if (indent.kind != CLSA_NONE && indent.kind != CLSA_ABSENT) {
        const int64_t width = clsa_argument_int(j, indent, "tojson", -1);
        style.indent = width < 0 ? 0 : width > 1000 ? 1000 : (int)width;
    }
    if (style.indent >= 0)
        style.item_separator = ",";
    if (separators.kind != CLSA_NONE && separators.kind != CLSA_ABSENT) {
        const struct clsa_list *pair = clsa_value_items(j, separators);
        if (pair->count != 2)
            clsa_jinja_fail(j, "tojson needs two separators");
        style.item_separator =
            c_string(j, clsa_argument_text(j, pair->items[0], "tojson"));
        style.key_separator =
            c_string(j, clsa_argument_text(j, pair->items[1], "tojson"));
    }
    clsa_print_json(j, &buffer, self, &style);
    return clsa_buffer_string(j, &buffer);
}

const struct clsa_builtin clsa_text_filters[] = {
    {"capitalize", capitalize, "", 0},
    {"center", center, "width", 0},
    {"e", escape, "", 0},
    {"escape", escape, "", 0},
    {"forceescape", force_escape, "", 0},
    {"format", format, "*", 0},
    {"indent", indent, "width first blank", 0},
    {"lower", lower, "", 0},
    {"replace", replace, "old new count", 2},
    {"safe", safe, "", 0},
    {"string", string, "", 0},
    {"title", title, "", 0},
    {"tojson", tojson, "ensure_ascii indent separators sort_keys", 0},
    {"trim", trim, "chars", 0},
    {"truncate", truncate, "length killwords end leeway", 0},
    {"upper", upper, "", 0},
    {"wordcount", wordcount, "", 0},
    {0}};
