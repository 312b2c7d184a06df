/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The expressions that match any text from end to end: words, numbers,
 * punctuation and white space, as GPT-2, Llama 3, Qwen, o200k and DeepSeek cut
 * them. No alternative looks further back or ahead than its own match and the
 * white space after it, so that time is in proportion to the text.
 *
 * They differ in classes of characters; \s+(?!\S), white space up to the last
 * one before a word, is common to all.
 */
#include <stdint.h>

#include "src/model/chars.h"
#include "src/model/pretoken.h"

/* What text is left; the reading position is an argument. */
struct rest {
    const char *text;
    size_t end;
};

/* The character at `at`, of class 0 at the end. */
static inline struct clsa_char peek(const struct rest *r, size_t at)
{
    return at < r->end ? clsa_char_at(r->text + at)
                       : (struct clsa_char){0, 0, 0};
}

/* [classes]* from `at`, at most `most`: where it ends. */
static inline size_t run(const struct rest *r, size_t at, unsigned classes,
                         size_t most)
{
    while (at < r->end && most-- > 0) {
        const struct clsa_char c = clsa_char_at(r->text + at);
        if (!(c.class & classes))
            break;
        at += c.size;
    }
    return at;
}

/* \s*[\r\n]+ | \s+(?!\S) | \s+, the first one only if `breaks`. */
static size_t spaces(const struct rest *r, size_t from, bool breaks)
{
    size_t at = from, last = from, line = from;
    while (at < r->end) {
        const struct clsa_char c = clsa_char_at(r->text + at);
        if (!(c.class & CLSA_SPACE))
            break;
        last = at;
        at += c.size;
        if (c.class == CLSA_BREAK)
            line = at;
    }
    if (breaks && line > from)
        return line;
    return at == r->end || last == from ? at : last;
}

/* The letter in lower case, as (?i:) takes it: a long s is an s. */
static char folded(const struct clsa_char *c)
{
    if (c->code == 0x17f)
        return 's';
    return (char)(c->code < 0x80 ? c->code | (c->class == CLSA_UPPER) << 5 : 0);
}

