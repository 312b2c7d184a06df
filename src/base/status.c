/* SPDX-License-Identifier: Apache-2.0 */
/* The error convention, and the names of statuses. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"
#include "src/base/utf8.h"

static clsa_status fail(clsa_error *error, clsa_status status,
                        const char *format, va_list args, const char *reason)
{
    if (!error)
        return status;
    char text[sizeof error->message];
    int n = vsnprintf(text, sizeof text, format, args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof text && reason)
        snprintf(text + used, sizeof text - used, ": %s", reason);
    error->status = status;
    /* keys and names of hostile files end up in messages */
    clsa_utf8_escape(error->message, sizeof error->message, text, strlen(text));
    return status;
}

clsa_status clsa_fail(clsa_error *error, clsa_status status, const char *format,
                      ...)
{
    va_list args;
    va_start(args, format);
    fail(error, status, format, args, NULL);
    va_end(args);
    return status;
}

clsa_status clsa_fail_io(clsa_error *error, const char *format, ...)
{
    const char *reason = strerror(errno);
    va_list args;
    va_start(args, format);
    fail(error, CLSA_ERR_IO, format, args, reason);
    va_end(args);
    return CLSA_ERR_IO;
}

clsa_status clsa_fail_memory(clsa_error *error, const char *what, size_t size)
{
    return clsa_fail(error, CLSA_ERR_MEMORY,
                     "out of memory: %zu bytes for %s were refused", size,
                     what);
}

clsa_status clsa_progress_tell(const struct clsa_progress *progress,
                               uint64_t done, uint64_t total, const char *what,
                               clsa_error *error)
{
    if (!progress->on_progress ||
        !progress->on_progress(progress->user, done, total))
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_STOPPED, "%s: stopped by the caller",
                     what);
}

const char *clsa_status_name(clsa_status status)
{
    static const char *const names[] = {
        "success",   "invalid argument", "out of memory",
        "i/o error", "malformed file",   "unsupported",
        "mismatch",  "context full",     "stopped",
    };
    size_t i = (size_t)status;
    return i < sizeof names / sizeof *names ? names[i] : "unknown status";
}
