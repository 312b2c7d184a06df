/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same tokens give the same bits: for any number of threads, any size of
 * the prompt blocks, and whatever the session went through before (saved,
 * loaded, forked, truncated, in a batch). Models: CLSA_TEST_MODEL, and one with
 * gated retention from the folder CLSA_TEST_DATA. Under an emulator
 * (CLSA_EMULATOR) it is a small model instead of the first, and texts are a
 * quarter as long: still several windows, chunks and parts of attention.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/invariance.h"
#include "tests/suite.h"

static char anchors[40]; /* the last two layers of the model */
const char *const policies[POLICIES] = {"clsa:64",
                                        "dense",
                                        "window:300",
                                        "sink:33",
                                        "token:48",
                                        "reuse:48:2",
                                        "longformer:90:10",
                                        "bigbird:90:10:128",
                                        "blocks:96:16",
                                        anchors,
                                        "h2o:50"};

static const char *model_path;
clsa_model *model;
clsa_model_info info;
int32_t ids[TOKENS];
static size_t divisor = 1;

size_t length(size_t tokens)
{
    return tokens < 100 ? tokens : tokens / divisor;
}

static clsa_model *open_model(uint32_t threads)
{
    clsa_model_options options;
    clsa_error error;
    clsa_model *m;
    clsa_model_options_init(&options);
    options.threads = threads;
    ck_assert_msg(clsa_model_open(&m, model_path, &options, &error) == CLSA_OK,
                  "%s", error.message);
    return m;
}

clsa_session_options make_options(const char *attention, uint32_t block,
                                  clsa_type kv)
{
    clsa_session_options options;
    clsa_session_options_init(&options);
    options.attention = attention;
    options.context = 6000;
    options.prefill_block = block;
    options.kv_type = kv;
    options.prefill = "own"; /* that of decoding, to the bit */
    return options;
}

clsa_session *open_session(clsa_model *m, const char *attention, uint32_t block,
                           clsa_type kv)
{
    clsa_session_options options = make_options(attention, block, kv);
    clsa_session *s;
    ck_assert_int_eq(clsa_session_open(&s, m, &options, NULL), CLSA_OK);
    return s;
}

void append(clsa_session *s, size_t from, size_t count)
{
    clsa_error error;
    ck_assert_msg(clsa_session_append(s, ids + from, count, NULL, &error) ==
                      CLSA_OK,
                  "%s", error.message);
}

void check_same(const clsa_session *a, const clsa_session *b)
{
    ck_assert(clsa_session_logits(a) && clsa_session_logits(b));
    ck_assert_int_eq(memcmp(clsa_session_logits(a), clsa_session_logits(b),
                            info.vocab * sizeof(float)),
                     0);
    for (uint32_t i = 0; i < info.layers - info.self_layers; i++) {
        size_t n, m;
        const uint32_t *rows, *other;
        ck_assert_int_eq(clsa_session_layer_rows(a, i, &rows, &n), CLSA_OK);
        ck_assert_int_eq(clsa_session_layer_rows(b, i, &other, &m), CLSA_OK);
        ck_assert_int_eq(rows != NULL, other != NULL);
        if (!rows)
            continue;
        ck_assert_uint_eq(n, m);
        ck_assert_int_eq(memcmp(rows, other, n * sizeof *rows), 0);
    }
}

static void setup(void)
{
    uint32_t random = 1;
    model = open_model(2);
    clsa_model_get_info(model, &info, sizeof info);
    snprintf(anchors, sizeof anchors, "anchors:64:%u,%u", info.layers - 2,
             info.layers - 1);
    for (int i = 0; i < TOKENS; i++) {
        random = random * 1103515245u + 12345u;
        ids[i] = (int32_t)((random >> 8) % info.vocab);
    }
}

static void setup_data(const char *name)
{
    static char path[1200];
    const char *folder = getenv("CLSA_TEST_DATA");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "tests/data", name);
    model_path = path;
    setup();
}