/* 's|'t|'re|'ve|'m|'ll|'d: where it ends, or `from`. */
static size_t contraction(const struct rest *r, size_t from, bool any_case)
{
    if (from >= r->end || r->text[from] != '\'')
        return from;
    const struct clsa_char a = peek(r, from + 1),
                           b = peek(r, from + 1 + a.size);
    const char first = any_case ? folded(&a) : (char)(a.size == 1 ? a.code : 0);
    const char second =
        any_case ? folded(&b) : (char)(b.size == 1 ? b.code : 0);
    const size_t one = from + 1 + a.size;
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return one;
    if ((second == 'e' && (first == 'r' || first == 'v')) ||
        (second == 'l' && first == 'l'))
        return one + b.size;
    return from;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t clsa_pretoken_gpt2(const char *text, size_t from, size_t end,
                          size_t *length)
{
    const struct rest r = {text, end};
    size_t to = contraction(&r, from, false);
    if (to == from) {
        const size_t word = from + (text[from] == ' ');
        const struct clsa_char c = peek(&r, word);
        if (c.class & CLSA_LETTER)
            to = run(&r, word, CLSA_LETTER, SIZE_MAX);
        else if (c.class & CLSA_NUMBER)
            to = run(&r, word, CLSA_NUMBER, SIZE_MAX);
        else if (c.class & ~(unsigned)CLSA_SPACE)
            to = run(&r, word,
                     ~(unsigned)(CLSA_LETTER | CLSA_NUMBER | CLSA_SPACE),
                     SIZE_MAX);
        else
            to = spaces(&r, from, false);
    }
    *length = to - from;
    return from;
}

/*  ?[^\s\p{L}\p{N}]+[\r\n]*, of other `classes`, and [\r\n/]* if `slash`:
    where it ends, or `from`. */
static size_t symbols(const struct rest *r, size_t from, unsigned classes,
                      bool slash)
{
    const size_t start = from + (r->text[from] == ' ');
    size_t at = run(r, start, classes, SIZE_MAX);
    if (at == start)
        return from;
    while (at < r->end && (r->text[at] == '\r' || r->text[at] == '\n' ||
                           (slash && r->text[at] == '/')))
        at++;
    return at;
}

/*
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[letters]+|\p{N}{1,numbers}
 * | ?[^\s\p{N}letters]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
static inline size_t words(const struct rest *r, size_t from, unsigned letters,
                           size_t numbers)
{
    size_t to = contraction(r, from, true);
    if (to > from)
        return to;
    const struct clsa_char c = clsa_char_at(r->text + from);
    if (c.class & letters)
        return run(r, from + c.size, letters, SIZE_MAX);
    if (c.class == CLSA_NUMBER)
        return run(r, from, CLSA_NUMBER, numbers);
    if (c.class != CLSA_BREAK) {
        to = run(r, from + c.size, letters, SIZE_MAX);
        if (to > from + c.size)
            return to;
    }
    to = symbols(r, from, ~(letters | CLSA_LETTER | CLSA_NUMBER | CLSA_SPACE),
                 false);
    return to > from ? to : spaces(r, from, true);
}

size_t clsa_pretoken_llama3(const char *text, size_t from, size_t end,
                            size_t *length)
{
    const struct rest r = {text, end};
    *length = words(&r, from, CLSA_LETTER, 3) - from;
    return from;
}

size_t clsa_pretoken_qwen2(const char *text, size_t from, size_t end,
                           size_t *length)
{
    const struct rest r = {text, end};
    *length = words(&r, from, CLSA_LETTER, 1) - from;
    return from;
}

size_t clsa_pretoken_qwen35(const char *text, size_t from, size_t end,
                            size_t *length)
{
    const struct rest r = {text, end};
    *length = words(&r, from, CLSA_LETTER | CLSA_MARK, 1) - from;
    return from;
}

/* Classes of o200k: letters that may begin a word with a capital, and those
   that may follow one. */
#define CAPITAL (CLSA_UPPER | CLSA_CASELESS | CLSA_MARK)
#define SMALL   (CLSA_LOWER | CLSA_CASELESS | CLSA_MARK)

/*
 * [CAPITAL]*[SMALL]+: where it ends, or `from`. After the capitals there is
 * either a small letter, or the last capital that may be one as well is taken
 * for it.
 */
static size_t small_word(const struct rest *r, size_t from)
{
    size_t at = from, both = from;
    while (at < r->end) {
        const struct clsa_char c = clsa_char_at(r->text + at);
        if (!(c.class & CAPITAL))
            break;
        at += c.size;
        if (c.class & SMALL)
            both = at;
    }
    const size_t to = run(r, at, SMALL, SIZE_MAX);
    return to > at ? to : both;
}

/* [CAPITAL]+[SMALL]*, if small_word does not match: where it ends, or `from` */
static size_t capital_word(const struct rest *r, size_t from)
{
    return run(r, from, CAPITAL, SIZE_MAX);
}

/* [^\r\n\p{L}\p{N}]? and a word of the two kinds: where it ends, or `from`. */
static size_t cased_word(const struct rest *r, size_t from)
{
    size_t (*const words_of[])(const struct rest *, size_t) = {small_word,
                                                               capital_word};
    const struct clsa_char c = clsa_char_at(r->text + from);
    for (int i = 0; i < 2; i++) {
        if (!(c.class & (CLSA_BREAK | CLSA_LETTER | CLSA_NUMBER))) {
            const size_t to = words_of[i](r, from + c.size);
            if (to > from + c.size)
                return to;
        }
        const size_t to = words_of[i](r, from);
        if (to > from)
            return to;
    }
    return from;
}

/*
 * [^\r\n\p{L}\p{N}]?[CAPITAL]*[SMALL]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
 * |[^\r\n\p{L}\p{N}]?[CAPITAL]+[SMALL]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
 * |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
size_t clsa_pretoken_o200k(const char *text, size_t from, size_t end,
                           size_t *length)
{
    const struct rest r = {text, end};
    size_t to = cased_word(&r, from);
    if (to > from)
        to = contraction(&r, to, true);
    else
        to = run(&r, from, CLSA_NUMBER, 3);
    if (to == from)
        to = symbols(&r, from,
                     ~(unsigned)(CLSA_LETTER | CLSA_NUMBER | CLSA_SPACE), true);
    if (to == from)
        to = spaces(&r, from, true);
    *length = to - from;
    return from;
}

static bool is_ascii_letter(const struct clsa_char *c)
{
    return c->code < 0x80 && (c->class & CLSA_LETTER);
}

/*
 * [ASCII punctuation and symbols][A-Za-z]+
 * |[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+
 */
static size_t deepseek(const struct rest *r, size_t from)
{
    const unsigned marks = CLSA_PUNCT | CLSA_SYMBOL;
    const unsigned letters = CLSA_LETTER | CLSA_MARK;
    const struct clsa_char c = clsa_char_at(r->text + from);
    struct clsa_char next = peek(r, from + c.size);
    size_t to = from + c.size;
    if (c.code < 0x80 && (c.class & marks) && is_ascii_letter(&next)) {
        for (; is_ascii_letter(&next); next = peek(r, to))
            to++;
        return to;
    }
    if (c.class & letters)
        return run(r, from, letters, SIZE_MAX);
    if (!(c.class & (marks | CLSA_BREAK)) && (next.class & letters))
        return run(r, to, letters, SIZE_MAX);
    to = symbols(r, from, marks, false);
    return to > from ? to : spaces(r, from, true);
}

size_t clsa_pretoken_deepseek_v3(const char *text, size_t from, size_t end,
                                 size_t *length)
{
    const struct rest r = {text, end};
    size_t at = from, to = from;
    while (at < end) {
        to = deepseek(&r, at);
        if (to > at)
            break;
        at = to += clsa_char_at(text + at).size;
    }
    *length = to - at;
    return at;
}
