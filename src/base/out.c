/* SPDX-License-Identifier: Apache-2.0 */
/* The file that is renamed when it is whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/out.h"

/* What the umask leaves of rw-rw-rw-. */
static mode_t new_mode(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* Finds what is to be replaced, if anything, and the permissions. */
static clsa_status find_target(struct clsa_out *out, mode_t *mode,
                               clsa_error *error)
{
    const char *path = out->path;
    struct stat info;
    if (!*path)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "the name of the file to write is empty: give one");
    if (stat(path, &info) == 0) {
        if (!S_ISREG(info.st_mode))
            return clsa_fail(error, CLSA_ERR_IO,
                             "%s: this is no regular file and is not "
                             "replaced: give another name",
                             path);
        *mode = info.st_mode & 0777;
        out->target = realpath(path, NULL);
        if (!out->target && errno != ENOMEM)
            return clsa_fail_io(error, "%s: cannot be written", path);
    } else if (errno != ENOENT) {
        return clsa_fail_io(error, "%s: cannot be written", path);
    } else if (lstat(path, &info) == 0) {
        return clsa_fail(error, CLSA_ERR_IO,
                         "%s: this link leads to no file: remove it or give "
                         "another name",
                         path);
    } else {
        *mode = new_mode();
        out->target = clsa_mem_dup(path, strlen(path));
    }
    return out->target ? CLSA_OK
                       : clsa_fail_memory(error, "a file name", strlen(path));
}

static FILE *create(char *name, mode_t mode)
{
    int fd = mkstemp(name);
    if (fd < 0)
        return NULL;
    FILE *file = fchmod(fd, mode) ? NULL : fdopen(fd, "wb");
    if (!file) {
        close(fd);
        unlink(name);
    }
    return file;
}

static clsa_status open_beside(struct clsa_out *out, mode_t mode,
                               clsa_error *error)
{
    const size_t size = strlen(out->target);
    char *name = clsa_mem_calloc(size + 8, 1);
    if (!name)
        return clsa_fail_memory(error, "a file name", size + 8);
    memcpy(name, out->target, size);
    memcpy(name + size, ".XXXXXX", 7);
    out->file = create(name, mode);
    if (out->file) {
        out->temporary = name;
        return CLSA_OK;
    }
    clsa_fail_io(error, "%s: cannot create a file beside it", out->path);
    clsa_mem_free(name);
    return CLSA_ERR_IO;
}

clsa_status clsa_out_open(struct clsa_out *out, const char *path,
                          clsa_error *error)
{
    mode_t mode = 0;
    *out = (struct clsa_out){.path = path};
    clsa_status status = find_target(out, &mode, error);
    if (!status)
        status = open_beside(out, mode, error);
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
    const bool whole = !fflush(out->file) && !fsync(fileno(out->file));
    const bool closed = !fclose(out->file);
    out->file = NULL;
    if (whole && closed)
        return CLSA_OK;
    return clsa_fail_io(error, "%s: cannot be written", out->path);
}

clsa_status clsa_out_rename(struct clsa_out *out, clsa_error *error)
{
    if (rename(out->temporary, out->target))
        return clsa_fail_io(error, "%s: cannot be replaced", out->path);
    clsa_mem_free(out->temporary);
    out->temporary = NULL;
    return CLSA_OK;
}

void clsa_out_free(struct clsa_out *out)
{
    if (out->file)
        fclose(out->file);
    if (out->temporary)
        unlink(out->temporary);
    clsa_mem_free(out->temporary);
    clsa_mem_free(out->target);
    *out = (struct clsa_out){.file = NULL};
}
