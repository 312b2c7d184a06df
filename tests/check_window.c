/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window of a layer: after any sequence of appends the rows that a query
 * sees are in one run; cuts, restarts and copies say truly which rows are
 * there.
 */
#include <string.h>

#include "src/engine/window.h"
#include "tests/parts.h"
#include "tests/suite.h"

enum { W = 5, BLOCK = 4, HEADS = 2, DIM = 8 };

static const struct clsa_store_plan plan = {
    .kind = CLSA_STORE_WINDOW, .kv_heads = HEADS, .head_dim = DIM, .window = W};
static struct clsa_window window;

static void open_window(void)
{
    ck_assert_int_eq(clsa_window_open(&window, &plan, BLOCK, NULL), CLSA_OK);
}

static void close_window(void)
{
    clsa_window_close(&window);
}

/* What value i of a row has to be. */
static float value(uint64_t position, int v, uint32_t head, uint32_t i)
{
    return (float)(position * 100 + (uint64_t)v * 50 + head * DIM + i);
}

static void append(struct clsa_window *w, size_t count)
{
    const uint64_t at = w->end;
    clsa_window_extend(w, count);
    ck_assert_uint_eq(w->end, at + count);
    ck_assert_uint_le(w->end - w->base, w->capacity);
    for (uint64_t p = at; p < w->end; p++)
        for (int v = 0; v < 2; v++)
            for (uint32_t head = 0; head < HEADS; head++)
                for (uint32_t i = 0; i < DIM; i++)
                    clsa_window_row(w, v, head, p - w->base)[i] =
                        value(p, v, head, i);
}

/* The rows that a query at `position` sees are first..position. */
static void check_seen(const struct clsa_window *w, uint64_t first,
                       uint64_t position)
{
    ck_assert_uint_eq(clsa_window_first(w, position), first);
    for (uint64_t p = first; p <= position; p++)
        for (int v = 0; v < 2; v++)
            for (uint32_t head = 0; head < HEADS; head++)
                for (uint32_t i = 0; i < DIM; i++)
                    ck_assert_float_eq(
                        clsa_window_row(w, v, head, p - w->base)[i],
                        value(p, v, head, i));
}

static uint64_t first_of(uint64_t position)
{
    return position < W ? 0 : position - W + 1;
}

START_TEST(rows_move_on)
{
    ck_assert_uint_eq(window.capacity, 2 * W + BLOCK);
    for (unsigned i = 0; i < 200; i++) {
        const uint64_t before = window.end;
        append(&window, 1 + i * 7 % BLOCK);
        for (uint64_t p = before; p < window.end; p++)
            check_seen(&window, first_of(p), p);
    }
    ck_assert_uint_gt(window.base, 0);
    ck_assert_uint_eq(window.exact, window.base);
}
END_TEST

/* The first rows move when the buffer is full, and not before. */
START_TEST(rows_move_when_the_buffer_is_full)
{
    for (int i = 0; i < 2 * W + BLOCK; i++) {
        append(&window, 1);
        ck_assert_uint_eq(window.base, 0);
    }
    append(&window, 1);
    ck_assert_uint_eq(window.base, 14 - W + 1);
    check_seen(&window, 10, 14);
}
END_TEST

START_TEST(cuts_within_reach_keep_rows)
{
    for (int i = 0; i < 15; i++)
        append(&window, 1);
    ck_assert_uint_eq(window.base, 10);
    ck_assert(clsa_window_reaches(&window, 15));
    ck_assert(clsa_window_reaches(&window, 14)); /* sees 10..14 */
    ck_assert(!clsa_window_reaches(&window, 13));
    ck_assert(!clsa_window_reaches(&window, 0));
    clsa_window_cut(&window, 14, true);
    append(&window, 1);
    check_seen(&window, 10, 14);
}
END_TEST

START_TEST(short_texts_reach_their_begin)
{
    for (int i = 0; i < 12; i++)
        append(&window, 1);
    for (uint64_t end = 0; end <= 12; end++)
        ck_assert(clsa_window_reaches(&window, end));
    clsa_window_cut(&window, 2, true);
    append(&window, 2);
    check_seen(&window, 0, 3);
}
END_TEST

/* Begun anew at 20: rows from there on are exact only after a restart, then
   those that a window at the end sees. */
START_TEST(restarted_windows_are_exact_at_their_end)
{
    for (int i = 0; i < 30; i++)
        append(&window, 1);
    clsa_window_cut(&window, 20, false);
    ck_assert_uint_eq(window.base, 20);
    ck_assert_uint_eq(window.end, 20);
    append(&window, 3);
    check_seen(&window, 20, 22); /* fewer than W: nothing is before */
    append(&window, 4);
    check_seen(&window, 22, 26);
    clsa_window_restarted(&window);
    ck_assert_uint_eq(window.exact, 23); /* what position 27 sees */
    ck_assert(clsa_window_reaches(&window, 27));
    ck_assert(!clsa_window_reaches(&window, 26));
    append(&window, 4);
    ck_assert(clsa_window_reaches(&window, 28));
    ck_assert(!clsa_window_reaches(&window, 26));
}
END_TEST

START_TEST(copies_go_on_alone)
{
    struct clsa_window copy;
    ck_assert_int_eq(clsa_window_open(&copy, &plan, BLOCK, NULL), CLSA_OK);
    for (int i = 0; i < 12; i++)
        append(&window, 1);
    clsa_window_copy(&copy, &window);
    ck_assert_uint_eq(copy.base, 8); /* what position 12 sees */
    ck_assert_uint_eq(copy.exact, 8);
    ck_assert_uint_eq(copy.end, 12);
    memset(window.rows, 0, window.bytes);
    append(&copy, 1);
    check_seen(&copy, 8, 12);
    for (int i = 0; i < 20; i++)
        append(&copy, 3);
    check_seen(&copy, 68, 72);
    clsa_window_close(&copy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window");
    TCase *tc = tcase_create("window");
    tcase_add_checked_fixture(tc, open_window, close_window);
    tcase_add_test(tc, rows_move_on);
    tcase_add_test(tc, rows_move_when_the_buffer_is_full);
    tcase_add_test(tc, cuts_within_reach_keep_rows);
    tcase_add_test(tc, short_texts_reach_their_begin);
    tcase_add_test(tc, restarted_windows_are_exact_at_their_end);
    tcase_add_test(tc, copies_go_on_alone);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_FORK_GETENV);
}
