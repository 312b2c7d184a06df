/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prefix cache of clsa serve alone: values are numbers, and released ones
 * are counted. A run of random texts is compared with a plain list.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "src/serve/cache.h"
#include "tests/suite.h"

enum { VALUES = 2000, LENGTH = 12 };

static int released[VALUES];
static int values[VALUES]; /* their places are what is cached */

static void release(void *value)
{
    released[(int *)value - values]++;
}

static int number_of(const void *value)
{
    return value ? (int)((const int *)value - values) : -1;
}

static int find(struct serve_cache *cache, const char *text, size_t most,
                size_t *length, size_t *common)
{
    int32_t ids[64];
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        ids[i] = text[i];
    struct serve_match match =
        serve_cache_find(cache, 1, ids, n, most, most == n);
    *length = match.length;
    *common = match.common;
    return number_of(match.value);
}

static void put(struct serve_cache *cache, const char *text, int value,
                uint64_t bytes)
{
    int32_t ids[64];
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        ids[i] = text[i];
    ck_assert(serve_cache_put(cache, 1, ids, n, &values[value], bytes));
}

START_TEST(beginnings)
{
    struct serve_cache *cache = serve_cache_open(release);
    size_t length, common;
    memset(released, 0, sizeof released);
    ck_assert_int_eq(find(cache, "abc", 3, &length, &common), -1);
    put(cache, "abcdef", 0, 10);
    put(cache, "abcxyz", 1, 10);
    put(cache, "ab", 2, 10);
    ck_assert_uint_eq(serve_cache_count(cache), 3);
    ck_assert_uint_eq(serve_cache_tokens(cache), 14);
    ck_assert_int_eq(find(cache, "abcdefgh", 8, &length, &common), 0);
    ck_assert_uint_eq(length, 6);
    ck_assert_int_eq(find(cache, "abcdefgh", 5, &length, &common), 2);
    ck_assert_uint_eq(length, 2);
    ck_assert_uint_eq(common, 6);
    ck_assert_int_eq(find(cache, "abcq", 3, &length, &common), 2);
    ck_assert_uint_eq(common, 3); /* at the fork, which has no value */
    ck_assert_int_eq(find(cache, "abcdef", 6, &length, &common), 0);
    ck_assert_int_eq(find(cache, "abcdef", 5, &length, &common), 2);
    ck_assert_int_eq(find(cache, "xabc", 4, &length, &common), -1);
    put(cache, "abcdef", 3, 20); /* in place of 0 */
    ck_assert_int_eq(released[0], 1);
    ck_assert_uint_eq(serve_cache_bytes(cache), 40);
    serve_cache_close(cache);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(released[i], 1);
}
END_TEST

/* What is short and large goes before what is long and small, and of equals
   the one that nobody asked for. */
START_TEST(worth)
{
    struct serve_cache *cache = serve_cache_open(release);
    size_t length, common;
    put(cache, "short", 0, 1000);
    put(cache, "a long text that costs a lot of time", 1, 1000);
    ck_assert(serve_cache_evict(cache));
    ck_assert_int_eq(find(cache, "short", 5, &length, &common), -1);
    put(cache, "b long text that costs a lot of time", 2, 1000);
    put(cache, "c long text that costs a lot of time", 3, 1000);
    ck_assert_int_eq(find(cache, "a long text that costs a lot of time", 36,
                          &length, &common),
                     1);
    ck_assert(serve_cache_evict(cache));
    ck_assert_int_eq(find(cache, "b long text that costs a lot of time", 36,
                          &length, &common),
                     -1);
    ck_assert(serve_cache_evict(cache));
    ck_assert(serve_cache_evict(cache));
    ck_assert(!serve_cache_evict(cache));
    ck_assert_uint_eq(serve_cache_bytes(cache), 0);
    serve_cache_close(cache);
}
END_TEST

START_TEST(keys)
{
    static const int32_t ids[] = {1, 2, 3};
    struct serve_cache *cache = serve_cache_open(release);
    ck_assert(serve_cache_put(cache, 7, ids, 3, &values[0], 1));
    ck_assert_ptr_null(serve_cache_find(cache, 8, ids, 3, 3, true).value);
    ck_assert(!serve_cache_has(cache, 8, ids, 3));
    ck_assert(serve_cache_has(cache, 7, ids, 3));
    ck_assert(!serve_cache_has(cache, 7, ids, 2));
    ck_assert(serve_cache_put(cache, 8, ids, 2, &values[1], 1));
    ck_assert(serve_cache_forget(cache, 7));
    ck_assert(!serve_cache_forget(cache, 7));
    ck_assert_ptr_null(serve_cache_find(cache, 7, ids, 3, 3, true).value);
    ck_assert_ptr_nonnull(serve_cache_find(cache, 8, ids, 3, 3, false).value);
    serve_cache_close(cache);
}
END_TEST

static uint32_t next(uint32_t *random)
{
    return *random = *random * 1103515245u + 12345u, *random >> 16;
}

/* Texts of two letters, which have much in common. */
START_TEST(random_texts)
{
    struct serve_cache *cache = serve_cache_open(release);
    static char texts[VALUES][LENGTH + 1];
    uint32_t random = 5;
    memset(released, 0, sizeof released);
    for (int i = 0; i < VALUES; i++) {
        const size_t n = 1 + next(&random) % LENGTH;
        for (size_t j = 0; j < n; j++)
            texts[i][j] = (char)('a' + next(&random) % 2);
        texts[i][n] = '\0';
        put(cache, texts[i], i, 1 + next(&random) % 9);
        if (next(&random) % 4 == 0)
            ck_assert(serve_cache_evict(cache));
        const char *wanted = texts[next(&random) % (unsigned)(i + 1)];
        size_t best = 0, length, common;
        int value = -1;
        for (int k = 0; k <= i; k++) {
            const size_t size = strlen(texts[k]);
            if (!released[k] && strncmp(texts[k], wanted, size) == 0 &&
                size > best) {
                best = size;
                value = k;
            }
        }
        ck_assert_int_eq(find(cache, wanted, strlen(wanted), &length, &common),
                         value);
        ck_assert_uint_eq(length, best);
        ck_assert_uint_ge(common, best);
    }
    serve_cache_close(cache);
    for (int i = 0; i < VALUES; i++)
        ck_assert_int_eq(released[i], 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prefix");
    TCase *tc = tcase_create("prefix");
    tcase_add_test(tc, beginnings);
    tcase_add_test(tc, worth);
    tcase_add_test(tc, keys);
    tcase_add_test(tc, random_texts);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_FORK_GETENV);
}
