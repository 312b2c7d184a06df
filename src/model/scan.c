/* SPDX-License-Identifier: Apache-2.0 */
/* scan: the longest token at each place; white space and words beside it. */
#include <string.h>

#include "src/model/chars.h"
#include "src/model/scan.h"

/* An added token in a text. */
struct found {
    int32_t id;
    size_t size;
};

/* Bytes of a space at text[at], or of a U+2581, which stands for one; 0: none
   is there. */
static size_t space_size(const struct clsa_scan *t, size_t at)
{
    if (at < t->size && t->text[at] == ' ')
        return 1;
    const bool sign =
        t->size - at >= 3 && memcmp(t->text + at, "\xe2\x96\x81", 3) == 0;
    return sign ? 3 : 0;
}

/*
 * The longest user-defined token of spaces at text[at]. It is written with
 * U+2581, so several of these are one token by themselves; spaces, and single
 * U+2581 between them, are one after normalization.
 */
static struct found find_spaces(const struct clsa_scan *t, size_t at)
{
    const struct clsa_vocab *vocab = t->vocab;
    struct found longest = {-1, 0};
    const size_t first = space_size(t, at);
    const bool signs = first == 3 && space_size(t, at + 3) == 3;
    size_t size = 0;
    for (size_t n = 1; n <= vocab->most_spaces; n++) {
        const size_t next = space_size(t, at + size);
        if (next == 0 || (signs && next != 3) ||
            (!signs && next == 3 && space_size(t, at + size + 3) == 3))
            break;
        size += next;
        if (vocab->spaces[n] >= 0)
            longest = (struct found){vocab->spaces[n], size};
    }
    return longest;
}

static struct found find_added(const struct clsa_scan *t, size_t at)
{
    const struct clsa_added_token *token =
        clsa_added_find(t->added, t->text + at, t->size - at, t->special);
    const struct found found = {token ? token->id : -1,
                                token ? token->size : 0};
    /* White space that a token has taken is not normalized any more. */
    if (token || t->vocab->most_spaces == 0 || t->added != &t->vocab->added ||
        at < t->start)
        return found;
    return find_spaces(t, at);
}

/* ------------------------------------------------------------------- flags */

/* The character that begins at text[at], or that ends there; 0 bytes: none
   does. */
static struct clsa_char char_from(const struct clsa_scan *t, size_t at)
{
    const unsigned char *p = (const unsigned char *)t->text + at;
    if (clsa_utf8_length(p, t->size - at) == 0)
        return (struct clsa_char){0, 0, 0};
    return clsa_char_at(t->text + at);
}

static struct clsa_char char_before(const struct clsa_scan *t, size_t at)
{
    for (size_t n = 1; n <= 4 && n <= at; n++) {
        const unsigned char *p = (const unsigned char *)t->text + at - n;
        if (clsa_utf8_length(p, n) == n)
            return clsa_char_at(t->text + at - n);
    }
    return (struct clsa_char){0, 0, 0};
}

/* The end of the white space at text[at], and the start of that before it. */
static size_t space_end(const struct clsa_scan *t, size_t at)
{
    struct clsa_char c = char_from(t, at);
    for (; c.class & CLSA_SPACE; c = char_from(t, at))
        at += c.size;
    return at;
}

static size_t space_start(const struct clsa_scan *t, size_t at)
{
    struct clsa_char c = char_before(t, at);
    for (; at > t->start && c.class & CLSA_SPACE; c = char_before(t, at))
        at -= c.size;
    return at > t->start ? at : t->start;
}

static bool is_word(struct clsa_char c)
{
    return c.size > 0 && clsa_char_is_word(c.code);
}

bool clsa_scan_next(struct clsa_scan *t, struct clsa_scan_match *match)
{
    while (t->at < t->size) {
        const size_t start = t->at;
        const struct found found = find_added(t, start);
        if (found.id < 0) {
            t->at++;
            continue;
        }
        const unsigned flags = t->vocab->flags ? t->vocab->flags[found.id] : 0;
        t->at = start + found.size;
        if (flags & CLSA_ADDED_WORD &&
            (is_word(char_before(t, start)) || is_word(char_from(t, t->at))))
            continue;
        match->id = found.id;
        match->start =
            flags & CLSA_ADDED_LSTRIP ? space_start(t, start) : start;
        match->stop = t->start =
            flags & CLSA_ADDED_RSTRIP ? space_end(t, t->at) : t->at;
        return true;
    }
    return false;
}
