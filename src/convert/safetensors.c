/* SPDX-License-Identifier: Apache-2.0 */
/* Reading safetensors: what the headers say. safetensors_files.c finds the
   files. */
#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "src/base/file_map.h"
#include "src/base/mem.h"
#include "src/convert/json.h"
#include "src/convert/safetensors.h"
#include "src/model/gguf.h"

#define HEADER_LIMIT ((uint64_t)100 << 20)

/* ------------------------------------------------------------------ header
 */

static clsa_status bad_tensor(const struct clsa_st_file *file, const char *name,
                              const char *what, clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_FORMAT, "%s: tensor '%.80s': %s",
                     file->path, name, what);
}

static bool read_dtype(struct clsa_st_tensor *t, const char *dtype)
{
    static const struct {
        const char *name;
        enum clsa_format format;
    } known[] = {{"F32", CLSA_F32}, {"F16", CLSA_F16}, {"BF16", CLSA_BF16}};
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, dtype) == 0) {
            t->format = known[i].format;
            return true;
        }
    return false;
}

/* Sizes of an array of integers; false where one is none or does not fit. */
static bool read_sizes(const json_t *array, uint64_t *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(array, i);
        const json_int_t n = json_integer_value(value);
        if (!json_is_integer(value) || n < 0)
            return false;
        sizes[i] = (uint64_t)n;
    }
    return true;
}

static clsa_status read_shape(struct clsa_st_tensor *t, const json_t *shape,
                              const struct clsa_st_file *file, uint64_t *bytes,
                              clsa_error *error)
{
    const size_t dims = json_array_size(shape);
    t->dims = (uint32_t)dims;
    t->shape[1] = 1;
    if (!json_is_array(shape))
        return bad_tensor(file, t->name, "it has no shape", error);
    t->known = t->known && (dims == 1 || dims == 2);
    if (!t->known)
        return CLSA_OK;
    if (!read_sizes(shape, t->shape, dims) || t->shape[0] == 0 ||
        t->shape[1] == 0)
        return bad_tensor(file, t->name, "a size is not above 0", error);
    if (__builtin_mul_overflow(t->shape[0], t->shape[1], bytes) ||
        __builtin_mul_overflow(*bytes, clsa_format_bytes(t->format, 1), bytes))
        return bad_tensor(file, t->name, "its shape is too large", error);
    return CLSA_OK;
}

static clsa_status read_tensor(struct clsa_st_tensor *t, const json_t *json,
                               const struct clsa_st_file *file, uint64_t start,
                               clsa_error *error)
{
    const char *dtype = json_string_value(json_object_get(json, "dtype"));
    const json_t *offsets = json_object_get(json, "data_offsets");
    const uint64_t left = file->size - start;
    uint64_t span[2], bytes = 0;
    if (!dtype)
        return bad_tensor(file, t->name, "it has no dtype", error);
    t->known = read_dtype(t, dtype);
    CLSA_TRY(
        read_shape(t, json_object_get(json, "shape"), file, &bytes, error));
    if (json_array_size(offsets) != 2 || !read_sizes(offsets, span, 2))
        return bad_tensor(file, t->name, "its data_offsets are not two sizes",
                          error);
    if (span[0] > span[1] || span[1] > left)
        return bad_tensor(file, t->name, "its data is past the end of the file",
                          error);
    if (t->known && span[1] - span[0] != bytes)
        return bad_tensor(file, t->name,
                          "its data_offsets do not match its shape", error);
    t->data = file->base + start + span[0];
    return CLSA_OK;
}

/* Parts of names that wrappers of modules leave in a checkpoint: compiled,
   distributed, checkpointed ones. */
static bool is_wrapper(const char *part, size_t size)
{
    static const char *const wrappers[] = {"_orig_mod", "module",
                                           "_fsdp_wrapped_module",
                                           "_checkpoint_wrapped_module"};
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
        if (strlen(wrappers[i]) == size && memcmp(part, wrappers[i], size) == 0)
            return true;
    return false;
}

void clsa_st_unwrap(char *name)
{
    char *to = name;
    for (const char *part = name;;) {
        const size_t size = strcspn(part, ".");
        const bool last = part[size] == '\0';
        if (last || !is_wrapper(part, size)) {
            memmove(to, part, size + 1);
            to += size + 1;
        }
        if (last)
            break;
        part += size + 1;
    }
}

