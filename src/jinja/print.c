/* SPDX-License-Identifier: Apache-2.0 */
/* str(), repr() and JSON. Values that contain themselves end at the depth. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/jinja/print.h"
#include "src/jinja/sequence.h"
#include "src/jinja/unicode.h"

static void add_int(struct clsa_jinja *j, struct clsa_buffer *buffer,
                    int64_t integer)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, integer);
    clsa_buffer_add_text(j, buffer, text);
}

static void add_real(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     double real)
{
    char text[CLSA_REAL_SIZE];
    clsa_print_real(text, real);
    clsa_buffer_add_text(j, buffer, text);
}

/* A character that repr() does not write as it is. */
static void escaped_char(struct clsa_jinja *j, struct clsa_buffer *buffer,
                         uint32_t c)
{
    char text[12];
    if (c == '\n' || c == '\r' || c == '\t')
        snprintf(text, sizeof text, "\\%c",
                 c == '\n'   ? 'n'
                 : c == '\r' ? 'r'
                             : 't');
    else if (c < 0x100)
        snprintf(text, sizeof text, "\\x%02" PRIx32, c);
    else if (c < 0x10000)
        snprintf(text, sizeof text, "\\u%04" PRIx32, c);
    else
        snprintf(text, sizeof text, "\\U%08" PRIx32, c);
    clsa_buffer_add_text(j, buffer, text);
}

static void repr_string(struct clsa_jinja *j, struct clsa_buffer *buffer,
                        const struct clsa_string *s)
{
    const bool single = s->size > 0 && memchr(s->data, '\'', s->size);
    const bool both = single && memchr(s->data, '"', s->size);
    const char quote = single && !both ? '"' : '\'';
    clsa_buffer_add(j, buffer, &quote, 1);
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        const size_t n = clsa_char_decode(s->data + at, s->size - at, &c);
        if (c == '\\' || c == (unsigned char)quote)
            clsa_buffer_add(j, buffer, "\\", 1);
        if (clsa_char_printable(c))
            clsa_buffer_add(j, buffer, s->data + at, n);
        else
            escaped_char(j, buffer, c);
        at += n;
    }
    clsa_buffer_add(j, buffer, &quote, 1);
}

static void repr_items(struct clsa_jinja *j, struct clsa_buffer *buffer,
                       const struct clsa_list *list, bool tuple)
{
    clsa_buffer_add_text(j, buffer, tuple ? "(" : "[");
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            clsa_buffer_add_text(j, buffer, ", ");
        clsa_print_repr(j, buffer, list->items[i]);
    }
    if (tuple && list->count == 1)
        clsa_buffer_add_text(j, buffer, ",");
    clsa_buffer_add_text(j, buffer, tuple ? ")" : "]");
}

static void repr_dict(struct clsa_jinja *j, struct clsa_buffer *buffer,
                      const struct clsa_dict *dict)
{
    clsa_buffer_add_text(j, buffer, "{");
    for (size_t i = 0; i < dict->count; i++) {
        if (i > 0)
            clsa_buffer_add_text(j, buffer, ", ");
        clsa_print_repr(j, buffer, dict->entries[i].key);
        clsa_buffer_add_text(j, buffer, ": ");
        clsa_print_repr(j, buffer, dict->entries[i].value);
    }
    clsa_buffer_add_text(j, buffer, "}");
}

static void repr_range(struct clsa_jinja *j, struct clsa_buffer *buffer,
                       const struct clsa_range *range)
{
    const int64_t end = range->start + (int64_t)range->count * range->step;
    clsa_buffer_add_text(j, buffer, "range(");
    add_int(j, buffer, range->start);
    clsa_buffer_add_text(j, buffer, ", ");
    add_int(j, buffer, end);
    if (range->step != 1) {
        clsa_buffer_add_text(j, buffer, ", ");
        add_int(j, buffer, range->step);
    }
    clsa_buffer_add_text(j, buffer, ")");
}

