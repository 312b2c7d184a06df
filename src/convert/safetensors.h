/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors: the tensors of a folder, in one file or in shards, mapped
 * read-only. Hostile input: every offset and count is bounded by its file.
 *
 *   [u64 size of the header][header: JSON {name: {dtype, shape,
 *   data_offsets}}][data]
 */
#ifndef CLSA_CONVERT_SAFETENSORS_H
#define CLSA_CONVERT_SAFETENSORS_H

#include <jansson.h>
#include <stdbool.h>

#include "simd/simd.h"
#include "src/base/status.h"

#define CLSA_ST_NAME_LIMIT 200 /* bytes of a name */

struct clsa_st_tensor {
    char *name;
    const char *file; /* base name, for messages */
    bool known;       /* F32, F16 or BF16 of one or two dimensions */
    char dtype[12];
    enum clsa_format format;
    uint32_t dims;     /* of known tensors: 1 or 2 */
    uint64_t shape[2]; /* [rows][cols], [n][1] */
    const void *data;
    bool used; /* by the plan */
};

struct clsa_st_file {
    char *path;
    const unsigned char *base;
    size_t size;
};

struct clsa_st {
    struct clsa_st_file *files;
    size_t file_count;
    struct clsa_st_tensor *tensors; /* sorted by name */
    size_t count, capacity;
    char *index_path; /* of the index, or NULL */
    json_t *index;
};

clsa_status clsa_st_open(struct clsa_st *st, const char *folder,
                         clsa_error *error);
void clsa_st_close(struct clsa_st *st);

/* NULL when there is none of that name. */
struct clsa_st_tensor *clsa_st_find(const struct clsa_st *st, const char *name);

/* Leaves out the first `size` bytes of all names that begin with these bytes
   of `prefix`. */
clsa_status clsa_st_strip(struct clsa_st *st, size_t size, const char *prefix,
                          clsa_error *error);

/* safetensors_files.c: maps the files of a folder. */
clsa_status clsa_st_open_files(struct clsa_st *st, const char *folder,
                               clsa_error *error);
/* Every tensor that the index names has to be in the file that it names. */
clsa_status clsa_st_check_index(const struct clsa_st *st, clsa_error *error);
/* Takes the parts that wrappers add out of a name, in place. */
void clsa_st_unwrap(char *name);

#endif /* CLSA_CONVERT_SAFETENSORS_H */
