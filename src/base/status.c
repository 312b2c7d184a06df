/* SPDX-License-Identifier: Apache-2.0 */
/* The error convention, and the names of public enumerations. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "src/base/status.h"
#include "src/base/utf8.h"

/* Keys and names of hostile files end up in messages: keep those one line of
   text. */
static void sanitize(char *text)
{
    unsigned char *p = (unsigned char *)text;
    while (*p) {
        size_t n = clsa_utf8_length(p, strlen((char *)p));
        if (n == 0 || *p < 0x20 || *p == 0x7f) {
            *p++ = '?';
            continue;
        }
        p += n;
    }
}

static clsa_status fail(clsa_error *error, clsa_status status,
                        const char *format, va_list args, const char *reason)
{
    if (!error)
        return status;
    int n = vsnprintf(error->message, sizeof error->message, format, args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof error->message && reason)
        snprintf(error->message + used, sizeof error->message - used, ": %s",
                 reason);
    error->status = status;
    sanitize(error->message);
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
    return clsa_fail(error, CLSA_ERR_STOPPED, "%s: the caller stopped it",
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

static const struct {
    clsa_type type;
    const char *name;
} types[] = {
    {CLSA_TYPE_F32, "f32"},   {CLSA_TYPE_F16, "f16"},
    {CLSA_TYPE_Q4_0, "q4_0"}, {CLSA_TYPE_Q8_0, "q8_0"},
    {CLSA_TYPE_Q4_K, "q4_k"}, {CLSA_TYPE_Q6_K, "q6_k"},
    {CLSA_TYPE_I8, "i8"},     {CLSA_TYPE_BF16, "bf16"},
};

const char *clsa_type_name(clsa_type type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type)
            return types[i].name;
    return NULL;
}

clsa_status clsa_type_parse(const char *name, clsa_type *type,
                            clsa_error *error)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcasecmp(types[i].name, name) == 0) {
            *type = types[i].type;
            return CLSA_OK;
        }
    }
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "unknown type '%s': use f32, f16, bf16, q8_0, q4_0, "
                     "q4_k, q6_k or i8",
                     name);
}
