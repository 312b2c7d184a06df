/* SPDX-License-Identifier: Apache-2.0 */
/* utf8: validation of UTF-8, for messages, model files and the detokenizer. */
#ifndef CLSA_BASE_UTF8_H
#define CLSA_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

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

#endif /* CLSA_BASE_UTF8_H */