static void setup_windows(void)
{
    const char *path = getenv("CLSA_TEST_MODEL");
    if (divisor > 1) {
        setup_data("good-head-32.gguf");
        return;
    }
    model_path = path ? path : "models/clsa-tiny-q8_0.gguf";
    setup();
}

static void setup_retention(void)
{
    setup_data("good-retention-indexer.gguf");
}

static void teardown(void)
{
    clsa_model_close(model);
}

START_TEST(blocks)
{
    static const uint32_t sizes[] = {1, 7, 64, 255};
    clsa_session *a = open_session(model, "clsa:64", 256, CLSA_TYPE_BF16);
    append(a, 0, length(1500));
    for (size_t i = 0; i < 4; i++) {
        clsa_session *b =
            open_session(model, "clsa:64", sizes[i], CLSA_TYPE_BF16);
        append(b, 0, length(1500));
        check_same(a, b);
        clsa_session_close(b);
    }
    clsa_session_close(a);
}
END_TEST

START_TEST(threads)
{
    for (uint32_t n = 1; n <= 5; n += 2) {
        clsa_model *other = open_model(n);
        for (size_t i = 0; i < POLICIES; i++) {
            clsa_session *a =
                open_session(model, policies[i], 256, CLSA_TYPE_BF16);
            clsa_session *b =
                open_session(other, policies[i], 256, CLSA_TYPE_BF16);
            append(a, 0, length(800));
            append(b, 0, length(800));
            check_same(a, b);
            clsa_session_close(a);
            clsa_session_close(b);
        }
        clsa_model_close(other);
    }
}
END_TEST

/* So many rows that dense reads them in tiles, all heads in turn: the same bits
   for any threads, and what a working set of all rows gives, up to rounding.
 */
START_TEST(tiled)
{
    clsa_model *other = open_model(3);
    clsa_session *a = open_session(model, "dense", 256, CLSA_TYPE_F32);
    clsa_session *b = open_session(other, "dense", 256, CLSA_TYPE_F32);
    clsa_session *c = open_session(model, "clsa:2600", 256, CLSA_TYPE_F32);
    append(a, 0, length(TOKENS));
    append(b, 0, length(TOKENS));
    append(c, 0, length(TOKENS));
    check_same(a, b);
    for (uint32_t i = 0; i < info.vocab; i++)
        ck_assert_float_eq_tol(clsa_session_logits(a)[i],
                               clsa_session_logits(c)[i], 1e-3f);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_session_close(c);
    clsa_model_close(other);
}
END_TEST

START_TEST(batch)
{
    clsa_type types[] = {CLSA_TYPE_BF16, CLSA_TYPE_F32, CLSA_TYPE_Q8_0,
                         CLSA_TYPE_F16, CLSA_TYPE_BF16};
    clsa_session *together[POLICIES], *alone[POLICIES];
    if (info.head_size % 32)
        types[2] = CLSA_TYPE_F16; /* no blocks in such rows */
    for (size_t i = 0; i < POLICIES; i++) {
        together[i] = open_session(model, policies[i], 256, types[i % 5]);
        alone[i] = open_session(model, policies[i], 256, types[i % 5]);
        append(together[i], 0, length(50 + 150 * i));
        append(alone[i], 0, length(50 + 150 * i));
        append(alone[i], i, 1);
    }
    ck_assert_int_eq(clsa_batch_append(together, ids, POLICIES, NULL), CLSA_OK);
    for (size_t i = 0; i < POLICIES; i++) {
        check_same(together[i], alone[i]);
        clsa_session_close(together[i]);
        clsa_session_close(alone[i]);
    }
}
END_TEST

