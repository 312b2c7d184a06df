/* SPDX-License-Identifier: Apache-2.0 */
/* utf8: validation of UTF-8, for messages, model files and the detokenizer, and
   text of files in a form that a terminal shows and does not obey. */
#ifndef CLSA_BASE_UTF8_H
#define CLSA_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * Length of the valid character at p[0..size), 1..4; 0 when the bytes there
 * are no valid character (overlong forms, surrogates and anything above
 * U+10FFFF are not), or are cut off by `size`.
 */
static inline size_t clsa_utf8_length(const unsigned char *p, size_t size)
{
    if (size == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n > size)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

/* Code point of the valid character of n bytes at p, n in 1..4. */
static inline uint32_t clsa_utf8_code(const unsigned char *p, size_t n)
{
    uint32_t code = n < 2 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        code = code << 6 | (p[i] & 0x3fu);
    return code;
}

static inline bool clsa_utf8_valid(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    while (size > 0) {
        size_t n = clsa_utf8_length(p, size);
        if (n == 0)
            return false;
        p += n;
        size -= n;
    }
    return true;
}

/* Whether byte `c` may be the second of a character that starts with `first`;
   see table 3-7 of the Unicode standard. */
static inline bool clsa_utf8_follows(unsigned char first, unsigned char c)
{
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return c >= low && c <= high;
}

/*
 * Bytes at p[0..size), at least 1, that are no character: the longest start of
 * one ("maximal subpart" of the Unicode standard), or a byte that starts none.
 * *open tells if more bytes could make it a character. A U+FFFD stands for it
 * where text has to be valid.
 */
static inline size_t clsa_utf8_subpart(const unsigned char *p, size_t size,
                                       bool *open)
{
    size_t i = 1, n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    *open = false;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 1;
    if (i < size && clsa_utf8_follows(p[0], p[1]))
        for (i = 2; i < size && i < n && (p[i] & 0xc0) == 0x80;)
            i++;
    *open = i == size;
    return i;
}

#define CLSA_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* One character of n bytes at p, or a byte that is none (n 0), as it is shown:
   itself, or an escape such as \n, \x1b or \u009b. Returns its bytes. */
static inline size_t clsa_utf8_show(const unsigned char *p, size_t n,
                                    char shown[8])
{
    const unsigned code = clsa_utf8_code(p, n);
    const bool control =
        n < 3 && (code < 0x20 || (code >= 0x7f && code < 0xa0));
    if (n > 0 && !control) {
        memcpy(shown, p, n);
        return n;
    }
    const char letter = code == '\n' ? 'n' : code == '\t' ? 't' : 'r';
    if (n == 1 && (code == '\n' || code == '\t' || code == '\r'))
        return (size_t)snprintf(shown, 8, "\\%c", letter);
    return (size_t)snprintf(shown, 8, n == 2 ? "\\u%04x" : "\\x%02x", code);
}

/*
 * Writes text as one line and a NUL to to[capacity], capacity >= 1: control
 * characters and bytes that are not UTF-8 as escapes; what does not fit is cut
 * off at a whole character. Returns the bytes without the NUL. A backslash
 * stays as it is, so that a text may pass more than once.
 */
static inline size_t clsa_utf8_escape(char *to, size_t capacity,
                                      const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t used = 0, n;
    char shown[8];
    for (size_t i = 0; i < size; i += n ? n : 1) {
        n = clsa_utf8_length(p + i, size - i);
        const size_t bytes = clsa_utf8_show(p + i, n, shown);
        if (bytes >= capacity - used)
            break;
        memcpy(to + used, shown, bytes);
        used += bytes;
    }
    to[used] = '\0';
    return used;
}

#endif /* CLSA_BASE_UTF8_H */
