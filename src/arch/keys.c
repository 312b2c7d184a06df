/* SPDX-License-Identifier: Apache-2.0 */
/* Typed reads of the keys of an architecture, which remember what was read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/arch/keys.h"
#include "src/base/mem.h"

#define NAME_SIZE 120

static const struct clsa_gguf_key *find_key(const struct clsa_arch_keys *keys,
                                            const char *name,
                                            char text[NAME_SIZE])
{
    snprintf(text, NAME_SIZE, "%s.%s", keys->arch, name);
    return clsa_gguf_key(keys->gguf, text);
}

/* The whole name of a key, which is read now. */
static const char *full_name(const struct clsa_arch_keys *keys,
                             const char *name, char text[NAME_SIZE])
{
    const struct clsa_gguf_key *key = find_key(keys, name, text);
    if (key)
        keys->read[key - keys->gguf->keys] = true;
    return text;
}

bool clsa_keys_has(const struct clsa_arch_keys *keys, const char *name)
{
    char text[NAME_SIZE];
    return find_key(keys, name, text) != NULL;
}

clsa_status clsa_keys_uint(const struct clsa_arch_keys *keys, const char *name,
                           bool required, uint64_t min, uint64_t max,
                           uint64_t *value)
{
    char text[NAME_SIZE];
    return clsa_gguf_uint(keys->gguf, full_name(keys, name, text), required,
                          min, max, value, keys->error);
}

clsa_status clsa_keys_size(const struct clsa_arch_keys *keys, const char *name,
                           bool required, uint32_t max, uint32_t *value)
{
    uint64_t wide = *value;
    CLSA_TRY(clsa_keys_uint(keys, name, required, 1, max, &wide));
    *value = (uint32_t)wide;
    return CLSA_OK;
}

clsa_status clsa_keys_float(const struct clsa_arch_keys *keys, const char *name,
                            bool required, double min, double max, float *value)
{
    char text[NAME_SIZE];
    double wide = (double)*value;
    CLSA_TRY(clsa_gguf_float(keys->gguf, full_name(keys, name, text), required,
                             min, max, &wide, keys->error));
    *value = (float)wide;
    return CLSA_OK;
}

clsa_status clsa_keys_fixed(const struct clsa_arch_keys *keys, const char *name,
                            uint64_t only, const char *why)
{
    char text[NAME_SIZE];
    uint64_t value = only;
    CLSA_TRY(clsa_keys_uint(keys, name, false, 0, UINT64_MAX, &value));
    if (value == only)
        return CLSA_OK;
    return clsa_fail(
        keys->error, CLSA_ERR_UNSUPPORTED,
        "%s: key '%s' is %" PRIu64 ", only %" PRIu64 " is supported: %s",
        keys->gguf->path, full_name(keys, name, text), value, only, why);
}

clsa_status clsa_keys_true(const struct clsa_arch_keys *keys, const char *name,
                           const char *why)
{
    char text[NAME_SIZE];
    bool value = true;
    CLSA_TRY(clsa_gguf_bool(keys->gguf, full_name(keys, name, text), false,
                            &value, keys->error));
    if (value)
        return CLSA_OK;
    return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key '%s' is false, only true is supported: %s",
                     keys->gguf->path, text, why);
}

static bool text_is(const struct clsa_gguf_string *text, const char *other)
{
    return text->size == strlen(other) &&
           memcmp(text->text, other, text->size) == 0;
}

clsa_status clsa_keys_choice(const struct clsa_arch_keys *keys,
                             const char *name, const char *const *choices,
                             unsigned *choice)
{
    char full[NAME_SIZE], list[200] = "";
    struct clsa_gguf_string text = {choices[*choice], strlen(choices[*choice])};
    size_t used = 0, count = 0;
    full_name(keys, name, full);
    CLSA_TRY(clsa_gguf_text(keys->gguf, full, false, &text, keys->error));
    for (; choices[count]; count++)
        if (text_is(&text, choices[count])) {
            *choice = (unsigned)count;
            return CLSA_OK;
        }
    for (size_t i = 0; i < count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s'%s'",
                                 i == 0           ? ""
                                 : i + 1 == count ? " and "
                                                  : ", ",
                                 choices[i]);
    return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key '%s' is '%.*s', which is not supported: only %s "
                     "are",
                     keys->gguf->path, full,
                     text.size < 40 ? (int)text.size : 40, text.text, list);
}

