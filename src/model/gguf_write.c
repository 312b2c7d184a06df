/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and infos of a GGUF file. */
#include <string.h>

#include "src/base/mem.h"
#include "src/model/gguf_write.h"

void clsa_bytes_add(struct clsa_bytes *bytes, const void *data, size_t size)
{
    size_t need;
    if (bytes->failed || size == 0)
        return;
    if (!clsa_size_add(bytes->size, size, &need) || need > SIZE_MAX / 4) {
        bytes->failed = true;
        return;
    }
    if (need > bytes->capacity) {
        size_t capacity = need + need / 2 + 256;
        unsigned char *grown = clsa_mem_resize(bytes->data, capacity, 1);
        if (!grown) {
            bytes->failed = true;
            return;
        }
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size = need;
}

void clsa_bytes_free(struct clsa_bytes *bytes)
{
    clsa_mem_free(bytes->data);
    *bytes = (struct clsa_bytes){.data = NULL};
}

void clsa_keys_string(struct clsa_keys *keys, const char *text, size_t size)
{
    const uint64_t length = size;
    clsa_bytes_add(&keys->bytes, &length, sizeof length);
    clsa_bytes_add(&keys->bytes, text, size);
}

static void begin(struct clsa_keys *keys, const char *name, uint32_t type)
{
    clsa_keys_string(keys, name, strlen(name));
    clsa_bytes_add(&keys->bytes, &type, sizeof type);
    keys->count++;
}

void clsa_keys_u32(struct clsa_keys *keys, const char *name, uint32_t value)
{
    begin(keys, name, CLSA_GGUF_U32);
    clsa_bytes_add(&keys->bytes, &value, sizeof value);
}

void clsa_keys_f32(struct clsa_keys *keys, const char *name, float value)
{
    begin(keys, name, CLSA_GGUF_F32);
    clsa_bytes_add(&keys->bytes, &value, sizeof value);
}

void clsa_keys_bool(struct clsa_keys *keys, const char *name, bool value)
{
    const uint8_t byte = value;
    begin(keys, name, CLSA_GGUF_BOOL);
    clsa_bytes_add(&keys->bytes, &byte, 1);
}

void clsa_keys_text(struct clsa_keys *keys, const char *name, const char *text,
                    size_t size)
{
    begin(keys, name, CLSA_GGUF_STRING);
    clsa_keys_string(keys, text, size);
}

void clsa_keys_array(struct clsa_keys *keys, const char *name,
                     enum clsa_gguf_type element, uint64_t count)
{
    const uint32_t type = element;
    begin(keys, name, CLSA_GGUF_ARRAY);
    clsa_bytes_add(&keys->bytes, &type, sizeof type);
    clsa_bytes_add(&keys->bytes, &count, sizeof count);
}

/* Bytes of `count` values at p, which the reader has checked. */
static size_t value_bytes(enum clsa_gguf_type type, uint64_t count,
                          const unsigned char *p)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    size_t used = 0;
    if (type != CLSA_GGUF_STRING)
        return (size_t)count * sizes[type];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t size;
        memcpy(&size, p + used, sizeof size);
        used += sizeof size + (size_t)size;
    }
    return used;
}

void clsa_keys_copy(struct clsa_keys *keys, const struct clsa_gguf_key *key)
{
    enum clsa_gguf_type type = key->type;
    if (type == CLSA_GGUF_ARRAY) {
        type = key->element;
        clsa_keys_array(keys, key->name, type, key->count);
    } else {
        begin(keys, key->name, type);
    }
    clsa_bytes_add(&keys->bytes, key->data,
                   value_bytes(type, key->count, key->data));
}

void clsa_gguf_begin(struct clsa_bytes *bytes, uint64_t tensors,
                     const struct clsa_keys *keys)
{
    const uint32_t version = 3;
    clsa_bytes_add(bytes, "GGUF", 4);
    clsa_bytes_add(bytes, &version, sizeof version);
    clsa_bytes_add(bytes, &tensors, sizeof tensors);
    clsa_bytes_add(bytes, &keys->count, sizeof keys->count);
    clsa_bytes_add(bytes, keys->bytes.data, keys->bytes.size);
    bytes->failed |= keys->bytes.failed;
}

void clsa_gguf_put_tensor(struct clsa_bytes *bytes, const char *name,
                          uint32_t dims, uint64_t rows, uint64_t cols,
                          uint32_t type, uint64_t offset)
{
    const uint64_t size = strlen(name);
    clsa_bytes_add(bytes, &size, sizeof size);
    clsa_bytes_add(bytes, name, (size_t)size);
    clsa_bytes_add(bytes, &dims, sizeof dims);
    clsa_bytes_add(bytes, &cols, sizeof cols);
    if (dims == 2)
        clsa_bytes_add(bytes, &rows, sizeof rows);
    clsa_bytes_add(bytes, &type, sizeof type);
    clsa_bytes_add(bytes, &offset, sizeof offset);
}
