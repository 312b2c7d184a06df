/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic and comparisons of Python, in 64 bits: what overflows is
   refused. */
#include <math.h>
#include <string.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"

_Noreturn static void no_operator(struct clsa_jinja *j, enum clsa_operator op,
                                  struct clsa_value a, struct clsa_value b)
{
    static const char *const names[] = {"+", "-", "*", "/", "//", "%", "**"};
    if (a.kind == CLSA_UNDEFINED)
        clsa_fail_undefined(j, a);
    if (b.kind == CLSA_UNDEFINED)
        clsa_fail_undefined(j, b);
    clsa_jinja_fail(j, "%s does not go between %s and %s", names[op],
                    clsa_value_type(a), clsa_value_type(b));
}

_Noreturn static void overflow(struct clsa_jinja *j)
{
    clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                           "an integer is past 64 bits");
}

static int64_t floor_division(int64_t a, int64_t b, int64_t *rest)
{
    int64_t quotient = a / b;
    *rest = a % b;
    if (*rest != 0 && (*rest < 0) != (b < 0)) {
        *rest += b;
        quotient--;
    }
    return quotient;
}

static struct clsa_value
divide_ints(struct clsa_jinja *j, enum clsa_operator op, int64_t a, int64_t b)
{
    int64_t rest;
    if (b == 0)
        clsa_jinja_fail(j, "division by zero");
    if (op == CLSA_OP_DIV)
        return clsa_float((double)a / (double)b);
    if (b == -1) {
        if (a == INT64_MIN)
            overflow(j);
        return clsa_int(op == CLSA_OP_MOD ? 0 : -a);
    }
    const int64_t quotient = floor_division(a, b, &rest);
    return clsa_int(op == CLSA_OP_MOD ? rest : quotient);
}

static struct clsa_value int_power(struct clsa_jinja *j, int64_t a, int64_t b)
{
    int64_t result = 1;
    if (b < 0) {
        if (a == 0)
            clsa_jinja_fail(j, "division by zero");
        return clsa_float(pow((double)a, (double)b));
    }
    if (a == 0 || a == 1 || a == -1)
        return clsa_int(b == 0 ? 1 : a == -1 && b % 2 == 0 ? 1 : a);
    for (; b > 0; b--) /* at most 64 times */
        if (__builtin_mul_overflow(result, a, &result))
            overflow(j);
    return clsa_int(result);
}

static struct clsa_value
int_operation(struct clsa_jinja *j, enum clsa_operator op, int64_t a, int64_t b)
{
    int64_t result = 0;
    bool too_large = false;
    switch (op) {
    case CLSA_OP_ADD:
        too_large = __builtin_add_overflow(a, b, &result);
        break;
    case CLSA_OP_SUB:
        too_large = __builtin_sub_overflow(a, b, &result);
        break;
    case CLSA_OP_MUL:
        too_large = __builtin_mul_overflow(a, b, &result);
        break;
    case CLSA_OP_POW:
        return int_power(j, a, b);
    default:
        return divide_ints(j, op, a, b);
    }
    if (too_large)
        overflow(j);
    return clsa_int(result);
}

/* The sign of a rest is the divisor's. */
static double real_rest(double a, double b)
{
    const double rest = fmod(a, b);
    if (rest != 0)
        return (rest < 0) != (b < 0) ? rest + b : rest;
    return copysign(0, b);
}

static struct clsa_value
real_operation(struct clsa_jinja *j, enum clsa_operator op, double a, double b)
{
    switch (op) {
    case CLSA_OP_ADD:
        return clsa_float(a + b);
    case CLSA_OP_SUB:
        return clsa_float(a - b);
    case CLSA_OP_MUL:
        return clsa_float(a * b);
    case CLSA_OP_POW:
        if ((a == 0 && b < 0) || (a < 0 && b != floor(b)))
            clsa_jinja_fail(j, "** has no real result");
        return clsa_float(pow(a, b));
    default:
        break;
    }
    if (b == 0)
        clsa_jinja_fail(j, "division by zero");
    if (op == CLSA_OP_DIV)
        return clsa_float(a / b);
    if (op == CLSA_OP_MOD)
        return clsa_float(real_rest(a, b));
    const double quotient = (a - real_rest(a, b)) / b;
    return clsa_float(quotient == 0 ? copysign(0, a / b) : round(quotient));
}

