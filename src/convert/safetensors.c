/* SPDX-License-Identifier: Apache-2.0 */
/* Reading safetensors: which files there are, and what their headers say. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/convert/json.h"
#include "src/convert/safetensors.h"

#define HEADER_LIMIT ((uint64_t)100 << 20)
#define INDEX_LIMIT  ((size_t)64 << 20)
#define FILE_LIMIT   4096
#define NAME_LIMIT   200

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ------------------------------------------------------------------ header */

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
    const uint64_t room = file->size - start;
    uint64_t span[2], bytes = 0;
    if (!dtype)
        return bad_tensor(file, t->name, "it has no dtype", error);
    t->known = read_dtype(t, dtype);
    CLSA_TRY(
        read_shape(t, json_object_get(json, "shape"), file, &bytes, error));
    if (json_array_size(offsets) != 2 || !read_sizes(offsets, span, 2))
        return bad_tensor(file, t->name, "its data_offsets are not two sizes",
                          error);
    if (span[0] > span[1] || span[1] > room)
        return bad_tensor(file, t->name,
                          "its data lies behind the end of the file", error);
    if (t->known && span[1] - span[0] != bytes)
        return bad_tensor(file, t->name,
                          "its data_offsets do not fit its shape", error);
    t->data = file->base + start + span[0];
    return CLSA_OK;
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
    *t = (struct clsa_st_tensor){.file = base_name(st->files[file].path)};
    if (strlen(name) > NAME_LIMIT)
        return bad_tensor(&st->files[file], name, "its name is too long",
                          error);
    t->name = clsa_mem_dup(name, strlen(name));
    if (!t->name)
        return clsa_fail_memory(error, "a name", strlen(name));
    st->count++;
    return read_tensor(t, json, &st->files[file], start, error);
}

static clsa_status read_header(struct clsa_st *st, size_t at, clsa_error *error)
{
    const struct clsa_st_file *file = &st->files[at];
    uint64_t size;
    if (file->size < 8)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: has no room for a safetensors header",
                         file->path);
    memcpy(&size, file->base, sizeof size);
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

/* ------------------------------------------------------------------- files */

static clsa_status map_file(struct clsa_st_file *file, int fd,
                            clsa_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return clsa_fail_io(error, "%s: cannot read its size", file->path);
    if (!S_ISREG(status.st_mode) || status.st_size == 0 ||
        (uintmax_t)status.st_size > SIZE_MAX / 4)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: is not a regular file with something in it",
                         file->path);
    void *base =
        mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED)
        return clsa_fail_io(error, "%s: cannot map it", file->path);
    file->base = base;
    file->size = (size_t)status.st_size;
    return CLSA_OK;
}

static clsa_status open_file(struct clsa_st *st, const char *folder,
                             const char *name, clsa_error *error)
{
    struct clsa_st_file *grown =
        clsa_mem_resize(st->files, st->file_count + 1, sizeof *grown);
    char *path = clsa_path_join(folder, name);
    if (grown)
        st->files = grown;
    if (!grown || !path) {
        clsa_mem_free(path);
        return clsa_fail_memory(error, "files", st->file_count);
    }
    st->files[st->file_count++] = (struct clsa_st_file){.path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return clsa_fail_io(error, "%s: cannot open it", path);
    clsa_status status = map_file(&st->files[st->file_count - 1], fd, error);
    close(fd);
    return status;
}

static bool is_open(const struct clsa_st *st, const char *name)
{
    for (size_t i = 0; i < st->file_count; i++)
        if (strcmp(base_name(st->files[i].path), name) == 0)
            return true;
    return false;
}

/* The files that the values of weight_map name, each once. */
static clsa_status open_mapped(struct clsa_st *st, const char *folder,
                               const char *path, const json_t *map,
                               clsa_error *error)
{
    const char *tensor;
    json_t *value;
    if (!json_is_object(map))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key 'weight_map' is no object", path);
    json_object_foreach((json_t *)map, tensor, value)
    {
        const char *name = json_string_value(value);
        if (!name || !*name || strchr(name, '/'))
            return clsa_fail(error, CLSA_ERR_FORMAT,
                             "%s: tensor '%.80s' is in no file of this folder",
                             path, tensor);
        if (is_open(st, name))
            continue;
        if (st->file_count == FILE_LIMIT)
            return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                             "%s: names more than %d files", path, FILE_LIMIT);
        CLSA_TRY(open_file(st, folder, name, error));
    }
    return CLSA_OK;
}

