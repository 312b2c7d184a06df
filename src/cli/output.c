/* SPDX-License-Identifier: Apache-2.0 */
/* output: src/base/out with the messages of the program. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/cli/message.h"
#include "src/cli/output.h"

static int refused(const char *path)
{
    return cli_fail("%s: %s: give a file in a folder that can be written", path,
                    strerror(errno));
}

/* Whether it is a pipe, a device, a folder and whatever else is no file. */
static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

static int explain(const char *path, enum clsa_out_result result)
{
    switch (result) {
    case CLSA_OUT_OPEN:
        return CLI_DONE;
    case CLSA_OUT_DANGLING:
        return cli_fail("%s: this symbolic link points to no file: remove it "
                        "or give another name",
                        path);
    case CLSA_OUT_SPECIAL:
        return cli_fail("%s: not a regular file: give another name", path);
    case CLSA_OUT_NO_MEMORY:
        return cli_fail_memory();
    case CLSA_OUT_EMPTY:
        cli_fail("the name of the file to write is empty: give one");
        return CLI_USAGE;
    case CLSA_OUT_NO_TARGET:
    case CLSA_OUT_NO_FILE:
        break;
    }
    return refused(path);
}

int cli_output_open(struct clsa_out *out, const char *path)
{
    if (is_special(path)) {
        *out = (struct clsa_out){.file = fopen(path, "wb"), .path = path};
        return out->file ? CLI_DONE : refused(path);
    }
    int status = explain(path, clsa_out_create(out, path));
    if (status)
        clsa_out_free(out);
    return status;
}

int cli_output_close(struct clsa_out *out)
{
    bool lost = ferror(out->file);
    errno = lost ? EIO : 0;
    lost |= fclose(out->file) != 0;
    out->file = NULL;
    if (!lost && out->target && !clsa_out_replace(out))
        return cli_fail("%s: cannot be replaced: %s; the new file is %s",
                        out->path, strerror(errno), out->temporary);
    if (lost)
        return cli_fail("%s: %s: cannot be written", out->path,
                        strerror(errno));
    return CLI_DONE;
}

/* Two new files are the same one by any name: their folders are resolved, too,
   through the temporary files, which are there. */
bool cli_output_same(const struct clsa_out *a, const struct clsa_out *b)
{
    const size_t end = strlen(".XXXXXX");
    bool same = false;
    if (!a->target || !b->target)
        return false;
    char *x = realpath(a->temporary, NULL);
    char *y = realpath(b->temporary, NULL);
    if (x && y && strlen(x) == strlen(y))
        same = strncmp(x, y, strlen(x) - end) == 0;
    free(x);
    free(y);
    return same;
}

int cli_output_apart(const char *output, const char *input)
{
    struct stat from, to;
    if (!output || !input || stat(input, &from) != 0 ||
        stat(output, &to) != 0 || !S_ISREG(to.st_mode) ||
        from.st_dev != to.st_dev || from.st_ino != to.st_ino)
        return CLI_DONE;
    cli_fail("%s: is the same file as '%s', which is read and would be lost: "
             "give another name",
             output, input);
    return CLI_USAGE;
}

bool cli_output_is_fixed(const char *path)
{
    struct clsa_out out;
    const enum clsa_out_result result = clsa_out_create(&out, path);
    clsa_out_free(&out);
    return result == CLSA_OUT_NO_FILE;
}

int cli_output_check(const char *path)
{
    if (is_special(path))
        return explain(path, CLSA_OUT_SPECIAL);
    struct clsa_out out;
    CLI_TRY(cli_output_open(&out, path));
    clsa_out_free(&out);
    return CLI_DONE;
}
