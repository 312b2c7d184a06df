/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: files that commands write themselves, and names of those that the
 * library will write. A file is written beside its final name and renamed when
 * it is whole, with the rules of clsa_session_save for links and permissions;
 * a pipe or a device is written to as it is. All functions report what went
 * wrong.
 */
#ifndef CLSA_CLI_OUTPUT_H
#define CLSA_CLI_OUTPUT_H

#include <stdbool.h>

#include "src/base/out.h"

/* `out` all zero is none; its target is NULL for a pipe or a device. */
int cli_output_open(struct clsa_out *out, const char *path);

/* The file is whole: give it its name. Reports when something of it was lost.
   Before and after it, clsa_out_free releases the file. */
int cli_output_close(struct clsa_out *out);

/* Whether two files will replace one another. */
bool cli_output_same(const struct clsa_out *a, const struct clsa_out *b);

/* Refuse an output that is a file which is read, by whatever name; NULL is no
   file. */
int cli_output_apart(const char *output, const char *input);

/* Whether the folder of a file refuses new files, as one that is mounted
   read-only does. Says nothing. */
bool cli_output_is_fixed(const char *path);

/* Check before long work that a file, and no other thing, can be written. */
int cli_output_check(const char *path);

#endif /* CLSA_CLI_OUTPUT_H */
