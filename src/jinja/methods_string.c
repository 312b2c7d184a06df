/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of strings, except those that cut them up (methods_split.c). */
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"
#include "src/jinja/text.h"

static const struct clsa_string *text_argument(struct clsa_jinja *j,
                                               struct clsa_value v)
{
    return clsa_argument_text(j, v, "the method");
}

/* ---------------------------------------------------------- cases and edges */

CLSA_BUILTIN(capitalize)
{
    (void)a;
    return clsa_text_capitalize(j, self.string);
}

CLSA_BUILTIN(lower)
{
    (void)a;
    return clsa_text_case(j, self.string, CLSA_CASE_LOWER);
}

CLSA_BUILTIN(upper)
{
    (void)a;
    return clsa_text_case(j, self.string, CLSA_CASE_UPPER);
}

static bool no_letter(uint32_t c)
{
    return !clsa_char_alpha(c);
}

CLSA_BUILTIN(title)
{
    (void)a;
    return clsa_text_title(j, self.string, no_letter, CLSA_CASE_TITLE);
}

CLSA_BUILTIN(swapcase)
{
    (void)a;
    struct clsa_buffer buffer = {0};
    const struct clsa_string *s = self.string;
    uint32_t c, result[3];
    for (size_t at = 0; at < s->size;) {
        at += clsa_char_decode(s->data + at, s->size - at, &c);
        const size_t n = clsa_char_case(
            c, clsa_char_upper(c) ? CLSA_CASE_LOWER : CLSA_CASE_UPPER, result);
        for (size_t i = 0; i < n; i++)
            clsa_buffer_add_char(j, &buffer, result[i]);
    }
    return clsa_buffer_string(j, &buffer);
}

static struct clsa_value strip_sides(struct clsa_jinja *j,
                                     struct clsa_value self,
                                     const struct clsa_arguments *a,
                                     unsigned sides)
{
    const struct clsa_value chars = a->values[0];
    const bool blanks = chars.kind == CLSA_ABSENT || chars.kind == CLSA_NONE;
    return clsa_text_strip(j, self.string,
                           blanks ? NULL : text_argument(j, chars), sides);
}

CLSA_BUILTIN(strip)
{
    return strip_sides(j, self, a, CLSA_STRIP_LEFT | CLSA_STRIP_RIGHT);
}

CLSA_BUILTIN(lstrip)
{
    return strip_sides(j, self, a, CLSA_STRIP_LEFT);
}

CLSA_BUILTIN(rstrip)
{
    return strip_sides(j, self, a, CLSA_STRIP_RIGHT);
}

static struct clsa_value padded(struct clsa_jinja *j, struct clsa_value self,
                                const struct clsa_arguments *a, unsigned sides)
{
    const struct clsa_string *fill = a->values[1].kind == CLSA_ABSENT
                                         ? clsa_text(j, " ").string
                                         : text_argument(j, a->values[1]);
    if (clsa_chars_count(fill->data, fill->size) != 1)
        clsa_jinja_fail(j, "the fill has to be one character");
    return clsa_text_pad(j, self.string,
                         clsa_argument_int(j, a->values[0], "the width", 0),
                         fill, sides);
}

CLSA_BUILTIN(center)
{
    return padded(j, self, a, CLSA_STRIP_LEFT | CLSA_STRIP_RIGHT);
}

CLSA_BUILTIN(ljust)
{
    return padded(j, self, a, CLSA_STRIP_RIGHT);
}

CLSA_BUILTIN(rjust)
{
    return padded(j, self, a, CLSA_STRIP_LEFT);
}

CLSA_BUILTIN(zfill)
{
    const struct clsa_string *s = self.string;
    const size_t sign = s->size > 0 && (s->data[0] == '-' || s->data[0] == '+');
    const int64_t width = clsa_argument_int(j, a->values[0], "zfill", 0);
    const struct clsa_value digits = clsa_text_pad(
        j, clsa_string_part(j, s, sign, s->size).string, width - (int64_t)sign,
        clsa_text(j, "0").string, CLSA_STRIP_LEFT);
    return clsa_operate(j, CLSA_OP_ADD, clsa_string_part(j, s, 0, sign),
                        digits);
}

