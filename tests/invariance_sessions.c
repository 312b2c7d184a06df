/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that are saved, loaded, forked, truncated, and changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/invariance.h"

#define FILE_NAME "check_invariance.session"

/* A fork and a saved session have the same and go on in the same way. */
START_TEST(kept)
{
    for (size_t i = 0; i < POLICIES; i++) {
        clsa_session_options options =
            make_options(policies[i], 64, CLSA_TYPE_BF16);
        clsa_session *a = open_session(model, policies[i], 7, CLSA_TYPE_BF16);
        clsa_session *b, *c;
        append(a, 0, length(500));
        ck_assert_int_eq(clsa_session_fork(a, &b, NULL), CLSA_OK);
        ck_assert_int_eq(clsa_session_save(b, FILE_NAME, NULL), CLSA_OK);
        ck_assert_int_eq(
            clsa_session_load(&c, model, FILE_NAME, &options, NULL), CLSA_OK);
        check_same(a, b);
        check_same(a, c);
        append(b, length(600), 40); /* does not disturb */
        append(a, length(500), 20);
        append(c, length(500), 20);
        check_same(a, c);
        clsa_session_close(a);
        clsa_session_close(b);
        clsa_session_close(c);
    }
    remove(FILE_NAME);
}
END_TEST

/* Truncation, and changes of the policy on the way. */
START_TEST(changed)
{
    for (size_t i = 0; i + 1 < POLICIES; i++) { /* all but h2o */
        clsa_session *a = open_session(model, policies[i], 256, CLSA_TYPE_BF16);
        clsa_session *b = open_session(model, policies[0], 256, CLSA_TYPE_BF16);
        append(a, 0, length(900));
        ck_assert_int_eq(clsa_session_truncate(a, length(700), NULL), CLSA_OK);
        append(a, length(700), 5);
        append(b, 0, length(700));
        ck_assert_int_eq(clsa_session_set_attention(b, policies[i], NULL),
                         CLSA_OK);
        append(b, length(700), 5);
        check_same(a, b);
        clsa_session_close(a);
        clsa_session_close(b);
    }
}
END_TEST

