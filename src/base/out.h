/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out: a file that is written beside its final name and renamed when it is
 * whole, for model and session files and for files of the program. A symbolic
 * link is followed: the file that it leads to is replaced. What is there and is
 * no regular file (a folder, a device, a pipe) is refused before anything is
 * written. The new file has the permissions of the one it replaces, or those
 * that the umask leaves.
 *
 * out.c prints and reports nothing, and the program links it too: both have
 * messages of their own, the library in out_errors.c.
 */
#ifndef CLSA_BASE_OUT_H
#define CLSA_BASE_OUT_H

#include <stdbool.h>
#include <stdio.h>

#include "src/base/status.h"

struct clsa_out {
    FILE *file;
    const char *path; /* as the caller gave it; has to stay valid */
    char *target;     /* the same with links followed */
    char *temporary;  /* TARGET.XXXXXX, NULL once it is renamed */
    bool kept;        /* it is whole, but could not be renamed */
};

enum clsa_out_result {
    CLSA_OUT_OPEN,
    CLSA_OUT_EMPTY,     /* the path is the empty text */
    CLSA_OUT_SPECIAL,   /* something is there that is no regular file */
    CLSA_OUT_DANGLING,  /* a link that leads to no file is there */
    CLSA_OUT_NO_TARGET, /* errno: what is there cannot be looked at */
    CLSA_OUT_NO_FILE,   /* errno: no file can be created beside it */
    CLSA_OUT_NO_MEMORY
};

/* Creates the temporary file. clsa_out_free is due whatever the result is. */
enum clsa_out_result clsa_out_create(struct clsa_out *out, const char *path);
/* What was flushed reaches the disk; false, and errno, if not. Mounts that know
   no fsync are no failure. */
bool clsa_out_sync(struct clsa_out *out);
/* Gives the closed file its name; false, and errno, if that is refused: then it
   keeps the temporary name. */
bool clsa_out_replace(struct clsa_out *out);
/* Releases it; a file that is not whole is removed. All zero is none. */
void clsa_out_free(struct clsa_out *out);
/* Removes the temporary files that are there now. May be called by a signal
   handler before it ends the process; their writers fail afterward. */
void clsa_out_abandon(void);

/* The library's own way, with messages: open, write, close, rename, free. An
   `out` that was not opened needs no clsa_out_free. */
clsa_status clsa_out_open(struct clsa_out *out, const char *path,
                          clsa_error *error);
clsa_status clsa_out_write(struct clsa_out *out, const void *data, size_t size,
                           clsa_error *error);
/* All bytes reach the disk; the name stays the temporary one. */
clsa_status clsa_out_close(struct clsa_out *out, clsa_error *error);
clsa_status clsa_out_rename(struct clsa_out *out, clsa_error *error);

#endif /* CLSA_BASE_OUT_H */