/* ------------------------------------------------------------------ finding */

/* The part of the string that start and end leave; *first receives the number
   of characters before it. */
static const struct clsa_string *searched(struct clsa_jinja *j,
                                          struct clsa_value self,
                                          const struct clsa_arguments *a,
                                          int64_t *first)
{
    struct clsa_value parts[] = {clsa_none(), clsa_none(), clsa_none()};
    size_t length;
    clsa_value_length(self, &length);
    *first = 0;
    for (size_t i = 0; i < 2; i++)
        if (a->values[1 + i].kind != CLSA_ABSENT)
            parts[i] = a->values[1 + i];
    if (parts[0].kind != CLSA_NONE) {
        *first = clsa_argument_int(j, parts[0], "start", 0);
        if (*first < 0)
            *first = *first < -(int64_t)length ? 0 : *first + (int64_t)length;
    }
    return clsa_slice(j, self, parts).string;
}

/* Where the argument is, in characters, or -1. */
static int64_t position(struct clsa_jinja *j, struct clsa_value self,
                        const struct clsa_arguments *a, bool last)
{
    int64_t first;
    const struct clsa_string *part = text_argument(j, a->values[0]);
    const struct clsa_string *s = searched(j, self, a, &first);
    size_t found = clsa_find(j, s, part, 0), next = found;
    while (last && next != SIZE_MAX && next < s->size) {
        found = next;
        next = clsa_find(j, s, part, next + 1);
    }
    if (last && part->size == 0)
        found = s->size;
    if (found == SIZE_MAX)
        return -1;
    return first + (int64_t)clsa_chars_count(s->data, found);
}

CLSA_BUILTIN(find)
{
    return clsa_int(position(j, self, a, false));
}

CLSA_BUILTIN(rfind)
{
    return clsa_int(position(j, self, a, true));
}

static struct clsa_value needed(struct clsa_jinja *j, int64_t found)
{
    if (found < 0)
        clsa_jinja_fail(j, "index: the text is not there");
    return clsa_int(found);
}

CLSA_BUILTIN(index_of)
{
    return needed(j, position(j, self, a, false));
}

CLSA_BUILTIN(rindex_of)
{
    return needed(j, position(j, self, a, true));
}

CLSA_BUILTIN(count)
{
    int64_t first, n = 0;
    const struct clsa_string *part = text_argument(j, a->values[0]);
    const struct clsa_string *s = searched(j, self, a, &first);
    if (part->size == 0)
        return clsa_int((int64_t)clsa_chars_count(s->data, s->size) + 1);
    for (size_t at = clsa_find(j, s, part, 0); at != SIZE_MAX;
         at = clsa_find(j, s, part, at + part->size))
        n++;
    return clsa_int(n);
}

static bool matches(const struct clsa_string *s, const struct clsa_string *part,
                    bool end)
{
    return part->size <= s->size &&
           (part->size == 0 ||
            memcmp(s->data + (end ? s->size - part->size : 0), part->data,
                   part->size) == 0);
}

/* Whether the string starts or ends with a text, or with one of a tuple. */
static struct clsa_value edge(struct clsa_jinja *j, struct clsa_value self,
                              const struct clsa_arguments *a, bool end)
{
    int64_t first;
    const struct clsa_string *s = searched(j, self, a, &first);
    if (a->values[0].kind != CLSA_TUPLE)
        return clsa_bool(matches(s, text_argument(j, a->values[0]), end));
    const struct clsa_list *all = a->values[0].list;
    for (size_t i = 0; i < all->count; i++)
        if (matches(s, text_argument(j, all->items[i]), end))
            return clsa_bool(true);
    return clsa_bool(false);
}