/* What happens to a session between two steps, the same to its twin. */
static clsa_session *between(size_t step, size_t i, clsa_session *s)
{
    clsa_session *fork;
    if (step == 2 && i == 1)
        ck_assert_int_eq(clsa_session_set_attention(s, "clsa:32", NULL),
                         CLSA_OK);
    if (step == 4 && i == 3)
        ck_assert_int_eq(
            clsa_session_truncate(s, clsa_session_length(s) - 1, NULL),
            CLSA_OK);
    if (step != 5 || i != 2)
        return s;
    ck_assert_int_eq(clsa_session_fork(s, &fork, NULL), CLSA_OK);
    clsa_session_close(s);
    return fork;
}

/* Sequences of different lengths, policies and k join a batch and leave it, in
   any order, and change between steps: each is as if it were alone. */
START_TEST(joined)
{
    enum { SEATS = 5, STEPS = 7 };
    static const char *const seated_as[SEATS] = {"clsa", "dense", "clsa:7",
                                                 "sink:33", "window:100"};
    static const int seats[STEPS][SEATS] = {
        {1, -1},       {3, 1, -1},      {1, 3, 0, -1}, {4, 2, -1},
        {0, 4, 3, -1}, {4, 3, 2, 1, 0}, {2, -1}}; /* sessions, in order */
    clsa_session *together[SEATS], *alone[SEATS];
    for (size_t i = 0; i < SEATS; i++) {
        together[i] = open_session(model, seated_as[i], 256, CLSA_TYPE_BF16);
        alone[i] = open_session(model, seated_as[i], 64, CLSA_TYPE_BF16);
        append(together[i], i, length(700 - 120 * i));
        append(alone[i], i, length(700 - 120 * i));
    }
    for (size_t step = 0; step < STEPS; step++) {
        clsa_session *seated[SEATS];
        int32_t next[SEATS];
        size_t n = 0;
        for (size_t i = 0; i < SEATS; i++) {
            together[i] = between(step, i, together[i]);
            alone[i] = between(step, i, alone[i]);
        }
        for (; n < SEATS && seats[step][n] >= 0; n++) {
            seated[n] = together[seats[step][n]];
            next[n] = ids[11 * step + n];
        }
        ck_assert_int_eq(clsa_batch_append(seated, next, n, NULL), CLSA_OK);
        for (size_t j = 0; j < n; j++) {
            append(alone[seats[step][j]], 11 * step + j, 1);
            check_same(seated[j], alone[seats[step][j]]);
        }
    }
    for (size_t i = 0; i < SEATS; i++) {
        clsa_session_close(together[i]);
        clsa_session_close(alone[i]);
    }
}
END_TEST

struct seen {
    float *logits; /* [count][vocab] */
    size_t count;
};

static void keep(void *user, uint64_t position, const float *logits)
{
    struct seen *seen = user;
    (void)position;
    memcpy(seen->logits + seen->count++ * info.vocab, logits,
           info.vocab * sizeof *logits);
}

/* Logits of many positions at once are those of reading up to each. */
START_TEST(masked)
{
    const size_t count = length(900), half = length(400);
    const size_t at[] = {0, 63, 64, 65, half, half + 1, count - 1};
    uint8_t mask[900] = {0};
    for (size_t i = 0; i < 7; i++)
        mask[at[i]] = 1;
    for (size_t p = 0; p < POLICIES; p++) {
        struct seen seen = {malloc(7 * info.vocab * sizeof(float)), 0};
        clsa_append_options how = {.want = CLSA_WANT_MASK,
                                   .mask = mask,
                                   .on_logits = keep,
                                   .user = &seen};
        clsa_session *a = open_session(model, policies[p], 256, CLSA_TYPE_F32);
        ck_assert_int_eq(clsa_session_append(a, ids, count, &how, NULL),
                         CLSA_OK);
        ck_assert_uint_eq(seen.count, 7);
        for (size_t i = 0; i < 7; i++) {
            clsa_session *b =
                open_session(model, policies[p], 256, CLSA_TYPE_F32);
            append(b, 0, at[i] + 1);
            ck_assert_int_eq(memcmp(seen.logits + i * info.vocab,
                                    clsa_session_logits(b),
                                    info.vocab * sizeof(float)),
                             0);
            clsa_session_close(b);
        }
        free(seen.logits);
        clsa_session_close(a);
    }
}
END_TEST

