/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gguf: a GGUF v3 file mapped read-only. The file is hostile input: every
 * count, length and offset is bounded by the file's size and checked for
 * overflow before it is used, and memory taken is in proportion to the file.
 * Knows nothing of any network. Format: clsa-gguf(5).
 *
 *   [magic "GGUF"][u32 version 3][u64 tensors][u64 keys]
 *   [keys: string, u32 type, value]...
 *   [tensor infos: string, u32 dims, u64 dim[dims], u32 type, u64 offset]...
 *   [padding to general.alignment][tensor data, each at its aligned offset]
 */
#ifndef CLSA_MODEL_GGUF_H
#define CLSA_MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/simd.h"
#include "src/base/status.h"

enum clsa_gguf_type {
    CLSA_GGUF_U8,
    CLSA_GGUF_I8,
    CLSA_GGUF_U16,
    CLSA_GGUF_I16,
    CLSA_GGUF_U32,
    CLSA_GGUF_I32,
    CLSA_GGUF_F32,
    CLSA_GGUF_BOOL,
    CLSA_GGUF_STRING,
    CLSA_GGUF_ARRAY,
    CLSA_GGUF_U64,
    CLSA_GGUF_I64,
    CLSA_GGUF_F64,
};

/* A string in the file: valid UTF-8, not followed by a NUL. */
struct clsa_gguf_string {
    const char *text;
    size_t size;
};

/* One metadata key; its name has been copied and ends with a NUL. */
struct clsa_gguf_key {
    char *name;
    enum clsa_gguf_type type;    /* of the value */
    enum clsa_gguf_type element; /* arrays: of the elements (no arrays) */
    uint64_t count;              /* arrays: elements; else 1 */
    const unsigned char *data;   /* first value, in the mapping */
};

struct clsa_gguf_tensor {
    char *name;
    uint32_t type;     /* number of GGUF; maybe none that clsa knows */
    uint32_t dims;     /* 1..4 */
    uint64_t shape[4]; /* in the order of the file: fastest first; then 1 */
    uint32_t part;     /* of a model in parts: its file; 0 is the first */
    uint64_t offset;   /* from the start of its file */
    uint64_t size;     /* bytes; 0 for types that clsa does not know */
    const void *data;  /* [size], NULL for unknown types; or its NUMA copy */
};

/* One entry of the sorted indexes by which names are found. */
struct clsa_gguf_name {
    const char *name;
    size_t at; /* in keys or tensors */
};

struct clsa_gguf {
    char *path;                /* for messages: the end of a very long one */
    const unsigned char *base; /* the mapping, [size] */
    size_t size;
    bool in_memory;           /* read, as the file cannot be mapped */
    uint64_t device, inode;   /* of the file */
    struct clsa_gguf **parts; /* the other files of a model in parts, for their
                                 mappings: their tensors are in `tensors` */
    size_t part_count;
    void *numa_weights; /* copies of tensors on their nodes, or NULL */
    size_t numa_size;
    bool populated;
    size_t key_count, tensor_count;
    struct clsa_gguf_key *keys;          /* in the order of the file */
    struct clsa_gguf_tensor *tensors;    /* in the order of the file */
    struct clsa_gguf_name *key_names;    /* [key_count], sorted */
    struct clsa_gguf_name *tensor_names; /* [tensor_count], sorted */
};

/*
 * Maps and checks a file, and the other parts of a model if it is the first of
 * several: NAME-00001-of-0000N.gguf. Neither a FIFO nor a device is waited for.
 * The files must not be made shorter while they are open: reads past a new end
 * raise SIGBUS.
 */
clsa_status clsa_gguf_open(struct clsa_gguf **gguf, const char *path,
                           clsa_error *error);
void clsa_gguf_close(struct clsa_gguf *gguf);

/* The same of bytes in memory, which are copied; `path` is for messages. */
clsa_status clsa_gguf_open_bytes(struct clsa_gguf **gguf, const char *path,
                                 const void *bytes, size_t size,
                                 clsa_error *error);

/* Bytes of files that were read into memory. */
uint64_t clsa_gguf_memory(const struct clsa_gguf *gguf);

/* Whether these are the bytes of a pointer that Git LFS leaves in place of a
   file. */
bool clsa_is_lfs_pointer(const unsigned char *data, size_t size);

/* Whether all bytes of a tensor are 0. Reads up to the first other one. */
bool clsa_is_zero(const void *data, uint64_t size);

/* Bytes of all its files. */
uint64_t clsa_gguf_bytes(const struct clsa_gguf *gguf);

/* Whether a path leads to one of its files, by whatever name. */
bool clsa_gguf_is_file(const struct clsa_gguf *gguf, const char *path);

/* Advice to the system about all mappings. */
void clsa_gguf_advise(const struct clsa_gguf *gguf, int advice);

/* Have the system read all of the model and map it at once, where it can,
   rather than page by page as the first step comes by. Once; no error. */
void clsa_gguf_populate(struct clsa_gguf *gguf);

/* NULL when there is none of that name. */
const struct clsa_gguf_key *clsa_gguf_key(const struct clsa_gguf *gguf,
                                          const char *name);
const struct clsa_gguf_tensor *clsa_gguf_tensor(const struct clsa_gguf *gguf,
                                                const char *name);

/*
 * Typed reads. A key that is absent leaves *value as it is and is an error
 * only where `required`; a key of another type or out of [min, max] is always
 * an error. Integers of any width are accepted where they fit.
 */
clsa_status clsa_gguf_uint(const struct clsa_gguf *gguf, const char *name,
                           bool required, uint64_t min, uint64_t max,
                           uint64_t *value, clsa_error *error);
clsa_status clsa_gguf_float(const struct clsa_gguf *gguf, const char *name,
                            bool required, double min, double max,
                            double *value, clsa_error *error);
clsa_status clsa_gguf_bool(const struct clsa_gguf *gguf, const char *name,
                           bool required, bool *value, clsa_error *error);
clsa_status clsa_gguf_text(const struct clsa_gguf *gguf, const char *name,
                           bool required, struct clsa_gguf_string *value,
                           clsa_error *error);

/*
 * All strings of an array key as a new array [*count] of views into the
 * mapping, to be released by clsa_mem_free. Required.
 */
clsa_status clsa_gguf_strings(const struct clsa_gguf *gguf, const char *name,
                              struct clsa_gguf_string **values, size_t *count,
                              clsa_error *error);

/* All integers of an array key, as above; required only where told so (then
 *values is NULL and *count 0 when it is absent). */
clsa_status clsa_gguf_ints(const struct clsa_gguf *gguf, const char *name,
                           bool required, int32_t **values, size_t *count,
                           clsa_error *error);

/* All floats of an array key of 32-bit ones. Required. */
clsa_status clsa_gguf_floats(const struct clsa_gguf *gguf, const char *name,
                             float **values, size_t *count, clsa_error *error);

#endif /* CLSA_MODEL_GGUF_H */