clsa_status clsa_keys_heads(const struct clsa_arch_keys *keys,
                            struct clsa_heads *heads, const char *suffix)
{
    const char *path = keys->gguf->path, *arch = keys->arch;
    if (heads->heads % heads->kv_heads != 0)
        return clsa_fail(keys->error, CLSA_ERR_FORMAT,
                         "%s: key '%s.attention.head_count%s' is %" PRIu32
                         ", not a multiple of head_count_kv%s, %" PRIu32,
                         path, arch, suffix, heads->heads, suffix,
                         heads->kv_heads);
    if (heads->head_dim % CLSA_HEAD_DIM_UNIT != 0)
        return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                         "%s: key '%s.attention.key_length%s' is %" PRIu32
                         ", which is not supported: only multiples of %d are",
                         path, arch, suffix, heads->head_dim,
                         CLSA_HEAD_DIM_UNIT);
    if ((uint64_t)heads->heads * heads->head_dim > CLSA_SIZE_LIMIT)
        return clsa_fail(keys->error, CLSA_ERR_FORMAT,
                         "%s: key '%s.attention.head_count%s' is %" PRIu32
                         ", too many heads of size %" PRIu32,
                         path, arch, suffix, heads->heads, heads->head_dim);
    heads->group = heads->heads / heads->kv_heads;
    return CLSA_OK;
}

/* -------------------------------------------------------- a value per layer */

static clsa_status wrong_list(const struct clsa_arch_keys *keys,
                              const char *name, uint32_t layers)
{
    return clsa_fail(keys->error, CLSA_ERR_FORMAT,
                     "%s: key '%s' is not a list of %" PRIu32
                     " values, one for each layer",
                     keys->gguf->path, name, layers);
}

clsa_status clsa_keys_pattern(const struct clsa_arch_keys *keys,
                              const char *name, uint32_t layers, uint32_t every,
                              bool *pattern)
{
    char text[NAME_SIZE];
    const struct clsa_gguf_key *key = find_key(keys, name, text);
    full_name(keys, name, text);
    if (!key || key->type != CLSA_GGUF_ARRAY) {
        CLSA_TRY(clsa_keys_size(keys, name, false, CLSA_LAYER_LIMIT, &every));
        for (uint32_t i = 0; i < layers; i++)
            pattern[i] = (i + 1) % every != 0;
        return CLSA_OK;
    }
    if (key->element != CLSA_GGUF_BOOL || key->count != layers)
        return wrong_list(keys, text, layers);
    for (uint32_t i = 0; i < layers; i++)
        pattern[i] = key->data[i] != 0;
    return CLSA_OK;
}

clsa_status clsa_keys_sizes(const struct clsa_arch_keys *keys, const char *name,
                            uint32_t layers, uint32_t max, uint32_t *sizes)
{
    char text[NAME_SIZE];
    const struct clsa_gguf_key *key = find_key(keys, name, text);
    uint32_t one = 0;
    int32_t *values;
    size_t count;
    if (!key || key->type != CLSA_GGUF_ARRAY) {
        CLSA_TRY(clsa_keys_size(keys, name, true, max, &one));
        for (uint32_t i = 0; i < layers; i++)
            sizes[i] = one;
        return CLSA_OK;
    }
    CLSA_TRY(clsa_gguf_ints(keys->gguf, full_name(keys, name, text), true,
                            &values, &count, keys->error));
    bool fits = count == layers;
    for (uint32_t i = 0; fits && i < layers; i++) {
        fits = values[i] >= 1 && (uint32_t)values[i] <= max;
        sizes[i] = (uint32_t)values[i];
    }
    clsa_mem_free(values);
    if (fits)
        return CLSA_OK;
    return clsa_fail(keys->error, CLSA_ERR_FORMAT,
                     "%s: key '%s' is not a list of %" PRIu32
                     " values of 1 to %" PRIu32,
                     keys->gguf->path, text, layers, max);
}