enum { FIRST = 20, STOP = 84, MANY = 140 };

static int stop_there(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)total;
    return done == STOP - FIRST;
}

/* More positions of a block than go on together, left and gone on with in its
   midst: the logits of tokens one by one. */
START_TEST(groups)
{
    uint8_t all[MANY];
    memset(all, 1, sizeof all);
    for (size_t p = 0; p < POLICIES; p++) {
        struct seen seen = {malloc(MANY * info.vocab * sizeof(float)), 0};
        clsa_append_options how = {.want = CLSA_WANT_MASK,
                                   .mask = all,
                                   .on_logits = keep,
                                   .on_progress = stop_there,
                                   .user = &seen};
        clsa_session *a = open_session(model, policies[p], 256, CLSA_TYPE_F32);
        clsa_session *b = open_session(model, policies[p], 256, CLSA_TYPE_F32);
        append(a, 0, FIRST);
        append(b, 0, FIRST);
        ck_assert_int_eq(
            clsa_session_append(a, ids + FIRST, MANY - FIRST, &how, NULL),
            CLSA_ERR_STOPPED);
        ck_assert_uint_eq(clsa_session_length(a), STOP);
        ck_assert_uint_eq(seen.count, STOP - FIRST);
        how.on_progress = NULL;
        ck_assert_int_eq(
            clsa_session_append(a, ids + STOP, MANY - STOP, &how, NULL),
            CLSA_OK);
        for (size_t i = FIRST; i < MANY; i++) {
            append(b, i, 1);
            ck_assert_int_eq(memcmp(seen.logits + (i - FIRST) * info.vocab,
                                    clsa_session_logits(b),
                                    info.vocab * sizeof(float)),
                             0);
        }
        check_same(a, b);
        free(seen.logits);
        clsa_session_close(a);
        clsa_session_close(b);
    }
}
END_TEST

START_TEST(refused)
{
    clsa_session *a = open_session(model, "clsa", 256, CLSA_TYPE_BF16);
    int32_t *many = calloc(6001, sizeof *many), bad = (int32_t)info.vocab;
    ck_assert_int_eq(clsa_session_append(a, many, 6001, NULL, NULL),
                     CLSA_ERR_FULL);
    ck_assert_int_eq(clsa_session_append(a, &bad, 1, NULL, NULL),
                     CLSA_ERR_ARGUMENT);
    ck_assert_uint_eq(clsa_session_length(a), 0);
    ck_assert_int_eq(clsa_session_set_attention(a, "sink:4", NULL),
                     CLSA_ERR_ARGUMENT);
    free(many);
    clsa_session_close(a);
}
END_TEST

static void add_case(Suite *suite, const char *name, void (*set_up)(void))
{
    TCase *tc = tcase_create(name);
    tcase_add_unchecked_fixture(tc, set_up, teardown);
    tcase_set_timeout(tc, 900);
    tcase_add_test(tc, blocks);
    tcase_add_test(tc, threads);
    tcase_add_test(tc, tiled);
    add_session_tests(tc);
    tcase_add_test(tc, batch);
    tcase_add_test(tc, joined);
    tcase_add_test(tc, masked);
    tcase_add_test(tc, groups);
    tcase_add_test(tc, refused);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    const char *emulator = getenv("CLSA_EMULATOR");
    if (emulator && *emulator) {
        divisor = 4;
        printf("under an emulator: a small model, texts a quarter as long\n");
    }
    Suite *suite = suite_create("invariance");
    TCase *tc = tcase_create("h2o");
    tcase_add_unchecked_fixture(tc, setup_windows, teardown);
    tcase_set_timeout(tc, 900);
    add_h2o_tests(tc);
    suite_add_tcase(suite, tc);
    add_case(suite, "windows", setup_windows);
    add_case(suite, "retention", setup_retention);
    return suite_run(suite, CK_NOFORK);
}
