/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gguf_write: the keys and the start of a GGUF v3 file in memory. src/convert
 * writes files with them, src/arch makes models of random weights.
 */
#ifndef CLSA_MODEL_GGUF_WRITE_H
#define CLSA_MODEL_GGUF_WRITE_H

#include "src/model/gguf.h"

#define CLSA_GGUF_ALIGNMENT 32

/* Bytes that grow; `failed` stays once memory was refused. All zero: empty. */
struct clsa_bytes {
    unsigned char *data;
    size_t size, capacity;
    bool failed;
};

void clsa_bytes_add(struct clsa_bytes *bytes, const void *data, size_t size);
void clsa_bytes_free(struct clsa_bytes *bytes);

/* Metadata keys, in the order they are put. */
struct clsa_keys {
    struct clsa_bytes bytes;
    uint64_t count;
};

void clsa_keys_u32(struct clsa_keys *keys, const char *name, uint32_t value);
void clsa_keys_f32(struct clsa_keys *keys, const char *name, float value);
void clsa_keys_bool(struct clsa_keys *keys, const char *name, bool value);
void clsa_keys_text(struct clsa_keys *keys, const char *name, const char *text,
                    size_t size);

/* The head of an array of `count` elements, which are then added: strings by
   clsa_keys_string, numbers as they are. */
void clsa_keys_array(struct clsa_keys *keys, const char *name,
                     enum clsa_gguf_type element, uint64_t count);
void clsa_keys_string(struct clsa_keys *keys, const char *text, size_t size);

/* A key of another file, as it is. */
void clsa_keys_copy(struct clsa_keys *keys, const struct clsa_gguf_key *key);

/* The start of a file: all before the infos of its tensors. */
void clsa_gguf_begin(struct clsa_bytes *bytes, uint64_t tensors,
                     const struct clsa_keys *keys);

/* The info of the next tensor: a vector [cols] if `dims` is 1, else a matrix
   [rows][cols]; offset from the start of the tensors' data. */
void clsa_gguf_put_tensor(struct clsa_bytes *bytes, const char *name,
                          uint32_t dims, uint64_t rows, uint64_t cols,
                          uint32_t type, uint64_t offset);

#endif /* CLSA_MODEL_GGUF_WRITE_H */
