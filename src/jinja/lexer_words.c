/* SPDX-License-Identifier: Apache-2.0 */
/* Names, operators, strings and numbers. */
#include <string.h>

#include "src/jinja/lexer_words.h"
#include "src/jinja/print.h"
#include "src/jinja/unicode.h"

void clsa_lexer_add(struct clsa_lexer *x, enum clsa_token_type type,
                    struct clsa_value value)
{
    struct clsa_token_list *list = x->list;
    if (list->count == list->capacity) {
        const size_t capacity = 2 * list->capacity + 64;
        struct clsa_token *grown =
            clsa_jinja_take(x->j, capacity, sizeof *grown);
        if (list->count > 0)
            memcpy(grown, list->tokens, list->count * sizeof *grown);
        list->tokens = grown;
        list->capacity = capacity;
    }
    list->tokens[list->count++] =
        (struct clsa_token){.type = type, .line = x->j->line, .value = value};
}

void clsa_lexer_lines(struct clsa_lexer *x, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        x->j->line += x->text[i] == '\n';
}

/* ------------------------------------------------------------------ strings */

/* The number of `digits` hexadecimal digits; false if there are fewer. */
static bool hex(const char *text, size_t size, size_t digits, uint32_t *number)
{
    *number = 0;
    if (digits > size)
        return false;
    for (size_t i = 0; i < digits; i++) {
        const char *all = "0123456789abcdef";
        const char lower =
            (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + ('a' - 'A')
                                                    : text[i]);
        const char *at = lower ? strchr(all, lower) : NULL;
        if (!at)
            return false;
        *number = *number << 4 | (uint32_t)(at - all);
    }
    return true;
}

/* A character by its number: \ooo, \xhh, \uhhhh, \Uhhhhhhhh. Returns the bytes
   after the backslash; 0: it is none. */
static size_t numbered(struct clsa_jinja *j, const char *text, size_t size,
                       uint32_t *c)
{
    size_t used = 0;
    if (text[0] >= '0' && text[0] <= '7') {
        for (*c = 0;
             used < 3 && used < size && text[used] >= '0' && text[used] <= '7';
             used++)
            *c = *c << 3 | (uint32_t)(text[used] - '0');
        return used;
    }
    const size_t digits = text[0] == 'x'   ? 2
                          : text[0] == 'u' ? 4
                          : text[0] == 'U' ? 8
                                           : 0;
    if (digits == 0)
        return 0;
    if (!hex(text + 1, size - 1, digits, c))
        clsa_jinja_fail(j,
                        "'\\%c' in a string needs %zu hexadecimal "
                        "digits",
                        text[0], digits);
    if (*c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
        clsa_jinja_fail(j,
                        "a string has '\\%c' with a number that no "
                        "character has",
                        text[0]);
    return 1 + digits;
}

/* What a backslash and the text after it stand for. Returns the bytes after the
   backslash. */
static size_t escape(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     const char *text, size_t size)
{
    static const char letters[] = "abfnrtv\\'\"";
    static const char values[] = "\a\b\f\n\r\t\v\\'\"";
    uint32_t c;
    const char *letter = text[0] ? strchr(letters, text[0]) : NULL;
    if (text[0] == '\n')
        return 1;
    if (letter) {
        clsa_buffer_add(j, buffer, values + (letter - letters), 1);
        return 1;
    }
    const size_t used = numbered(j, text, size, &c);
    if (used > 0)
        clsa_buffer_add_char(j, buffer, c);
    else
        clsa_buffer_add(j, buffer, "\\", 1);
    return used;
}

struct clsa_value clsa_lexer_literal(struct clsa_jinja *j, const char *text,
                                     size_t size)
{
    struct clsa_buffer buffer = {0};
    if (size == 0 || !memchr(text, '\\', size))
        return clsa_string_of(j, text, size);
    for (size_t at = 0; at < size;) {
        const char *slash = memchr(text + at, '\\', size - at);
        const size_t plain = slash ? (size_t)(slash - text) - at : size - at;
        clsa_buffer_add(j, &buffer, text + at, plain);
        at += plain;
        if (at < size) /* a backslash is followed by a character */
            at += 1 + escape(j, &buffer, text + at + 1, size - at - 1);
    }
    return clsa_buffer_string(j, &buffer);
}

static void string_word(struct clsa_lexer *x)
{
    const char quote = x->text[x->at];
    size_t end = x->at + 1;
    while (end < x->size && x->text[end] != quote)
        end += x->text[end] == '\\' ? 2 : 1;
    if (end >= x->size)
        clsa_jinja_fail(x->j, "a string has no end: %c is missing", quote);
    clsa_lexer_add(
        x, CLSA_TOK_STRING,
        clsa_lexer_literal(x->j, x->text + x->at + 1, end - x->at - 1));
    clsa_lexer_lines(x, x->at, end);
    x->at = end + 1;
}

/* ------------------------------------------------------------------ numbers */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with single underscores between them, from `at` on. */
static size_t digits_end(const char *text, size_t size, size_t at)
{
    while (at < size &&
           (is_digit(text[at]) || (text[at] == '_' && at + 1 < size &&
                                   is_digit(text[at + 1]) && at > 0)))
        at++;
    return at;
}

/* 0x1f, 0o17, 0b11. */
static bool based_number(struct clsa_jinja *j, const char *text, size_t size,
                         size_t *used, struct clsa_value *value)
{
    uint64_t number = 0;
    if (size < 3 || text[0] != '0' || !strchr("xXoObB", text[1]))
        return false;
    const char kind = (char)(text[1] | 0x20);
    const unsigned base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
    size_t at = 2;
    for (; at < size; at++) {
        uint32_t digit;
        if (text[at] == '_')
            continue;
        if (!hex(text + at, 1, 1, &digit) || digit >= base)
            break;
        if (number > ((uint64_t)INT64_MAX - digit) / base)
            clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                                   "an integer is past 64 bits");
        number = number * base + digit;
    }
    *used = at;
    *value = clsa_int((int64_t)number);
    return at > 2;
}

