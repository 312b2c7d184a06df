/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed reads of GGUF metadata. The parser has checked that all values lie in
 * the file; here their types and ranges are. Values are unaligned.
 */
#include <inttypes.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/model/gguf.h"

/* What a value is, for messages. */
static const char *kind_name(enum clsa_gguf_type type)
{
    switch (type) {
    case CLSA_GGUF_F32:
    case CLSA_GGUF_F64:
        return "a float";
    case CLSA_GGUF_BOOL:
        return "a boolean";
    case CLSA_GGUF_STRING:
        return "a string";
    case CLSA_GGUF_ARRAY:
        return "an array";
    default:
        return "an integer";
    }
}

static clsa_status fail_kind(const struct clsa_gguf *gguf,
                             const struct clsa_gguf_key *key,
                             const char *wanted, clsa_error *error)
{
    const char *of = key->type == CLSA_GGUF_ARRAY ? " with elements of " : "";
    const char *element = *of ? kind_name(key->element) : "";
    return clsa_fail(error, CLSA_ERR_FORMAT,
                     "%s: key '%.80s' is %s%s%s, not %s", gguf->path, key->name,
                     kind_name(key->type), of, element, wanted);
}

/* *key is NULL where the key is absent and need not be there. */
static clsa_status find(const struct clsa_gguf *gguf, const char *name,
                        bool required, const struct clsa_gguf_key **key,
                        clsa_error *error)
{
    *key = clsa_gguf_key(gguf, name);
    if (!*key && required)
        return clsa_fail(error, CLSA_ERR_FORMAT, "%s: key '%s' is missing",
                         gguf->path, name);
    return CLSA_OK;
}

/* Bytes of an integer type; 0 for the others. */
static size_t integer_bytes(enum clsa_gguf_type type)
{
    static const unsigned char bytes[] = {
        [CLSA_GGUF_U8] = 1,  [CLSA_GGUF_I8] = 1,  [CLSA_GGUF_U16] = 2,
        [CLSA_GGUF_I16] = 2, [CLSA_GGUF_U32] = 4, [CLSA_GGUF_I32] = 4,
        [CLSA_GGUF_U64] = 8, [CLSA_GGUF_I64] = 8,
    };
    return (size_t)type < sizeof bytes ? bytes[type] : 0;
}

/* Loads an integer of such a type as 64 bits of two's complement. */
static uint64_t load_integer(enum clsa_gguf_type type,
                             const unsigned char *data, bool *negative)
{
    bool is_signed = type == CLSA_GGUF_I8 || type == CLSA_GGUF_I16 ||
                     type == CLSA_GGUF_I32 || type == CLSA_GGUF_I64;
    size_t bytes = integer_bytes(type);
    uint64_t bits = 0, sign = (uint64_t)1 << (8 * bytes - 1);
    memcpy(&bits, data, bytes);
    *negative = is_signed && (bits & sign);
    return *negative ? bits | ~(sign - 1) : bits;
}

clsa_status clsa_gguf_uint(const struct clsa_gguf *gguf, const char *name,
                           bool required, uint64_t min, uint64_t max,
                           uint64_t *value, clsa_error *error)
{
    const struct clsa_gguf_key *key;
    CLSA_TRY(find(gguf, name, required, &key, error));
    if (!key)
        return CLSA_OK;
    if (integer_bytes(key->type) == 0)
        return fail_kind(gguf, key, "an integer", error);
    bool negative;
    uint64_t bits = load_integer(key->type, key->data, &negative);
    if (negative)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is %" PRId64 ", not %" PRIu64
                         " to %" PRIu64,
                         gguf->path, name, (int64_t)bits, min, max);
    if (bits < min || bits > max)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is %" PRIu64 ", not %" PRIu64
                         " to %" PRIu64,
                         gguf->path, name, bits, min, max);
    *value = bits;
    return CLSA_OK;
}

clsa_status clsa_gguf_float(const struct clsa_gguf *gguf, const char *name,
                            bool required, double min, double max,
                            double *value, clsa_error *error)
{
    const struct clsa_gguf_key *key;
    CLSA_TRY(find(gguf, name, required, &key, error));
    if (!key)
        return CLSA_OK;
    double found;
    if (key->type == CLSA_GGUF_F32) {
        float single;
        memcpy(&single, key->data, sizeof single);
        found = (double)single;
    } else if (key->type == CLSA_GGUF_F64) {
        memcpy(&found, key->data, sizeof found);
    } else {
        return fail_kind(gguf, key, "a float", error);
    }
    if (!(found >= min && found <= max)) /* NaN is out of range */
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is %g, not %g to %g", gguf->path, name,
                         found, min, max);
    *value = found;
    return CLSA_OK;
}

