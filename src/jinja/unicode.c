/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding by base/utf8.h, the rest from utf8proc. */
#include <utf8proc.h>

#include "src/base/utf8.h"
#include "src/jinja/unicode.h"

size_t clsa_char_decode(const char *p, size_t size, uint32_t *c)
{
    const unsigned char *u = (const unsigned char *)p;
    const size_t n = clsa_utf8_length(u, size);
    *c = clsa_utf8_code(u, n);
    return n ? n : 1;
}

size_t clsa_char_encode(uint32_t c, char bytes[4])
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c,
                                        (utf8proc_uint8_t *)bytes);
}

size_t clsa_chars_count(const char *p, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)p[i] & 0xc0) != 0x80;
    return count;
}

size_t clsa_chars_offset(const char *p, size_t size, size_t index)
{
    size_t at = 0;
    while (at < size && index > 0) {
        at++;
        while (at < size && ((unsigned char)p[at] & 0xc0) == 0x80)
            at++;
        index--;
    }
    return at;
}

bool clsa_char_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 ||
           c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool clsa_char_alpha(uint32_t c)
{
    const utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool clsa_char_digit(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_ND;
}

bool clsa_char_upper(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LU;
}

bool clsa_char_lower(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LL;
}

bool clsa_char_printable(uint32_t c)
{
    switch (category(c)) {
    case UTF8PROC_CATEGORY_ZS:
        return c == ' ';
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

size_t clsa_char_case(uint32_t c, enum clsa_case to, uint32_t result[3])
{
    const utf8proc_int32_t letter = (utf8proc_int32_t)c;
    result[0] = c;
    if (c == 0xdf && to != CLSA_CASE_LOWER) { /* the one common letter whose
                                                 upper case has two */
        result[0] = 'S';
        result[1] = to == CLSA_CASE_UPPER ? 'S' : 's';
        return 2;
    }
    if (to == CLSA_CASE_UPPER)
        result[0] = (uint32_t)utf8proc_toupper(letter);
    else if (to == CLSA_CASE_LOWER)
        result[0] = (uint32_t)utf8proc_tolower(letter);
    else
        result[0] = (uint32_t)utf8proc_totitle(letter);
    return 1;
}
