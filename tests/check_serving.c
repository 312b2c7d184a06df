/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many sequences at once: a session that comes from a snapshot, was used
 * before, or shares its steps with others has the same bits as one that read
 * its tokens alone. Models: CLSA_TEST_MODEL, one with gated retention from
 * CLSA_TEST_DATA, and from CLSA_SHARED one whose every layer has a cache, and
 * one with windows between caches.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "tests/suite.h"

enum { TOKENS = 1500 };

static const char *const attention[] = {NULL, "dense", "window:300",
                                        "blocks:96:16"};
static clsa_model *model;
static clsa_model_info info;
static int32_t ids[TOKENS];

static void open_model(const char *path)
{
    clsa_model_options options;
    clsa_error error;
    uint32_t random = 7;
    clsa_model_options_init(&options);
    options.threads = 2;
    ck_assert_msg(clsa_model_open(&model, path, &options, &error) == CLSA_OK,
                  "%s", error.message);
    clsa_model_get_info(model, &info, sizeof info);
    for (int i = 0; i < TOKENS; i++) {
        random = random * 1103515245u + 12345u;
        ids[i] = (int32_t)((random >> 8) % info.vocab);
    }
}

static void setup_windows(void)
{
    const char *path = getenv("CLSA_TEST_MODEL");
    open_model(path ? path : "models/clsa-tiny-q8_0.gguf");
}

static void open_in(const char *folder, const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    model = NULL;
    if (access(path, R_OK) == 0)
        open_model(path);
}

static void setup_retention(void)
{
    const char *folder = getenv("CLSA_TEST_DATA");
    open_in(folder ? folder : "tests/data", "good-retention-indexer.gguf");
}

static void setup_caches(void)
{
    const char *folder = getenv("CLSA_SHARED");
    open_in(folder ? folder : "../shared", "golden-arch/llama-gqa-rope3.gguf");
}

static void setup_both(void)
{
    const char *folder = getenv("CLSA_SHARED");
    open_in(folder ? folder : "../shared", "golden-arch/gemma3.gguf");
}

static void teardown(void)
{
    clsa_model_close(model);
}

/* Whether the test can run. */
static bool is_there(const char *name)
{
    if (!model)
        SUITE_SKIP(name, "no model of golden-arch in CLSA_SHARED");
    return model != NULL;
}

static clsa_session_options options_of(const char *policy, const char *prefill)
{
    clsa_session_options options;
    clsa_session_options_init(&options);
    options.attention = policy;
    options.context = 6000;
    options.prefill_block = 256;
    options.prefill = prefill;
    return options;
}

static clsa_session *open_session(const char *policy, const char *prefill)
{
    const clsa_session_options options = options_of(policy, prefill);
    clsa_session *s;
    clsa_error error;
    ck_assert_msg(clsa_session_open(&s, model, &options, &error) == CLSA_OK,
                  "%s", error.message);
    return s;
}

static void read_ids(clsa_session *s, size_t from, size_t count, clsa_want want)
{
    const clsa_append_options how = {.want = want};
    clsa_error error;
    ck_assert_msg(clsa_session_append(s, ids + from, count, &how, &error) ==
                      CLSA_OK,
                  "%s", error.message);
}

static void append(clsa_session *s, size_t from, size_t count)
{
    read_ids(s, from, count, CLSA_WANT_LAST);
}

/* Policies that the model has: one whose every layer has a cache has fewer. */
static bool has_policy(size_t i)
{
    return attention[i] == NULL || info.index_size > 0 ||
           strncmp(attention[i], "blocks", 6) != 0;
}

static void check_same(const clsa_session *a, const clsa_session *b)
{
    ck_assert_uint_eq(clsa_session_length(a), clsa_session_length(b));
    ck_assert(clsa_session_logits(a) && clsa_session_logits(b));
    ck_assert_int_eq(memcmp(clsa_session_logits(a), clsa_session_logits(b),
                            info.vocab * sizeof(float)),
                     0);
    ck_assert_int_eq(memcmp(clsa_session_tokens(a), clsa_session_tokens(b),
                            (size_t)clsa_session_length(a) * sizeof(int32_t)),
                     0);
}

/* --------------------------------------------------------------- snapshots */

