/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: files of a model folder, of bounded size, and typed values of JSON
 * objects, which are hostile input: whatever is wrong is named by file and
 * key.
 */
#ifndef CLSA_CONVERT_JSON_H
#define CLSA_CONVERT_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "src/base/status.h"

/* FOLDER/NAME; NULL when memory is refused. */
char *clsa_path_join(const char *folder, const char *name);
bool clsa_path_exists(const char *path);
/* The part after the last slash. */
const char *clsa_base_name(const char *path);

/* The contents of a regular file, followed by a NUL; to be released by
   clsa_mem_free. */
clsa_status clsa_file_load(const char *path, size_t limit, char **data,
                           size_t *size, clsa_error *error);

/* JSON of Python as JSON: a byte-order mark left out, NaN and infinities as
   texts, large integers as doubles. `text` ends with a NUL after `size` bytes.
   To be released by clsa_mem_free; NULL when memory is refused. */
char *clsa_json_plain(const char *text, size_t size);

/* A JSON object from a file, as Python's json reads it, or strictly from `size`
   bytes of one. */
clsa_status clsa_json_load(json_t **object, const char *path, size_t limit,
                           clsa_error *error);
clsa_status clsa_json_parse(json_t **object, const char *path, const char *text,
                            size_t size, clsa_error *error);

/* Where the values below are, for messages. */
struct clsa_json_source {
    const char *path;
    const json_t *object;
    clsa_error *error;
};

/* Values of keys. Where one is absent or null and not required, *value stays
   as it is; other kinds and values out of range are errors. */
clsa_status clsa_json_uint(const struct clsa_json_source *s, const char *key,
                           bool required, uint64_t min, uint64_t max,
                           uint64_t *value);
clsa_status clsa_json_number(const struct clsa_json_source *s, const char *key,
                             double min, double max, double *value);
clsa_status clsa_json_bool(const struct clsa_json_source *s, const char *key,
                           bool *value);
clsa_status clsa_json_text(const struct clsa_json_source *s, const char *key,
                           const char **value);

#endif /* CLSA_CONVERT_JSON_H */
