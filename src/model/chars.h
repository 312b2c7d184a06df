/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chars: the characters of valid UTF-8 and the classes of Unicode that
 * pre-tokenizers know. White space is the property White_Space.
 */
#ifndef CLSA_MODEL_CHARS_H
#define CLSA_MODEL_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/utf8.h"

enum {
    CLSA_UPPER = 1,    /* Lu, Lt */
    CLSA_LOWER = 2,    /* Ll */
    CLSA_CASELESS = 4, /* Lm, Lo */
    CLSA_MARK = 8,     /* M */
    CLSA_NUMBER = 16,  /* N */
    CLSA_BLANK = 32,   /* white space other than these two: */
    CLSA_BREAK = 64,   /* carriage return, line feed */
    CLSA_PUNCT = 128,  /* P */
    CLSA_SYMBOL = 256, /* S */
    CLSA_OTHER = 512,  /* C */
    CLSA_LETTER = CLSA_UPPER | CLSA_LOWER | CLSA_CASELESS,
    CLSA_SPACE = CLSA_BLANK | CLSA_BREAK,
};

struct clsa_char {
    uint32_t code;
    unsigned class; /* one of the above */
    size_t size;    /* bytes, 1 to 4 */
};

/* Classes of ASCII. */
extern const uint16_t clsa_ascii_class[128];

/* The class of any other character. */
unsigned clsa_char_class(uint32_t code);

/* Whether a character is one of words: letters, marks, digits, connectors. */
bool clsa_char_is_word(uint32_t code);

/* The character at p, the start of one in valid UTF-8. */
static inline struct clsa_char clsa_char_at(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return (struct clsa_char){p[0], clsa_ascii_class[p[0]], 1};
    const size_t size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    const uint32_t code = clsa_utf8_code(p, size);
    return (struct clsa_char){code, clsa_char_class(code), size};
}

#endif /* CLSA_MODEL_CHARS_H */
