/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface between programs and libraries of different releases, and what
 * clsa.h says about arguments that are out of range.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "tests/suite.h"

static clsa_model *model;
static clsa_session *session;

static void setup(void)
{
    clsa_error error;
    ck_assert_msg(clsa_model_open(&model, getenv("CLSA_TEST_MODEL"), NULL,
                                  &error) == CLSA_OK,
                  "%s", error.message);
    ck_assert_int_eq(clsa_session_open(&session, model, NULL, &error), CLSA_OK);
}

static void teardown(void)
{
    clsa_session_close(session);
    clsa_model_close(model);
}

/* Whether bytes[first..end) all have a value. */
static bool all_are(const unsigned char *bytes, size_t first, size_t end,
                    unsigned char value)
{
    while (first < end && bytes[first] == value)
        first++;
    return first == end;
}

/* A program of a later release has a larger struct, one of an earlier release
   a smaller one, down to the first. */
#define CHECK_SIZES(type, call)                                                \
    do {                                                                       \
        _Alignas(type) unsigned char known[sizeof(type)];                      \
        _Alignas(type) unsigned char info[2 * sizeof(type)];                   \
        size_t size = sizeof known;                                            \
        memset(known, 0x55, sizeof known);                                     \
        ck_assert_int_eq(call(known), CLSA_OK);                                \
        memset(info, 0x55, sizeof info);                                       \
        size = sizeof info;                                                    \
        ck_assert_int_eq(call(info), CLSA_OK);                                 \
        ck_assert_mem_eq(info, known, sizeof(void *));                         \
        ck_assert(all_are(info, sizeof known, sizeof info, 0));                \
        memset(info, 0x55, sizeof info);                                       \
        size = sizeof known - 16;                                              \
        ck_assert_int_eq(call(info), CLSA_ERR_ARGUMENT);                       \
        ck_assert(all_are(info, 0, sizeof info, 0x55));                        \
    } while (0)

START_TEST(sizes)
{
#define INFO(to)   clsa_model_get_info(model, (void *)(to), size)
#define TENSOR(to) clsa_model_tensor(model, 1, (void *)(to), size)
#define STATS(to)  clsa_session_get_stats(session, (void *)(to), size)
    CHECK_SIZES(clsa_model_info, INFO);
    CHECK_SIZES(clsa_tensor_info, TENSOR);
    CHECK_SIZES(clsa_session_stats, STATS);
}
END_TEST

/* No session is written over the model, by any name of its file. */
START_TEST(session_over_model)
{
    const char *path = getenv("CLSA_TEST_MODEL");
    char link[] = "check_interface-link.XXXXXX";
    clsa_error error;
    ck_assert_int_eq(clsa_session_save(session, path, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "is a file of the model"));
    char *real = realpath(path, NULL);
    ck_assert_ptr_nonnull(real);
    close(mkstemp(link));
    unlink(link);
    ck_assert_int_eq(symlink(real, link), 0);
    ck_assert_int_eq(clsa_session_save(session, link, &error),
                     CLSA_ERR_ARGUMENT);
    unlink(link);
    free(real);
}
END_TEST

