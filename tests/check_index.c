/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: the k best rows of a scan against a sort of all scores, for sizes
 * around those of runs and pages, with many ties, threads and memory nodes;
 * the integers of a query; and the merge of ascending lists.
 */
#include <math.h>
#include <string.h>

#include "src/base/random.h"
#include "src/engine/index.h"
#include "tests/parts.h"
#include "tests/suite.h"

enum { PARTS = 3, ROWS = 40000, DIM = 8, KEY = 16, MOST = 4000 };

static const struct clsa_store_plan plan = {
    .kind = CLSA_STORE_CACHE, .kv_heads = 1, .head_dim = DIM, .index_dim = KEY};
static struct parts parts;
static float keys[ROWS][KEY], rows[ROWS][DIM];
static float query[KEY];

/* Small integers, so that products are exact in every type and order of sums,
   and many rows have the same score. */
static float small(uint64_t stream, size_t i)
{
    return (float)(clsa_random_bits(stream, (uint32_t)i) >> 8 & 3) - 1;
}

static void open_all(void)
{
    parts_open(&parts);
    for (size_t i = 0; i < KEY; i++)
        query[i] = small(1, i) + 2;
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < KEY; i++)
            keys[r][i] = small(2, r * KEY + i);
        for (size_t i = 0; i < DIM; i++)
            rows[r][i] = small(3, r * DIM + i);
    }
}

static void close_all(void)
{
    parts_close(&parts);
}

static void fill(struct clsa_cache *cache, clsa_type index)
{
    parts_cache(&parts, cache, &plan, CLSA_TYPE_BF16, index);
    ck_assert_int_eq(clsa_cache_reserve(cache, ROWS, NULL), CLSA_OK);
    for (size_t r = 0; r < ROWS; r++)
        clsa_cache_write(cache, clsa_simd_table(NULL), r, rows[r], rows[r],
                         keys[r]);
    cache->length = ROWS;
}

struct scored {
    float score;
    uint32_t row;
};

/* The higher score first, then the lower row. */
static int better_first(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The k best of n by a sort of products. */
static void sort_rows(uint32_t *best, const float *x, const float *of,
                      size_t len, size_t n, size_t k)
{
    static struct scored all[ROWS];
    for (size_t r = 0; r < n; r++) {
        float sum = 0;
        for (size_t i = 0; i < len; i++)
            sum += x[i] * of[r * len + i];
        all[r] = (struct scored){sum, (uint32_t)r};
    }
    qsort(all, n, sizeof *all, better_first);
    for (size_t i = 0; i < k; i++)
        best[i] = all[i].row;
    qsort(best, k, sizeof *best, ascending);
}

/* A part of the runs that worker i of `threads`, in turns on `nodes`, scans. */
static struct clsa_index_range range_of(const struct clsa_scan *scan,
                                        unsigned i, unsigned threads,
                                        unsigned nodes, unsigned part)
{
    const unsigned node = i % nodes,
                   ranks = (threads - node + nodes - 1) / nodes;
    const size_t n = clsa_index_runs(scan, node, nodes);
    const unsigned at = i / nodes * PARTS + part;
    return (struct clsa_index_range){node, nodes, n * at / (ranks * PARTS),
                                     n * (at + 1) / (ranks * PARTS)};
}

/* The shares of all workers, in turns, each in parts from the last to the
   first; then the best of what they kept. */
static size_t scan_rows(uint32_t *best, const struct clsa_scan *scan,
                        unsigned threads, unsigned nodes)
{
    static uint64_t kept[4 * MOST], copy[4 * MOST];
    size_t n = 0, k = scan->k;
    for (unsigned i = 0; i < threads; i++) {
        struct clsa_candidates c;
        size_t count = 0;
        ck_assert_int_eq(clsa_candidates_open(&c, MOST, NULL), CLSA_OK);
        for (unsigned part = PARTS; part-- > 0;) {
            const struct clsa_index_range range =
                range_of(scan, i, threads, nodes, part);
            count = clsa_index_scan(scan, &c, &range, kept + n, count);
            ck_assert_uint_le(count, k);
        }
        n += count;
        clsa_candidates_close(&c);
    }
    n = scan->simd->topk(kept, n, k, copy);
    for (size_t j = 0; j < n; j++)
        best[j] = clsa_rank_position(kept[j]);
    clsa_index_order(best, n, (uint32_t *)copy);
    return n;
}

static void check_scan(struct clsa_scan scan, size_t n, size_t k)
{
    static uint32_t got[MOST], want[MOST];
    const size_t most = k < n ? k : n;
    scan.n = n;
    scan.k = k;
    if (scan.mean)
        sort_rows(want, query, rows[0], DIM, n, most);
    else
        sort_rows(want, query, keys[0], KEY, n, most);
    for (unsigned threads = 1; threads <= 4; threads++)
        for (unsigned nodes = 1; nodes <= 2 && nodes <= threads; nodes++) {
            ck_assert_uint_eq(scan_rows(got, &scan, threads, nodes), most);
            ck_assert_msg(memcmp(got, want, most * sizeof *got) == 0,
                          "%zu of %zu rows, %u threads, %u nodes", k, n,
                          threads, nodes);
        }
}

static void check_sizes(const struct clsa_scan *scan)
{
    static const size_t n[] = {1, 100, 1024, 1025, 4097, 16385, ROWS};
    static const size_t k[] = {1, 7, 500, MOST};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++)
        for (size_t j = 0; j < sizeof k / sizeof *k; j++)
            check_scan(*scan, n[i], k[j]);
}

