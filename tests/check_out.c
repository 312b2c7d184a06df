/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that replace others on mounts which refuse permissions, fsync, or to
 * give a file the name of another one. The linker puts __wrap_ functions in
 * place of these calls. Nothing is lost: the name has the old or the new
 * contents, and what could not be renamed is kept.
 *
 * Exit status: 0 passed, 1 failed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/out.h"

enum { NONE, OVER, ALL }; /* renames that are refused */

static int modes, syncs, renames; /* reasons, and which renames */
static unsigned failures;

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fsync(int fd);

static int refused(int reason)
{
    errno = reason;
    return reason ? -1 : 0;
}

int __wrap_rename(const char *from, const char *to)
{
    if (renames == ALL || (renames == OVER && access(to, F_OK) == 0))
        return refused(renames == ALL ? EBUSY : EEXIST);
    return __real_rename(from, to);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    (void)fd, (void)mode;
    return refused(modes);
}

int __wrap_fsync(int fd)
{
    (void)fd;
    return refused(syncs);
}

static void expect(bool true_so, const char *what)
{
    if (true_so)
        return;
    printf("FAIL %s\n", what);
    failures++;
}

static bool holds(const char *path, const char *text)
{
    char got[64] = "";
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    const size_t n = fread(got, 1, sizeof got - 1, file);
    fclose(file);
    return n == strlen(text) && memcmp(got, text, n) == 0;
}

/* Writes text to the file `name`; its temporary name. */
static clsa_status write_text(const char *text, clsa_error *error)
{
    struct clsa_out out = {.file = NULL};
    clsa_status status = clsa_out_open(&out, "name", error);
    if (!status)
        status = clsa_out_write(&out, text, strlen(text), error);
    if (!status)
        status = clsa_out_close(&out, error);
    if (!status)
        status = clsa_out_rename(&out, error);
    clsa_out_free(&out);
    return status;
}

int main(void)
{
    char folder[] = "check_out.XXXXXX", *kept;
    clsa_error error;
    if (!mkdtemp(folder) || chdir(folder))
        return EXIT_FAILURE;
    modes = EPERM;
    syncs = EINVAL;
    expect(write_text("one", &error) == CLSA_OK && holds("name", "one"),
           "a mount without permissions and fsync");
    modes = EIO;
    expect(write_text("two", &error) == CLSA_ERR_IO && holds("name", "one"),
           "permissions that fail");
    modes = 0;
    syncs = EIO;
    expect(write_text("two", &error) == CLSA_ERR_IO && holds("name", "one"),
           "an fsync that fails");
    syncs = 0;
    renames = OVER;
    expect(write_text("three", &error) == CLSA_OK && holds("name", "three"),
           "a mount that gives no file the name of another");
    renames = ALL;
    expect(write_text("four", &error) == CLSA_ERR_IO && holds("name", "three"),
           "a name that cannot be given");
    kept = strstr(error.message, "the new file is ");
    kept = kept ? kept + strlen("the new file is ") : "";
    expect(holds(kept, "four"), "what could not be renamed is kept");
    expect(unlink(kept) == 0 && unlink("name") == 0 && chdir("..") == 0 &&
               rmdir(folder) == 0,
           "no other file is left");
    printf("%u failed\n", failures);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
