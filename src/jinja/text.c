/* SPDX-License-Identifier: Apache-2.0 */
/* Text in and out: stripping, replacing, cases, lines. */
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"
#include "src/jinja/text.h"

static struct clsa_value finish(struct clsa_jinja *j,
                                const struct clsa_string *like,
                                const struct clsa_buffer *buffer)
{
    const struct clsa_value text = clsa_buffer_string(j, buffer);
    return like->markup ? clsa_string_markup(j, text.string) : text;
}

static bool is_in(const struct clsa_string *chars, uint32_t c)
{
    uint32_t other;
    if (!chars)
        return clsa_char_space(c);
    for (size_t at = 0; at < chars->size;) {
        at += clsa_char_decode(chars->data + at, chars->size - at, &other);
        if (other == c)
            return true;
    }
    return false;
}

struct clsa_value clsa_text_strip(struct clsa_jinja *j,
                                  const struct clsa_string *s,
                                  const struct clsa_string *chars,
                                  unsigned sides)
{
    size_t from = 0, to = s->size;
    uint32_t c;
    while ((sides & CLSA_STRIP_LEFT) && from < to) {
        const size_t n = clsa_char_decode(s->data + from, to - from, &c);
        if (!is_in(chars, c))
            break;
        from += n;
    }
    while ((sides & CLSA_STRIP_RIGHT) && to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)s->data[at] & 0xc0) == 0x80)
            at--;
        clsa_char_decode(s->data + at, to - at, &c);
        if (!is_in(chars, c))
            break;
        to = at;
    }
    if (chars)
        clsa_jinja_charge(j, (s->size - (to - from)) * chars->size);
    return clsa_string_part(j, s, from, to);
}

/* `to` before each character and at the end. */
static struct clsa_value intersperse(struct clsa_jinja *j,
                                     const struct clsa_string *s,
                                     const struct clsa_string *to,
                                     int64_t count)
{
    struct clsa_buffer buffer = {0};
    uint32_t c;
    size_t at = 0;
    for (; at < s->size && count != 0; count--) {
        const size_t n = clsa_char_decode(s->data + at, s->size - at, &c);
        clsa_buffer_add(j, &buffer, to->data, to->size);
        clsa_buffer_add(j, &buffer, s->data + at, n);
        at += n;
    }
    clsa_buffer_add(j, &buffer, s->data + at, s->size - at);
    if (count != 0)
        clsa_buffer_add(j, &buffer, to->data, to->size);
    return finish(j, s, &buffer);
}

struct clsa_value clsa_text_replace(struct clsa_jinja *j,
                                    const struct clsa_string *s,
                                    const struct clsa_string *from,
                                    const struct clsa_string *to, int64_t count)
{
    struct clsa_buffer buffer = {0};
    size_t at = 0;
    if (from->size == 0)
        return intersperse(j, s, to, count);
    for (; count != 0; count--) {
        const size_t found = clsa_find(j, s, from, at);
        if (found == SIZE_MAX)
            break;
        clsa_buffer_add(j, &buffer, s->data + at, found - at);
        clsa_buffer_add(j, &buffer, to->data, to->size);
        at = found + from->size;
    }
    clsa_buffer_add(j, &buffer, s->data + at, s->size - at);
    return finish(j, s, &buffer);
}

/* ------------------------------------------------------------------- cases */

static void add_case(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     uint32_t c, enum clsa_case to)
{
    uint32_t result[3];
    const size_t n = clsa_char_case(c, to, result);
    for (size_t i = 0; i < n; i++)
        clsa_buffer_add_char(j, buffer, result[i]);
}

struct clsa_value clsa_text_case(struct clsa_jinja *j,
                                 const struct clsa_string *s, enum clsa_case to)
{
    struct clsa_buffer buffer = {0};
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        at += clsa_char_decode(s->data + at, s->size - at, &c);
        add_case(j, &buffer, c, to);
    }
    return finish(j, s, &buffer);
}

struct clsa_value clsa_text_capitalize(struct clsa_jinja *j,
                                       const struct clsa_string *s)
{
    struct clsa_buffer buffer = {0};
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        const enum clsa_case to = at == 0 ? CLSA_CASE_TITLE : CLSA_CASE_LOWER;
        at += clsa_char_decode(s->data + at, s->size - at, &c);
        add_case(j, &buffer, c, to);
    }
    return finish(j, s, &buffer);
}

struct clsa_value clsa_text_title(struct clsa_jinja *j,
                                  const struct clsa_string *s,
                                  bool (*separates)(uint32_t c),
                                  enum clsa_case first)
{
    struct clsa_buffer buffer = {0};
    bool start = true;
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        at += clsa_char_decode(s->data + at, s->size - at, &c);
        add_case(j, &buffer, c, start ? first : CLSA_CASE_LOWER);
        start = separates(c);
    }
    return finish(j, s, &buffer);
}

struct clsa_value clsa_text_pad(struct clsa_jinja *j,
                                const struct clsa_string *s, int64_t width,
                                const struct clsa_string *fill, unsigned sides)
{
    struct clsa_buffer buffer = {0};
    const int64_t length = (int64_t)clsa_chars_count(s->data, s->size);
    const int64_t blanks = width > length ? width - length : 0;
    int64_t left = blanks;
    if (sides == (CLSA_STRIP_LEFT | CLSA_STRIP_RIGHT)) /* as Python rounds */
        left = blanks / 2 + (blanks & width & 1);
    else if (sides == CLSA_STRIP_RIGHT)
        left = 0;
    for (int64_t i = 0; i < left; i++)
        clsa_buffer_add(j, &buffer, fill->data, fill->size);
    clsa_buffer_add(j, &buffer, s->data, s->size);
    for (int64_t i = left; i < blanks; i++)
        clsa_buffer_add(j, &buffer, fill->data, fill->size);
    return finish(j, s, &buffer);
}

/* ------------------------------------------------------------------- lines */

static bool ends_line(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 ||
           c == 0x2028 || c == 0x2029;
}

struct clsa_list *clsa_text_lines(struct clsa_jinja *j,
                                  const struct clsa_string *s, bool keep_ends)
{
    struct clsa_list *lines = clsa_list_new(j, CLSA_LIST, 0).list;
    size_t from = 0;
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        size_t to = at;
        at += clsa_char_decode(s->data + at, s->size - at, &c);
        if (!ends_line(c) && at < s->size)
            continue;
        if (!ends_line(c))
            to = at;
        if (c == '\r' && at < s->size && s->data[at] == '\n')
            at++;
        clsa_list_add(j, lines,
                      clsa_string_part(j, s, from, keep_ends ? at : to));
        from = at;
    }
    return lines;
}

struct clsa_value clsa_text_join(struct clsa_jinja *j,
                                 const struct clsa_string *separator,
                                 const struct clsa_list *items)
{
    const struct clsa_value between = {.kind = CLSA_STRING,
                                       .string = separator};
    struct clsa_list *parts = clsa_list_new(j, CLSA_LIST, 0).list;
    for (size_t i = 0; i < items->count; i++) {
        if (i > 0 && separator->size > 0)
            clsa_list_add(j, parts, between);
        clsa_list_add(j, parts, items->items[i]);
    }
    return clsa_join_text(j, parts);
}
