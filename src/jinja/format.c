/* SPDX-License-Identifier: Apache-2.0 */
/* "format" % values, as Python has it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/unicode.h"

struct conversion {
    bool left, plus, blank, zero, alternate;
    size_t width;
    int precision; /* -1: none */
    char type;
};

struct formatter {
    struct clsa_jinja *j;
    struct clsa_buffer out;
    const struct clsa_string *format;
    size_t at; /* in the format */
    struct clsa_value values;
    size_t used; /* of the values */
};

static char next_char(struct formatter *f)
{
    if (f->at >= f->format->size)
        clsa_jinja_fail(f->j, "a format ends after %%");
    return f->format->data[f->at++];
}

/* A number below 1000 from the format, or a value for "*". */
static size_t number(struct formatter *f, char *c)
{
    size_t n = 0;
    while (*c >= '0' && *c <= '9') {
        n = 10 * n + (size_t)(*c - '0');
        if (n >= 1000)
            clsa_jinja_fail(f->j, "a format has a width of 1000 or more");
        *c = next_char(f);
    }
    return n;
}

static struct clsa_value next_value(struct formatter *f)
{
    const bool tuple = f->values.kind == CLSA_TUPLE;
    const size_t count = tuple ? f->values.list->count : 1;
    if (f->used >= count)
        clsa_jinja_fail(f->j, "a format has more conversions than values");
    const size_t at = f->used++;
    return tuple ? f->values.list->items[at] : f->values;
}

/* %(name) takes the value of a dictionary. */
static struct clsa_value named_value(struct formatter *f)
{
    const size_t from = f->at;
    while (next_char(f) != ')')
        continue;
    const struct clsa_value key =
        clsa_string_part(f->j, f->format, from, f->at - 1);
    const struct clsa_value *found =
        f->values.kind == CLSA_DICT ? clsa_dict_get(f->j, f->values.dict, key)
                                    : NULL;
    if (!found)
        clsa_jinja_fail(f->j, "a format has a name that its values have not");
    f->used = 1;
    return *found;
}

/* `text` with its sign apart, to the width. */
static void pad(struct formatter *f, const struct conversion *c,
                const char *sign, const char *text, size_t size)
{
    const size_t length = strlen(sign) + clsa_chars_count(text, size);
    const size_t blanks = c->width > length ? c->width - length : 0;
    const bool zeros = c->zero && !c->left;
    if (!zeros && !c->left)
        for (size_t i = 0; i < blanks; i++)
            clsa_buffer_add(f->j, &f->out, " ", 1);
    clsa_buffer_add_text(f->j, &f->out, sign);
    if (zeros)
        for (size_t i = 0; i < blanks; i++)
            clsa_buffer_add(f->j, &f->out, "0", 1);
    clsa_buffer_add(f->j, &f->out, text, size);
    if (c->left)
        for (size_t i = 0; i < blanks; i++)
            clsa_buffer_add(f->j, &f->out, " ", 1);
}

static void text_conversion(struct formatter *f, struct conversion *c,
                            struct clsa_value v)
{
    struct clsa_buffer buffer = {0};
    if (c->type == 's')
        clsa_print_add(f->j, &buffer, v);
    else
        clsa_print_repr(f->j, &buffer, v);
    size_t size = buffer.size;
    if (c->precision >= 0)
        size = clsa_chars_offset(buffer.data, size, (size_t)c->precision);
    c->zero = false;
    pad(f, c, "", buffer.data ? buffer.data : "", size);
}

static const char *sign_of(const struct conversion *c, bool negative)
{
    return negative ? "-" : c->plus ? "+" : c->blank ? " " : "";
}

static void int_conversion(struct formatter *f, const struct conversion *c,
                           struct clsa_value v)
{
    char text[32], sign[4];
    int64_t integer = 0;
    if (v.kind == CLSA_FLOAT && v.real > -9e18 && v.real < 9e18 &&
        strchr("di", c->type))
        integer = (int64_t)v.real;
    else if (!clsa_value_int(v, &integer))
        clsa_jinja_fail(f->j, "%%%c needs a number, not %s", c->type,
                        clsa_value_type(v));
    const uint64_t size =
        integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    const char *format = c->type == 'x'   ? "%" PRIx64
                         : c->type == 'X' ? "%" PRIX64
                         : c->type == 'o' ? "%" PRIo64
                                          : "%" PRIu64;
    const char *prefix = !c->alternate    ? ""
                         : c->type == 'x' ? "0x"
                         : c->type == 'X' ? "0X"
                         : c->type == 'o' ? "0o"
                                          : "";
    int n = snprintf(text, sizeof text, format, size);
    snprintf(sign, sizeof sign, "%s%s", sign_of(c, integer < 0), prefix);
    pad(f, c, sign, text, (size_t)n);
}

