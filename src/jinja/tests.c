/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: `value is NAME`. */
#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"
#include "src/jinja/sequence.h"
#include "src/jinja/text.h"

/* Tests of the type alone. */
#define KIND_TEST(name, holds)                                                 \
    CLSA_BUILTIN(name)                                                         \
    {                                                                          \
        (void)j;                                                               \
        (void)a;                                                               \
        return clsa_bool(holds);                                               \
    }

/* Tests that compare with an argument. */
#define COMPARE_TEST(name, op)                                                 \
    CLSA_BUILTIN(name)                                                         \
    {                                                                          \
        return clsa_operate(j, op, self, a->values[0]);                        \
    }

KIND_TEST(boolean, self.kind == CLSA_BOOL)
KIND_TEST(callable, self.kind == CLSA_FUNCTION || self.kind == CLSA_MACRO ||
                        self.kind == CLSA_JOINER || self.kind == CLSA_UNDEFINED)
KIND_TEST(defined, self.kind != CLSA_UNDEFINED)
KIND_TEST(undefined, self.kind == CLSA_UNDEFINED)
KIND_TEST(is_false, self.kind == CLSA_BOOL && !self.truth)
KIND_TEST(is_true, self.kind == CLSA_BOOL && self.truth)
KIND_TEST(is_float, self.kind == CLSA_FLOAT)
KIND_TEST(integer, self.kind == CLSA_INT || self.kind == CLSA_BIG)
KIND_TEST(iterable, clsa_value_iterable(self))
KIND_TEST(mapping, self.kind == CLSA_DICT)
KIND_TEST(none, self.kind == CLSA_NONE)
KIND_TEST(number, clsa_is_number(self))
KIND_TEST(sequence, self.kind == CLSA_STRING || self.kind == CLSA_LIST ||
                        self.kind == CLSA_TUPLE || self.kind == CLSA_DICT ||
                        self.kind == CLSA_RANGE || self.kind == CLSA_UNDEFINED)
KIND_TEST(string, self.kind == CLSA_STRING)
KIND_TEST(escaped, self.kind == CLSA_STRING && self.string->markup)
KIND_TEST(sameas, clsa_value_same(self, a->values[0]))

COMPARE_TEST(equal, CLSA_OP_EQ)
COMPARE_TEST(not_equal, CLSA_OP_NE)
COMPARE_TEST(less, CLSA_OP_LT)
COMPARE_TEST(less_equal, CLSA_OP_LE)
COMPARE_TEST(greater, CLSA_OP_GT)
COMPARE_TEST(greater_equal, CLSA_OP_GE)
COMPARE_TEST(in, CLSA_OP_IN)

static bool divides(struct clsa_jinja *j, struct clsa_value self,
                    struct clsa_value by, int64_t rest)
{
    return clsa_value_equal(j, clsa_operate(j, CLSA_OP_MOD, self, by),
                            clsa_int(rest));
}

CLSA_BUILTIN(divisibleby)
{
    return clsa_bool(divides(j, self, a->values[0], 0));
}

CLSA_BUILTIN(even)
{
    (void)a;
    return clsa_bool(divides(j, self, clsa_int(2), 0));
}

CLSA_BUILTIN(odd)
{
    (void)a;
    return clsa_bool(divides(j, self, clsa_int(2), 1));
}

CLSA_BUILTIN(is_filter)
{
    (void)j;
    (void)a;
    return clsa_bool(self.kind == CLSA_STRING && clsa_filter_find(self.string));
}

CLSA_BUILTIN(is_test)
{
    (void)j;
    (void)a;
    return clsa_bool(self.kind == CLSA_STRING && clsa_test_find(self.string));
}

/* Whether a text has letters, and all of them are of one case. */
static bool has_case(struct clsa_jinja *j, struct clsa_value self,
                     bool (*other)(uint32_t), bool (*wanted)(uint32_t))
{
    const struct clsa_string *s = clsa_print_str(j, self).string;
    bool found = false;
    uint32_t c;
    for (size_t at = 0; at < s->size;) {
        at += clsa_char_decode(s->data + at, s->size - at, &c);
        if (other(c))
            return false;
        found |= wanted(c);
    }
    return found;
}

CLSA_BUILTIN(lower)
{
    (void)a;
    return clsa_bool(has_case(j, self, clsa_char_upper, clsa_char_lower));
}

CLSA_BUILTIN(upper)
{
    (void)a;
    return clsa_bool(has_case(j, self, clsa_char_lower, clsa_char_upper));
}

const struct clsa_builtin clsa_tests[] = {
    {"!=", not_equal, "other", 1},
    {"<", less, "other", 1},
    {"<=", less_equal, "other", 1},
    {"==", equal, "other", 1},
    {">", greater, "other", 1},
    {">=", greater_equal, "other", 1},
    {"boolean", boolean, "", 0},
    {"callable", callable, "", 0},
    {"defined", defined, "", 0},
    {"divisibleby", divisibleby, "num", 1},
    {"eq", equal, "other", 1},
    {"equalto", equal, "other", 1},
    {"escaped", escaped, "", 0},
    {"even", even, "", 0},
    {"false", is_false, "", 0},
    {"filter", is_filter, "", 0},
    {"float", is_float, "", 0},
    {"ge", greater_equal, "other", 1},
    {"greaterthan", greater, "other", 1},
    {"gt", greater, "other", 1},
    {"in", in, "seq", 1},
    {"integer", integer, "", 0},
    {"iterable", iterable, "", 0},
    {"le", less_equal, "other", 1},
    {"lessthan", less, "other", 1},
    {"lower", lower, "", 0},
    {"lt", less, "other", 1},
    {"mapping", mapping, "", 0},
    {"ne", not_equal, "other", 1},
    {"none", none, "", 0},
    {"number", number, "", 0},
    {"odd", odd, "", 0},
    {"sameas", sameas, "other", 1},
    {"sequence", sequence, "", 0},
    {"string", string, "", 0},
    {"test", is_test, "", 0},
    {"true", is_true, "", 0},
    {"undefined", undefined, "", 0},
    {"upper", upper, "", 0},
    {0}};
