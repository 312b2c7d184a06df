/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization against utf8proc's own, where that is fast enough, the places
 * of what was changed, bytes that are not UTF-8, and rows of combining marks.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "src/base/utf8.h"
#include "src/model/normalize.h"
#include "tests/suite.h"

static uint32_t random_next(uint32_t *state)
{
    return (*state = *state * 1664525u + 1013904223u) >> 8;
}

/* Characters that compose, decompose, move, or do nothing. */
static int32_t random_code(uint32_t *state)
{
    static const int32_t codes[] = {
        'a',     'e',     ' ',     0xe9,   0xc5,   0x212b,   0x300,  0x301,
        0x327,   0x323,   0x345,   0x3b1,  0x1100, 0x1161,   0x11a8, 0xac00,
        0xac01,  0x3042,  0x3099,  0x30ab, 0x958,  0x95c,    0x93c,  0x915,
        0x5d0,   0x5b8,   0x5bc,   0xfb2a, 0x2000, 0x2126,   0xfffd, 0x1d15e,
        0x11099, 0x1109a, 0x110ba, 0x4e00, 0xf900, 0x344,    0x1f82, 0x419,
        0x438,   0x306,   0x9c7,   0x9be,  0x1b11, 0x10fffd, 0xe001, 0x2adc,
    };
    if (random_next(state) % 4 == 0) {
        const int32_t any = (int32_t)(random_next(state) % 0x3000);
        return any ? any : 'x';
    }
    return codes[random_next(state) % (sizeof codes / sizeof *codes)];
}

static size_t random_text(char *text, size_t count, uint32_t *state)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += (size_t)utf8proc_encode_char(random_code(state),
                                             (utf8proc_uint8_t *)text + size);
    return size;
}

START_TEST(same_as_utf8proc)
{
    uint32_t state = (uint32_t)_i;
    char text[4 * 40];
    for (int round = 0; round < 3000; round++) {
        struct clsa_normal normal;
        utf8proc_uint8_t *expected;
        const size_t size = random_text(text, random_next(&state) % 40, &state);
        const utf8proc_ssize_t n =
            utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size,
                         &expected, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        ck_assert_int_ge(n, 0);
        ck_assert_int_eq(clsa_normal_open(&normal, text, size, true, NULL),
                         CLSA_OK);
        ck_assert_msg(normal.size == (size_t)n &&
                          memcmp(normal.text, expected, normal.size) == 0,
                      "round %d", round);
        clsa_normal_close(&normal);
        free(expected);
    }
}
END_TEST

/* Bytes, what becomes of them with @ for U+FFFD, and where each byte of that
   comes from. */
static const struct {
    const char *bytes;
    bool nfc;
    const char *text;
    const char *origins; /* a digit for each byte of `text`, @ being one */
} cases[] = {
    {"abc", true, "abc", "012"},
    {"a\377b", false, "a@b", "012"},
    {"\342\202x\302", false, "@x@", "023"},
    {"e\314\201x", true, "\303\251x", "003"},
    {"e\314\201x", false, "e\314\201x", "0123"},
    {"xe\314\201\377e\314\201", true, "x\303\251@\303\251", "011455"},
    {"\340\245\230y", true, "\340\244\225\340\244\274y", "0000003"},
};

START_TEST(places)
{
    const char *expected = cases[_i].text, *origin = cases[_i].origins;
    struct clsa_normal normal;
    size_t mark = 0, at = 0;
    ck_assert_int_eq(clsa_normal_open(&normal, cases[_i].bytes,
                                      strlen(cases[_i].bytes), cases[_i].nfc,
                                      NULL),
                     CLSA_OK);
    for (; *expected; expected++, origin++) {
        const bool bad = *expected == '@';
        const size_t n = bad ? 3 : 1;
        ck_assert_uint_ge(normal.size, at + n);
        ck_assert_mem_eq(normal.text + at, bad ? CLSA_REPLACEMENT : expected,
                         n);
        ck_assert_uint_eq(clsa_normal_origin(&normal, &mark, at),
                          (size_t)(*origin - '0'));
        at += n;
    }
    ck_assert_uint_eq(at, normal.size);
    clsa_normal_close(&normal);
}
END_TEST

/* A sort that compares neighbors would not come to an end. */
START_TEST(many_marks)
{
    enum { PAIRS = 1 << 19 };
    char *text = malloc(1 + 4 * PAIRS);
    struct clsa_normal normal;
    ck_assert_ptr_nonnull(text);
    text[0] = 'q';
    for (size_t i = 0; i < PAIRS; i++)
        memcpy(text + 1 + 4 * i, "\314\201\314\243", 4); /* above, below */
    ck_assert_int_eq(clsa_normal_open(&normal, text, 1 + 4 * PAIRS, true, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(normal.size, 1 + 4 * PAIRS);
    ck_assert_mem_eq(normal.text + 1, "\314\243\314\243", 4);
    ck_assert_mem_eq(normal.text + normal.size - 4, "\314\201\314\201", 4);
    clsa_normal_close(&normal);
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("normalize");
    TCase *t = tcase_create("normalize");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, same_as_utf8proc, 0, 4);
    tcase_add_loop_test(t, places, 0, sizeof cases / sizeof *cases);
    tcase_add_test(t, many_marks);
    suite_add_tcase(s, t);
    return suite_run(s, CK_FORK_GETENV);
}
