/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calibration: the choice of sites against all lists there are, best rows
 * against a sort, what is seen of a random model against what has to be true of
 * any, windows of the first layers, and what is refused.
 */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clsa_bench.h"
#include "clsa_train.h"
#include "src/base/random.h"
#include "src/train/choose.h"
#include "src/train/far.h"
#include "tests/suite.h"

enum { LAYERS = 8, SITES = 4, MOST = 6, TOKENS = 320, WINDOW = 16 };

static double unit(uint64_t stream, size_t i)
{
    return (double)(clsa_random_bits(stream, (uint32_t)i) >> 8) / (1 << 24);
}

/* ------------------------------------------------------------------- choice */

/* Values of all lists, the best ones first. */
struct all {
    double values[128];
    size_t count;
};

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Every list of `sites` layers: bits of a number. */
static void try_all(const struct clsa_sites *choice, uint32_t sites,
                    struct all *all)
{
    all->count = 0;
    for (uint32_t bits = 0; bits < 1u << choice->layers; bits++) {
        uint32_t list[LAYERS], n = 0;
        bool good = bits >> choice->first & 1;
        for (uint32_t i = 0; i < choice->layers; i++)
            if (bits >> i & 1) {
                good &= choice->able[i] && i >= choice->first;
                list[n++] = i;
            }
        if (good && n == sites)
            all->values[all->count++] = clsa_sites_value(choice, list, n);
    }
    qsort(all->values, all->count, sizeof(double), descending);
}

static void compare_lists(const struct clsa_sites *choice, uint32_t sites)
{
    uint32_t lists[MOST * SITES];
    struct all all;
    const size_t n = clsa_sites_choose(choice, sites, MOST, lists);
    try_all(choice, sites, &all);
    ck_assert_uint_eq(n, all.count < MOST ? all.count : MOST);
    for (size_t i = 0; i < n; i++) {
        const uint32_t *list = lists + i * sites;
        ck_assert_uint_eq(list[0], choice->first);
        for (uint32_t j = 0; j < sites; j++)
            ck_assert(choice->able[list[j]]);
        for (uint32_t j = 1; j < sites; j++)
            ck_assert_uint_gt(list[j], list[j - 1]);
        ck_assert_double_eq_tol(clsa_sites_value(choice, list, sites),
                                all.values[i], 1e-12);
        for (size_t k = 0; k < i; k++)
            ck_assert(memcmp(lists + k * sites, list, sites * sizeof *list) !=
                      0);
    }
}

START_TEST(lists_are_the_best)
{
    double gain[LAYERS * LAYERS];
    bool able[LAYERS];
    for (uint64_t seed = 0; seed < 200; seed++) {
        const uint32_t layers = 3 + (uint32_t)seed % (LAYERS - 2);
        struct clsa_sites choice = {layers, (uint32_t)seed % 3, able, gain};
        for (size_t i = 0; i < LAYERS * LAYERS; i++)
            gain[i] = unit(seed, i);
        for (size_t i = 0; i < LAYERS; i++)
            able[i] = i == choice.first || unit(seed + 1000, i) < 0.7;
        for (uint32_t sites = 1; sites <= SITES; sites++)
            compare_lists(&choice, sites);
    }
}
END_TEST

/* Each list is worth the same: the one with the earlier sites comes first. */
START_TEST(equal_lists)
{
    const double gain[4 * 4] = {0};
    const bool able[4] = {true, true, true, true};
    const struct clsa_sites choice = {4, 1, able, gain};
    uint32_t lists[MOST * 2];
    ck_assert_uint_eq(clsa_sites_choose(&choice, 2, MOST, lists), 2);
    ck_assert_uint_eq(lists[1], 2);
    ck_assert_uint_eq(lists[3], 3);
    ck_assert_uint_eq(clsa_sites_choose(&choice, 4, MOST, lists), 0);
}
END_TEST

START_TEST(best_rows)
{
    enum { N = 200 };
    float weights[N], spare[N];
    uint32_t best[N];
    for (uint64_t seed = 0; seed < 100; seed++) {
        const size_t first = seed % 5, count = 1 + seed * 7 % (N - 5);
        for (size_t i = 0; i < N; i++) /* with ties */
            weights[i] = (float)(int)(unit(seed, i) * 20) / 20;
        clsa_far_best(weights, first, N, count, best, spare);
        for (size_t i = 0; i < count; i++) {
            size_t before = 0; /* rows that are better */
            for (size_t j = first; j < N; j++)
                before += weights[j] > weights[best[i]] ||
                          (weights[j] == weights[best[i]] && j < best[i]);
            ck_assert_uint_lt(before, count);
            ck_assert(i == 0 || best[i] > best[i - 1]);
        }
    }
}
END_TEST