/* What h2o has given up is gone: no way back but to the beginning. */
START_TEST(evicted)
{
    clsa_session *a = open_session(model, "h2o:50", 256, CLSA_TYPE_BF16), *b;
    clsa_session_stats stats, later;
    clsa_error error;
    append(a, 0, length(200));
    ck_assert_int_eq(clsa_session_truncate(a, length(100), &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert(strstr(error.message, "truncate it to 0") != NULL);
    ck_assert_int_eq(clsa_session_set_attention(a, "dense", &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_int_eq(clsa_session_set_attention(a, "h2o:50", NULL), CLSA_OK);
    ck_assert_uint_eq(clsa_session_length(a), length(200));
    ck_assert_int_eq(clsa_session_truncate(a, 0, NULL), CLSA_OK);
    append(a, 0, length(200));
    b = open_session(model, "h2o:50", 256, CLSA_TYPE_BF16);
    append(b, 0, length(200));
    check_same(a, b);
    clsa_session_close(b);
    /* Memory does not grow: a page is 4096 rows. */
    ck_assert_int_eq(clsa_session_truncate(a, 0, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_fill_random(a, 4000, 1, NULL), CLSA_OK);
    clsa_session_get_stats(a, &stats, sizeof stats);
    append(a, 0, length(300));
    clsa_session_get_stats(a, &later, sizeof later);
    ck_assert_uint_eq(later.cache_bytes, stats.cache_bytes);
    ck_assert_uint_eq(later.working_bytes, stats.working_bytes);
    ck_assert_uint_eq(later.rows_read, 50);
    clsa_session_close(a);
}
END_TEST

START_TEST(forked)
{
    clsa_session *a = open_session(model, "clsa:64", 256, CLSA_TYPE_BF16), *b;
    append(a, 0, length(1000));
    ck_assert_int_eq(clsa_session_fork(a, &b, NULL), CLSA_OK);
    check_same(a, b);
    append(b, length(1500), 20); /* goes its own way, and does not disturb */
    append(a, length(1000), 20);
    clsa_session_close(b);
    b = open_session(model, "clsa:64", 256, CLSA_TYPE_BF16);
    append(b, 0, length(1000) + 20);
    check_same(a, b);
    clsa_session_close(a);
    clsa_session_close(b);
}
END_TEST

START_TEST(saved)
{
    clsa_session_options options = make_options("clsa:64", 256, CLSA_TYPE_BF16);
    clsa_session *a = open_session(model, "clsa:64", 256, CLSA_TYPE_BF16), *b;
    clsa_error error;
    append(a, 0, length(1000));
    ck_assert_int_eq(clsa_session_save(a, FILE_NAME, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_load(&b, model, FILE_NAME, &options, NULL),
                     CLSA_OK);
    check_same(a, b);
    for (size_t i = 0; i < 5; i++) {
        append(a, length(1000) + i, 1);
        append(b, length(1000) + i, 1);
    }
    check_same(a, b);
    clsa_session_close(a);
    clsa_session_close(b);
    options.kv_type = CLSA_TYPE_F16;
    ck_assert_int_eq(clsa_session_load(&b, model, FILE_NAME, &options, &error),
                     CLSA_ERR_MISMATCH);
    ck_assert(strstr(error.message, "cache type") != NULL);
    options = make_options("dense", 256, CLSA_TYPE_BF16);
    ck_assert_int_eq(clsa_session_load(&b, model, FILE_NAME, &options, &error),
                     CLSA_ERR_MISMATCH);
    remove(FILE_NAME);
}
END_TEST

/* What a saved session replaces: a file, also one behind a link, with its
   permissions, and nothing else. */
START_TEST(replaced)
{
    static const char link_name[] = FILE_NAME ".link";
    clsa_session *s = open_session(model, "clsa:64", 256, CLSA_TYPE_BF16);
    struct stat there;
    append(s, 0, 10);
    ck_assert_int_eq(clsa_session_save(s, "", NULL), CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(clsa_session_save(s, ".", NULL), CLSA_ERR_IO);
    ck_assert_int_eq(mkfifo(FILE_NAME, 0600), 0);
    ck_assert_int_eq(clsa_session_save(s, FILE_NAME, NULL), CLSA_ERR_IO);
    ck_assert(stat(FILE_NAME, &there) == 0 && S_ISFIFO(there.st_mode));
    remove(FILE_NAME);
    ck_assert_int_eq(symlink(FILE_NAME, link_name), 0);
    ck_assert_int_eq(clsa_session_save(s, link_name, NULL), CLSA_ERR_IO);
    ck_assert_int_eq(clsa_session_save(s, FILE_NAME, NULL), CLSA_OK);
    ck_assert_int_eq(chmod(FILE_NAME, 0600), 0);
    ck_assert_int_eq(clsa_session_save(s, link_name, NULL), CLSA_OK);
    ck_assert(lstat(link_name, &there) == 0 && S_ISLNK(there.st_mode));
    ck_assert(stat(FILE_NAME, &there) == 0 && (there.st_mode & 0777) == 0600);
    clsa_session_close(s);
    remove(link_name);
    remove(FILE_NAME);
}
END_TEST

/* Any damage of a session file is found, and is not taken for another thing
   but a version. */
START_TEST(damaged)
{
    clsa_session_options options = make_options("clsa:64", 256, CLSA_TYPE_BF16);
    clsa_session *a = open_session(model, "clsa:64", 256, CLSA_TYPE_BF16), *b;
    append(a, 0, 100);
    ck_assert_int_eq(clsa_session_save(a, FILE_NAME, NULL), CLSA_OK);
    clsa_session_close(a);
    FILE *file = fopen(FILE_NAME, "r+b");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    for (long at = 0; at < size; at += at < 150 ? 1 : 9973) {
        fseek(file, at, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 0x20, file);
        fflush(file);
        ck_assert_int_eq(
            clsa_session_load(&b, model, FILE_NAME, &options, NULL),
            at >= 8 && at < 12 ? CLSA_ERR_UNSUPPORTED : CLSA_ERR_FORMAT);
        fseek(file, at, SEEK_SET);
        fputc(byte, file);
        fflush(file);
    }
    ck_assert_int_eq(clsa_session_load(&b, model, FILE_NAME, &options, NULL),
                     CLSA_OK);
    clsa_session_close(b);
    fclose(file);
    remove(FILE_NAME);
}
END_TEST

START_TEST(truncated)
{
    static const uint64_t lengths[] = {2590, 2400, 700, 1, 0};
    for (size_t i = 0; i < 5; i++) {
        const size_t left = length(lengths[i]);
        clsa_session *a = open_session(model, "clsa:64", 256, CLSA_TYPE_BF16);
        clsa_session *b = open_session(model, "clsa:64", 256, CLSA_TYPE_BF16);
        append(a, 0, length(TOKENS));
        ck_assert_int_eq(clsa_session_truncate(a, left, NULL), CLSA_OK);
        ck_assert(clsa_session_logits(a) == NULL);
        ck_assert_uint_eq(clsa_session_length(a), left);
        append(a, left, 5);
        append(b, 0, left + 5);
        check_same(a, b);
        clsa_session_close(a);
        clsa_session_close(b);
    }
}
END_TEST

void add_session_tests(TCase *tc)
{
    tcase_add_test(tc, kept);
    tcase_add_test(tc, changed);
    tcase_add_test(tc, forked);
    tcase_add_test(tc, saved);
    tcase_add_test(tc, replaced);
    tcase_add_test(tc, damaged);
    tcase_add_test(tc, truncated);
}

void add_h2o_tests(TCase *tc)
{
    tcase_add_test(tc, evicted);
}