static clsa_status add_tensor(struct clsa_st *st, const char *name,
                              const json_t *json, size_t file, uint64_t start,
                              clsa_error *error)
{
    if (st->count == st->capacity) {
        const size_t capacity = 2 * st->capacity + 64;
        struct clsa_st_tensor *grown =
            clsa_mem_resize(st->tensors, capacity, sizeof *grown);
        if (!grown)
            return clsa_fail_memory(error, "tensors", capacity);
        st->tensors = grown;
        st->capacity = capacity;
    }
    struct clsa_st_tensor *t = &st->tensors[st->count];
    *t = (struct clsa_st_tensor){.file = clsa_base_name(st->files[file].path)};
    if (strlen(name) > CLSA_ST_NAME_LIMIT)
        return bad_tensor(&st->files[file], name, "its name is too long",
                          error);
    t->name = clsa_mem_dup(name, strlen(name));
    if (!t->name)
        return clsa_fail_memory(error, "a name", strlen(name));
    clsa_st_unwrap(t->name);
    st->count++;
    return read_tensor(t, json, &st->files[file], start, error);
}

static clsa_status read_header(struct clsa_st *st, size_t at, clsa_error *error)
{
    const struct clsa_st_file *file = &st->files[at];
    uint64_t size;
    if (file->size < 8)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: is too short for a safetensors header",
                         file->path);
    memcpy(&size, file->base, sizeof size);
    if (clsa_is_lfs_pointer(file->base, file->size))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: is a pointer of Git LFS and not the file: fetch "
                         "the file with git lfs pull",
                         file->path);
    if (size > file->size - 8 || size > HEADER_LIMIT)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: its header of %" PRIu64 " bytes does not fit: "
                         "is it a safetensors file?",
                         file->path, size);
    json_t *header;
    const char *name;
    json_t *value;
    clsa_status status = CLSA_OK;
    CLSA_TRY(clsa_json_parse(&header, file->path, (const char *)file->base + 8,
                             (size_t)size, error));
    json_object_foreach(header, name,
                        value) if (!status && strcmp(name, "__metadata__") != 0)
        status = add_tensor(st, name, value, at, 8 + size, error);
    json_decref(header);
    return status;
}

/* ------------------------------------------------------------------- names */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct clsa_st_tensor *)a)->name,
                  ((const struct clsa_st_tensor *)b)->name);
}

/* In the order of names, each of which is there once. */
static clsa_status sort_names(struct clsa_st *st, clsa_error *error)
{
    if (st->count > 0)
        qsort(st->tensors, st->count, sizeof *st->tensors, compare);
    for (size_t i = 1; i < st->count; i++)
        if (compare(&st->tensors[i - 1], &st->tensors[i]) == 0)
            return clsa_fail(error, CLSA_ERR_FORMAT,
                             "%s: tensor '%s' appears twice",
                             st->tensors[i].file, st->tensors[i].name);
    return CLSA_OK;
}

clsa_status clsa_st_open(struct clsa_st *st, const char *folder,
                         clsa_error *error)
{
    *st = (struct clsa_st){.files = NULL};
    clsa_status status = clsa_st_open_files(st, folder, error);
    for (size_t i = 0; !status && i < st->file_count; i++)
        status = read_header(st, i, error);
    if (!status)
        status = sort_names(st, error);
    if (!status)
        status = clsa_st_check_index(st, error);
    if (status)
        clsa_st_close(st);
    return status;
}

clsa_status clsa_st_strip(struct clsa_st *st, size_t size, const char *prefix,
                          clsa_error *error)
{
    char start[CLSA_ST_NAME_LIMIT + 1];
    snprintf(start, sizeof start, "%.*s", (int)size, prefix);
    for (size_t i = 0; i < st->count; i++) {
        char *name = st->tensors[i].name;
        if (strncmp(name, start, size) == 0)
            memmove(name, name + size, strlen(name + size) + 1);
    }
    return sort_names(st, error);
}

void clsa_st_close(struct clsa_st *st)
{
    for (size_t i = 0; i < st->count; i++)
        clsa_mem_free(st->tensors[i].name);
    for (size_t i = 0; i < st->file_count; i++) {
        if (st->files[i].base)
            clsa_file_unmap(st->files[i].base, st->files[i].size);
        clsa_mem_free(st->files[i].path);
    }
    clsa_mem_free(st->tensors);
    clsa_mem_free(st->files);
    clsa_mem_free(st->index_path);
    json_decref(st->index);
    *st = (struct clsa_st){.files = NULL};
}

struct clsa_st_tensor *clsa_st_find(const struct clsa_st *st, const char *name)
{
    struct clsa_st_tensor key = {.name = (char *)(uintptr_t)name};
    if (st->count == 0)
        return NULL;
    return bsearch(&key, st->tensors, st->count, sizeof key, compare);
}
