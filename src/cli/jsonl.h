/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonl: commands that take an object in each line and answer each with one
 * line, at once, so that a program may ask through a pipe. What is wrong with a
 * line is its answer, {"error": ...}, and the next one is read.
 */
#ifndef CLSA_CLI_JSONL_H
#define CLSA_CLI_JSONL_H

#include <jansson.h>

#include "src/cli/files.h"

#define CLI_JSONL_ERROR 600

/* The answer to a request, a new reference; NULL: it cannot be answered,
   `error` tells why, or is "" if memory was refused. */
typedef json_t *cli_jsonl_fn(void *user, const json_t *request,
                             char error[CLI_JSONL_ERROR]);

/* Hand the lines of a file, without their newlines, to a function that answers
   them, until it returns another status than CLI_DONE; NULL or "-": standard
   input. */
typedef int cli_line_fn(void *user, const char *line, size_t size);
int cli_jsonl_lines(const char *file, cli_line_fn *answer, void *user);

/* Print an answer, and release it; NULL is no memory. */
int cli_jsonl_print(json_t *line);

/* Answer all lines of a file; NULL or "-": standard input. */
int cli_jsonl_run(const char *file, cli_jsonl_fn *answer, void *user);

/* The text of a request, its member "text" or "base64"; a reason in `error` and
   NULL if there is none. To be released by cli_text_free. */
const char *cli_jsonl_text(const json_t *request, struct cli_text *text,
                           char error[CLI_JSONL_ERROR]);

/* Bytes as a string of base64, a new reference. */
json_t *cli_jsonl_base64(const char *bytes, size_t size);

#endif /* CLSA_CLI_JSONL_H */