static void check_restored(const char *policy)
{
    clsa_session *a = open_session(policy, "own"),
                 *b = open_session(policy, "own");
    clsa_snapshot *n;
    append(a, 0, 700);
    append(b, 900, 333); /* what it had before is gone */
    ck_assert_int_eq(clsa_snapshot_take(&n, a, NULL), CLSA_OK);
    ck_assert_uint_eq(clsa_snapshot_length(n), 700);
    append(a, 700, 20);
    append(a, 720, 30);
    ck_assert_int_eq(clsa_session_restore(b, n, NULL), CLSA_OK);
    append(b, 700, 20);
    append(b, 720, 30);
    check_same(a, b);
    clsa_session_close(a); /* the snapshot outlives it */
    ck_assert_int_eq(clsa_session_restore(b, n, NULL), CLSA_OK);
    clsa_snapshot_free(n);
    append(b, 700, 50);
    a = open_session(policy, "own");
    append(a, 0, 700); /* its last token is an output there, too */
    append(a, 700, 50);
    check_same(a, b);
    clsa_session_close(a);
    clsa_session_close(b);
}

START_TEST(restored)
{
    if (!is_there("restored"))
        return;
    for (size_t i = 0; i < sizeof attention / sizeof *attention; i++)
        if (has_policy(i))
            check_restored(attention[i]);
}
END_TEST