static struct clsa_value add_strings(struct clsa_jinja *j, struct clsa_value a,
                                     struct clsa_value b)
{
    struct clsa_buffer buffer = {0};
    const bool markup = a.string->markup || b.string->markup;
    if (markup) {
        a = clsa_escape(j, a);
        b = clsa_escape(j, b);
    }
    clsa_print_add(j, &buffer, a);
    clsa_print_add(j, &buffer, b);
    const struct clsa_value sum = clsa_buffer_string(j, &buffer);
    return markup ? clsa_string_markup(j, sum.string) : sum;
}

static struct clsa_value add_lists(struct clsa_jinja *j, struct clsa_value a,
                                   struct clsa_value b)
{
    const struct clsa_value sum =
        clsa_list_new(j, a.kind, a.list->count + b.list->count);
    clsa_jinja_charge(j, (a.list->count + b.list->count) * 16);
    for (size_t i = 0; i < a.list->count; i++)
        clsa_list_add(j, sum.list, a.list->items[i]);
    for (size_t i = 0; i < b.list->count; i++)
        clsa_list_add(j, sum.list, b.list->items[i]);
    return sum;
}

/* A string or a list n times. */
static struct clsa_value repeat(struct clsa_jinja *j, struct clsa_value v,
                                int64_t n)
{
    struct clsa_buffer buffer = {0};
    if (v.kind == CLSA_STRING) {
        for (int64_t i = 0; i < n && v.string->size > 0; i++)
            clsa_print_add(j, &buffer, v);
        const struct clsa_value all = clsa_buffer_string(j, &buffer);
        return v.string->markup ? clsa_string_markup(j, all.string) : all;
    }
    const struct clsa_value all = clsa_list_new(j, v.kind, 0);
    const size_t count = v.list->count; /* all at once is not v */
    for (int64_t i = 0; i < n && count > 0; i++) {
        clsa_jinja_charge(j, count * 16);
        for (size_t k = 0; k < count; k++)
            clsa_list_add(j, all.list, v.list->items[k]);
    }
    return all;
}

static bool is_sequence(struct clsa_value v)
{
    return v.kind == CLSA_STRING || v.kind == CLSA_LIST || v.kind == CLSA_TUPLE;
}

static struct clsa_value arithmetic(struct clsa_jinja *j, enum clsa_operator op,
                                    struct clsa_value a, struct clsa_value b)
{
    int64_t x = 0, y = 0;
    const bool first = clsa_value_int(a, &x), second = clsa_value_int(b, &y);
    if (first && second)
        return int_operation(j, op, x, y);
    if (clsa_is_number(a) && clsa_is_number(b)) {
        if (a.kind != CLSA_FLOAT && b.kind != CLSA_FLOAT)
            overflow(j);
        return real_operation(j, op, clsa_value_real(a), clsa_value_real(b));
    }
    if (op == CLSA_OP_ADD && a.kind == CLSA_STRING && b.kind == CLSA_STRING)
        return add_strings(j, a, b);
    if (op == CLSA_OP_ADD && a.kind == b.kind && is_sequence(a))
        return add_lists(j, a, b);
    if (op == CLSA_OP_MUL && is_sequence(a) && second)
        return repeat(j, a, y);
    if (op == CLSA_OP_MUL && first && is_sequence(b))
        return repeat(j, b, x);
    if (op == CLSA_OP_MOD && a.kind == CLSA_STRING)
        return clsa_format(j, a.string, b);
    no_operator(j, op, a, b);
}

struct clsa_value clsa_operate(struct clsa_jinja *j, enum clsa_operator op,
                               struct clsa_value a, struct clsa_value b)
{
    switch (op) {
    case CLSA_OP_EQ:
        return clsa_bool(clsa_value_equal(j, a, b));
    case CLSA_OP_NE:
        return clsa_bool(!clsa_value_equal(j, a, b));
    case CLSA_OP_IN:
        return clsa_bool(clsa_contains(j, b, a));
    case CLSA_OP_NOT_IN:
        return clsa_bool(!clsa_contains(j, b, a));
    case CLSA_OP_LT:
    case CLSA_OP_LE:
    case CLSA_OP_GT:
    case CLSA_OP_GE:
        break;
    default:
        return arithmetic(j, op, a, b);
    }
    if (a.kind == CLSA_UNDEFINED || b.kind == CLSA_UNDEFINED)
        clsa_fail_undefined(j, a.kind == CLSA_UNDEFINED ? a : b);
    if ((a.kind == CLSA_FLOAT && isnan(a.real)) ||
        (b.kind == CLSA_FLOAT && isnan(b.real)))
        return clsa_bool(false);
    const int order = clsa_value_compare(j, a, b);
    return clsa_bool(op == CLSA_OP_LT   ? order < 0
                     : op == CLSA_OP_LE ? order <= 0
                     : op == CLSA_OP_GT ? order > 0
                                        : order >= 0);
}