/* -------------------------------------------------------------------- models
 */

static const char shape[] =
    "llama-3.2-1b,block_count=6,vocab=400,embedding_length=64"
    ",feed_forward_length=96,attention.head_count=4"
    ",attention.head_count_kv=2,attention.key_length=16"
    ",attention.value_length=16,rope.dimension_count=16";

static clsa_model *open_model(const char *like)
{
    clsa_model *model;
    clsa_error error = {.message = ""};
    clsa_model_options how;
    clsa_model_options_init(&how);
    how.threads = 2;
    ck_assert_msg(clsa_model_random_like(&model, like, CLSA_TYPE_F32, &how,
                                         &error) == CLSA_OK,
                  "%s", error.message);
    return model;
}

static void make_ids(int32_t *ids)
{
    for (size_t i = 0; i < TOKENS; i++)
        ids[i] = (int32_t)(clsa_random_bits(7, (uint32_t)i) % 400);
}

/* A layer finds most of its own far attention on its own best rows, and the
   parts and the masses are parts. */
START_TEST(what_is_seen)
{
    enum { L = 6 };
    clsa_model *model = open_model(shape);
    clsa_calibration *c;
    clsa_session *session;
    clsa_error error = {.message = ""};
    int32_t ids[TOKENS];
    uint8_t queries[TOKENS] = {0};
    float mass[L], shared[L * L];
    uint32_t lists[4 * 3];
    make_ids(ids);
    for (size_t i = TOKENS / 2; i < TOKENS; i += 9)
        queries[i] = i % 2 ? CLSA_QUERY_TEXT : CLSA_QUERY_ANSWER;
    ck_assert_int_eq(clsa_calibration_open(&c, model, NULL), CLSA_OK);
    ck_assert_msg(clsa_calibration_read(c, ids, TOKENS, queries, NULL, NULL,
                                        &session, &error) == CLSA_OK,
                  "%s", error.message);
    ck_assert_uint_eq(clsa_session_length(session), TOKENS);
    clsa_calibration_result(c, mass, shared);
    for (size_t b = 0; b < L; b++) {
        ck_assert(mass[b] > 0.2f && mass[b] < 1);
        for (size_t a = 0; a < L; a++) {
            ck_assert(shared[a * L + b] > 0);
            ck_assert(shared[a * L + b] <= shared[b * L + b] + 1e-6f);
        }
        ck_assert_float_lt(shared[b * L + b], 1);
    }
    ck_assert_uint_eq(clsa_calibration_candidates(c, 3, 4, lists), 3);
    for (size_t i = 0; i < 3; i++) {
        const double part = clsa_calibration_covered(c, lists + 3 * i, 3);
        ck_assert_uint_eq(lists[3 * i], 2);
        ck_assert(part > 0 && part < 1);
    }
    ck_assert_uint_eq(clsa_calibration_candidates(c, 5, 4, lists), 0);
    clsa_session_close(session);
    clsa_calibration_close(c);
    clsa_model_close(model);
}
END_TEST

/* A session of the random model that has read the tokens but for the last one.
 */