/* Whether these are `count` ascending numbers of layers; copies them. */
static bool are_layers(const int32_t *values, size_t count, uint32_t layers,
                       uint32_t *list)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i] < 0 || (uint32_t)values[i] >= layers ||
            (i > 0 && values[i] <= values[i - 1]))
            return false;
        list[i] = (uint32_t)values[i];
    }
    return true;
}

clsa_status clsa_keys_layers(const struct clsa_arch_keys *keys,
                             const char *name, uint32_t layers, uint32_t most,
                             uint32_t *list, uint32_t *count)
{
    char text[NAME_SIZE];
    int32_t *values;
    size_t n;
    CLSA_TRY(clsa_gguf_ints(keys->gguf, full_name(keys, name, text), false,
                            &values, &n, keys->error));
    const bool fits = n <= most && are_layers(values, n, layers, list);
    clsa_mem_free(values);
    if (!fits)
        return clsa_fail(keys->error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is not a list of at most %" PRIu32
                         " ascending layers of 0 to %" PRIu32,
                         keys->gguf->path, text, most, layers - 1);
    *count = (uint32_t)n;
    return CLSA_OK;
}

/* ------------------------------------------------------- what was not read */

/* Keys that say nothing about what a network computes. */
static bool says_nothing(const char *name)
{
    static const char *const names[] = {"vocab_size", "tensor_data_layout",
                                        "layer_count", "rope.scaling.finetuned",
                                        NULL};
    const char *const *n = names;
    while (*n && strcmp(*n, name) != 0)
        n++;
    return *n != NULL;
}

/* 0, false, or an empty text or list: what a key says that is not used. */
static bool is_off(const struct clsa_gguf_key *key)
{
    static const size_t bytes[] = {
        [CLSA_GGUF_U8] = 1,    [CLSA_GGUF_I8] = 1,   [CLSA_GGUF_U16] = 2,
        [CLSA_GGUF_I16] = 2,   [CLSA_GGUF_U32] = 4,  [CLSA_GGUF_I32] = 4,
        [CLSA_GGUF_F32] = 4,   [CLSA_GGUF_BOOL] = 1, [CLSA_GGUF_STRING] = 8,
        [CLSA_GGUF_ARRAY] = 0, [CLSA_GGUF_U64] = 8,  [CLSA_GGUF_I64] = 8,
        [CLSA_GGUF_F64] = 8,
    };
    if (key->type == CLSA_GGUF_ARRAY)
        return key->count == 0;
    for (size_t i = 0; i < bytes[key->type]; i++)
        if (key->data[i] != 0)
            return false;
    return true;
}

void clsa_keys_ignore(const struct clsa_arch_keys *keys, const char *name)
{
    char text[NAME_SIZE];
    full_name(keys, name, text);
}

clsa_status clsa_keys_finish(const struct clsa_arch_keys *keys)
{
    const size_t prefix = strlen(keys->arch);
    for (size_t i = 0; i < keys->gguf->key_count; i++) {
        const struct clsa_gguf_key *key = &keys->gguf->keys[i];
        if (keys->read[i] || strncmp(key->name, keys->arch, prefix) != 0 ||
            key->name[prefix] != '.' || says_nothing(key->name + prefix + 1) ||
            is_off(key))
            continue;
        return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                         "%s: key '%s' is not supported: the model would not "
                         "compute what it says",
                         keys->gguf->path, key->name);
    }
    return CLSA_OK;
}
