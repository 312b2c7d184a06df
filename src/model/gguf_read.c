/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of GGUF files. Every byte is hostile: `take` is the only way
 * forward and knows the end, counts are never trusted for an allocation
 * (arrays grow with what has been read), and sums of offsets are checked.
 *
 * Checked here, so that no caller has to: names are 1..NAME_MAX bytes of
 * UTF-8 without NUL and unique; strings are UTF-8; arrays lie in the file and
 * are flat; tensors have 1..4 dimensions of at least 1, and tensors of a known
 * type lie in the file, aligned, and do not overlap.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/base/types.h"
#include "src/base/utf8.h"
#include "src/model/gguf_read.h"

#define VERSION           3
#define KEY_NAME_LIMIT    65535 /* both limits are GGUF's */
#define TENSOR_NAME_LIMIT 64
#define ALIGNMENT         32 /* where the file does not say */

struct gguf_reader {
    struct clsa_gguf *gguf;
    size_t at;        /* next byte to read */
    const char *kind; /* "key" or "tensor": what is being read */
    uint64_t number;  /* of it, from 0 */
    const char *name; /* of it; NULL until that has been read */
    clsa_error *error;
};

/* Fails with the place in the file in front of the message. */
static clsa_status fail_at(const struct gguf_reader *r, clsa_status status,
                           const char *format, ...) CLSA_PRINTF(3, 4);

static clsa_status fail_at(const struct gguf_reader *r, clsa_status status,
                           const char *format, ...)
{
    char detail[240];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    if (r->name)
        return clsa_fail(r->error, status, "%s: %s '%.80s' %s", r->gguf->path,
                         r->kind, r->name, detail);
    return clsa_fail(r->error, status, "%s: %s number %" PRIu64 " %s",
                     r->gguf->path, r->kind, r->number + 1, detail);
}

static clsa_status fail_end(const struct gguf_reader *r)
{
    fail_at(r, CLSA_ERR_FORMAT,
            "runs past the end of the file (%zu bytes): it is damaged or cut "
            "short",
            r->gguf->size);
    return CLSA_ERR_FORMAT; /* a constant tells the compiler: not CLSA_OK */
}

/* The next n bytes, or NULL when the file has fewer. */
static const unsigned char *take(struct gguf_reader *r, uint64_t n)
{
    if (n > r->gguf->size - r->at)
        return NULL;
    const unsigned char *p = r->gguf->base + r->at;
    r->at += (size_t)n;
    return p;
}

static clsa_status read_u32(struct gguf_reader *r, uint32_t *value)
{
    const unsigned char *p = take(r, sizeof *value);
    if (!p)
        return fail_end(r);
    memcpy(value, p, sizeof *value);
    return CLSA_OK;
}

static clsa_status read_u64(struct gguf_reader *r, uint64_t *value)
{
    const unsigned char *p = take(r, sizeof *value);
    if (!p)
        return fail_end(r);
    memcpy(value, p, sizeof *value);
    return CLSA_OK;
}

static clsa_status read_string(struct gguf_reader *r,
                               struct clsa_gguf_string *string)
{
    uint64_t size;
    CLSA_TRY(read_u64(r, &size));
    const unsigned char *p = take(r, size);
    if (!p)
        return fail_end(r);
    string->text = (const char *)p;
    string->size = (size_t)size;
    return CLSA_OK;
}

/* A name as a copy, followed by a NUL, to be released by clsa_mem_free. */
static clsa_status read_name(struct gguf_reader *r, size_t limit, char **name)
{
    struct clsa_gguf_string s;
    CLSA_TRY(read_string(r, &s));
    if (s.size < 1 || s.size > limit)
        return fail_at(r, CLSA_ERR_FORMAT,
                       "has a name of %zu bytes, not 1 to %zu", s.size, limit);
    if (!clsa_utf8_valid(s.text, s.size) || memchr(s.text, 0, s.size))
        return fail_at(r, CLSA_ERR_FORMAT,
                       "has a name that is not valid UTF-8");
    *name = clsa_mem_dup(s.text, s.size);
    return *name ? CLSA_OK : clsa_fail_memory(r->error, "a name", s.size);
}

/*
 * Room for one more than `count` elements, so that memory follows what the
 * file holds and not what it claims. Grows at 0 and the powers of two.
 */
static void *grown(void *array, size_t count, size_t size)
{
    if (count & (count - 1))
        return array;
    return clsa_mem_resize(array, count ? 2 * count : 1, size);
}