CLSA_BUILTIN(startswith)
{
    return edge(j, self, a, false);
}

CLSA_BUILTIN(endswith)
{
    return edge(j, self, a, true);
}

CLSA_BUILTIN(removeprefix)
{
    const struct clsa_string *part = text_argument(j, a->values[0]);
    if (!matches(self.string, part, false))
        return self;
    return clsa_string_part(j, self.string, part->size, self.string->size);
}

CLSA_BUILTIN(removesuffix)
{
    const struct clsa_string *part = text_argument(j, a->values[0]);
    if (!matches(self.string, part, true))
        return self;
    return clsa_string_part(j, self.string, 0, self.string->size - part->size);
}

CLSA_BUILTIN(replace)
{
    return clsa_text_replace(j, self.string, text_argument(j, a->values[0]),
                             text_argument(j, a->values[1]),
                             clsa_argument_int(j, a->values[2], "replace", -1));
}

/* --------------------------------------------------------------- properties */

static struct clsa_value all_are(struct clsa_value self, bool (*is)(uint32_t))
{
    const struct clsa_string *s = self.string;
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        at += clsa_char_decode(s->data + at, s->size - at, &c);
        if (!is(c))
            return clsa_bool(false);
    }
    return clsa_bool(s->size > 0);
}

static bool alpha_or_digit(uint32_t c)
{
    return clsa_char_alpha(c) || clsa_char_digit(c);
}

#define PROPERTY(name, is)                                                     \
    CLSA_BUILTIN(name)                                                         \
    {                                                                          \
        (void)j;                                                               \
        (void)a;                                                               \
        return all_are(self, is);                                              \
    }

PROPERTY(is_alnum, alpha_or_digit)
PROPERTY(is_alpha, clsa_char_alpha)
PROPERTY(is_digit, clsa_char_digit)
PROPERTY(is_space, clsa_char_space)

static struct clsa_value run_test(struct clsa_jinja *j, struct clsa_value self,
                                  const char *name)
{
    const struct clsa_arguments none = {0};
    return clsa_builtin_run(j, clsa_test_find(clsa_text(j, name).string), self,
                            &none);
}

CLSA_BUILTIN(is_lower)
{
    (void)a;
    return run_test(j, self, "lower");
}

CLSA_BUILTIN(is_upper)
{
    (void)a;
    return run_test(j, self, "upper");
}

const struct clsa_builtin clsa_string_methods[] = {
    {"capitalize", capitalize, "", 0},
    {"casefold", lower, "", 0},
    {"center", center, "width fillchar", 1},
    {"count", count, "sub start end", 1},
    {"endswith", endswith, "suffix start end", 1},
    {"find", find, "sub start end", 1},
    {"index", index_of, "sub start end", 1},
    {"isalnum", is_alnum, "", 0},
    {"isalpha", is_alpha, "", 0},
    {"isdecimal", is_digit, "", 0},
    {"isdigit", is_digit, "", 0},
    {"islower", is_lower, "", 0},
    {"isnumeric", is_digit, "", 0},
    {"isspace", is_space, "", 0},
    {"isupper", is_upper, "", 0},
    {"ljust", ljust, "width fillchar", 1},
    {"lower", lower, "", 0},
    {"lstrip", lstrip, "chars", 0},
    {"removeprefix", removeprefix, "prefix", 1},
    {"removesuffix", removesuffix, "suffix", 1},
    {"replace", replace, "old new count", 2},
    {"rfind", rfind, "sub start end", 1},
    {"rindex", rindex_of, "sub start end", 1},
    {"rjust", rjust, "width fillchar", 1},
    {"rstrip", rstrip, "chars", 0},
    {"startswith", startswith, "prefix start end", 1},
    {"strip", strip, "chars", 0},
    {"swapcase", swapcase, "", 0},
    {"title", title, "", 0},
    {"upper", upper, "", 0},
    {"zfill", zfill, "width", 1},
    {0}};
