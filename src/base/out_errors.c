/* SPDX-License-Identifier: Apache-2.0 */
/* out as the library uses it: with its error messages. */
#include <errno.h>
#include <string.h>

#include "src/base/out.h"

static clsa_status explain(const struct clsa_out *out,
                           enum clsa_out_result result, clsa_error *error)
{
    switch (result) {
    case CLSA_OUT_OPEN:
        break;
    case CLSA_OUT_EMPTY:
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "the name of the file to write is empty: give one");
    case CLSA_OUT_SPECIAL:
        return clsa_fail(
            error, CLSA_ERR_IO,
            "%s: not a regular file, so it is not replaced: give another name",
            out->path);
    case CLSA_OUT_DANGLING:
        return clsa_fail(error, CLSA_ERR_IO,
                         "%s: this symbolic link points to no file: remove it "
                         "or give another name",
                         out->path);
    case CLSA_OUT_NO_TARGET:
        return clsa_fail_io(error, "%s: cannot be written", out->path);
    case CLSA_OUT_NO_FILE:
        return clsa_fail_io(error, "%s: cannot create a file beside it",
                            out->path);
    case CLSA_OUT_NO_MEMORY:
        return clsa_fail_memory(error, "a file name",
                                out->target ? strlen(out->target) + 8
                                            : strlen(out->path));
    }
    return CLSA_OK;
}

clsa_status clsa_out_open(struct clsa_out *out, const char *path,
                          clsa_error *error)
{
    const enum clsa_out_result result = clsa_out_create(out, path);
    const clsa_status status = explain(out, result, error);
    if (status)
        clsa_out_free(out);
    return status;
}

clsa_status clsa_out_write(struct clsa_out *out, const void *data, size_t size,
                           clsa_error *error)
{
    if (size == 0 || fwrite(data, 1, size, out->file) == size)
        return CLSA_OK;
    return clsa_fail_io(error, "%s: cannot be written", out->path);
}

clsa_status clsa_out_close(struct clsa_out *out, clsa_error *error)
{
    const bool whole = !fflush(out->file) && clsa_out_sync(out);
    const bool closed = !fclose(out->file);
    out->file = NULL;
    if (whole && closed)
        return CLSA_OK;
    return clsa_fail_io(error, "%s: cannot be written", out->path);
}

clsa_status clsa_out_rename(struct clsa_out *out, clsa_error *error)
{
    if (clsa_out_replace(out))
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_IO,
                     "%s: cannot be replaced: %s; the new file is %s",
                     out->path, strerror(errno), out->temporary);
}

void clsa_abandon_writes(void)
{
    clsa_out_abandon();
}