/* Logits come back, and the state of what was never written. */
START_TEST(restored_logits)
{
    if (!is_there("restored_logits"))
        return;
    clsa_session *a = open_session(NULL, "own"), *b = open_session(NULL, "own");
    clsa_snapshot *n;
    ck_assert_int_eq(clsa_snapshot_take(&n, a, NULL), CLSA_OK);
    append(b, 0, 10);
    ck_assert_int_eq(clsa_session_restore(b, n, NULL), CLSA_OK);
    clsa_snapshot_free(n);
    ck_assert_uint_eq(clsa_session_length(b), 0);
    ck_assert_ptr_null(clsa_session_logits(b));
    append(a, 0, 300);
    ck_assert_int_eq(clsa_snapshot_take(&n, a, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_restore(b, n, NULL), CLSA_OK);
    check_same(a, b);
    clsa_snapshot_free(n);
    clsa_session_close(a);
    clsa_session_close(b);
}
END_TEST

/* Across a page of the caches, whose full pages are shared; what is charged is
   given back. */
START_TEST(pages)
{
    clsa_session *a = open_session("dense", "own"), *b;
    clsa_snapshot *n, *m;
    for (size_t i = 0; i < 5; i++)
        append(a, 0, 1000);
    ck_assert_int_eq(clsa_snapshot_take(&n, a, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_snapshot_take(&m, a, NULL), CLSA_OK);
    const uint64_t shared = clsa_snapshot_bytes(n);
    b = open_session("dense", "own");
    ck_assert_int_eq(clsa_session_restore(b, m, NULL), CLSA_OK);
    append(a, 0, 40);
    append(b, 0, 40);
    check_same(a, b);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_snapshot_free(m);
    ck_assert_uint_gt(clsa_snapshot_bytes(n), shared);
    clsa_snapshot_free(n);
}
END_TEST

/* A file in memory. */
struct bytes {
    unsigned char data[48 << 20];
    size_t size, read;
};

static int write_bytes(void *user, const void *data, size_t size)
{
    struct bytes *to = user;
    if (size > sizeof to->data - to->size)
        return 1;
    memcpy(to->data + to->size, data, size);
    to->size += size;
    return 0;
}

static ptrdiff_t read_bytes(void *user, void *data, size_t size)
{
    struct bytes *from = user;
    const size_t left = from->size - from->read;
    const size_t n = size < left ? size : left;
    memcpy(data, from->data + from->read, n);
    from->read += n;
    return (ptrdiff_t)n;
}

static int write_nothing(void *user, const void *data, size_t size)
{
    (void)user;
    (void)data;
    (void)size;
    return 1;
}

/* A snapshot as a file: what is read goes on as the session does, which is not
   touched, at a length in the first page and at one beyond it. */
static void check_written(const char *policy, size_t length)
{
    static struct bytes file;
    clsa_session *a = open_session(policy, "own"),
                 *like = open_session(policy, "own"), *b;
    const clsa_session_options options = options_of(policy, "own");
    clsa_snapshot *n;
    clsa_error error;
    file.size = file.read = 0;
    for (size_t i = 0; i < length; i += 700)
        append(a, 0, length - i < 700 ? length - i : 700);
    append(like, 900, 33);
    ck_assert_int_eq(clsa_snapshot_take(&n, a, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_snapshot_write(n, like, write_bytes, &file, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(clsa_session_length(like), 33);
    ck_assert_int_eq(clsa_snapshot_write(n, like, write_nothing, NULL, &error),
                     CLSA_ERR_IO);
    clsa_snapshot_free(n);
    ck_assert_int_eq(
        clsa_session_read(&b, model, read_bytes, &file, &options, &error),
        CLSA_OK);
    ck_assert_uint_eq(file.read, file.size);
    append(a, 700, 20);
    append(b, 700, 20);
    check_same(a, b);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_session_close(like);
}

START_TEST(written)
{
    if (!is_there("written"))
        return;
    for (size_t i = 0; i < sizeof attention / sizeof *attention; i++)
        if (has_policy(i))
            check_written(attention[i], 700);
    check_written("dense", 4500);
}
END_TEST

START_TEST(refused_snapshots)
{
    clsa_session *a = open_session("h2o:50", "own"), *b, *c;
    clsa_session_options options;
    clsa_snapshot *n = NULL;
    clsa_error error;
    ck_assert_int_eq(clsa_snapshot_take(&n, a, &error), CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_null(n);
    ck_assert_ptr_nonnull(strstr(error.message, "h2o:50"));
    b = open_session("dense", "own");
    append(b, 0, 100);
    ck_assert_int_eq(clsa_snapshot_take(&n, b, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_restore(a, n, &error), CLSA_ERR_UNSUPPORTED);
    clsa_session_options_init(&options);
    options.context = 64;
    ck_assert_int_eq(clsa_session_open(&c, model, &options, NULL), CLSA_OK);
    append(c, 0, 3);
    ck_assert_int_eq(clsa_session_restore(c, n, &error), CLSA_ERR_FULL);
    ck_assert_uint_eq(clsa_session_length(c), 3);
    clsa_session_close(c);
    options.context = 1000;
    options.kv_type = CLSA_TYPE_F32;
    ck_assert_int_eq(clsa_session_open(&c, model, &options, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_restore(c, n, &error), CLSA_ERR_MISMATCH);
    clsa_session_close(c);
    clsa_snapshot_free(n);
    clsa_snapshot_free(NULL);
    clsa_session_close(a);
    clsa_session_close(b);
}
END_TEST

/* A session that was used before and is empty again is like a new one. */
START_TEST(reused)
{
    if (!is_there("reused"))
        return;
    clsa_session *a = open_session(NULL, "own"), *b = open_session(NULL, "own");
    append(a, 500, 900);
    ck_assert_int_eq(clsa_session_truncate(a, 0, NULL), CLSA_OK);
    append(a, 0, 400);
    append(b, 0, 400);
    check_same(a, b);
    clsa_session_close(a);
    clsa_session_close(b);
}
END_TEST

/* ------------------------------------------------------- several sequences */

enum { SESSIONS = 6 };

static const size_t first_read[SESSIONS] = {300, 1, 64, 17, 256, 40};
static const size_t next_read[SESSIONS] = {1, 1, 100, 5, 1, 300};

static void read_together(clsa_session *const *s, const size_t *count,
                          const size_t *from, clsa_want want)
{
    clsa_batch_item items[SESSIONS];
    clsa_error error;
    for (size_t i = 0; i < SESSIONS; i++)
        items[i] = (clsa_batch_item){s[i], ids + from[i], count[i], want};
    ck_assert_msg(clsa_batch_read(items, SESSIONS, &error) == CLSA_OK, "%s",
                  error.message);
}

static void check_together(const char *policy, const char *prefill)
{
    static const size_t none[SESSIONS] = {0};
    static const size_t ones[SESSIONS] = {1, 1, 1, 1, 1, 1};
    clsa_session *together[SESSIONS], *alone[SESSIONS];
    for (size_t i = 0; i < SESSIONS; i++) {
        const char *own = i == 3 ? "dense" : policy;
        together[i] = open_session(own, prefill);
        alone[i] = open_session(own, prefill);
        read_ids(alone[i], 0, first_read[i], CLSA_WANT_NONE);
        append(alone[i], first_read[i], next_read[i]);
    }
    read_together(together, first_read, none, CLSA_WANT_NONE);
    for (size_t i = 0; i < SESSIONS; i++)
        ck_assert_ptr_null(clsa_session_logits(together[i]));
    read_together(together, next_read, first_read, CLSA_WANT_LAST);
    for (size_t i = 0; i < SESSIONS; i++)
        check_same(together[i], alone[i]);
    read_together(together, ones, first_read, CLSA_WANT_LAST);
    for (size_t i = 0; i < SESSIONS; i++) {
        append(alone[i], first_read[i], 1);
        check_same(together[i], alone[i]);
        clsa_session_close(together[i]);
        clsa_session_close(alone[i]);
    }
}

START_TEST(together)
{
    if (!is_there("together"))
        return;
    for (size_t i = 0; i < sizeof attention / sizeof *attention; i++)
        if (has_policy(i))
            check_together(attention[i], "own");
    check_together(NULL, "auto");
    check_together("dense", "f32");
}
END_TEST

START_TEST(refused_batches)
{
    clsa_session *a = open_session(NULL, "own"), *b = open_session(NULL, "own");
    const int32_t bad = (int32_t)info.vocab;
    clsa_batch_item items[2] = {{a, ids, 5, CLSA_WANT_LAST},
                                {a, ids, 5, CLSA_WANT_LAST}};
    clsa_error error;
    ck_assert_int_eq(clsa_batch_read(items, 0, &error), CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(clsa_batch_read(items, 65, &error), CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(clsa_batch_read(items, 2, &error), CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "0 and 1 are the same"));
    items[1] = (clsa_batch_item){b, ids, 0, CLSA_WANT_LAST};
    ck_assert_int_eq(clsa_batch_read(items, 2, &error), CLSA_ERR_ARGUMENT);
    items[1] = (clsa_batch_item){b, ids, 5, CLSA_WANT_MASK};
    ck_assert_int_eq(clsa_batch_read(items, 2, &error), CLSA_ERR_ARGUMENT);
    items[1] = (clsa_batch_item){b, &bad, 1, CLSA_WANT_LAST};
    ck_assert_int_eq(clsa_batch_read(items, 2, &error), CLSA_ERR_ARGUMENT);
    items[1] = (clsa_batch_item){b, ids, 7000, CLSA_WANT_LAST};
    ck_assert_int_eq(clsa_batch_read(items, 2, &error), CLSA_ERR_FULL);
    ck_assert_uint_eq(clsa_session_length(a), 0);
    clsa_session_cancel(b);
    items[1] = (clsa_batch_item){b, ids, 5, CLSA_WANT_LAST};
    ck_assert_int_eq(clsa_batch_read(items, 2, &error), CLSA_ERR_STOPPED);
    ck_assert_uint_eq(clsa_session_length(a) + clsa_session_length(b), 0);
    ck_assert_int_eq(clsa_batch_read(items, 2, &error), CLSA_OK);
    check_same(a, b);
    clsa_session_close(a);
    clsa_session_close(b);
}
END_TEST

/* ------------------------------------------------------- log-probabilities */

START_TEST(logprobs)
{
    clsa_session *s = open_session(NULL, "own");
    clsa_logprob *best = malloc(info.vocab * sizeof *best), given[2];
    clsa_error error;
    double sum = 0;
    append(s, 0, 50);
    const float *logits = clsa_session_logits(s);
    given[0].id = ids[0];
    given[1].id = ids[1];
    ck_assert_int_eq(
        clsa_logprobs(model, logits, given, 2, best, info.vocab, &error),
        CLSA_OK);
    for (uint32_t i = 0; i < info.vocab; i++) {
        sum += exp((double)best[i].logprob);
        ck_assert(i == 0 || best[i].logprob <= best[i - 1].logprob);
        if (best[i].id == ids[1])
            ck_assert_float_eq(best[i].logprob, given[1].logprob);
    }
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    ck_assert_int_eq(best[0].id, (int)suite_argmax(logits, info.vocab));
    ck_assert_int_eq(given[0].id, ids[0]);
    ck_assert_int_eq(
        clsa_logprobs(model, logits, NULL, 0, best, info.vocab + 1, &error),
        CLSA_ERR_ARGUMENT);
    given[0].id = -1;
    ck_assert_int_eq(clsa_logprobs(model, logits, given, 1, NULL, 0, &error),
                     CLSA_ERR_ARGUMENT);
    free(best);
    clsa_session_close(s);
}
END_TEST

static void add_cases(Suite *suite, const char *name, void (*setup)(void),
                      bool all)
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, restored);
    tcase_add_test(tc, restored_logits);
    tcase_add_test(tc, written);
    tcase_add_test(tc, reused);
    tcase_add_test(tc, together);
    if (all) {
        tcase_add_test(tc, pages);
        tcase_add_test(tc, refused_snapshots);
        tcase_add_test(tc, refused_batches);
        tcase_add_test(tc, logprobs);
    }
    suite_add_tcase(suite, tc);
}

int main(void)
{
    Suite *suite = suite_create("serving");
    add_cases(suite, "windows", setup_windows, true);
    add_cases(suite, "retention", setup_retention, false);
    add_cases(suite, "caches", setup_caches, false);
    add_cases(suite, "both", setup_both, false);
    return suite_run(suite, CK_NOFORK);
}
