/* SPDX-License-Identifier: Apache-2.0 */
/* The file that is renamed when it is whole, without any message. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/out.h"

/* Names of temporary files, for clsa_out_abandon. A file that finds no place is
   written all the same. */
static _Atomic(char *) unfinished[16];

static void remember(char *name)
{
    for (size_t i = 0; i < sizeof unfinished / sizeof unfinished[0]; i++) {
        char *none = NULL;
        if (atomic_compare_exchange_strong(&unfinished[i], &none, name))
            return;
    }
}

static void forget(char *name)
{
    for (size_t i = 0; i < sizeof unfinished / sizeof unfinished[0]; i++) {
        char *same = name;
        if (atomic_compare_exchange_strong(&unfinished[i], &same, NULL))
            return;
    }
}

void clsa_out_abandon(void)
{
    for (size_t i = 0; i < sizeof unfinished / sizeof unfinished[0]; i++) {
        const char *name = atomic_load(&unfinished[i]);
        if (name)
            unlink(name);
    }
}

/* What the umask leaves of rw-rw-rw-. */
static mode_t new_mode(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* Text and `end` in one. */
static char *join(const char *text, const char *end)
{
    const size_t size = strlen(text), more = strlen(end) + 1;
    char *copy = malloc(size + more);
    if (copy) {
        memcpy(copy, text, size);
        memcpy(copy + size, end, more);
    }
    return copy;
}

/* Finds what is to be replaced, if anything, and the permissions. */
static enum clsa_out_result find_target(struct clsa_out *out, mode_t *mode)
{
    struct stat info;
    if (!*out->path)
        return CLSA_OUT_EMPTY;
    if (stat(out->path, &info) == 0) {
        if (!S_ISREG(info.st_mode))
            return CLSA_OUT_SPECIAL;
        *mode = info.st_mode & 0777;
        out->target = realpath(out->path, NULL);
        if (!out->target && errno != ENOMEM)
            return CLSA_OUT_NO_TARGET;
    } else if (errno != ENOENT) {
        return CLSA_OUT_NO_TARGET;
    } else if (lstat(out->path, &info) == 0) {
        return CLSA_OUT_DANGLING;
    } else {
        *mode = new_mode();
        out->target = join(out->path, "");
    }
    return out->target ? CLSA_OUT_OPEN : CLSA_OUT_NO_MEMORY;
}

/* Whether a mount refuses a call as such, and not for this file. */
static bool is_unsupported(int reason)
{
    return reason == EPERM || reason == EINVAL || reason == ENOSYS ||
           reason == EOPNOTSUPP;
}

/* Mounts without permissions refuse to change them: the file then has the
   permissions of mkstemp or of the mount, which is no reason to lose it. */
static bool set_mode(int fd, mode_t mode)
{
    return fchmod(fd, mode) == 0 || is_unsupported(errno);
}

static FILE *create(char *name, mode_t mode)
{
    int fd = mkstemp(name);
    if (fd < 0)
        return NULL;
    FILE *file = set_mode(fd, mode) ? fdopen(fd, "wb") : NULL;
    if (!file) {
        const int reason = errno;
        close(fd);
        unlink(name);
        errno = reason;
    }
    return file;
}

enum clsa_out_result clsa_out_create(struct clsa_out *out, const char *path)
{
    mode_t mode = 0;
    *out = (struct clsa_out){.path = path};
    const enum clsa_out_result result = find_target(out, &mode);
    if (result != CLSA_OUT_OPEN)
        return result;
    char *name = join(out->target, ".XXXXXX");
    if (!name)
        return CLSA_OUT_NO_MEMORY;
    out->file = create(name, mode);
    if (out->file) {
        out->temporary = name;
        remember(name);
        return CLSA_OUT_OPEN;
    }
    const int reason = errno;
    free(name);
    errno = reason;
    return CLSA_OUT_NO_FILE;
}

bool clsa_out_sync(struct clsa_out *out)
{
    return fsync(fileno(out->file)) == 0 || is_unsupported(errno);
}

/* Where no file can take the name of another one, the other one steps aside. */
static bool replace_aside(const struct clsa_out *out)
{
    char *old = join(out->temporary, ".old");
    bool done = old && rename(out->target, old) == 0;
    if (done && rename(out->temporary, out->target)) {
        const int reason = errno;
        rename(old, out->target);
        errno = reason;
        done = false;
    } else if (done) {
        unlink(old);
    }
    free(old);
    return done;
}

bool clsa_out_replace(struct clsa_out *out)
{
    out->kept =
        rename(out->temporary, out->target) &&
        !((errno == EEXIST || is_unsupported(errno)) && replace_aside(out));
    forget(out->temporary);
    if (out->kept)
        return false;
    free(out->temporary);
    out->temporary = NULL;
    return true;
}

void clsa_out_free(struct clsa_out *out)
{
    if (out->file)
        fclose(out->file);
    if (out->temporary && !out->kept) {
        unlink(out->temporary);
        forget(out->temporary);
    }
    free(out->temporary);
    free(out->target);
    *out = (struct clsa_out){.file = NULL};
}