START_TEST(scan_finds_the_best_keys)
{
    static const clsa_type types[] = {CLSA_TYPE_F32, CLSA_TYPE_BF16};
    struct clsa_cache cache;
    struct clsa_index_query q;
    int16_t integers[KEY];
    fill(&cache, types[_i]);
    clsa_index_query_set(&q, query, integers, KEY);
    const struct clsa_scan scan = {
        .cache = &cache, .simd = clsa_simd_table(NULL), .query = &q};
    check_sizes(&scan);
    clsa_cache_close(&cache);
}
END_TEST

START_TEST(scan_finds_the_best_rows)
{
    struct clsa_cache cache;
    fill(&cache, CLSA_TYPE_BF16);
    const struct clsa_scan scan = {
        .cache = &cache, .simd = clsa_simd_table(NULL), .mean = query};
    check_sizes(&scan);
    clsa_cache_close(&cache);
}
END_TEST

/* i8: every key is 127 times a unit vector or its negative. */
START_TEST(scan_of_integers)
{
    struct clsa_cache cache;
    struct clsa_index_query q;
    int16_t integers[KEY];
    for (size_t r = 0; r < ROWS; r++) {
        memset(keys[r], 0, sizeof keys[r]);
        keys[r][r * 7 % KEY] = r % 3 ? 127 : -127;
    }
    fill(&cache, CLSA_TYPE_I8);
    clsa_index_query_set(&q, query, integers, KEY);
    const struct clsa_scan scan = {
        .cache = &cache, .simd = clsa_simd_table(NULL), .query = &q};
    check_scan(scan, ROWS, 500);
    check_scan(scan, 5000, MOST);
    clsa_cache_close(&cache);
}
END_TEST

START_TEST(query_becomes_integers)
{
    float x[600] = {-4, 2, 1, 0.5f, 0};
    int16_t q[600];
    struct clsa_index_query got;
    clsa_index_query_set(&got, x, q, 5);
    ck_assert_ptr_eq(got.x, x);
    ck_assert_ptr_eq(got.q, q);
    ck_assert_float_eq(got.scale, 4 / 32767.0f);
    ck_assert_int_eq(q[0], -32767);
    ck_assert_int_eq(q[1], 16384); /* 16383.5, to even */
    ck_assert_int_eq(q[2], 8192);  /* 8191.75 */
    ck_assert_int_eq(q[3], 4096);
    ck_assert_int_eq(q[4], 0);
    clsa_index_query_set(&got, x, q, 600); /* sums stay below 2^31 */
    ck_assert_int_eq(q[0], -28182);
    ck_assert_int_le((int64_t)28182 * 127 * 600, INT32_MAX);
    ck_assert_int_gt((int64_t)28183 * 127 * 600, INT32_MAX);
    x[0] = x[1] = x[2] = x[3] = 0;
    clsa_index_query_set(&got, x, q, 5);
    ck_assert_float_eq(got.scale, 0);
    ck_assert_int_eq(q[0], 0);
}
END_TEST

START_TEST(lists_are_merged)
{
    enum { N = 60 };
    for (size_t lists = 1; lists <= 7; lists++)
        for (size_t n = 0; n <= N; n++) {
            uint32_t list[N], copy[N], want[N];
            size_t at = 0;
            for (size_t l = 0; l < lists; l++)
                for (size_t i = l; i < n; i += lists)
                    list[at++] = (uint32_t)(i * i);
            for (size_t i = 0; i < n; i++)
                want[i] = (uint32_t)(i * i);
            clsa_index_order(list, n, copy);
            ck_assert_mem_eq(list, want, n * sizeof *list);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    TCase *tc = tcase_create("index");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, open_all, close_all);
    tcase_add_loop_test(tc, scan_finds_the_best_keys, 0, 2);
    tcase_add_test(tc, scan_finds_the_best_rows);
    tcase_add_test(tc, scan_of_integers);
    tcase_add_test(tc, query_becomes_integers);
    tcase_add_test(tc, lists_are_merged);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_FORK_GETENV);
}