static clsa_session *read_all(clsa_model *model)
{
    const clsa_append_options none = {.want = CLSA_WANT_NONE};
    clsa_session_options options;
    clsa_session *session;
    int32_t ids[TOKENS];
    make_ids(ids);
    clsa_session_options_init(&options);
    options.context = TOKENS;
    ck_assert_int_eq(clsa_session_open(&session, model, &options, NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_session_append(session, ids, TOKENS - 1, &none, NULL),
                     CLSA_OK);
    return session;
}

/* The logits of the last token with a window of the first layers. */
static clsa_session *last_token(const clsa_session *before, uint32_t window,
                                const char *policy)
{
    clsa_session *session;
    clsa_error error = {.message = ""};
    const int32_t id = 5;
    ck_assert_int_eq(clsa_session_fork(before, &session, NULL), CLSA_OK);
    ck_assert_msg(clsa_session_set_first_window(session, window, policy,
                                                &error) == CLSA_OK,
                  "%s", error.message);
    suite_append(session, &id, 1);
    return session;
}

/* A window as long as the text, and all rows, change no bit of dense; a shorter
   one has the sinks and its rows in the layers before the first anchor alone.
 */
START_TEST(first_window)
{
    clsa_model *model = open_model(shape);
    clsa_session *before = read_all(model);
    clsa_session *dense = last_token(before, 0, "dense");
    clsa_session *whole = last_token(before, TOKENS, "anchors:320:2,4");
    clsa_session *part = last_token(before, WINDOW, "anchors:32:2,4");
    clsa_session *plain = last_token(before, 0, "anchors:32:2,4");
    const uint32_t *rows;
    size_t count;
    ck_assert_mem_eq(clsa_session_logits(whole), clsa_session_logits(dense),
                     400 * sizeof(float));
    ck_assert(memcmp(clsa_session_logits(part), clsa_session_logits(plain),
                     400 * sizeof(float)) != 0);
    for (uint32_t layer = 0; layer < 2; layer++) {
        clsa_session_layer_rows(part, layer, &rows, &count);
        ck_assert_ptr_nonnull(rows);
        ck_assert_uint_eq(count, 4 + WINDOW);
        for (uint32_t i = 0; i < count; i++)
            ck_assert_uint_eq(rows[i], i < 4 ? i : TOKENS - WINDOW + i - 4);
        clsa_session_layer_rows(plain, layer, &rows, &count);
        ck_assert_ptr_null(rows);
    }
    clsa_session_layer_rows(part, 2, &rows, &count);
    ck_assert_ptr_null(rows);
    clsa_session_layer_rows(part, 3, &rows, &count);
    ck_assert_uint_eq(count, 32);
    clsa_session_stats stats;
    clsa_session_get_stats(part, &stats, sizeof stats);
    ck_assert_uint_eq(stats.rows_read, /* 2 windows, 2 anchors, 2 of 32 rows */
                      (2 * (4 + WINDOW) + 2 * TOKENS + 2 * 32 + 3) / 6);
    clsa_session_close(plain);
    clsa_session_close(part);
    clsa_session_close(whole);
    clsa_session_close(dense);
    clsa_session_close(before);
    clsa_model_close(model);
}
END_TEST

static void says(const clsa_error *error, const char *part)
{
    ck_assert_msg(strstr(error->message, part), "%s", error->message);
}

START_TEST(refused)
{
    clsa_model *model = open_model(shape);
    clsa_calibration *c;
    clsa_error error;
    int32_t ids[TOKENS];
    uint8_t queries[TOKENS] = {0};
    make_ids(ids);
    queries[8] = CLSA_QUERY_TEXT;
    ck_assert_int_eq(clsa_calibration_open(&c, model, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_calibration_read(c, ids, TOKENS, queries, NULL, NULL,
                                           NULL, &error),
                     CLSA_ERR_ARGUMENT);
    says(&error, "token 8 of 320 has too few rows before it");
    clsa_calibration_close(c);
    clsa_session *session = read_all(model);
    ck_assert_int_eq(clsa_session_set_first_window(session, WINDOW,
                                                   "anchors:32:0,4", &error),
                     CLSA_ERR_UNSUPPORTED);
    says(&error, "no layers that could have a window");
    ck_assert_int_eq(
        clsa_session_set_first_window(session, WINDOW, "dense", &error),
        CLSA_ERR_UNSUPPORTED);
    clsa_session_close(session);
    clsa_model_close(model);
    model = open_model("gemma-3-1b,block_count=5,vocab=400,embedding_length=64"
                       ",feed_forward_length=96,attention.head_count=4"
                       ",attention.head_count_kv=2,attention.key_length=16"
                       ",attention.value_length=16,rope.dimension_count=16"
                       ",attention.sliding_window=8");
    ck_assert_int_eq(clsa_calibration_open(&c, model, &error),
                     CLSA_ERR_UNSUPPORTED);
    says(&error, "no layers with a cache of their own from layer");
    clsa_model_close(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("calibrate");
    TCase *tests = tcase_create("calibrate");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, lists_are_the_best);
    tcase_add_test(tests, equal_lists);
    tcase_add_test(tests, best_rows);
    tcase_add_test(tests, what_is_seen);
    tcase_add_test(tests, first_window);
    tcase_add_test(tests, refused);
    suite_add_tcase(suite, tests);
    return suite_run(suite, CK_NOFORK);
}
