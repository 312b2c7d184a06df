/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gguf_write: the keys of a GGUF v3 file in memory.
 */
#ifndef CLSA_CONVERT_GGUF_WRITE_H
#define CLSA_CONVERT_GGUF_WRITE_H

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

#endif /* CLSA_CONVERT_GGUF_WRITE_H */
