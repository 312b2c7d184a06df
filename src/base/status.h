/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: the error convention inside of the library. A function that can
 * fail returns a clsa_status and fills the caller's clsa_error where there is
 * one. Nothing here prints.
 */
#ifndef CLSA_BASE_STATUS_H
#define CLSA_BASE_STATUS_H

#include "clsa.h"

#if defined(__GNUC__)
#define CLSA_PRINTF(string, first)                                             \
    __attribute__((format(printf, string, first)))
#else
#define CLSA_PRINTF(string, first)
#endif

/*
 * Fill *error (may be NULL) with a status and one line of text; bytes that
 * are not printable UTF-8 become escapes (\n, \x1b). Returns the status.
 */
clsa_status clsa_fail(clsa_error *error, clsa_status status, const char *format,
                      ...) CLSA_PRINTF(3, 4);

/* The usual message for a refused allocation of `size` bytes for `what`. */
clsa_status clsa_fail_memory(clsa_error *error, const char *what, size_t size);

/* As clsa_fail with CLSA_ERR_IO; ": " and the text of errno are appended. */
clsa_status clsa_fail_io(clsa_error *error, const char *format, ...)
    CLSA_PRINTF(2, 3);

/* A callback of the caller, or none. */
struct clsa_progress {
    int (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
};

/* Call it; CLSA_ERR_STOPPED, with the name of the work, where it says so. */
clsa_status clsa_progress_tell(const struct clsa_progress *progress,
                               uint64_t done, uint64_t total, const char *what,
                               clsa_error *error);

/* Return from the function with the status of a call that failed. */
#define CLSA_TRY(call)                                                         \
    do {                                                                       \
        clsa_status try_ = (call);                                             \
        if (try_ != CLSA_OK)                                                   \
            return try_;                                                       \
    } while (0)

#endif /* CLSA_BASE_STATUS_H */
