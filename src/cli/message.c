/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: lines on stderr and the end of stdout. The progress bar shares the
 * terminal with them and is taken off before each line. A write error on
 * stdout is remembered with its errno when it is first seen. Control characters
 * of names and texts in a message are shown as escapes.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/message.h"
#include "src/base/utf8.h"
#include "src/cli/progress.h"

#define LINE 4096 /* bytes of a message; what is longer is cut off */

static int message_level;
static int output_errno;

void cli_message_set_level(int level)
{
    message_level = level;
}

int cli_message_level(void)
{
    return message_level;
}

CLI_PRINTF(1, 0)
static void print_line(const char *format, va_list arguments)
{
    char text[LINE], line[2 * LINE];
    const int size = vsnprintf(text, sizeof text, format, arguments);
    cli_progress_clear();
    clsa_utf8_escape(line, sizeof line, text, size < 0 ? 0 : strlen(text));
    fprintf(stderr, "clsa: %s\n", line);
}

int cli_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    return CLI_FAILED;
}

int cli_fail_memory(void)
{
    return cli_fail("out of memory: close other programs or use less input");
}

int cli_fail_error(const clsa_error *error)
{
    if (error->status == CLSA_ERR_STOPPED)
        return cli_progress_interrupted();
    return cli_fail("%s", error->message);
}

int cli_fail_option(const clsa_error *error)
{
    int status = cli_fail_error(error);
    return error->status == CLSA_ERR_ARGUMENT ? CLI_USAGE : status;
}

void cli_log(enum cli_log_level level, const char *format, ...)
{
    if (message_level < (level == CLI_LOG_VERBOSE ? 1 : 0))
        return;
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

bool cli_output_flush(void)
{
    if (fflush(stdout) != 0 && output_errno == 0)
        output_errno = errno;
    if (ferror(stdout) && output_errno == 0)
        output_errno = EIO;
    return output_errno != 0;
}

bool cli_output_line(const char *line)
{
    if (puts(line) < 0 && output_errno == 0)
        output_errno = errno;
    return cli_output_flush();
}

int cli_output_finish(int status)
{
    if (!cli_output_flush())
        return status;
    if (output_errno != EPIPE)
        cli_fail("standard output: %s: the output is not complete",
                 strerror(output_errno));
    return status == CLI_DONE ? CLI_FAILED : status;
}
