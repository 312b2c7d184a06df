/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear when they are whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/message.h"
#include "src/cli/output.h"

static int refused(const char *path)
{
    return cli_fail("%s: %s: give a file in a folder that can be written", path,
                    strerror(errno));
}

/* 1 for a pipe, a device, a folder and whatever else is no file. */
static int is_special(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

/* The name of a new file, the same one for every way to write it. */
static char *new_target(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    char *folder =
        slash != NULL ? strndup(path, (size_t)(base - path)) : strdup(".");
    char *real = folder != NULL ? realpath(folder, NULL) : NULL;
    char *target = NULL;

    if (real != NULL)
        target = malloc(strlen(real) + strlen(base) + 2);
    if (target != NULL)
        sprintf(target, "%s/%s", real, base);
    free(folder);
    free(real);
    return target;
}

/* What will be replaced, and the permissions it has or a new file gets. */
static int find_target(struct cli_output *output, mode_t *mode)
{
    struct stat info;

    if (stat(output->path, &info) == 0) {
        *mode = info.st_mode & 0777;
        output->target = realpath(output->path, NULL);
    } else if (errno != ENOENT) {
        return refused(output->path);
    } else if (lstat(output->path, &info) == 0) {
        return cli_fail("%s: this link leads to no file: remove it or give "
                        "another name",
                        output->path);
    } else {
        *mode = umask(0);
        umask(*mode);
        *mode = 0666 & ~*mode;
        output->target = new_target(output->path);
    }
    return output->target != NULL ? CLI_DONE : refused(output->path);
}

static int open_beside(struct cli_output *output, mode_t mode)
{
    size_t size = strlen(output->target);
    char *name = malloc(size + 8);
    int fd;

    if (name == NULL)
        return cli_fail_memory();
    memcpy(name, output->target, size);
    memcpy(name + size, ".XXXXXX", 8);
    fd = mkstemp(name);
    if (fd >= 0) {
        output->temporary = name;
        if (fchmod(fd, mode) == 0)
            output->file = fdopen(fd, "wb");
        if (output->file != NULL)
            return CLI_DONE;
    }
    refused(output->path);
    if (fd >= 0)
        close(fd);
    else
        free(name);
    return CLI_FAILED;
}

int cli_output_open(struct cli_output *output, const char *path)
{
    mode_t mode = 0;
    int status;

    memset(output, 0, sizeof *output);
    output->path = path;
    if (is_special(path)) {
        output->file = fopen(path, "wb");
        return output->file != NULL ? CLI_DONE : refused(path);
    }
    status = find_target(output, &mode);
    if (status == CLI_DONE)
        status = open_beside(output, mode);
    if (status != CLI_DONE)
        cli_output_drop(output);
    return status;
}

int cli_output_close(struct cli_output *output)
{
    int lost = ferror(output->file);

    errno = lost ? EIO : 0;
    lost |= fclose(output->file) != 0;
    output->file = NULL;
    if (!lost && output->target != NULL)
        lost = rename(output->temporary, output->target) != 0;
    if (lost)
        return cli_fail("%s: %s: cannot be written", output->path,
                        strerror(errno));
    free(output->temporary);
    output->temporary = NULL;
    return CLI_DONE;
}

void cli_output_drop(struct cli_output *output)
{
    if (output->file != NULL)
        fclose(output->file);
    if (output->temporary != NULL)
        unlink(output->temporary);
    free(output->temporary);
    free(output->target);
    memset(output, 0, sizeof *output);
}

int cli_output_same(const struct cli_output *a, const struct cli_output *b)
{
    return a->target != NULL && b->target != NULL &&
           strcmp(a->target, b->target) == 0;
}

int cli_output_check(const char *path)
{
    struct cli_output output;

    if (is_special(path))
        return cli_fail("%s: this is no regular file: give another name", path);
    CLI_TRY(cli_output_open(&output, path));
    cli_output_drop(&output);
    return CLI_DONE;
}
