/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stores of a session and the pages of caches: they come and go with rows,
 * are shared by forks and copied by the one that writes, and truncation says
 * truly whether windows and states still reach. The budget gets all back.
 */
#include <string.h>

#include "src/engine/index.h"
#include "tests/parts.h"
#include "tests/suite.h"

enum { HEADS = 2, DIM = 32, KEY = 8, W = 5, PAGE = CLSA_PAGE_ROWS };

static struct clsa_store_plan plans[] = {
    {.kind = CLSA_STORE_WINDOW, .kv_heads = 1, .head_dim = 8, .window = W},
    {.kind = CLSA_STORE_WINDOW, .kv_heads = 1, .head_dim = 8, .window = W},
    {.kind = CLSA_STORE_CACHE,
     .kv_heads = HEADS,
     .head_dim = DIM,
     .index_dim = KEY},
    {.kind = CLSA_STORE_STATE, .kv_heads = 1, .head_dim = 8},
};
/* Without and with the state. */
static const struct clsa_network windows = {.store_count = 3, .stores = plans},
                                 all = {.store_count = 4, .stores = plans};

static struct parts parts;
static struct clsa_stores stores, forked;

static void open_stores(void)
{
    parts_open(&parts);
    const struct clsa_store_options options =
        parts_options(&parts, CLSA_TYPE_F32, CLSA_TYPE_I8);
    ck_assert_int_eq(clsa_stores_open(&stores, &windows, &options, NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_stores_open(&forked, &windows, &options, NULL),
                     CLSA_OK);
}

static void close_stores(void)
{
    clsa_stores_close(&stores);
    clsa_stores_close(&forked);
    parts_close(&parts);
}

static struct clsa_cache *cache_of(const struct clsa_stores *s)
{
    return clsa_stores_cache(s);
}

/* Appends tokens; the rows of the cache say `mark` and their position. */
static void append(struct clsa_stores *s, uint64_t count, float mark)
{
    struct clsa_cache *cache = cache_of(s);
    ck_assert_int_eq(clsa_stores_reserve(s, count, NULL), CLSA_OK);
    for (uint64_t i = 0; i < count; i++) {
        float k[HEADS * DIM] = {mark, (float)cache->length}, key[KEY] = {mark};
        clsa_stores_extend(s, 1);
        clsa_cache_write(cache, clsa_simd_table(NULL), cache->length, k, k,
                         key);
        clsa_stores_written(s, cache->length);
    }
}

static void check_row(const struct clsa_stores *s, uint64_t row, float mark)
{
    const float *k =
        (const float *)(const void *)clsa_cache_row(cache_of(s), row);
    ck_assert_float_eq(k[0], mark);
    ck_assert_float_eq(k[1], (float)row);
    ck_assert_mem_eq(k, k + HEADS * DIM, HEADS * DIM * sizeof *k);
}

static unsigned char *page(const struct clsa_stores *s, size_t i)
{
    return clsa_cache_page(cache_of(s), i);
}

START_TEST(bytes_are_those_of_the_plan)
{
    const size_t row = 2 * HEADS * DIM * sizeof(float), key = KEY + 4;
    const size_t window = 2 * 8 * (2 * W + 8) * sizeof(float);
    ck_assert_uint_eq(clsa_stores_row_bytes(&stores), row);
    ck_assert_uint_eq(clsa_stores_key_bytes(&stores), key);
    ck_assert_uint_eq(clsa_stores_window_bytes(&stores), 2 * window);
    ck_assert_uint_eq(clsa_stores_page_bytes(&stores, 0), 0);
    ck_assert_uint_eq(clsa_stores_page_bytes(&stores, 1), PAGE * (row + key));
    ck_assert_uint_eq(clsa_stores_page_bytes(&stores, PAGE + 1),
                      2 * PAGE * (row + key));
    ck_assert_uint_eq(clsa_stores_cache_bytes(&stores), 0);
    append(&stores, 1, 1);
    ck_assert_uint_eq(clsa_stores_cache_bytes(&stores), PAGE * (row + key));
    ck_assert_uint_eq(parts.budget.taken, PAGE * (row + key));
    append(&stores, PAGE, 1);
    ck_assert_uint_eq(clsa_stores_cache_bytes(&stores), 2 * PAGE * (row + key));
}
END_TEST

START_TEST(pages_are_shared_until_written)
{
    const uint64_t each = clsa_stores_page_bytes(&stores, 1);
    append(&stores, PAGE + 10, 1);
    clsa_stores_copy(&forked, &stores);
    ck_assert_uint_eq(parts.budget.taken, 2 * each);
    ck_assert_uint_eq(clsa_stores_cache_bytes(&forked), 2 * each);
    ck_assert_ptr_eq(page(&forked, 1), page(&stores, 1));
    append(&forked, 1, 2); /* a copy of the last page, for the fork */
    ck_assert_uint_eq(parts.budget.taken, 3 * each);
    ck_assert_ptr_eq(page(&forked, 0), page(&stores, 0));
    ck_assert_ptr_ne(page(&forked, 1), page(&stores, 1));
    append(&stores, 1, 3); /* the other is the only owner now */
    ck_assert_uint_eq(parts.budget.taken, 3 * each);
    check_row(&forked, PAGE + 9, 1);
    check_row(&forked, PAGE + 10, 2);
    check_row(&stores, PAGE + 10, 3);
    clsa_stores_truncate(&stores, 0);
    ck_assert_uint_eq(parts.budget.taken, 2 * each);
    check_row(&forked, 0, 1);
    check_row(&forked, PAGE - 1, 1);
}
END_TEST

/* A fork at the end of a page needs no copy. */
START_TEST(full_pages_stay_shared)
{
    append(&stores, PAGE, 1);
    clsa_stores_copy(&forked, &stores);
    append(&forked, 1, 2);
    append(&stores, 1, 3);
    ck_assert_ptr_eq(page(&forked, 0), page(&stores, 0));
    check_row(&forked, PAGE, 2);
    check_row(&stores, PAGE, 3);
}
END_TEST

/* A cut into a shared page is followed by a copy, keys and scales included. */
START_TEST(truncated_forks_write_copies)
{
    struct clsa_index_query q;
    const float x[KEY] = {1};
    int16_t integers[KEY];
    float score[2];
    clsa_index_query_set(&q, x, integers, KEY);
    append(&stores, 20, 1);
    clsa_stores_copy(&forked, &stores);
    ck_assert(!clsa_stores_truncate(&forked, 18)); /* windows are not whole */
    clsa_stores_extend(&forked, 8);
    clsa_stores_refilled(&forked);
    append(&forked, 1, 2);
    check_row(&stores, 18, 1);
    check_row(&forked, 17, 1);
    check_row(&forked, 18, 2);
    clsa_cache_scan(cache_of(&forked), clsa_simd_table(NULL), 17, 2, &q, score);
    ck_assert_float_eq_tol(score[0], 1, 1e-3);
    ck_assert_float_eq_tol(score[1], 2, 1e-3);
    clsa_cache_scan(cache_of(&stores), clsa_simd_table(NULL), 17, 2, &q, score);
    ck_assert_float_eq_tol(score[1], 1, 1e-3);
}
END_TEST

/* Two windows of 5 look back 8 positions together. */
START_TEST(truncation_says_what_to_read_again)
{
    append(&stores, 40, 1);
    ck_assert_uint_eq(clsa_stores_end(&stores, 99), 40);
    ck_assert(clsa_stores_reach(&stores, 39));
    ck_assert(!clsa_stores_reach(&stores, 25));
    ck_assert(clsa_stores_truncate(&stores, 39));
    ck_assert_uint_eq(clsa_stores_end(&stores, 99), 39);
    ck_assert(!clsa_stores_truncate(&stores, 25));
    ck_assert_uint_eq(cache_of(&stores)->length, 25);
    ck_assert_uint_eq(clsa_stores_end(&stores, 99), 17);
    clsa_stores_extend(&stores, 8);
    clsa_stores_refilled(&stores);
    ck_assert_uint_eq(clsa_stores_end(&stores, 99), 25);
    ck_assert(clsa_stores_reach(&stores, 25));
    ck_assert(!clsa_stores_reach(&stores, 24));
    ck_assert(!clsa_stores_truncate(&stores, 6)); /* from the begin */
    ck_assert_uint_eq(clsa_stores_end(&stores, 99), 0);
}
END_TEST

/* A state goes back within its chunk of 64 positions, else to the begin. */
START_TEST(states_begin_again)
{
    struct clsa_stores s = {0};
    const struct clsa_store_options options =
        parts_options(&parts, CLSA_TYPE_F32, CLSA_TYPE_I8);
    ck_assert_int_eq(clsa_stores_open(&s, &all, &options, NULL), CLSA_OK);
    append(&s, 71, 1);
    ck_assert(clsa_stores_reach(&s, 70));
    ck_assert(clsa_stores_truncate(&s, 70));
    ck_assert(!clsa_stores_reach(&s, 63));
    ck_assert(!clsa_stores_truncate(&s, 63));
    ck_assert_uint_eq(clsa_stores_end(&s, 99), 0);
    ck_assert_uint_eq(s.store[3].state.end, 0);
    clsa_stores_close(&s);
}
END_TEST

START_TEST(dropped_pages_are_gone)
{
    const uint64_t each = clsa_stores_page_bytes(&stores, 1);
    append(&stores, 2 * PAGE + 1, 1);
    clsa_stores_copy(&forked, &stores);
    clsa_stores_drop(&stores);
    ck_assert_uint_eq(clsa_stores_cache_bytes(&stores), each);
    ck_assert_uint_eq(parts.budget.taken, 3 * each); /* the fork has them */
    check_row(&stores, 2 * PAGE, 1);
    check_row(&forked, 5, 1);
    clsa_stores_drop(&forked);
    ck_assert_uint_eq(parts.budget.taken, each);
    append(&stores, 1, 2); /* a copy */
    check_row(&stores, 2 * PAGE, 1);
    check_row(&stores, 2 * PAGE + 1, 2);
}
END_TEST

START_TEST(skipped_rows_take_no_page)
{
    const uint64_t each = clsa_stores_page_bytes(&stores, 1);
    clsa_stores_skip(&stores, PAGE + 7);
    ck_assert_uint_eq(cache_of(&stores)->length, PAGE + 7);
    ck_assert_uint_eq(clsa_stores_cache_bytes(&stores), 0);
    append(&stores, 1, 1);
    ck_assert_uint_eq(clsa_stores_cache_bytes(&stores), each);
    check_row(&stores, PAGE + 7, 1);
}
END_TEST

/* Beyond the limit: an error, nothing changes, and less still fits. */
START_TEST(no_memory)
{
    const uint64_t each = clsa_stores_page_bytes(&stores, 1);
    clsa_error error;
    parts.budget.limit = 2 * each;
    append(&stores, 1, 1);
    ck_assert_int_eq(clsa_stores_reserve(&stores, 2 * PAGE, &error),
                     CLSA_ERR_MEMORY);
    ck_assert_ptr_nonnull(strstr(error.message, "a cache page"));
    check_row(&stores, 0, 1);
    ck_assert_uint_eq(cache_of(&stores)->length, 1);
    append(&stores, PAGE, 1);
}
END_TEST

START_TEST(types_are_checked)
{
    static const struct clsa_store_plan odd = {
        .kind = CLSA_STORE_CACHE, .kv_heads = 1, .head_dim = 8};
    struct clsa_store_options options =
        parts_options(&parts, CLSA_TYPE_Q8_0, CLSA_TYPE_I8);
    struct clsa_cache cache;
    ck_assert_int_eq(clsa_cache_open(&cache, &odd, &options, NULL),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_int_eq(clsa_cache_open(&cache, &plans[2], &options, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(cache.layout.row_bytes, 2 * HEADS * DIM / 32 * 34);
    clsa_cache_close(&cache);
    options.index = CLSA_TYPE_F16;
    ck_assert_int_eq(clsa_cache_open(&cache, &plans[2], &options, NULL),
                     CLSA_ERR_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stores");
    TCase *tc = tcase_create("stores");
    tcase_add_checked_fixture(tc, open_stores, close_stores);
    tcase_add_test(tc, bytes_are_those_of_the_plan);
    tcase_add_test(tc, pages_are_shared_until_written);
    tcase_add_test(tc, full_pages_stay_shared);
    tcase_add_test(tc, truncated_forks_write_copies);
    tcase_add_test(tc, truncation_says_what_to_read_again);
    tcase_add_test(tc, states_begin_again);
    tcase_add_test(tc, dropped_pages_are_gone);
    tcase_add_test(tc, skipped_rows_take_no_page);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, types_are_checked);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_FORK_GETENV);
}
