/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: everything the program prints on stderr, and its exit statuses. One
 * message is one line that starts with "clsa: ". Functions of the program
 * that can fail return an exit status, CLI_DONE being 0, and have already
 * reported why; CLI_TRY hands such a status on.
 */
#ifndef CLSA_CLI_MESSAGE_H
#define CLSA_CLI_MESSAGE_H

#include <stdbool.h>

#include "clsa.h"

enum cli_status {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_INTERRUPTED = 130
};

#if defined(__GNUC__)
#define CLI_PRINTF(string, first) __attribute__((format(printf, string, first)))
#else
#define CLI_PRINTF(string, first)
#endif

#define CLI_TRY(call)                                                          \
    do {                                                                       \
        int try_ = (call);                                                     \
        if (try_ != CLI_DONE)                                                  \
            return try_;                                                       \
    } while (0)

/* What is printed: failures only (-1, -q), warnings and information too (0), or
   also what -v adds (1). */
void cli_message_set_level(int level);
int cli_message_level(void);

/* Report what failed, where, and what to do. Returns CLI_FAILED. */
int cli_fail(const char *format, ...) CLI_PRINTF(1, 2);

/* The same for a refused allocation. */
int cli_fail_memory(void);

/* Report what a call of the library failed with. Returns CLI_FAILED, or
   CLI_INTERRUPTED with a line about what was done for CLSA_ERR_STOPPED. */
int cli_fail_error(const clsa_error *error);

/* The same where CLSA_ERR_ARGUMENT means a wrong option: CLI_USAGE. */
int cli_fail_option(const clsa_error *error);

/* A line that is no failure. Warnings and information are printed unless -q is
   given, verbose lines only if -v is. */
enum cli_log_level { CLI_LOG_WARNING, CLI_LOG_INFO, CLI_LOG_VERBOSE };
void cli_log(enum cli_log_level level, const char *format, ...)
    CLI_PRINTF(2, 3);
#define cli_warning(...) cli_log(CLI_LOG_WARNING, __VA_ARGS__)
#define cli_info(...)    cli_log(CLI_LOG_INFO, __VA_ARGS__)
#define cli_verbose(...) cli_log(CLI_LOG_VERBOSE, __VA_ARGS__)

/* Flush stdout; true once something written there was lost. What was lost is
   remembered with its cause here, while errno still is the write's:
   every flush of stdout is this one. */
bool cli_output_flush(void);

/* Write `line` and a newline to stdout, and flush it: as cli_output_flush. */
bool cli_output_line(const char *line);

/* Flush stdout at the end of the program. Returns `status`, or CLI_FAILED
   when output was lost: with a message, but quietly for a closed pipe. */
int cli_output_finish(int status);

#endif /* CLSA_CLI_MESSAGE_H */
