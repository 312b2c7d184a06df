/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: whole files in and JSON in and out, for the commands. A file name of
 * "-" is standard input. All functions report what went wrong and where.
 */
#ifndef CLSA_CLI_FILES_H
#define CLSA_CLI_FILES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A text that grows. All zero is empty; `data` is then NULL, later always
   NUL-terminated. */
struct cli_text {
    char *data;
    size_t size, capacity;
};

int cli_text_add(struct cli_text *text, const char *data, size_t size);
void cli_text_free(struct cli_text *text);

/* Replace in place the escapes \n \r \t \' \" \\ and \xHH of a text, which may
   be NULL. Others stay as they are, and so does \x00. */
void cli_unescape(char *text);

/* Bytes of a file that is read whole, at most. */
#define CLI_FILE_MAX 2147483647u

/* Read all of a file. Input without an end is refused at CLI_FILE_MAX. */
int cli_file_read(const char *path, struct cli_text *text);

/* Token ids; to be released by free. */
struct cli_ids {
    int32_t *ids;
    size_t count;
};

/* Parse a JSON text, which begins at a line of a file; a byte-order mark in
   front of the first is left out. */
int cli_json_parse(const char *path, size_t line, const char *text, size_t size,
                   json_t **json);

/* Read a JSON file that has to be a list. */
int cli_json_read_list(const char *path, json_t **list);

/* Ids of a JSON list of at least one, each a token of `vocab`; `where` and
   the number of the entry name it in messages. */
int cli_json_ids(const json_t *list, uint32_t vocab, const char *where,
                 size_t entry, struct cli_ids *ids);

/* Print one document to stdout and release it; NULL is no memory. */
int cli_json_print(json_t *json);

/* Append a new reference to a list; NULL is no memory. */
int cli_json_append(json_t *list, json_t *item);

/* A string of any bytes, U+FFFD for those that are not valid UTF-8; NULL is no
   memory. */
json_t *cli_json_string(const char *text, size_t size);

/* A string of any bytes, '?' for those past ASCII where they are not valid
   UTF-8; NULL is no memory. */
json_t *cli_json_text(const char *text);

#endif /* CLSA_CLI_FILES_H */