/* ------------------------------------------------------------------ values */

/* Bytes of a value of fixed size; 0 for strings, arrays and no type. */
static size_t value_bytes(uint32_t type)
{
    static const unsigned char bytes[] = {
        [CLSA_GGUF_U8] = 1,  [CLSA_GGUF_I8] = 1,   [CLSA_GGUF_U16] = 2,
        [CLSA_GGUF_I16] = 2, [CLSA_GGUF_U32] = 4,  [CLSA_GGUF_I32] = 4,
        [CLSA_GGUF_F32] = 4, [CLSA_GGUF_BOOL] = 1, [CLSA_GGUF_U64] = 8,
        [CLSA_GGUF_I64] = 8, [CLSA_GGUF_F64] = 8,
    };
    return type < sizeof bytes ? bytes[type] : 0;
}

static clsa_status skip_strings(struct gguf_reader *r, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct clsa_gguf_string s;
        CLSA_TRY(read_string(r, &s));
        if (!clsa_utf8_valid(s.text, s.size))
            return fail_at(r, CLSA_ERR_FORMAT,
                           "has a string that is not valid UTF-8");
    }
    return CLSA_OK;
}

/* Steps over `count` values that are no arrays. */
static clsa_status skip_values(struct gguf_reader *r, uint32_t type,
                               uint64_t count)
{
    if (type == CLSA_GGUF_STRING)
        return skip_strings(r, count);
    size_t bytes = value_bytes(type), total;
    if (bytes == 0)
        return fail_at(r, CLSA_ERR_FORMAT,
                       "has values of type %" PRIu32 ", which GGUF version 3 "
                       "does not have",
                       type);
    if (count > SIZE_MAX || !clsa_size_mul((size_t)count, bytes, &total))
        return fail_end(r);
    const unsigned char *p = take(r, total);
    if (!p)
        return fail_end(r);
    for (size_t i = 0; type == CLSA_GGUF_BOOL && i < total; i++)
        if (p[i] > 1)
            return fail_at(r, CLSA_ERR_FORMAT,
                           "has a boolean value of %d, not 0 or 1", p[i]);
    return CLSA_OK;
}

static clsa_status read_value(struct gguf_reader *r, struct clsa_gguf_key *key)
{
    uint32_t type, element;
    CLSA_TRY(read_u32(r, &type));
    element = type;
    key->count = 1;
    if (type == CLSA_GGUF_ARRAY) {
        CLSA_TRY(read_u32(r, &element));
        CLSA_TRY(read_u64(r, &key->count));
    }
    if (type == CLSA_GGUF_ARRAY && element == CLSA_GGUF_ARRAY)
        return fail_at(r, CLSA_ERR_UNSUPPORTED,
                       "is an array of arrays, which is not supported");
    key->type = (enum clsa_gguf_type)type;
    key->element = (enum clsa_gguf_type)element;
    key->data = r->gguf->base + r->at;
    return skip_values(r, element, key->count);
}

static clsa_status read_key(struct gguf_reader *r)
{
    struct clsa_gguf *gguf = r->gguf;
    struct clsa_gguf_key *keys =
        grown(gguf->keys, gguf->key_count, sizeof *keys);
    if (!keys)
        return clsa_fail_memory(r->error, "metadata keys", sizeof *keys);
    gguf->keys = keys;
    struct clsa_gguf_key key = {.name = NULL};
    CLSA_TRY(read_name(r, KEY_NAME_LIMIT, &key.name));
    r->name = key.name;
    keys[gguf->key_count] = key;
    return read_value(r, &keys[gguf->key_count++]);
}

/* ----------------------------------------------------------------- tensors */

static clsa_status read_shape(struct gguf_reader *r,
                              struct clsa_gguf_tensor *tensor)
{
    CLSA_TRY(read_u32(r, &tensor->dims));
    if (tensor->dims < 1 || tensor->dims > 4)
        return fail_at(r, CLSA_ERR_FORMAT,
                       "has %" PRIu32 " dimensions, not 1 to 4", tensor->dims);
    for (uint32_t i = 0; i < 4; i++) {
        tensor->shape[i] = 1;
        if (i < tensor->dims)
            CLSA_TRY(read_u64(r, &tensor->shape[i]));
        if (tensor->shape[i] == 0)
            return fail_at(r, CLSA_ERR_FORMAT, "has a dimension of 0");
    }
    return CLSA_OK;
}

