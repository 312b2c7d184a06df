/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of characters: a table of ASCII, and utf8proc's categories. */
#include <utf8proc.h>

#include "src/model/chars.h"

const uint16_t clsa_ascii_class[128] = {
    [0 ... 8] = CLSA_OTHER,     ['\t'] = CLSA_BLANK,
    ['\n'] = CLSA_BREAK,        ['\v'] = CLSA_BLANK,
    ['\f'] = CLSA_BLANK,        ['\r'] = CLSA_BREAK,
    [14 ... 31] = CLSA_OTHER,   [' '] = CLSA_BLANK,
    ['!' ... '#'] = CLSA_PUNCT, ['$'] = CLSA_SYMBOL,
    ['%' ... '*'] = CLSA_PUNCT, ['+'] = CLSA_SYMBOL,
    [',' ... '/'] = CLSA_PUNCT, ['0' ... '9'] = CLSA_NUMBER,
    [':' ... ';'] = CLSA_PUNCT, ['<' ... '>'] = CLSA_SYMBOL,
    ['?' ... '@'] = CLSA_PUNCT, ['A' ... 'Z'] = CLSA_UPPER,
    ['[' ... ']'] = CLSA_PUNCT, ['^'] = CLSA_SYMBOL,
    ['_'] = CLSA_PUNCT,         ['`'] = CLSA_SYMBOL,
    ['a' ... 'z'] = CLSA_LOWER, ['{'] = CLSA_PUNCT,
    ['|'] = CLSA_SYMBOL,        ['}'] = CLSA_PUNCT,
    ['~'] = CLSA_SYMBOL,        [127] = CLSA_OTHER,
};

unsigned clsa_char_class(uint32_t code)
{
    static const uint16_t classes[] = {
        [UTF8PROC_CATEGORY_CN] = CLSA_OTHER,
        [UTF8PROC_CATEGORY_LU] = CLSA_UPPER,
        [UTF8PROC_CATEGORY_LL] = CLSA_LOWER,
        [UTF8PROC_CATEGORY_LT] = CLSA_UPPER,
        [UTF8PROC_CATEGORY_LM] = CLSA_CASELESS,
        [UTF8PROC_CATEGORY_LO] = CLSA_CASELESS,
        [UTF8PROC_CATEGORY_MN] = CLSA_MARK,
        [UTF8PROC_CATEGORY_MC] = CLSA_MARK,
        [UTF8PROC_CATEGORY_ME] = CLSA_MARK,
        [UTF8PROC_CATEGORY_ND] = CLSA_NUMBER,
        [UTF8PROC_CATEGORY_NL] = CLSA_NUMBER,
        [UTF8PROC_CATEGORY_NO] = CLSA_NUMBER,
        [UTF8PROC_CATEGORY_PC] = CLSA_PUNCT,
        [UTF8PROC_CATEGORY_PD] = CLSA_PUNCT,
        [UTF8PROC_CATEGORY_PS] = CLSA_PUNCT,
        [UTF8PROC_CATEGORY_PE] = CLSA_PUNCT,
        [UTF8PROC_CATEGORY_PI] = CLSA_PUNCT,
        [UTF8PROC_CATEGORY_PF] = CLSA_PUNCT,
        [UTF8PROC_CATEGORY_PO] = CLSA_PUNCT,
        [UTF8PROC_CATEGORY_SM] = CLSA_SYMBOL,
        [UTF8PROC_CATEGORY_SC] = CLSA_SYMBOL,
        [UTF8PROC_CATEGORY_SK] = CLSA_SYMBOL,
        [UTF8PROC_CATEGORY_SO] = CLSA_SYMBOL,
        [UTF8PROC_CATEGORY_ZS] = CLSA_BLANK,
        [UTF8PROC_CATEGORY_ZL] = CLSA_BLANK,
        [UTF8PROC_CATEGORY_ZP] = CLSA_BLANK,
        [UTF8PROC_CATEGORY_CC] = CLSA_OTHER,
        [UTF8PROC_CATEGORY_CF] = CLSA_OTHER,
        [UTF8PROC_CATEGORY_CS] = CLSA_OTHER,
        [UTF8PROC_CATEGORY_CO] = CLSA_OTHER,
    };
    if (code == 0x85) /* next line: a control character and white space */
        return CLSA_BLANK;
    return classes[utf8proc_category((utf8proc_int32_t)code)];
}

/* \w of the expressions that the makers use: Alphabetic, M, Nd, Pc and
   Join_Control. Alphabetic symbols are those in circles and squares. */
bool clsa_char_is_word(uint32_t code)
{
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return code == 0x200c || code == 0x200d ||
               (code >= 0x24b6 && code <= 0x24e9) ||
               (code >= 0x1f130 && code <= 0x1f149) ||
               (code >= 0x1f150 && code <= 0x1f169) ||
               (code >= 0x1f170 && code <= 0x1f189);
    }
}
