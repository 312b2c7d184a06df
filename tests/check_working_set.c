/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The working set: rows that stay selected keep their slots, others take those
 * that came free, `order` lists slots by position, and what gathering leaves in
 * them is what the cache holds.
 */
#include <string.h>

#include "src/base/random.h"
#include "src/engine/working_set.h"
#include "tests/parts.h"
#include "tests/suite.h"

enum { CAPACITY = 6, HEADS = 2, DIM = 4, ROWS = 5000 };

static const struct clsa_store_plan plan = {
    .kind = CLSA_STORE_CACHE, .kv_heads = HEADS, .head_dim = DIM};
static struct parts parts;
static struct clsa_cache cache;
static struct clsa_working_set set;

/* Row r, value i of K is 100 r + i, and of V the same less a million. */
static void open_all(void)
{
    parts_open(&parts);
    parts_cache(&parts, &cache, &plan, CLSA_TYPE_F32, CLSA_TYPE_F32);
    ck_assert_int_eq(clsa_cache_reserve(&cache, ROWS, NULL), CLSA_OK);
    for (uint64_t r = 0; r < ROWS; r++) {
        float k[HEADS * DIM], v[HEADS * DIM];
        for (int i = 0; i < HEADS * DIM; i++) {
            k[i] = (float)(100 * r) + (float)i;
            v[i] = k[i] - 1e6f;
        }
        clsa_cache_write(&cache, clsa_simd_table(NULL), r, k, v, NULL);
    }
    cache.length = ROWS;
    ck_assert_int_eq(clsa_working_set_open(&set, &cache.layout, CAPACITY, NULL),
                     CLSA_OK);
}

static void close_all(void)
{
    clsa_working_set_close(&set);
    clsa_cache_close(&cache);
    parts_close(&parts);
}

/* Selects rows that a list with a 0 at its end names. */
static void select_rows(const uint32_t *list)
{
    size_t n = 0;
    for (; list[n]; n++)
        set.next[n] = list[n];
    clsa_working_set_select(&set, n);
    ck_assert_uint_eq(set.n, n);
    ck_assert_mem_eq(set.rows, list, n * sizeof *list);
}

/* Slots in the order of their rows, and the rows that are new. */
static void check_slots(const uint32_t *slots, const uint32_t *fresh,
                        size_t new_count)
{
    for (size_t i = 0; i < set.n; i++)
        ck_assert_uint_eq(set.order[i], slots[i]);
    ck_assert_uint_eq(set.new_count, new_count);
    for (size_t i = 0; i < new_count; i++)
        ck_assert_uint_eq(set.rows[set.fresh[i]], fresh[i]);
}

/* Each slot in use holds K and V of its row. */
static void check_rows(const struct clsa_working_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t head = 0; head < HEADS; head++) {
            size_t at = head * s->plane_bytes + s->order[i] * s->head_bytes;
            const float *k = (const float *)(const void *)(s->k + at);
            const float *v = (const float *)(const void *)(s->v + at);
            for (size_t e = 0; e < DIM; e++) {
                float want = (float)(100 * s->rows[i] + head * DIM + e);
                ck_assert_float_eq(k[e], want);
                ck_assert_float_eq(v[e], want - 1e6f);
            }
        }
}

static void gather(unsigned threads)
{
    for (unsigned i = 0; i < threads; i++)
        clsa_working_set_gather(&set, &cache, clsa_simd_table(NULL), i, i + 1,
                                threads);
}

#define LIST(...) ((const uint32_t[]){__VA_ARGS__, 0})

START_TEST(rows_keep_their_slots)
{
    select_rows(LIST(10, 20, 30, 40));
    check_slots(LIST(0, 1, 2, 3), LIST(10, 20, 30, 40), 4);
    select_rows(LIST(10, 20, 30, 40));
    check_slots(LIST(0, 1, 2, 3), LIST(0), 0);
    select_rows(LIST(20, 30, 40, 50)); /* 50 takes the slot of 10 */
    check_slots(LIST(1, 2, 3, 0), LIST(50), 1);
    select_rows(LIST(5, 20, 25, 30, 50)); /* one for 40, one more */
    check_slots(LIST(3, 1, 4, 2, 0), LIST(5, 25), 2);
    select_rows(LIST(5, 6, 20, 25, 30, 50));
    check_slots(LIST(3, 5, 1, 4, 2, 0), LIST(6), 1);
}
END_TEST

START_TEST(shorter_lists_start_from_nothing)
{
    select_rows(LIST(10, 20, 30, 40));
    select_rows(LIST(30, 40));
    check_slots(LIST(0, 1), LIST(30, 40), 2);
    clsa_working_set_clear(&set);
    select_rows(LIST(30, 40));
    check_slots(LIST(0, 1), LIST(30, 40), 2);
    clsa_working_set_select(&set, 0);
    ck_assert_uint_eq(set.n, 0);
    ck_assert_uint_eq(set.new_count, 0);
}
END_TEST

/* Random lists: slots 0..n-1 are in use, each once, and their bytes right,
   whatever came before and however many threads copied. */
START_TEST(gathered_rows_are_those_of_the_cache)
{
    uint32_t at = 0;
    for (unsigned turn = 0; turn < 3000; turn++) {
        uint32_t list[CAPACITY + 1] = {0}, used = 0;
        size_t n = 1 + clsa_random_bits(1, at++) % CAPACITY;
        for (size_t i = 0; i < n; i++)
            list[i] = (i ? list[i - 1] : 4085) + 1 +
                      (clsa_random_bits(2, at++) >> 8) % 4;
        select_rows(list);
        for (size_t i = 0; i < n; i++)
            used |= 1u << set.order[i];
        ck_assert_uint_eq(used, (1u << n) - 1);
        gather(1 + turn % 3);
        check_rows(&set);
    }
}
END_TEST

START_TEST(copies_are_whole)
{
    struct clsa_working_set other;
    ck_assert_int_eq(
        clsa_working_set_open(&other, &cache.layout, CAPACITY, NULL), CLSA_OK);
    select_rows(LIST(10, 20, 30));
    gather(1);
    select_rows(LIST(10, 25, 30, 4999));
    gather(2);
    clsa_working_set_copy(&other, &set);
    ck_assert_uint_eq(other.n, 4);
    ck_assert_uint_eq(other.new_count, 0);
    check_rows(&other);
    select_rows(LIST(11, 12, 13, 14, 15, 16)); /* the copy does not change */
    gather(1);
    check_rows(&other);
    memcpy(other.next, LIST(10, 25, 31, 4999), 4 * sizeof *other.next);
    clsa_working_set_select(&other, 4);
    ck_assert_uint_eq(other.new_count, 1);
    ck_assert_uint_eq(other.order[2], 2); /* the slot of 30 */
    clsa_working_set_close(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("working_set");
    TCase *tc = tcase_create("working_set");
    tcase_add_checked_fixture(tc, open_all, close_all);
    tcase_add_test(tc, rows_keep_their_slots);
    tcase_add_test(tc, shorter_lists_start_from_nothing);
    tcase_add_test(tc, gathered_rows_are_those_of_the_cache);
    tcase_add_test(tc, copies_are_whole);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_FORK_GETENV);
}
