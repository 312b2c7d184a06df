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

#include <stdbool.h>

#include "simd/simd.h"
#include "src/base/status.h"

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
};

clsa_status clsa_st_open(struct clsa_st *st, const char *folder,
                         clsa_error *error);
void clsa_st_close(struct clsa_st *st);

/* NULL when there is none of that name. */
struct clsa_st_tensor *clsa_st_find(const struct clsa_st *st, const char *name);

#endif /* CLSA_CONVERT_SAFETENSORS_H */
