/* SPDX-License-Identifier: Apache-2.0 */
/* Text and delimiters. Words, strings and numbers: lexer_words.c. */
#include <string.h>

#include "src/jinja/lexer.h"
#include "src/jinja/lexer_words.h"
#include "src/jinja/unicode.h"

static bool at_text(const struct clsa_lexer *x, size_t at, const char *text)
{
    const size_t n = strlen(text);
    return n <= x->size - at && memcmp(x->text + at, text, n) == 0;
}

/* The end of the white space from `at` on. */
static size_t skip_space(const struct clsa_lexer *x, size_t at)
{
    uint32_t c;
    while (at < x->size) {
        const size_t n = clsa_char_decode(x->text + at, x->size - at, &c);
        if (!clsa_char_space(c))
            break;
        at += n;
    }
    return at;
}

/* The start of the white space that ends before `to`, from `from` on. */
static size_t strip_back(const struct clsa_lexer *x, size_t from, size_t to)
{
    uint32_t c;
    while (to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)x->text[at] & 0xc0) == 0x80)
            at--;
        clsa_char_decode(x->text + at, to - at, &c);
        if (!clsa_char_space(c))
            break;
        to = at;
    }
    return to;
}

/* The end of the text before a tag that begins at `tag`: with "-" without white
   space, else, if the tag prints nothing, without what precedes it on its
   line. */
static size_t end_of_data(const struct clsa_lexer *x, size_t from, size_t tag)
{
    const char sign = tag + 2 < x->size ? x->text[tag + 2] : '\0';
    if (sign == '-')
        return strip_back(x, from, tag);
    if (sign == '+' || x->text[tag + 1] == '{')
        return tag;
    size_t line = tag;
    while (line > from && x->text[line - 1] != '\n')
        line--;
    if (line == from && !x->line_start)
        return tag;
    return strip_back(x, line, tag) == line ? line : tag;
}

static void add_data(struct clsa_lexer *x, size_t from, size_t to)
{
    if (to > from)
        clsa_lexer_add(x, CLSA_TOK_DATA,
                       clsa_string_of(x->j, x->text + from, to - from));
    clsa_lexer_lines(x, from, to);
}

/* Go past the end of a tag of `length` bytes, with what it strips. */
static void end_tag(struct clsa_lexer *x, size_t length, bool trim)
{
    const size_t from = x->at;
    const bool strip = x->text[x->at] == '-';
    const bool keep = x->text[x->at] == '+';
    x->at += length;
    if (strip)
        x->at = skip_space(x, x->at);
    else if (trim && !keep && x->at < x->size && x->text[x->at] == '\n')
        x->at++;
    clsa_lexer_lines(x, from, x->at);
    x->line_start = x->text[x->at - 1] == '\n';
}

/* Bytes of the end of a tag at `at`: "%}", "-%}" or "+%}"; 0: none. */
static size_t tag_end(const struct clsa_lexer *x, size_t at, const char *end)
{
    if (at_text(x, at, end))
        return 2;
    if (at < x->size && (x->text[at] == '-' || x->text[at] == '+') &&
        at_text(x, at + 1, end) && !(x->text[at] == '+' && end[0] == '}'))
        return 3;
    return 0;
}

static void comment(struct clsa_lexer *x)
{
    for (size_t at = x->at + 2; at < x->size; at++) {
        const size_t length = tag_end(x, at, "#}");
        if (length == 0)
            continue;
        clsa_lexer_lines(x, x->at, at);
        x->at = at;
        end_tag(x, length, true);
        return;
    }
    clsa_jinja_fail(x->j, "a comment has no end: '#}' is missing");
}

/* Bytes of "{%- NAME" at `at` and the blanks after it; 0: it is not there. */
static size_t block_of(const struct clsa_lexer *x, size_t at, const char *name)
{
    const size_t start = at;
    if (!at_text(x, at, "{%"))
        return 0;
    at += 2;
    if (at < x->size && (x->text[at] == '-' || x->text[at] == '+'))
        at++;
    at = skip_space(x, at);
    if (!at_text(x, at, name))
        return 0;
    at = skip_space(x, at + strlen(name));
    return tag_end(x, at, "%}") ? at - start : 0;
}

/* {% raw %} ... {% endraw %}, where the first has `length` bytes to its end. */
static void raw(struct clsa_lexer *x, size_t length)
{
    x->at += length;
    end_tag(x, tag_end(x, x->at, "%}"), false);
    for (size_t at = x->at; at < x->size; at++) {
        const size_t end = block_of(x, at, "endraw");
        if (end == 0)
            continue;
        const size_t data = end_of_data(x, x->at, at);
        add_data(x, x->at, data);
        x->at = at + end;
        clsa_lexer_lines(x, data, x->at);
        end_tag(x, tag_end(x, x->at, "%}"), true);
        return;
    }
    clsa_jinja_fail(x->j, "a raw block has no end: {%% endraw %%} is missing");
}

/* The words of a tag up to its end. Brackets keep "}}" of a dictionary from
   ending it. */
static void words(struct clsa_lexer *x, bool block)
{
    const char *end = block ? "%}" : "}}";
    x->at += 2;
    if (x->at < x->size && (x->text[x->at] == '-' || x->text[x->at] == '+'))
        x->at++;
    x->open = 0;
    for (;;) {
        const size_t from = x->at;
        x->at = skip_space(x, x->at);
        clsa_lexer_lines(x, from, x->at);
        if (x->at == x->size)
            clsa_jinja_fail(x->j,
                            "the template ends inside of a tag: '%s' is "
                            "missing",
                            end);
        const size_t length = x->open ? 0 : tag_end(x, x->at, end);
        if (length > 0) {
            clsa_lexer_add(x, block ? CLSA_TOK_BLOCK_END : CLSA_TOK_PRINT_END,
                           clsa_undefined());
            end_tag(x, length, block);
            return;
        }
        clsa_lexer_word(x);
    }
}

/* The next tag from `at` on, or the end. */
static size_t next_tag(const struct clsa_lexer *x, size_t at)
{
    for (; at + 1 < x->size; at++)
        if (x->text[at] == '{' &&
            (x->text[at + 1] == '%' || x->text[at + 1] == '{' ||
             x->text[at + 1] == '#'))
            return at;
    return x->size;
}

static void tag(struct clsa_lexer *x)
{
    const char second = x->text[x->at + 1];
    const size_t length = block_of(x, x->at, "raw");
    if (second == '#') {
        comment(x);
    } else if (length > 0) {
        raw(x, length);
    } else {
        const bool block = second == '%';
        clsa_lexer_add(x, block ? CLSA_TOK_BLOCK_BEGIN : CLSA_TOK_PRINT_BEGIN,
                       clsa_undefined());
        words(x, block);
    }
}

void clsa_lexer_run(struct clsa_jinja *j, const char *text, size_t size,
                    struct clsa_token_list *list)
{
    struct clsa_lexer x = {
        .j = j, .text = text, .size = size, .list = list, .line_start = true};
    j->line = 1;
    while (x.at < size) {
        const size_t next = next_tag(&x, x.at);
        const size_t from = x.at;
        if (next == size) {
            add_data(&x, from, size);
            break;
        }
        const size_t end = end_of_data(&x, from, next);
        add_data(&x, from, end);
        clsa_lexer_lines(&x, end, next);
        x.at = next;
        tag(&x);
    }
    clsa_lexer_add(&x, CLSA_TOK_END, clsa_undefined());
}
