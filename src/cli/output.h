/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: files that commands write themselves, and names of those that the
 * library will write. A file is written beside its final name and renamed when
 * it is whole, with the rules of clsa_session_save for links and permissions;
 * a pipe or a device is written to as it is. All functions say what went
 * wrong.
 */
#ifndef CLSA_CLI_OUTPUT_H
#define CLSA_CLI_OUTPUT_H

#include <stdio.h>

/* All zero is none. */
struct cli_output {
    FILE *file;
    const char *path; /* as given */
    char *target;     /* with links followed; NULL: no regular file */
    char *temporary;  /* TARGET.XXXXXX, NULL once it is renamed */
};

int cli_output_open(struct cli_output *output, const char *path);

/* The file is whole: give it its name. Says when something of it was lost. */
int cli_output_close(struct cli_output *output);

/* Release it; a file that was not closed is removed. */
void cli_output_drop(struct cli_output *output);

/* 1 where two files will replace one another. */
int cli_output_same(const struct cli_output *a, const struct cli_output *b);

/* Check before long work that a file, and no other thing, can be written. */
int cli_output_check(const char *path);

#endif /* CLSA_CLI_OUTPUT_H */
