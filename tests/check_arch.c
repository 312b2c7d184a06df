/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An architecture that the library does not have: arch_plain.c, and a table of
 * architectures with it. Its models, of ordinary layers with caches of their
 * own, or with windows and layers that read another layer's cache, go through
 * prompts, decoding, forks, truncation, session files, batches and the memory
 * plan as those of the library do. Logits are held against plain_model.py.
 */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "src/arch/arch.h"
#include "tests/suite.h"

#define BOUND 1e-4 /* of the largest logit */

extern const struct clsa_arch clsa_arch_yoco, clsa_arch_plain;

const struct clsa_arch *const clsa_archs[] = {&clsa_arch_yoco, &clsa_arch_plain,
                                              NULL};

static const char *const names[] = {"plain", "plain-mixed"};

#define COUNT 60

/* A model and ids to read. */
struct fixture {
    clsa_model *model;
    clsa_model_info info;
    int32_t ids[COUNT];
    json_t *root;
};

static const char *path_of(const char *name, const char *suffix)
{
    static char path[1200];
    const char *folder = getenv("CLSA_TEST_DATA");
    snprintf(path, sizeof path, "%s/%s%s", folder ? folder : "tests/data", name,
             suffix);
    return path;
}

static struct fixture open_fixture(const char *name, const char *simd)
{
    struct fixture f;
    clsa_model_options options;
    clsa_error error;
    json_error_t where;
    clsa_model_options_init(&options);
    options.simd = simd;
    options.threads = 2;
    ck_assert_msg(clsa_model_open(&f.model, path_of(name, ".gguf"), &options,
                                  &error) == CLSA_OK,
                  "%s", error.message);
    clsa_model_get_info(f.model, &f.info, sizeof f.info);
    f.root = json_load_file(path_of(name, ".json"), 0, &where);
    ck_assert_msg(f.root != NULL, "%s: %s", name, where.text);
    const json_t *ids = json_object_get(f.root, "ids");
    ck_assert_uint_eq(json_array_size(ids), COUNT);
    for (size_t i = 0; i < COUNT; i++)
        f.ids[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    return f;
}

static void close_fixture(struct fixture *f)
{
    json_decref(f->root);
    clsa_model_close(f->model);
}

static clsa_session *open_session(const struct fixture *f, uint32_t block)
{
    clsa_session_options options;
    clsa_session *session;
    clsa_error error;
    clsa_session_options_init(&options);
    options.kv_type = CLSA_TYPE_F32;
    options.context = 12000;
    options.prefill = "native";
    options.prefill_block = block;
    ck_assert_msg(clsa_session_open(&session, f->model, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return session;
}

static void check_same(const struct fixture *f, const clsa_session *a,
                       const clsa_session *b)
{
    ck_assert_uint_eq(clsa_session_length(a), clsa_session_length(b));
    ck_assert_int_eq(memcmp(clsa_session_logits(a), clsa_session_logits(b),
                            f->info.vocab * sizeof(float)),
                     0);
}

static void check_close(const float *logits, const json_t *expected)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        double want = json_number_value(json_array_get(expected, i));
        worst = fmax(worst, fabs((double)logits[i] - want));
        largest = fmax(largest, fabs(want));
    }
    ck_assert_msg(worst <= BOUND * largest, "%g of %g apart", worst, largest);
}

START_TEST(logits_are_those_of_the_reference)
{
    for (const char *const *simd = clsa_simd_levels(); *simd; simd++) {
        struct fixture f = open_fixture(names[_i], *simd);
        const json_t *at = json_object_get(f.root, "positions");
        const json_t *rows = json_object_get(f.root, "logits");
        clsa_session *session = open_session(&f, 512);
        ck_assert_uint_eq(json_array_size(at), 4);
        for (size_t i = 0, n = 0; i < 4; i++) {
            size_t end = (size_t)json_integer_value(json_array_get(at, i)) + 1;
            suite_append(session, f.ids + n, end - n);
            check_close(clsa_session_logits(session), json_array_get(rows, i));
            n = end;
        }
        clsa_session_close(session);
        close_fixture(&f);
    }
}
END_TEST

START_TEST(blocks_and_decoding_give_the_same_bits)
{
    struct fixture f = open_fixture(names[_i], NULL);
    clsa_session *whole = open_session(&f, 512), *parts = open_session(&f, 7);
    clsa_session *single = open_session(&f, 1);
    suite_append(whole, f.ids, COUNT);
    suite_append(parts, f.ids, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        suite_append(single, f.ids + i, 1);
    check_same(&f, whole, parts);
    check_same(&f, whole, single);
    clsa_session_close(whole);
    clsa_session_close(parts);
    clsa_session_close(single);
    close_fixture(&f);
}
END_TEST

struct masked {
    float *logits;
    size_t vocab, calls;
};

static void keep_logits(void *user, uint64_t position, const float *logits)
{
    struct masked *m = user;
    memcpy(m->logits + position * m->vocab, logits, m->vocab * sizeof *logits);
    m->calls++;
}

START_TEST(logits_of_all_tokens_are_those_of_each)
{
    struct fixture f = open_fixture(names[_i], NULL);
    struct masked m = {.vocab = f.info.vocab};
    uint8_t mask[COUNT];
    const clsa_append_options how = {.want = CLSA_WANT_MASK,
                                     .mask = mask,
                                     .on_logits = keep_logits,
                                     .user = &m};
    clsa_session *all = open_session(&f, 16), *one = open_session(&f, 16);
    m.logits = malloc(COUNT * m.vocab * sizeof *m.logits);
    memset(mask, 1, sizeof mask);
    ck_assert_int_eq(clsa_session_append(all, f.ids, COUNT, &how, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(m.calls, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        suite_append(one, f.ids + i, 1);
        ck_assert_int_eq(memcmp(clsa_session_logits(one),
                                m.logits + i * m.vocab,
                                m.vocab * sizeof *m.logits),
                         0);
    }
    free(m.logits);
    clsa_session_close(all);
    clsa_session_close(one);
    close_fixture(&f);
}
END_TEST

START_TEST(forks_and_truncated_sessions_go_on)
{
    struct fixture f = open_fixture(names[_i], NULL);
    clsa_session *plain = open_session(&f, 512), *cut = open_session(&f, 512);
    clsa_session *fork;
    suite_append(plain, f.ids, COUNT);
    suite_append(cut, f.ids, 30);
    suite_append(cut, f.ids, 29); /* other tokens, to be forgotten */
    ck_assert_int_eq(clsa_session_fork(cut, &fork, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_truncate(cut, 30, NULL), CLSA_OK);
    suite_append(cut, f.ids + 30, COUNT - 30);
    check_same(&f, plain, cut);
    ck_assert_int_eq(clsa_session_truncate(fork, 3, NULL), CLSA_OK);
    suite_append(fork, f.ids + 3, COUNT - 3);
    check_same(&f, plain, fork);
    clsa_session_close(plain);
    clsa_session_close(cut);
    clsa_session_close(fork);
    close_fixture(&f);
}
END_TEST

START_TEST(session_files_go_on)
{
    struct fixture f = open_fixture(names[_i], NULL);
    char path[] = "/tmp/check_arch.XXXXXX";
    clsa_session *one = open_session(&f, 512), *two;
    clsa_session_options options;
    clsa_error error;
    clsa_session_options_init(&options);
    options.kv_type = CLSA_TYPE_F32;
    options.context = 12000;
    options.prefill = "native";
    close(mkstemp(path));
    suite_append(one, f.ids, 40);
    ck_assert_int_eq(clsa_session_save(one, path, &error), CLSA_OK);
    ck_assert_msg(clsa_session_load(&two, f.model, path, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    check_same(&f, one, two);
    suite_append(one, f.ids + 40, 20);
    suite_append(two, f.ids + 40, 20);
    check_same(&f, one, two);
    unlink(path);
    clsa_session_close(one);
    clsa_session_close(two);
    close_fixture(&f);
}
END_TEST

START_TEST(batches_give_the_bits_of_one)
{
    struct fixture f = open_fixture(names[_i], NULL);
    clsa_session *many[3], *alone = open_session(&f, 512);
    int32_t next[3];
    for (size_t i = 0; i < 3; i++) {
        many[i] = open_session(&f, 512);
        suite_append(many[i], f.ids, 20 + 10 * i);
        next[i] = f.ids[20 + 10 * i];
    }
    ck_assert_int_eq(clsa_batch_append(many, next, 3, NULL), CLSA_OK);
    suite_append(alone, f.ids, 30);
    suite_append(alone, f.ids + 30, 1);
    check_same(&f, alone, many[1]);
    for (size_t i = 0; i < 3; i++)
        clsa_session_close(many[i]);
    clsa_session_close(alone);
    close_fixture(&f);
}
END_TEST

/* Bytes of a row are those of all caches; pages come as tokens do. A filled
   session decodes; a prompt of several pages takes turns with its partial
   softmaxes. */
START_TEST(plan_counts_all_stores)
{
    static const unsigned caches[] = {3, 2}, windows[] = {0, 2};
    const uint64_t row = 2 * 2 * 16 * sizeof(float);
    struct fixture f = open_fixture(names[_i], NULL);
    clsa_session *session = open_session(&f, 512);
    clsa_session_stats stats;
    clsa_error error;
    clsa_session_get_stats(session, &stats, sizeof stats);
    ck_assert_uint_eq(stats.cache_row_bytes, caches[_i] * row);
    ck_assert_uint_eq(stats.index_row_bytes, 0);
    ck_assert_uint_eq(stats.cache_bytes, 0);
    ck_assert_uint_eq(stats.window_bytes, windows[_i] * row * (2 * 12 + 512));
    ck_assert_msg(clsa_session_fill_random(session, 9000, 1, &error) == CLSA_OK,
                  "%s", error.message);
    suite_append(session, f.ids, COUNT);
    clsa_session_get_stats(session, &stats, sizeof stats);
    ck_assert_uint_eq(stats.cache_bytes, 3 * 4096 * caches[_i] * row);
    for (size_t i = 0; i < f.info.vocab; i++)
        ck_assert(isfinite(clsa_session_logits(session)[i]));
    clsa_session_close(session);
    close_fixture(&f);
}
END_TEST

START_TEST(policies_that_select_are_refused)
{
    struct fixture f = open_fixture(names[_i], NULL);
    clsa_session *session = open_session(&f, 512);
    clsa_error error;
    ck_assert_int_eq(clsa_session_set_attention(session, "h2o:5", &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "or dense"));
    ck_assert_int_eq(clsa_session_set_attention(session, "dense", &error),
                     CLSA_OK);
    clsa_session_close(session);
    close_fixture(&f);
}
END_TEST

/* prompts through oneDNN, if it is there, stay close. */
START_TEST(prompts_of_other_backends_are_close)
{
    struct fixture f = open_fixture(names[_i], NULL);
    const json_t *last = json_array_get(json_object_get(f.root, "logits"), 3);
    clsa_session_options options;
    clsa_session *session;
    clsa_session_options_init(&options);
    options.kv_type = CLSA_TYPE_F32;
    options.prefill = "f32";
    if (clsa_session_open(&session, f.model, &options, NULL) == CLSA_OK) {
        suite_append(session, f.ids, COUNT);
        check_close(clsa_session_logits(session), last);
        clsa_session_close(session);
    } else {
        printf("SKIP prompts through oneDNN, which this build or CPU lacks\n");
    }
    close_fixture(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arch");
    TCase *tc = tcase_create("plain");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, logits_are_those_of_the_reference, 0, 2);
    tcase_add_loop_test(tc, blocks_and_decoding_give_the_same_bits, 0, 2);
    tcase_add_loop_test(tc, logits_of_all_tokens_are_those_of_each, 0, 2);
    tcase_add_loop_test(tc, forks_and_truncated_sessions_go_on, 0, 2);
    tcase_add_loop_test(tc, session_files_go_on, 0, 2);
    tcase_add_loop_test(tc, batches_give_the_bits_of_one, 0, 2);
    tcase_add_loop_test(tc, plan_counts_all_stores, 0, 2);
    tcase_add_loop_test(tc, policies_that_select_are_refused, 0, 2);
    tcase_add_loop_test(tc, prompts_of_other_backends_are_close, 0, 2);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_NOFORK);
}