static clsa_status read_tensor(struct gguf_reader *r)
{
    struct clsa_gguf *gguf = r->gguf;
    struct clsa_gguf_tensor *tensors =
        grown(gguf->tensors, gguf->tensor_count, sizeof *tensors);
    if (!tensors)
        return clsa_fail_memory(r->error, "tensors", sizeof *tensors);
    gguf->tensors = tensors;
    struct clsa_gguf_tensor tensor = {.name = NULL};
    CLSA_TRY(read_name(r, TENSOR_NAME_LIMIT, &tensor.name));
    r->name = tensor.name;
    tensors[gguf->tensor_count] = tensor;
    struct clsa_gguf_tensor *t = &tensors[gguf->tensor_count++];
    CLSA_TRY(read_shape(r, t));
    CLSA_TRY(read_u32(r, &t->type));
    return read_u64(r, &t->offset); /* place_tensor makes it absolute */
}

/* Bytes of a tensor; 0 for types that clsa does not know. */
static clsa_status tensor_bytes(const struct gguf_reader *r,
                                struct clsa_gguf_tensor *t)
{
    enum clsa_format format;
    if (!clsa_type_format(t->type, &format))
        return CLSA_OK;
    const size_t block = clsa_format_block(format);
    if (t->shape[0] % block != 0)
        return fail_at(
            r, CLSA_ERR_FORMAT,
            "has rows of %" PRIu64
            " values, not a multiple of %zu, which its type %s needs",
            t->shape[0], block, clsa_type_name((clsa_type)t->type));
    uint64_t n = 1;
    for (int i = 0; i < 4; i++)
        if (__builtin_mul_overflow(n, t->shape[i], &n))
            return fail_end(r);
    /* no format has less than a quarter of a byte for a value */
    if (n / 4 > r->gguf->size)
        return fail_end(r);
    t->size = clsa_format_bytes(format, (size_t)n);
    return CLSA_OK;
}

static clsa_status place_tensor(const struct gguf_reader *r,
                                struct clsa_gguf_tensor *t, uint64_t start,
                                uint64_t alignment)
{
    uint64_t end;
    if (t->offset % alignment != 0)
        return fail_at(r, CLSA_ERR_FORMAT,
                       "is at offset %" PRIu64 ", which is not a multiple "
                       "of the alignment %" PRIu64,
                       t->offset, alignment);
    CLSA_TRY(tensor_bytes(r, t));
    if (__builtin_add_overflow(t->offset, start, &t->offset) ||
        __builtin_add_overflow(t->offset, t->size, &end) || end > r->gguf->size)
        return fail_end(r);
    if (t->size > 0)
        t->data = r->gguf->base + t->offset;
    return CLSA_OK;
}

static int compare_offset(const void *a, const void *b)
{
    const struct clsa_gguf_tensor *x = *(struct clsa_gguf_tensor *const *)a;
    const struct clsa_gguf_tensor *y = *(struct clsa_gguf_tensor *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static clsa_status check_overlap(struct gguf_reader *r)
{
    size_t count = r->gguf->tensor_count;
    struct clsa_gguf_tensor **order = clsa_mem_calloc(count, sizeof *order);
    if (!order)
        return clsa_fail_memory(r->error, "tensors", count * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = &r->gguf->tensors[i];
    qsort(order, count, sizeof *order, compare_offset);
    clsa_status status = CLSA_OK;
    uint64_t end = 0;
    for (size_t i = 0; i < count && status == CLSA_OK; i++) {
        if (order[i]->size == 0)
            continue;
        r->name = order[i]->name;
        if (order[i]->offset < end)
            status = fail_at(r, CLSA_ERR_FORMAT,
                             "overlaps the data of another tensor");
        end = order[i]->offset + order[i]->size;
    }
    clsa_mem_free(order);
    return status;
}

/* ------------------------------------------------------------------- names */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct clsa_gguf_name *)a)->name,
                  ((const struct clsa_gguf_name *)b)->name);
}

/* Sorts an index of names and refuses any that is there twice. */
static clsa_status sort_names(struct gguf_reader *r,
                              struct clsa_gguf_name *names, size_t count)
{
    if (!names)
        return clsa_fail_memory(r->error, "an index", count * sizeof *names);
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++) {
        r->name = names[i].name;
        if (strcmp(names[i - 1].name, names[i].name) == 0)
            return fail_at(r, CLSA_ERR_FORMAT, "is in the file twice");
    }
    return CLSA_OK;
}

