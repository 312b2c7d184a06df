/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out: a file that is written beside its final name and renamed when it is
 * whole, for model and session files. A symbolic link is followed: the file
 * that it leads to is replaced. What is there and is no regular file (a
 * folder, a device, a pipe) is refused before anything is written. The new
 * file has the permissions of the one it replaces, or those that the umask
 * leaves.
 */
#ifndef CLSA_BASE_OUT_H
#define CLSA_BASE_OUT_H

#include <stdio.h>

#include "src/base/status.h"

struct clsa_out {
    FILE *file;
    const char *path; /* as the caller gave it; has to stay valid */
    char *target;     /* the same with links followed */
    char *temporary;  /* TARGET.XXXXXX, NULL once it is renamed */
};

clsa_status clsa_out_open(struct clsa_out *out, const char *path,
                          clsa_error *error);
clsa_status clsa_out_write(struct clsa_out *out, const void *data, size_t size,
                           clsa_error *error);
/* All bytes reach the disk; the name stays the temporary one. */
clsa_status clsa_out_close(struct clsa_out *out, clsa_error *error);
clsa_status clsa_out_rename(struct clsa_out *out, clsa_error *error);
/* Releases it; a file that was not renamed is removed. All zero is none. */
void clsa_out_free(struct clsa_out *out);

#endif /* CLSA_BASE_OUT_H */