static void real_conversion(struct formatter *f, const struct conversion *c,
                            struct clsa_value v)
{
    char text[400];
    if (!clsa_is_number(v))
        clsa_jinja_fail(f->j, "%%%c needs a number, not %s", c->type,
                        clsa_value_type(v));
    const double real = clsa_value_real(v);
    const bool negative = real < 0 || (real == 0 && 1 / real < 0);
    const int precision = c->precision < 0    ? 6
                          : c->precision > 60 ? 60
                                              : c->precision;
    int n = clsa_print_fixed(text, sizeof text, c->type, precision,
                             negative ? -real : real);
    pad(f, c, sign_of(c, negative), text, (size_t)n);
}

static void char_conversion(struct formatter *f, struct conversion *c,
                            struct clsa_value v)
{
    char bytes[4];
    int64_t integer;
    c->zero = false;
    if (v.kind == CLSA_STRING &&
        clsa_chars_count(v.string->data, v.string->size) == 1) {
        pad(f, c, "", v.string->data, v.string->size);
        return;
    }
    if (!clsa_value_int(v, &integer) || integer < 0 || integer > 0x10ffff ||
        (integer >= 0xd800 && integer <= 0xdfff))
        clsa_jinja_fail(f->j, "%%c needs a character");
    pad(f, c, "", bytes, clsa_char_encode((uint32_t)integer, bytes));
}

static void convert(struct formatter *f, struct conversion *c,
                    const struct clsa_value *named)
{
    if (c->type == '%') {
        clsa_buffer_add(f->j, &f->out, "%", 1);
        return;
    }
    if (!c->type || !strchr("sradiuxXoeEfFgGc", c->type))
        clsa_jinja_fail(f->j, "a format has an unknown conversion");
    const struct clsa_value v = named ? *named : next_value(f);
    if (strchr("sra", c->type))
        text_conversion(f, c, v);
    else if (c->type == 'c')
        char_conversion(f, c, v);
    else if (strchr("eEfFgG", c->type))
        real_conversion(f, c, v);
    else
        int_conversion(f, c, v);
}

/* After "%". */
static void conversion(struct formatter *f)
{
    struct conversion c = {.precision = -1};
    struct clsa_value value;
    bool named = false;
    char next = next_char(f);
    if (next == '(') {
        value = named_value(f);
        named = true;
        next = next_char(f);
    }
    for (; next && strchr("-+ 0#", next); next = next_char(f)) {
        c.left |= next == '-';
        c.plus |= next == '+';
        c.blank |= next == ' ';
        c.zero |= next == '0';
        c.alternate |= next == '#';
    }
    c.width = number(f, &next);
    if (next == '.') {
        next = next_char(f);
        c.precision = (int)number(f, &next);
    }
    c.type = next;
    convert(f, &c, named ? &value : NULL);
}

struct clsa_value clsa_format(struct clsa_jinja *j,
                              const struct clsa_string *format,
                              struct clsa_value values)
{
    struct formatter f = {.j = j, .format = format, .values = values};
    while (f.at < format->size) {
        const char *from = format->data + f.at;
        const char *percent = memchr(from, '%', format->size - f.at);
        const size_t plain =
            percent ? (size_t)(percent - from) : format->size - f.at;
        clsa_buffer_add(j, &f.out, from, plain);
        f.at += plain;
        if (!percent)
            break;
        f.at++;
        conversion(&f);
    }
    const bool all = values.kind == CLSA_TUPLE
                         ? f.used == values.list->count
                         : f.used == 1 || values.kind == CLSA_DICT ||
                               values.kind == CLSA_LIST ||
                               values.kind == CLSA_RANGE ||
                               values.kind == CLSA_UNDEFINED;
    if (!all)
        clsa_jinja_fail(j, "a format has fewer conversions than values");
    const struct clsa_value text = clsa_buffer_string(j, &f.out);
    return format->markup ? clsa_string_markup(j, text.string) : text;
}