static void repr_nested(struct clsa_jinja *j, struct clsa_buffer *buffer,
                        struct clsa_value v)
{
    clsa_jinja_enter(j);
    if (v.kind == CLSA_NAMESPACE) {
        clsa_buffer_add_text(j, buffer, "<Namespace ");
        repr_dict(j, buffer, v.dict);
        clsa_buffer_add_text(j, buffer, ">");
    } else if (v.kind == CLSA_DICT) {
        repr_dict(j, buffer, v.dict);
    } else {
        repr_items(j, buffer, v.list, v.kind == CLSA_TUPLE);
    }
    clsa_jinja_leave(j);
}

void clsa_print_repr(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     struct clsa_value v)
{
    switch (v.kind) {
    case CLSA_UNDEFINED:
        clsa_buffer_add_text(j, buffer, "Undefined");
        break;
    case CLSA_NONE:
        clsa_buffer_add_text(j, buffer, "None");
        break;
    case CLSA_BOOL:
        clsa_buffer_add_text(j, buffer, v.truth ? "True" : "False");
        break;
    case CLSA_INT:
        add_int(j, buffer, v.integer);
        break;
    case CLSA_FLOAT:
        add_real(j, buffer, v.real);
        break;
    case CLSA_BIG:
        clsa_buffer_add(j, buffer, v.string->data, v.string->size);
        break;
    case CLSA_STRING:
        clsa_buffer_add_text(j, buffer, v.string->markup ? "Markup(" : "");
        repr_string(j, buffer, v.string);
        clsa_buffer_add_text(j, buffer, v.string->markup ? ")" : "");
        break;
    case CLSA_RANGE:
        repr_range(j, buffer, v.range);
        break;
    case CLSA_LIST:
    case CLSA_TUPLE:
    case CLSA_DICT:
    case CLSA_NAMESPACE:
        repr_nested(j, buffer, v);
        break;
    default:
        clsa_buffer_add_text(j, buffer, "<");
        clsa_buffer_add_text(j, buffer, clsa_value_type(v));
        clsa_buffer_add_text(j, buffer, ">");
    }
}

void clsa_print_add(struct clsa_jinja *j, struct clsa_buffer *buffer,
                    struct clsa_value v)
{
    if (v.kind == CLSA_STRING)
        clsa_buffer_add(j, buffer, v.string->data, v.string->size);
    else if (v.kind != CLSA_UNDEFINED)
        clsa_print_repr(j, buffer, v);
}

struct clsa_value clsa_print_str(struct clsa_jinja *j, struct clsa_value v)
{
    struct clsa_buffer buffer = {0};
    if (v.kind == CLSA_STRING)
        return v;
    clsa_print_add(j, &buffer, v);
    return clsa_buffer_string(j, &buffer);
}

/* -------------------------------------------------------------------- JSON */

struct json {
    struct clsa_jinja *j;
    struct clsa_buffer *buffer;
    const struct clsa_json_style *style;
    int level;
};

static void json_value(struct json *w, struct clsa_value v);

static void json_unicode(struct json *w, uint32_t c)
{
    char text[16];
    if (c < 0x10000)
        snprintf(text, sizeof text, "\\u%04" PRIx32, c);
    else
        snprintf(text, sizeof text, "\\u%04" PRIx32 "\\u%04" PRIx32,
                 0xd800 + ((c - 0x10000) >> 10),
                 0xdc00 + ((c - 0x10000) & 0x3ff));
    clsa_buffer_add_text(w->j, w->buffer, text);
}

static void json_char(struct json *w, uint32_t c, const char *bytes, size_t n)
{
    static const char from[] = "\"\\\n\r\t\f\b";
    static const char to[] = "\"\\nrtfb";
    const char *at = c > 0 && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (at) {
        const char pair[2] = {'\\', to[at - from]};
        clsa_buffer_add(w->j, w->buffer, pair, 2);
    } else if (c < 0x20 || (c >= 0x7f && w->style->ensure_ascii)) {
        json_unicode(w, c);
    } else {
        clsa_buffer_add(w->j, w->buffer, bytes, n);
    }
}

static void json_string(struct json *w, const struct clsa_string *s)
{
    uint32_t c;
    clsa_buffer_add(w->j, w->buffer, "\"", 1);
    for (size_t at = 0; at < s->size;) {
        const size_t n = clsa_char_decode(s->data + at, s->size - at, &c);
        json_char(w, c, s->data + at, n);
        at += n;
    }
    clsa_buffer_add(w->j, w->buffer, "\"", 1);
}