START_TEST(bounds)
{
    const size_t tensors = clsa_model_tensor_count(model);
    const size_t keys = clsa_model_metadata_count(model);
    clsa_tensor_info info;
    const char *key = NULL;
    char value[16];
    ck_assert_int_eq(clsa_model_tensor(model, tensors - 1, &info, sizeof info),
                     CLSA_OK);
    ck_assert_uint_eq(info.part, 1);
    ck_assert_int_eq(clsa_model_tensor(model, tensors, &info, sizeof info),
                     CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(clsa_model_tensor_is_zero(model, 0), 0);
    ck_assert_int_eq(clsa_model_tensor_is_zero(model, tensors), 0);
    ck_assert_int_eq(
        clsa_model_metadata(model, keys - 1, &key, value, sizeof value),
        CLSA_OK);
    ck_assert_ptr_nonnull(key);
    ck_assert_int_eq(clsa_model_metadata(model, keys, &key, NULL, 0),
                     CLSA_ERR_ARGUMENT);
}
END_TEST

static void refused(clsa_status status, clsa_error *error, const char *name)
{
    ck_assert_int_eq(status, CLSA_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(error->message, name) &&
                      strstr(error->message, "newer"),
                  "%s", error->message);
    *error = (clsa_error){CLSA_OK, ""};
}

START_TEST(reserved)
{
    clsa_error error = {CLSA_OK, ""};
    clsa_model_options m;
    clsa_session_options s;
    clsa_sampler_options p;
    clsa_append_options a;
    clsa_write_options w;
    clsa_model *other;
    clsa_session *opened;
    clsa_sampler *sampler;
    const int32_t id = 1;
    clsa_model_options_init(&m);
    m.reserved[4] = 1;
    refused(clsa_model_open(&other, getenv("CLSA_TEST_MODEL"), &m, &error),
            &error, "clsa_model_options");
    clsa_session_options_init(&s);
    s.reserved[0] = 1;
    refused(clsa_session_open(&opened, model, &s, &error), &error,
            "clsa_session_options");
    clsa_sampler_options_init(&p);
    p.reserved[3] = 1;
    refused(clsa_sampler_open(&sampler, &p, &error), &error,
            "clsa_sampler_options");
    clsa_append_options_init(&a);
    a.reserved[1] = 1;
    refused(clsa_session_append(session, &id, 1, &a, &error), &error,
            "clsa_append_options");
    ck_assert_uint_eq(clsa_session_length(session), 0);
    clsa_write_options_init(&w);
    w.reserved[0] = 1;
    refused(clsa_quantize("none", "none", &w, &error), &error,
            "clsa_write_options");
    refused(clsa_convert("none", "none", &w, &error), &error,
            "clsa_write_options");
}
END_TEST

START_TEST(versions)
{
    int major, minor, patch;
    ck_assert_int_eq(sscanf(clsa_version(), "%d.%d.%d", &major, &minor, &patch),
                     3);
    ck_assert_int_eq(major * 10000 + minor * 100 + patch, CLSA_VERSION);
    ck_assert_uint_eq(clsa_version_number(), CLSA_VERSION);
}
END_TEST

/* No logits, every row, a list, and no such layer are different answers. */
START_TEST(rows)
{
    const int32_t ids[] = {1, 2, 3};
    const uint32_t *list = NULL;
    size_t count = 9;
    ck_assert_int_eq(clsa_session_rows(session, &list, &count),
                     CLSA_ERR_ARGUMENT);
    ck_assert_uint_eq(count, 9);
    ck_assert_int_eq(clsa_session_set_attention(session, "dense", NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_session_append(session, ids, 3, NULL, NULL), CLSA_OK);
    list = (const uint32_t *)ids;
    ck_assert_int_eq(clsa_session_rows(session, &list, &count), CLSA_OK);
    ck_assert_ptr_null(list);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(clsa_session_layer_rows(session, 0, &list, &count),
                     CLSA_OK);
    ck_assert_int_eq(clsa_session_layer_rows(session, 1000, &list, &count),
                     CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(clsa_session_set_attention(session, "window:2", NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_session_append(session, ids, 1, NULL, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_rows(session, &list, &count), CLSA_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(list[1], 3);
}
END_TEST

START_TEST(token_ids)
{
    clsa_model_info info;
    const int32_t *eog;
    size_t count, size;
    int32_t id = -7;
    clsa_model_get_info(model, &info, sizeof info);
    clsa_model_eog(model, &eog, &count);
    ck_assert_uint_eq(count, 2); /* eos, and a control token: <|im_end|> */
    ck_assert_int_eq(eog[0], info.eos);
    for (size_t i = 0; i < count; i++) {
        char text[64];
        const char *bytes = clsa_token_bytes(model, eog[i], &size);
        snprintf(text, sizeof text, "%.*s", (int)size, bytes);
        ck_assert_int_eq(clsa_token_id(model, text, &id), CLSA_OK);
        ck_assert_int_eq(id, eog[i]);
    }
    ck_assert_int_eq(clsa_token_id(model, "no such token", &id),
                     CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(clsa_token_id(model, "e", &id), CLSA_OK);
    ck_assert_mem_eq(clsa_token_bytes(model, id, &size), "e", 1);
}
END_TEST

/* A policy of the list with numbers in place of letters. */
static void fill_in(char *text, const char *policy)
{
    *text = '\0';
    for (const char *c = policy; *c; c++)
        if (strcmp(c, "LAYERS") == 0) {
            strcat(text, "7,9");
            return;
        } else
            strcat(text, strchr("KN", *c)         ? "192"
                         : *c >= 'A' && *c <= 'Z' ? "64"
                                                  : (char[]){*c, 0});
}

/* Every policy of the list opens a session, but anchors without layers in a
   model that names none; and the list is in the message about another one. */
START_TEST(policies)
{
    const char *const *policy = clsa_attention_policies();
    clsa_session_options options;
    clsa_session *opened;
    clsa_error error, unknown;
    clsa_session_options_init(&options);
    options.attention = "none";
    ck_assert_int_eq(clsa_session_open(&opened, model, &options, &unknown),
                     CLSA_ERR_ARGUMENT);
    ck_assert_str_eq(policy[0], "clsa");
    for (; *policy; policy++) {
        char text[64];
        fill_in(text, *policy);
        options.attention = text;
        ck_assert_ptr_nonnull(strstr(unknown.message, *policy));
        if (strncmp(text, "anchors", 7) == 0 && !strchr(text, ','))
            continue;
        ck_assert_msg(clsa_session_open(&opened, model, &options, &error) ==
                          CLSA_OK,
                      "%s: %s", text, error.message);
        clsa_session_close(opened);
    }
}
END_TEST

/* Bytes in memory, given and taken in pieces of at most `piece`. */
struct memory {
    unsigned char *bytes;
    size_t size, at, piece, fail_at;
};

static int take(void *user, const void *data, size_t size)
{
    struct memory *m = user;
    ck_assert_uint_gt(size, 0);
    if (m->size + size > m->fail_at)
        return 1;
    m->bytes = realloc(m->bytes, m->size + size);
    ck_assert_ptr_nonnull(m->bytes);
    memcpy(m->bytes + m->size, data, size);
    m->size += size;
    return 0;
}

static ptrdiff_t give(void *user, void *data, size_t size)
{
    struct memory *m = user;
    size_t n = m->size - m->at < size ? m->size - m->at : size;
    n = n < m->piece ? n : m->piece;
    if (m->at + n > m->fail_at)
        return -1;
    memcpy(data, m->bytes + m->at, n);
    m->at += n;
    return (ptrdiff_t)n;
}

/* A session goes through functions of the caller, with other bytes after it;
   a failure of theirs is told, and so is an end too early. */
START_TEST(streams)
{
    struct memory m = {.piece = 1000, .fail_at = SIZE_MAX};
    const int32_t ids[] = {1, 2, 3};
    clsa_session *copy;
    clsa_error error;
    ck_assert_int_eq(clsa_session_append(session, ids, 3, NULL, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_write(session, take, &m, NULL), CLSA_OK);
    const size_t size = m.size;
    take(&m, "more", 4);
    ck_assert_int_eq(clsa_session_read(&copy, model, give, &m, NULL, &error),
                     CLSA_OK);
    ck_assert_uint_eq(m.at, size);
    ck_assert_uint_eq(clsa_session_length(copy), 3);
    ck_assert_ptr_nonnull(clsa_session_logits(copy));
    clsa_session_close(copy);
    m.at = 0;
    m.fail_at = size / 2;
    ck_assert_int_eq(clsa_session_read(&copy, model, give, &m, NULL, &error),
                     CLSA_ERR_IO);
    m.at = 0;
    m.size = size / 2;
    m.fail_at = SIZE_MAX;
    ck_assert_int_eq(clsa_session_read(&copy, model, give, &m, NULL, &error),
                     CLSA_ERR_FORMAT);
    m.size = 0;
    m.fail_at = size - 1;
    ck_assert_int_eq(clsa_session_write(session, take, &m, &error),
                     CLSA_ERR_IO);
    free(m.bytes);
}
END_TEST

static int cancel_at_once(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    clsa_session_cancel(user);
    return 0;
}

static const struct {
    const char *attention;
    int count, read; /* tokens, and those that a cancel leaves */
} cancels[] = {{"clsa", 1500, 512}, {"dense", 700, 512}, {"h2o:20", 60, 1}};

static clsa_session *open_with(const char *attention)
{
    clsa_session_options options;
    clsa_session *opened;
    clsa_session_options_init(&options);
    options.attention = attention;
    ck_assert_int_eq(clsa_session_open(&opened, model, &options, NULL),
                     CLSA_OK);
    return opened;
}

/* A cancelled append leaves whole blocks, and what follows has the bits of a
   session that was never cancelled. */
START_TEST(cancelled)
{
    static int32_t ids[1500];
    const int count = cancels[_i].count, read = cancels[_i].read;
    clsa_session *one = open_with(cancels[_i].attention);
    clsa_session *other = open_with(cancels[_i].attention);
    clsa_session *const batch[] = {one, other};
    clsa_append_options how;
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    for (int i = 0; i < count; i++)
        ids[i] = i % 100 + 1;
    clsa_append_options_init(&how);
    how.on_progress = cancel_at_once;
    how.user = one;
    ck_assert_int_eq(clsa_session_append(one, ids, (size_t)count, &how, NULL),
                     CLSA_ERR_STOPPED);
    ck_assert_int_eq(clsa_session_length(one), read);
    ck_assert_ptr_null(clsa_session_logits(one));
    ck_assert_int_eq(clsa_session_append(one, ids + read,
                                         (size_t)(count - read), NULL, NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_session_append(other, ids, (size_t)count, NULL, NULL),
                     CLSA_OK);
    clsa_session_cancel(other);
    ck_assert_int_eq(clsa_batch_append(batch, ids, 2, NULL), CLSA_ERR_STOPPED);
    ck_assert_int_eq(clsa_session_length(one), count);
    ck_assert_int_eq(clsa_batch_append(batch, (int32_t[]){5, 5}, 2, NULL),
                     CLSA_OK);
    ck_assert_mem_eq(clsa_session_logits(one), clsa_session_logits(other),
                     info.vocab * sizeof(float));
    clsa_session_close(one);
    clsa_session_close(other);
}
END_TEST

static void *cancel_later(void *ms)
{
    const struct timespec delay = {.tv_nsec = *(const long *)ms * 1000000};
    nanosleep(&delay, NULL);
    clsa_session_cancel(session);
    return NULL;
}

/* Another thread cancels, at any place of a layer: the session goes on to the
   logits of one that was never cancelled. Too late is right, too: then the next
   append ends. */
START_TEST(cancelled_inside)
{
    enum { MOST = 2000, LESS = 600 };
    static int32_t ids[MOST];
    const char *emulator = getenv("CLSA_EMULATOR");
    const bool slow = emulator && *emulator;
    const unsigned count = slow ? LESS : MOST;
    clsa_session *whole = open_with("clsa");
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    if (slow)
        printf("under an emulator: a prompt of %u tokens, three cancels\n",
               count);
    for (int i = 0; i < MOST; i++)
        ids[i] = i * 7 % 100 + 1;
    ck_assert_int_eq(clsa_session_append(whole, ids, count, NULL, NULL),
                     CLSA_OK);
    int stopped = 0;
    for (long ms = 1; ms < 200; ms = slow ? ms * 10 : ms * 3 / 2 + 1) {
        pthread_t thread;
        ck_assert_int_eq(clsa_session_truncate(session, 0, NULL), CLSA_OK);
        ck_assert_int_eq(pthread_create(&thread, NULL, cancel_later, &ms), 0);
        clsa_status status = CLSA_OK;
        uint64_t read = 0;
        for (int tries = 0; read < count && tries < 3; tries++) {
            status = clsa_session_append(session, ids + read,
                                         (size_t)(count - read), NULL, NULL);
            ck_assert(status == CLSA_OK || status == CLSA_ERR_STOPPED);
            read = clsa_session_length(session);
            ck_assert(read % 512 == 0 || read == count);
            stopped += status == CLSA_ERR_STOPPED;
        }
        ck_assert_int_eq(status, CLSA_OK);
        ck_assert_mem_eq(clsa_session_logits(session),
                         clsa_session_logits(whole),
                         info.vocab * sizeof(float));
        pthread_join(thread, NULL);
        /* Takes a cancel that came too late. */
        clsa_session_append(session, ids, 1, NULL, NULL);
    }
    ck_assert_int_gt(stopped, 0);
    clsa_session_close(whole);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("interface");
    TCase *whole = tcase_create("interface");
    tcase_set_timeout(whole, 120);
    tcase_add_checked_fixture(whole, setup, teardown);
    tcase_add_test(whole, sizes);
    tcase_add_test(whole, bounds);
    tcase_add_test(whole, session_over_model);
    tcase_add_test(whole, reserved);
    tcase_add_test(whole, versions);
    tcase_add_test(whole, policies);
    tcase_add_loop_test(whole, cancelled, 0, 3);
    tcase_add_test(whole, cancelled_inside);
    tcase_add_test(whole, streams);
    tcase_add_test(whole, token_ids);
    tcase_add_test(whole, rows);
    suite_add_tcase(suite, whole);
    return suite_run(suite, CK_NOFORK);
}
