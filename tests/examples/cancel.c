/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel: a prompt of 100000 tokens that a signal stops:
 *
 *     cancel MODEL.gguf MILLISECONDS
 *
 * The handler of a timer calls clsa_session_cancel, as one of Ctrl-C would. The
 * append ends after the layer that is being computed; the session is as before
 * the block of tokens that it stopped in, and goes on. It is part of
 * libclsa(3).
 */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "clsa.h"

#define TOKENS 100000

static clsa_session *session;

static void on_signal(int number)
{
    (void)number;
    clsa_session_cancel(session);
}

static void check(clsa_status status, const clsa_error *error)
{
    if (status != CLSA_OK) {
        fprintf(stderr, "cancel: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
}

static void start_timer(long ms)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

int main(int argc, char **argv)
{
    static int32_t ids[TOKENS];
    clsa_session_options options;
    clsa_model *model;
    clsa_error error;
    clsa_status status;
    unsigned long long length;
    int i;

    if (argc != 3) {
        fputs("usage: cancel MODEL.gguf MILLISECONDS\n", stderr);
        return EXIT_FAILURE;
    }
    for (i = 0; i < TOKENS; i++)
        ids[i] = i % 200;
    check(clsa_model_open(&model, argv[1], NULL, &error), &error);
    clsa_session_options_init(&options);
    options.context = TOKENS + 1;
    check(clsa_session_open(&session, model, &options, &error), &error);

    start_timer(atol(argv[2]));
    status = clsa_session_append(session, ids, TOKENS, NULL, &error);
    if (status != CLSA_ERR_STOPPED)
        check(status, &error);
    length = clsa_session_length(session);
    printf("%s after %llu tokens\n", clsa_status_name(status), length);
    check(clsa_session_append(session, ids, 1, NULL, &error), &error);
    printf("went on to %llu\n",
           (unsigned long long)clsa_session_length(session));

    clsa_session_close(session);
    clsa_model_close(model);
    return EXIT_SUCCESS;
}
