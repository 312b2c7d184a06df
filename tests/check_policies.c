/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies: what users may write and what they are told otherwise, and the
 * rows that those choose whose choice follows from the position alone. The
 * blocks of bigbird come from another implementation of its draw (Python).
 */
#include <string.h>

#include "src/engine/step.h"
#include "tests/suite.h"

static const struct clsa_network net = {
    .top_k = 20, .site_count = 1, .cache_count = 1, .reader_count = 4};
/* A cache for each layer, an index at layer 1 that keeps rows of its own. */
static struct clsa_layer layers[] = {
    {.store = 0, .reader = 0, .new_cache = true},
    {.store = 1, .reader = 1, .new_cache = true, .indexed = true},
    {.store = 2, .reader = 2, .new_cache = true},
    {.store = 3, .reader = 3, .new_cache = true},
};
static struct clsa_store_plan stores[] = {
    {CLSA_STORE_CACHE, 1, 8, 0, 0},
    {CLSA_STORE_CACHE, 1, 8, 0, 8},
    {CLSA_STORE_CACHE, 1, 8, 0, 0},
    {CLSA_STORE_WINDOW, 1, 8, 5, 0},
};
static const struct clsa_network many = {
    .top_k = 20,
    .indexes = {.heads = 1,
                .dim = 8,
                .sinks = 4,
                .recent = 10,
                .first_window = 30,
                .anchor_count = 1,
                .anchors = {1}},
    .layer_count = 4,
    .layers = layers,
    .stores = stores,
    .site_count = 3,
    .cache_count = 3,
    .reader_count = 3,
    .first_site = 1,
};
static const struct clsa_network no_index = {
    .site_count = 1, .cache_count = 1, .reader_count = 4};

struct good {
    const char *text, *name;
    uint32_t rows, number[3];
};

static const struct good good[] = {
    {"clsa", "clsa", 20, {0}},
    {"clsa:1", "clsa", 1, {1}},
    {"clsa:2147483648", "clsa", UINT32_C(1) << 31, {UINT32_C(1) << 31}},
    {"dense", "dense", 0, {0}},
    {"window:1", "window", 1, {1}},
    {"window:007", "window", 7, {7}},
    {"sink:5", "sink", 5, {5}},
    {"token:8", "token", 8, {8}},
    {"reuse:8:2", "reuse", 8, {8, 2}},
    {"longformer:30:4", "longformer", 34, {30, 4}},
    {"bigbird:100:10:128", "bigbird", 238, {100, 10, 128}},
    {"blocks:192:64", "blocks", 192, {192, 64}},
    {"h2o:2", "h2o", 2, {2}},
};

START_TEST(good_texts)
{
    const struct good *g = &good[_i];
    struct clsa_policy p;
    clsa_error error = {.message = ""};
    ck_assert_msg(clsa_policy_parse(&p, g->text, &net, &error) == CLSA_OK, "%s",
                  error.message);
    ck_assert_str_eq(p.type->name, g->name);
    ck_assert_uint_eq(p.rows, g->rows);
    ck_assert_mem_eq(p.number, g->number, sizeof p.number);
    ck_assert_int_eq(clsa_policy_is_dense(&p), g->rows == 0);
    ck_assert(p.rows == 0 || p.type->rows != NULL);
}
END_TEST

struct bad {
    const char *text, *message;
};

static const struct bad bad[] = {
    {"", "unknown policy ''"},
    {"clsa:", "unknown policy"},
    {"clsa:1:2", "unknown policy"},
    {"clsa:x", "unknown policy"},
    {"clsa:-1", "unknown policy"},
    {"clsa:1x", "unknown policy"},
    {" clsa", "unknown policy"},
    {"Clsa", "unknown policy"},
    {"clsax", "unknown policy"},
    {"dense:1", "unknown policy"},
    {"window", "unknown policy"},
    {"window:", "unknown policy"},
    {"longformer:3", "unknown policy"},
    {"bigbird:1:1", "unknown policy"},
    {"blocks:64", "unknown policy"},
    {"reuse:8", "unknown policy"},
    {"clsa:0", "'clsa:0' is out of range: use 1 to 2147483648 rows"},
    {"clsa:2147483649", "out of range"},
    {"window:99999999999999999999999", "out of range"},
    {"sink:4", "use 5 to"},
    {"h2o:1", "use 2 to"},
    {"bigbird:1:1:63", "use 64 to"},
    {"bigbird:1:1:65", "use a multiple of 64"},
    {"longformer:2147483648:1", "too many rows in total"},
    {"bigbird:2147483648:1:64", "too many rows in total"},
    {"blocks:100:64", "use a multiple of B"},
    {"blocks:128:64", "3 B or more"},
    {"window:000000000000000000007", "out of range"}, /* digits */
    {"anchors:6:00000000000000000001,00000000000000000002,"
     "00000000000000000003,00000000000000000004,00000000000000000005",
     "too long"},
    {"anchors:", "unknown policy"},
    {"anchors:6:", "unknown policy"},
    {"anchors:6:1,", "unknown policy"},
    {"anchors:6:1:2", "unknown policy"},
    {"anchors:6:2,1", "in ascending order"},
};

