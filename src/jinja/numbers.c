/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers from text and as text. The functions of C use the point of the
 * locale, which a program may have set: it is replaced.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/jinja/print.h"

static const char *locale_point(void)
{
    return localeconv()->decimal_point;
}

bool clsa_parse_int(const char *text, size_t size, int64_t *integer)
{
    const bool negative = size > 0 && text[0] == '-';
    size_t at = negative || (size > 0 && text[0] == '+');
    int64_t number = 0;
    if (at == size)
        return false;
    for (; at < size; at++) {
        const int digit = text[at] - '0';
        if (digit < 0 || digit > 9 ||
            __builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, digit, &number))
            return false;
    }
    if (!negative && number == INT64_MIN)
        return false;
    *integer = negative ? number : -number;
    return true;
}

bool clsa_parse_real(const char *text, size_t size, double *real)
{
    char copy[400], *end;
    const char *point = locale_point();
    size_t used = 0;
    if (size == 0 || size >= sizeof copy - 8 || strlen(point) > 8)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!text[i] || !strchr("0123456789.eE+-", text[i]))
            return false;
        if (text[i] == '.' && memchr(text, '.', size) != text + i)
            return false;
        if (text[i] == '.')
            used += strlen(strcpy(copy + used, point));
        else
            copy[used++] = text[i];
    }
    copy[used] = '\0';
    const double number = strtod(copy, &end);
    if (end == copy || *end != '\0')
        return false;
    *real = number;
    return true;
}

int clsa_print_fixed(char *text, size_t size, char conversion, int precision,
                     double real)
{
    const char *point = locale_point();
    const char format[] = {'%', '.', '*', conversion, '\0'};
    const int n = snprintf(text, size, format, precision, real);
    char *at = n > 0 && (size_t)n < size ? strstr(text, point) : NULL;
    if (!at)
        return n;
    const size_t length = strlen(point);
    *at = '.';
    memmove(at + 1, at + length, strlen(at + length) + 1);
    return n - (int)length + 1;
}

/* The digits and the exponent of a finite number, d.ddde[+-]xx, with as few
   digits as give the same number. */
static int shortest(char digits[20], double real)
{
    char text[CLSA_REAL_SIZE];
    double again = 0;
    for (int precision = 0; precision < 17; precision++) {
        const int n =
            clsa_print_fixed(text, sizeof text, 'e', precision, fabs(real));
        if (clsa_parse_real(text, (size_t)n, &again) && again == fabs(real))
            break;
    }
    const char *e = strchr(text, 'e');
    size_t count = 0;
    for (const char *p = text; p < e; p++)
        if (*p != '.')
            digits[count++] = *p;
    digits[count] = '\0';
    return atoi(e + 1);
}

static void print_exponent(char text[CLSA_REAL_SIZE], const char *digits,
                           int exponent)
{
    snprintf(text, CLSA_REAL_SIZE, "%c%s%se%c%02d", digits[0],
             digits[1] ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
             abs(exponent));
}

/* Without an exponent: from 0.0001 on and below 1e16. */
static void print_plain(char *text, const char *digits, int exponent)
{
    const int count = (int)strlen(digits);
    int at = 0;
    if (exponent < 0) {
        text[at++] = '0';
        text[at++] = '.';
        for (int i = -1; i > exponent; i--)
            text[at++] = '0';
        strcpy(text + at, digits);
        return;
    }
    for (int i = 0; i <= exponent || i < count; i++) {
        if (i == exponent + 1)
            text[at++] = '.';
        text[at++] = i < count ? digits[i] : '0';
    }
    if (count <= exponent + 1) {
        text[at++] = '.';
        text[at++] = '0';
    }
    text[at] = '\0';
}

void clsa_print_real(char text[CLSA_REAL_SIZE], double real)
{
    char digits[20];
    if (isnan(real)) {
        strcpy(text, "nan");
        return;
    }
    if (signbit(real))
        *text++ = '-';
    if (isinf(real)) {
        strcpy(text, "inf");
        return;
    }
    const int exponent = shortest(digits, real);
    if (exponent < -4 || exponent >= 16)
        print_exponent(text, digits, exponent);
    else
        print_plain(text, digits, exponent);
}