clsa_status clsa_gguf_bool(const struct clsa_gguf *gguf, const char *name,
                           bool required, bool *value, clsa_error *error)
{
    const struct clsa_gguf_key *key;
    CLSA_TRY(find(gguf, name, required, &key, error));
    if (!key)
        return CLSA_OK;
    if (key->type != CLSA_GGUF_BOOL)
        return fail_kind(gguf, key, "a boolean", error);
    *value = *key->data != 0;
    return CLSA_OK;
}

/* The string at p, and what follows it. */
static const unsigned char *load_string(const unsigned char *p,
                                        struct clsa_gguf_string *string)
{
    uint64_t size;
    memcpy(&size, p, sizeof size);
    p += sizeof size;
    string->text = (const char *)p;
    string->size = (size_t)size;
    return p + size;
}

clsa_status clsa_gguf_text(const struct clsa_gguf *gguf, const char *name,
                           bool required, struct clsa_gguf_string *value,
                           clsa_error *error)
{
    const struct clsa_gguf_key *key;
    CLSA_TRY(find(gguf, name, required, &key, error));
    if (!key)
        return CLSA_OK;
    if (key->type != CLSA_GGUF_STRING)
        return fail_kind(gguf, key, "a string", error);
    load_string(key->data, value);
    return CLSA_OK;
}

clsa_status clsa_gguf_strings(const struct clsa_gguf *gguf, const char *name,
                              struct clsa_gguf_string **values, size_t *count,
                              clsa_error *error)
{
    const struct clsa_gguf_key *key;
    CLSA_TRY(find(gguf, name, true, &key, error));
    if (key->type != CLSA_GGUF_ARRAY || key->element != CLSA_GGUF_STRING)
        return fail_kind(gguf, key, "an array of strings", error);
    size_t n = (size_t)key->count;
    struct clsa_gguf_string *strings = clsa_mem_calloc(n, sizeof *strings);
    if (!strings)
        return clsa_fail_memory(error, name, n * sizeof *strings);
    const unsigned char *p = key->data;
    for (size_t i = 0; i < n; i++)
        p = load_string(p, &strings[i]);
    *values = strings;
    *count = n;
    return CLSA_OK;
}

/* All elements of an array of integers as int32; false where one does not
   fit. */
static bool load_ints(const struct clsa_gguf_key *key, int32_t *values)
{
    size_t bytes = integer_bytes(key->element);
    for (size_t i = 0; i < key->count; i++) {
        bool negative;
        uint64_t bits =
            load_integer(key->element, key->data + i * bytes, &negative);
        if (negative ? (int64_t)bits < INT32_MIN : bits > INT32_MAX)
            return false;
        values[i] = (int32_t)bits;
    }
    return true;
}

clsa_status clsa_gguf_ints(const struct clsa_gguf *gguf, const char *name,
                           bool required, int32_t **values, size_t *count,
                           clsa_error *error)
{
    const struct clsa_gguf_key *key;
    CLSA_TRY(find(gguf, name, required, &key, error));
    if (!key) {
        *values = NULL;
        *count = 0;
        return CLSA_OK;
    }
    if (key->type != CLSA_GGUF_ARRAY || integer_bytes(key->element) == 0)
        return fail_kind(gguf, key, "an array of integers", error);
    size_t n = (size_t)key->count;
    int32_t *ints = clsa_mem_calloc(n, sizeof *ints);
    if (!ints)
        return clsa_fail_memory(error, name, n * sizeof *ints);
    if (!load_ints(key, ints)) {
        clsa_mem_free(ints);
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key '%s' has an element that does not fit 32 "
                         "bits",
                         gguf->path, name);
    }
    *values = ints;
    *count = n;
    return CLSA_OK;
}

clsa_status clsa_gguf_floats(const struct clsa_gguf *gguf, const char *name,
                             float **values, size_t *count, clsa_error *error)
{
    const struct clsa_gguf_key *key;
    CLSA_TRY(find(gguf, name, true, &key, error));
    if (key->type != CLSA_GGUF_ARRAY || key->element != CLSA_GGUF_F32)
        return fail_kind(gguf, key, "an array of floats", error);
    size_t n = (size_t)key->count;
    float *floats = clsa_mem_calloc(n, sizeof *floats);
    if (!floats)
        return clsa_fail_memory(error, name, n * sizeof *floats);
    memcpy(floats, key->data, n * sizeof *floats);
    *values = floats;
    *count = n;
    return CLSA_OK;
}
