/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number: the strict parsers of options.h. No sign, no blanks, nothing after
 * the number, no overflow, and for real numbers neither "nan", "inf" nor
 * hexadecimal. The program never calls setlocale, so the point is a point.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/options.h"

/* Power of two of a suffix, or -1. */
static int suffix_shift(const char *suffix)
{
    static const char letters[] = "KkMmGg";
    if (suffix[0] == '\0')
        return 0;
    const char *letter = strchr(letters, suffix[0]);
    if (!letter || suffix[1] != '\0')
        return -1;
    return 10 * (1 + (int)(letter - letters) / 2);
}

bool cli_parse_size(const char *text, uint64_t min, uint64_t max,
                    uint64_t *value)
{
    uint64_t number = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = 10 * number + digit;
    }
    int shift = suffix_shift(p);
    if (p == text || shift < 0 || number > UINT64_MAX >> shift)
        return false;
    number <<= shift;
    if (number < min || number > max)
        return false;
    *value = number;
    return true;
}

bool cli_parse_real(const char *text, double low, double high, double *value)
{
    if (text[strspn(text, "0123456789.eE+-")] != '\0' ||
        !strchr("0123456789.", text[0]) || text[0] == '\0')
        return false;
    errno = 0;
    char *end;
    double number = strtod(text, &end);
    if (errno != 0 || *end != '\0' || end == text)
        return false;
    if (!(number >= low && number <= high))
        return false;
    *value = number;
    return true;
}