/* Every message is a line with the text in it, and names what to do. */
START_TEST(bad_texts)
{
    const struct bad *b = &bad[_i];
    struct clsa_policy p = {.rows = 77};
    clsa_error error = {.message = ""};
    ck_assert_int_eq(clsa_policy_parse(&p, b->text, &net, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_msg(strstr(error.message, b->message) != NULL,
                  "'%s' does not say '%s'", error.message, b->message);
    ck_assert_ptr_nonnull(strstr(error.message, b->text));
    ck_assert_ptr_nonnull(strstr(error.message, "option attention: "));
    ck_assert_ptr_null(strchr(error.message, '\n'));
    ck_assert_uint_eq(p.rows, 77);
}
END_TEST

/* The message for an unknown one names each that there is. */
START_TEST(unknown_policies_are_answered_with_all)
{
    struct clsa_policy p;
    clsa_error error;
    clsa_policy_parse(&p, "lru", &net, &error);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_ptr_nonnull(strstr(error.message, good[i].name));
}
END_TEST

/* Rows that are kept in any case, and the least that leaves a choice. */
START_TEST(indexes_and_anchors_keep_rows)
{
    struct clsa_policy p;
    clsa_error error;
    ck_assert_int_eq(clsa_policy_parse(&p, "clsa:32", &many, NULL), CLSA_OK);
    ck_assert_uint_eq(p.sinks, 4);
    ck_assert_uint_eq(p.recent, 16);
    ck_assert_uint_eq(p.first_rows, 34);
    ck_assert_int_eq(clsa_policy_parse(&p, "clsa:9", &many, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_policy_parse(&p, "clsa:8", &many, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "use 9 or more"));
    ck_assert_int_eq(clsa_policy_parse(&p, "anchors:6", &many, NULL), CLSA_OK);
    ck_assert_uint_eq(p.recent, 1);
    ck_assert_uint_eq(p.layer_count, 1);
    ck_assert_int_eq(clsa_policy_parse(&p, "anchors:5", &many, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "use 6 or more"));
    ck_assert_int_eq(clsa_policy_parse(&p, "anchors:9:0,2", &many, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(p.layer_count, 2);
    ck_assert_uint_eq(p.layers[1], 2);
    ck_assert_int_eq(clsa_policy_parse(&p, "anchors:9:3", &many, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "no cache"));
    ck_assert_int_eq(clsa_policy_parse(&p, "anchors", &no_index, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "clsa calibrate"));
}
END_TEST

/* All rows before the site up to its window, at it up to K, at anchors. */
START_TEST(layers_read_all_rows)
{
    struct clsa_policy p;
    clsa_policy_parse(&p, "clsa:32", &many, NULL);
    ck_assert(clsa_policy_reads_all(&p, &many, &layers[0], 33));
    ck_assert(!clsa_policy_reads_all(&p, &many, &layers[0], 34));
    ck_assert(clsa_policy_reads_all(&p, &many, &layers[1], 31));
    ck_assert(!clsa_policy_reads_all(&p, &many, &layers[2], 32));
    clsa_policy_parse(&p, "anchors:32:1", &many, NULL);
    ck_assert(clsa_policy_reads_all(&p, &many, &layers[0], 999));
    ck_assert(clsa_policy_reads_all(&p, &many, &layers[1], 999));
    ck_assert(clsa_policy_chooses_after(&p, &many, &layers[1], 32));
    ck_assert(!clsa_policy_chooses_after(&p, &many, &layers[1], 31));
    ck_assert(!clsa_policy_chooses_after(&p, &many, &layers[2], 32));
    ck_assert(!clsa_policy_reads_all(&p, &many, &layers[2], 32));
}
END_TEST

START_TEST(models_without_index_have_others)
{
    struct clsa_policy p;
    clsa_error error;
    ck_assert_str_eq(clsa_policy_default(&net), "clsa");
    ck_assert_str_eq(clsa_policy_default(&no_index), "dense");
    ck_assert_int_eq(clsa_policy_parse(&p, "dense", &no_index, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_policy_parse(&p, "sink:9", &no_index, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_policy_parse(&p, "clsa:9", &no_index, &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "has no indexer; use dense"));
    ck_assert_ptr_null(strstr(error.message, "use clsa"));
}
END_TEST

/* Layers with caches of their own: dense alone. */
START_TEST(models_without_sites_have_dense)
{
    static const struct clsa_network plain = {.reader_count = 4};
    struct clsa_policy p;
    clsa_error error;
    ck_assert_int_eq(clsa_policy_parse(&p, "dense", &plain, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_policy_parse(&p, "window:3", &plain, &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "use dense"));
}
END_TEST

/* ------------------------------------------------------------ chosen rows */

/* Ranges first..last that a policy has to choose at a position. */
struct choice {
    const char *text;
    uint64_t position;
    struct {
        uint32_t first, last;
    } range[5];
    size_t ranges;
};

static const struct choice choices[] = {
    {"window:3", 0, {{0, 0}}, 1},
    {"window:3", 2, {{0, 2}}, 1},
    {"window:3", 3, {{1, 3}}, 1},
    {"window:1", 70000, {{70000, 70000}}, 1},
    {"sink:6", 5, {{0, 5}}, 1},
    {"sink:6", 6, {{0, 3}, {5, 6}}, 2},
    {"sink:5", 900, {{0, 3}, {900, 900}}, 2},
    {"longformer:4:3", 6, {{0, 6}}, 1},
    {"longformer:4:3", 7, {{0, 2}, {4, 7}}, 2},
    {"longformer:1:1", 50, {{0, 0}, {50, 50}}, 2},
    {"bigbird:100:10:128", 109, {{0, 109}}, 1},
    {"bigbird:100:10:128", 200, {{0, 9}, {101, 200}}, 2},
    {"bigbird:100:10:128", 300, {{0, 9}, {64, 127}, {201, 300}}, 3},
    {"bigbird:100:10:128",
     1000,
     {{0, 9}, {448, 511}, {576, 639}, {901, 1000}},
     4},
    {"bigbird:100:10:128", /* the same blocks for the whole block of queries */
     1023,
     {{0, 9}, {448, 511}, {576, 639}, {924, 1023}},
     4},
    {"bigbird:100:10:128",
     1024,
     {{0, 9}, {128, 191}, {448, 511}, {925, 1024}},
     4},
    {"bigbird:100:10:128",
     5000,
     {{0, 9}, {2688, 2751}, {4608, 4671}, {4901, 5000}},
     4},
};

START_TEST(rows_follow_from_the_position)
{
    const struct choice *c = &choices[_i];
    struct clsa_session session = {.context = 100000};
    ck_assert_int_eq(clsa_policy_parse(&session.policy, c->text, &net, NULL),
                     CLSA_OK);
    struct clsa_step_token token = {.session = &session,
                                    .position = c->position};
    struct clsa_step step = {.n = 1, .token = &token};
    const struct clsa_pass pass = {.step = &step, .n = 1};
    uint32_t rows[300];
    ck_assert_uint_le(session.policy.rows, 300);
    size_t n = session.policy.type->rows(&pass, 0, rows), at = 0;
    for (size_t i = 0; i < c->ranges; i++)
        for (uint32_t r = c->range[i].first; r <= c->range[i].last; r++, at++) {
            ck_assert_uint_lt(at, n);
            ck_assert_uint_eq(rows[at], r);
        }
    ck_assert_uint_eq(at, n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policies");
    TCase *tc = tcase_create("policies");
    tcase_add_loop_test(tc, good_texts, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(tc, bad_texts, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tc, unknown_policies_are_answered_with_all);
    tcase_add_test(tc, indexes_and_anchors_keep_rows);
    tcase_add_test(tc, layers_read_all_rows);
    tcase_add_test(tc, models_without_index_have_others);
    tcase_add_test(tc, models_without_sites_have_dense);
    tcase_add_loop_test(tc, rows_follow_from_the_position, 0,
                        sizeof choices / sizeof *choices);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_FORK_GETENV);
}