/* The digits [0, size) without underscores as a C string. */
static char *clean_number(struct clsa_jinja *j, const char *text, size_t size)
{
    char *clean = clsa_jinja_take(j, size + 1, 1);
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] != '_')
            clean[count++] = text[i];
    return clean;
}

struct clsa_value clsa_lexer_number(struct clsa_jinja *j, const char *text,
                                    size_t size, size_t *used)
{
    struct clsa_value value;
    if (based_number(j, text, size, used, &value))
        return value;
    bool real = false;
    size_t end = digits_end(text, size, 0);
    if (end + 1 < size && text[end] == '.' && is_digit(text[end + 1])) {
        real = true;
        end = digits_end(text, size, end + 1);
    }
    if (end < size && (text[end] == 'e' || text[end] == 'E')) {
        size_t sign = end + 1;
        if (sign < size && (text[sign] == '+' || text[sign] == '-'))
            sign++;
        if (sign < size && is_digit(text[sign])) {
            real = true;
            end = digits_end(text, size, sign);
        }
    }
    *used = end;
    const char *clean = clean_number(j, text, end);
    if (real ? !clsa_parse_real(clean, strlen(clean), &value.real)
             : !clsa_parse_int(clean, strlen(clean), &value.integer))
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                               "the number %s is past 64 bits", clean);
    value.kind = real ? CLSA_FLOAT : CLSA_INT;
    return value;
}

/* ---------------------------------------------------------- names, operators
 */

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           c == '_' || (unsigned char)c >= 0x80;
}

static void open_or_close(struct clsa_lexer *x, char c)
{
    static const char pairs[] = "()[]{}";
    if (c == '(' || c == '[' || c == '{') {
        if (x->open == sizeof x->brackets)
            clsa_jinja_fail_status(x->j, CLSA_ERR_UNSUPPORTED,
                                   "more than %zu brackets are open", x->open);
        x->brackets[x->open++] = c;
        return;
    }
    const char *pair = strchr(pairs, c);
    if (x->open == 0 || x->brackets[x->open - 1] != pair[-1])
        clsa_jinja_fail(x->j, "unexpected '%c'", c);
    x->open--;
}

static void operator_word(struct clsa_lexer *x)
{
    static const char *const two[] = {"//", "**", "==", "!=", ">=", "<="};
    const char *at = x->text + x->at;
    const size_t left = x->size - x->at;
    size_t length = 1;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (left >= 2 && memcmp(at, two[i], 2) == 0)
            length = 2;
    if (length == 1 && (!*at || !strchr("+-/*%~[](){}<>=.:|,;", *at))) {
        uint32_t c;
        const size_t n = clsa_char_decode(at, left, &c);
        clsa_jinja_fail(x->j, "unexpected character '%.*s'", (int)n, at);
    }
    clsa_lexer_add(x, CLSA_TOK_OPERATOR, clsa_undefined());
    memcpy(x->list->tokens[x->list->count - 1].op, at, length);
    if (strchr("()[]{}", *at))
        open_or_close(x, *at);
    x->at += length;
}

/* A number follows a point only in an attribute: x.0.1 has two of them. */
static void number_word(struct clsa_lexer *x)
{
    size_t used;
    size_t size = x->size - x->at;
    const char *text = x->text + x->at;
    const struct clsa_token_list *list = x->list;
    const bool part = list->count > 0 &&
                      list->tokens[list->count - 1].type == CLSA_TOK_OPERATOR &&
                      strcmp(list->tokens[list->count - 1].op, ".") == 0;
    if (part)
        size = digits_end(text, size, 0);
    const struct clsa_value value = clsa_lexer_number(x->j, text, size, &used);
    clsa_lexer_add(x, CLSA_TOK_NUMBER, value);
    x->at += used;
}

void clsa_lexer_word(struct clsa_lexer *x)
{
    const char c = x->text[x->at];
    if (c == '"' || c == '\'') {
        string_word(x);
    } else if (is_digit(c)) {
        number_word(x);
    } else if (name_char(c)) {
        const size_t from = x->at;
        while (x->at < x->size && name_char(x->text[x->at]))
            x->at++;
        clsa_lexer_add(x, CLSA_TOK_NAME,
                       clsa_string_of(x->j, x->text + from, x->at - from));
    } else {
        operator_word(x);
    }
}