/* A new line with its indent, if there is one. */
static void json_break(struct json *w)
{
    if (w->style->indent < 0)
        return;
    clsa_buffer_add(w->j, w->buffer, "\n", 1);
    for (int i = 0; i < w->level; i++) {
        if (w->style->indent_text)
            clsa_buffer_add_text(w->j, w->buffer, w->style->indent_text);
        for (int k = 0; !w->style->indent_text && k < w->style->indent; k++)
            clsa_buffer_add(w->j, w->buffer, " ", 1);
    }
}

static void json_list(struct json *w, const struct clsa_list *list)
{
    clsa_buffer_add_text(w->j, w->buffer, "[");
    w->level++;
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            clsa_buffer_add_text(w->j, w->buffer, w->style->item_separator);
        json_break(w);
        json_value(w, list->items[i]);
    }
    w->level--;
    if (list->count > 0)
        json_break(w);
    clsa_buffer_add_text(w->j, w->buffer, "]");
}

/* Keys are strings in JSON: Python writes numbers, true, null as such. */
static void json_key(struct json *w, struct clsa_value key)
{
    if (key.kind == CLSA_STRING) {
        json_string(w, key.string);
        return;
    }
    if (!clsa_is_number(key) && key.kind != CLSA_NONE)
        clsa_jinja_fail(w->j, "tojson: %s cannot be a key of JSON",
                        clsa_value_type(key));
    clsa_buffer_add(w->j, w->buffer, "\"", 1);
    json_value(w, key);
    clsa_buffer_add(w->j, w->buffer, "\"", 1);
}

static void json_dict(struct json *w, const struct clsa_dict *dict)
{
    struct clsa_entry *entries = dict->entries;
    if (w->style->sort_keys)
        entries = clsa_sorted_entries(w->j, dict);
    clsa_buffer_add_text(w->j, w->buffer, "{");
    w->level++;
    for (size_t i = 0; i < dict->count; i++) {
        if (i > 0)
            clsa_buffer_add_text(w->j, w->buffer, w->style->item_separator);
        json_break(w);
        json_key(w, entries[i].key);
        clsa_buffer_add_text(w->j, w->buffer, w->style->key_separator);
        json_value(w, entries[i].value);
    }
    w->level--;
    if (dict->count > 0)
        json_break(w);
    clsa_buffer_add_text(w->j, w->buffer, "}");
}

static void json_real(struct json *w, double real)
{
    if (isnan(real))
        clsa_buffer_add_text(w->j, w->buffer, "NaN");
    else if (isinf(real))
        clsa_buffer_add_text(w->j, w->buffer,
                             real < 0 ? "-Infinity" : "Infinity");
    else
        add_real(w->j, w->buffer, real);
}

static void json_value(struct json *w, struct clsa_value v)
{
    clsa_jinja_enter(w->j);
    switch (v.kind) {
    case CLSA_NONE:
        clsa_buffer_add_text(w->j, w->buffer, "null");
        break;
    case CLSA_BOOL:
        clsa_buffer_add_text(w->j, w->buffer, v.truth ? "true" : "false");
        break;
    case CLSA_INT:
    case CLSA_BIG:
        clsa_print_repr(w->j, w->buffer, v);
        break;
    case CLSA_FLOAT:
        json_real(w, v.real);
        break;
    case CLSA_STRING:
        json_string(w, v.string);
        break;
    case CLSA_LIST:
    case CLSA_TUPLE:
        json_list(w, v.list);
        break;
    case CLSA_DICT:
        json_dict(w, v.dict);
        break;
    default:
        clsa_jinja_fail(w->j, "tojson: %s cannot be written as JSON",
                        clsa_value_type(v));
    }
    clsa_jinja_leave(w->j);
}

void clsa_print_json(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     struct clsa_value v, const struct clsa_json_style *style)
{
    struct json w = {.j = j, .buffer = buffer, .style = style};
    json_value(&w, v);
}
