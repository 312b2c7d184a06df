/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite: the end of the main function of a test program with Check, and tests
 * that skip themselves.
 *
 * What a test leaves out it says in a line "SKIP NAME: REASON" of its own;
 * `make check` lists and counts these lines of all tests (check-skips).
 */
#ifndef CLSA_TESTS_SUITE_H
#define CLSA_TESTS_SUITE_H

#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "clsa.h"

#define SUITE_SKIPPED 77 /* exit status of a test of which nothing ran */

static unsigned suite_skipped; /* whole tests; with CK_NOFORK alone */

/* For a test that returns without checking anything. */
#define SUITE_SKIP(name, ...)                                                  \
    do {                                                                       \
        suite_skipped++;                                                       \
        printf("SKIP %s: ", name);                                             \
        printf(__VA_ARGS__);                                                   \
        putchar('\n');                                                         \
    } while (0)

/* Where the largest of n values is, the first of equal ones. */
static inline size_t suite_argmax(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static inline void suite_append(clsa_session *session, const int32_t *more,
                                size_t n)
{
    clsa_error error;
    ck_assert_msg(clsa_session_append(session, more, n, NULL, &error) ==
                      CLSA_OK,
                  "%s", error.message);
}

/* Runs a suite and releases it; the exit status, 77 if every test skipped
   itself. Tests that start threads say
   CK_NOFORK, as OpenMP does not fork, others CK_FORK_GETENV. */
static inline int suite_run(Suite *suite, enum fork_status forks)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, forks);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    int run = srunner_ntests_run(runner);
    srunner_free(runner);
    if (failed)
        return EXIT_FAILURE;
    return run > 0 && suite_skipped == (unsigned)run ? SUITE_SKIPPED
                                                     : EXIT_SUCCESS;
}

#endif /* CLSA_TESTS_SUITE_H */
