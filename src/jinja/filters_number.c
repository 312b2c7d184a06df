/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of numbers. */
#include <math.h>
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/text.h"

CLSA_BUILTIN(absolute)
{
    (void)a;
    int64_t integer;
    if (self.kind == CLSA_FLOAT)
        return clsa_float(fabs(self.real));
    if (!clsa_value_int(self, &integer))
        clsa_jinja_fail(j, "abs needs a number, not %s", clsa_value_type(self));
    return integer < 0
               ? clsa_operate(j, CLSA_OP_SUB, clsa_int(0), clsa_int(integer))
               : clsa_int(integer);
}

/* A real number of a text with white space around it and single underscores
   between its digits. */
static bool text_real(struct clsa_jinja *j, const struct clsa_string *s,
                      double *real)
{
    static const struct {
        const char *name;
        double value;
    } words[] = {{"inf", INFINITY}, {"-inf", -INFINITY}, {"nan", NAN}};
    const struct clsa_string *bare =
        clsa_text_strip(j, s, NULL, CLSA_STRIP_LEFT | CLSA_STRIP_RIGHT).string;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (clsa_string_is(bare, words[i].name)) {
            *real = words[i].value;
            return true;
        }
    }
    return clsa_parse_real(bare->data, bare->size, real);
}

CLSA_BUILTIN(to_float)
{
    double real = 0;
    if (clsa_is_number(self))
        return clsa_float(clsa_value_real(self));
    if (self.kind == CLSA_STRING && text_real(j, self.string, &real))
        return clsa_float(real);
    return a->values[0].kind == CLSA_ABSENT ? clsa_float(0) : a->values[0];
}

/* The integer part of a real number; false if it has none of 64 bits. */
static bool truncated(double real, struct clsa_value *value)
{
    if (!(real > -9223372036854775808.0 && real < 9223372036854775808.0))
        return false;
    *value = clsa_int((int64_t)real);
    return true;
}

/* The digits of a number in a base other than ten. */
static bool based(const struct clsa_string *s, int64_t base, int64_t *integer)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    static const char letters[] = "bBoOxX";
    size_t at = s->size > 0 && (s->data[0] == '-' || s->data[0] == '+');
    const bool negative = at > 0 && s->data[0] == '-';
    const char *letter =
        s->size > at + 1 && s->data[at] == '0' && s->data[at + 1]
            ? strchr(letters, s->data[at + 1])
            : NULL;
    const int64_t prefix = letter ? (letter - letters) / 2 : -1;
    if ((prefix == 0 && base == 2) || (prefix == 1 && base == 8) ||
        (prefix == 2 && base == 16))
        at += 2;
    int64_t number = 0;
    if (at >= s->size)
        return false;
    for (; at < s->size; at++) {
        const char c = (char)(s->data[at] >= 'A' && s->data[at] <= 'Z'
                                  ? s->data[at] + ('a' - 'A')
                                  : s->data[at]);
        const char *digit = c ? strchr(digits, c) : NULL;
        if (!digit || digit - digits >= base ||
            __builtin_mul_overflow(number, base, &number) ||
            __builtin_add_overflow(number, digit - digits, &number))
            return false;
    }
    *integer = negative ? -number : number;
    return true;
}

static bool text_int(struct clsa_jinja *j, const struct clsa_string *s,
                     int64_t base, struct clsa_value *value)
{
    double real;
    int64_t integer;
    const struct clsa_string *bare =
        clsa_text_strip(j, s, NULL, CLSA_STRIP_LEFT | CLSA_STRIP_RIGHT).string;
    if (base == 10 ? clsa_parse_int(bare->data, bare->size, &integer)
                   : based(bare, base, &integer)) {
        *value = clsa_int(integer);
        return true;
    }
    return text_real(j, s, &real) && truncated(real, value);
}

CLSA_BUILTIN(to_int)
{
    const int64_t base = clsa_argument_int(j, a->values[1], "int", 10);
    struct clsa_value value =
        a->values[0].kind == CLSA_ABSENT ? clsa_int(0) : a->values[0];
    int64_t integer;
    if (base < 2 || base > 36)
        clsa_jinja_fail(j, "int needs a base from 2 to 36");
    if (self.kind == CLSA_BIG)
        return self;
    if (clsa_value_int(self, &integer))
        value = clsa_int(integer);
    else if (self.kind == CLSA_FLOAT)
        truncated(self.real, &value);
    else if (self.kind == CLSA_STRING)
        text_int(j, self.string, base, &value);
    return value;
}

/* Half to even, as printf rounds. */
static double round_common(double real, int64_t precision)
{
    char text[400];
    double rounded = real;
    if (precision < 0) {
        const double unit = pow(10, (double)-precision);
        return isfinite(unit) ? nearbyint(real / unit) * unit : 0;
    }
    const int n = clsa_print_fixed(text, sizeof text, 'f',
                                   precision > 60 ? 60 : (int)precision, real);
    if (n > 0 && (size_t)n < sizeof text)
        clsa_parse_real(text, (size_t)n, &rounded);
    return rounded;
}

CLSA_BUILTIN(round_)
{
    const int64_t precision = clsa_argument_int(j, a->values[0], "round", 0);
    const struct clsa_string *method =
        a->values[1].kind == CLSA_ABSENT
            ? clsa_text(j, "common").string
            : clsa_argument_text(j, a->values[1], "round");
    const double unit = pow(10, (double)precision);
    if (!clsa_is_number(self))
        clsa_jinja_fail(j, "round needs a number, not %s",
                        clsa_value_type(self));
    const double real = clsa_value_real(self);
    if (clsa_string_is(method, "ceil"))
        return clsa_float(ceil(real * unit) / unit);
    if (clsa_string_is(method, "floor"))
        return clsa_float(floor(real * unit) / unit);
    if (!clsa_string_is(method, "common"))
        clsa_jinja_fail(j, "round has the methods common, ceil and floor");
    if (self.kind != CLSA_FLOAT && precision >= 0)
        return self.kind == CLSA_BOOL ? clsa_int(self.truth) : self;
    const double rounded = round_common(real, precision);
    return self.kind == CLSA_FLOAT ? clsa_float(rounded)
                                   : clsa_int((int64_t)rounded);
}

const struct clsa_builtin clsa_number_filters[] = {
    {"abs", absolute, "", 0},
    {"float", to_float, "default", 0},
    {"int", to_int, "default base", 0},
    {"round", round_, "precision method", 0},
    {0}};