static clsa_status open_shards(struct clsa_st *st, const char *folder,
                               const char *path, clsa_error *error)
{
    json_t *index;
    CLSA_TRY(clsa_json_load(&index, path, INDEX_LIMIT, error));
    clsa_status status = open_mapped(
        st, folder, path, json_object_get(index, "weight_map"), error);
    json_decref(index);
    return status;
}

static bool ends_in(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* What a folder without the usual names holds: the only safetensors file in
   `name`, or a pickle. */
static clsa_status search(const char *folder, char *name, size_t capacity,
                          clsa_error *error)
{
    static const char *const pickles[] = {".bin", ".pt", ".pth", ".ckpt"};
    char pickle[NAME_LIMIT + 1] = "";
    int found = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return clsa_fail_io(error, "%s: cannot read the folder", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++)
            if (ends_in(entry->d_name, pickles[i]))
                snprintf(pickle, sizeof pickle, "%.200s", entry->d_name);
        if (ends_in(entry->d_name, ".safetensors") && ++found)
            snprintf(name, capacity, "%s", entry->d_name);
    }
    closedir(dir);
    if (found == 1)
        return CLSA_OK;
    if (found == 0 && *pickle)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s/%s: is a torch pickle, which can run programs: "
                         "export it with safetensors.torch.save_file("
                         "torch.load(FILE, weights_only=True), "
                         "\"model.safetensors\")",
                         folder, pickle);
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     found ? "%s: has several safetensors files but no "
                             "model.safetensors.index.json"
                           : "%s: has no model.safetensors",
                     folder);
}

static clsa_status open_files(struct clsa_st *st, const char *folder,
                              clsa_error *error)
{
    char name[256] = "model.safetensors";
    char *whole = clsa_path_join(folder, name);
    char *index = clsa_path_join(folder, "model.safetensors.index.json");
    clsa_status status = CLSA_OK;
    if (!whole || !index)
        status = clsa_fail_memory(error, "a path", sizeof name);
    else if (!clsa_path_exists(whole) && clsa_path_exists(index))
        status = open_shards(st, folder, index, error);
    else {
        if (!clsa_path_exists(whole))
            status = search(folder, name, sizeof name, error);
        if (!status)
            status = open_file(st, folder, name, error);
    }
    clsa_mem_free(whole);
    clsa_mem_free(index);
    return status;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct clsa_st_tensor *)a)->name,
                  ((const struct clsa_st_tensor *)b)->name);
}

static clsa_status read_headers(struct clsa_st *st, clsa_error *error)
{
    for (size_t i = 0; i < st->file_count; i++)
        CLSA_TRY(read_header(st, i, error));
    if (st->count > 0)
        qsort(st->tensors, st->count, sizeof *st->tensors, compare);
    for (size_t i = 1; i < st->count; i++)
        if (compare(&st->tensors[i - 1], &st->tensors[i]) == 0)
            return clsa_fail(error, CLSA_ERR_FORMAT,
                             "%s: tensor '%s' is there twice",
                             st->tensors[i].file, st->tensors[i].name);
    return CLSA_OK;
}

clsa_status clsa_st_open(struct clsa_st *st, const char *folder,
                         clsa_error *error)
{
    *st = (struct clsa_st){.files = NULL};
    clsa_status status = open_files(st, folder, error);
    if (!status)
        status = read_headers(st, error);
    if (status)
        clsa_st_close(st);
    return status;
}

void clsa_st_close(struct clsa_st *st)
{
    for (size_t i = 0; i < st->count; i++)
        clsa_mem_free(st->tensors[i].name);
    for (size_t i = 0; i < st->file_count; i++) {
        if (st->files[i].base)
            munmap((void *)(uintptr_t)st->files[i].base, st->files[i].size);
        clsa_mem_free(st->files[i].path);
    }
    clsa_mem_free(st->tensors);
    clsa_mem_free(st->files);
    *st = (struct clsa_st){.files = NULL};
}

struct clsa_st_tensor *clsa_st_find(const struct clsa_st *st, const char *name)
{
    struct clsa_st_tensor key = {.name = (char *)(uintptr_t)name};
    if (st->count == 0)
        return NULL;
    return bsearch(&key, st->tensors, st->count, sizeof key, compare);
}