static clsa_status index_keys(struct gguf_reader *r)
{
    struct clsa_gguf *g = r->gguf;
    g->key_names = clsa_mem_calloc(g->key_count, sizeof *g->key_names);
    for (size_t i = 0; g->key_names && i < g->key_count; i++)
        g->key_names[i] = (struct clsa_gguf_name){g->keys[i].name, i};
    return sort_names(r, g->key_names, g->key_count);
}

clsa_status clsa_gguf_index_tensors(struct clsa_gguf *gguf, clsa_error *error)
{
    struct gguf_reader r = {.gguf = gguf, .kind = "tensor", .error = error};
    const size_t count = gguf->tensor_count;
    gguf->tensor_names = clsa_mem_calloc(count, sizeof *gguf->tensor_names);
    for (size_t i = 0; gguf->tensor_names && i < count; i++)
        gguf->tensor_names[i] =
            (struct clsa_gguf_name){gguf->tensors[i].name, i};
    return sort_names(&r, gguf->tensor_names, count);
}

/* -------------------------------------------------------------------- file */

/* The header: magic, version and the two counts. */
static clsa_status read_header(struct gguf_reader *r, uint64_t *tensors,
                               uint64_t *keys)
{
    const char *path = r->gguf->path;
    size_t size = r->gguf->size;
    if (clsa_is_lfs_pointer(r->gguf->base, size))
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: is a pointer of Git LFS and not the model: fetch "
                         "the file with git lfs pull",
                         path);
    if (memcmp(r->gguf->base, "GGUF", clsa_min(size, 4)) != 0)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: is not a GGUF file: it does not start with "
                         "\"GGUF\"",
                         path);
    const unsigned char *p = take(r, 24);
    if (!p)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: the file ends in its header after %zu bytes: it "
                         "is cut short",
                         path, size);
    uint32_t version;
    memcpy(&version, p + 4, sizeof version);
    memcpy(tensors, p + 8, sizeof *tensors);
    memcpy(keys, p + 16, sizeof *keys);
    if (version == VERSION)
        return CLSA_OK;
    if ((version & 0xffff) == 0)
        return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                         "%s: is a big-endian GGUF file: convert it to "
                         "little-endian first",
                         path);
    return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                     "%s: is GGUF version %" PRIu32 ", only version %d can be "
                     "read: convert the model again",
                     path, version, VERSION);
}

static clsa_status read_keys(struct gguf_reader *r, uint64_t count)
{
    r->kind = "key";
    for (r->number = 0; r->number < count; r->number++) {
        r->name = NULL;
        CLSA_TRY(read_key(r));
    }
    return index_keys(r);
}

static clsa_status read_tensors(struct gguf_reader *r, uint64_t count)
{
    r->kind = "tensor";
    for (r->number = 0; r->number < count; r->number++) {
        r->name = NULL;
        CLSA_TRY(read_tensor(r));
    }
    return clsa_gguf_index_tensors(r->gguf, r->error);
}

static clsa_status place_tensors(struct gguf_reader *r, uint64_t alignment)
{
    uint64_t start = (r->at + (alignment - 1)) & ~(alignment - 1);
    for (size_t i = 0; i < r->gguf->tensor_count; i++) {
        r->name = r->gguf->tensors[i].name;
        CLSA_TRY(place_tensor(r, &r->gguf->tensors[i], start, alignment));
    }
    return check_overlap(r);
}

clsa_status clsa_gguf_parse(struct clsa_gguf *gguf, clsa_error *error)
{
    struct gguf_reader r = {.gguf = gguf, .error = error};
    uint64_t tensors = 0, keys = 0, alignment = ALIGNMENT;
    CLSA_TRY(read_header(&r, &tensors, &keys));
    CLSA_TRY(read_keys(&r, keys));
    /* at least a double's, for the sake of the data */
    CLSA_TRY(clsa_gguf_uint(gguf, "general.alignment", false, 8, 1u << 31,
                            &alignment, error));
    if (alignment & (alignment - 1))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key 'general.alignment' is %" PRIu64
                         ", not a power of two",
                         gguf->path, alignment);
    CLSA_TRY(read_tensors(&r, tensors));
    return place_tensors(&r, alignment);
}
