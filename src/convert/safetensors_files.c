/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files of a folder have its tensors: model.safetensors, or the files of
 * the index, or the only file, or the only set of shards.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file_map.h"
#include "src/base/mem.h"
#include "src/convert/json.h"
#include "src/convert/safetensors.h"

#define INDEX_LIMIT ((size_t)64 << 20)
#define FILE_LIMIT  4096

static clsa_status map_file(struct clsa_st_file *file, int fd,
                            clsa_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return clsa_fail_io(error, "%s: cannot read its size", file->path);
    if (!S_ISREG(status.st_mode) || status.st_size == 0 ||
        (uintmax_t)status.st_size > SIZE_MAX / 4)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: is empty or not a regular file", file->path);
    bool read;
    file->base = clsa_file_map(fd, (size_t)status.st_size, &read);
    if (!file->base)
        return clsa_fail_io(error, "%s: cannot map or read it", file->path);
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
        if (strcmp(clsa_base_name(st->files[i].path), name) == 0)
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
                         "%s: key 'weight_map' is not an object", path);
    json_object_foreach((json_t *)map, tensor, value)
    {
        const char *name = json_string_value(value);
        if (!name || !*name || strchr(name, '/'))
            return clsa_fail(
                error, CLSA_ERR_FORMAT,
                "%s: tensor '%.80s' is not in a file of this folder", path,
                tensor);
        if (is_open(st, name))
            continue;
        if (st->file_count == FILE_LIMIT)
            return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                             "%s: names more than %d files", path, FILE_LIMIT);
        CLSA_TRY(open_file(st, folder, name, error));
    }
    return CLSA_OK;
}

static clsa_status open_indexed(struct clsa_st *st, const char *folder,
                                char *path, clsa_error *error)
{
    st->index_path = path;
    CLSA_TRY(clsa_json_load(&st->index, path, INDEX_LIMIT, error));
    return open_mapped(st, folder, path,
                       json_object_get(st->index, "weight_map"), error);
}

/* The file in which the index has a tensor that is not there; NULL: it is. */
static const char *lost_from(const struct clsa_st *st, const char *name,
                             const json_t *value)
{
    char clean[CLSA_ST_NAME_LIMIT + 1];
    const char *file = json_string_value(value);
    snprintf(clean, sizeof clean, "%s", name);
    clsa_st_unwrap(clean);
    const struct clsa_st_tensor *t = clsa_st_find(st, clean);
    return t && file && strcmp(t->file, file) == 0 ? NULL : file;
}

clsa_status clsa_st_check_index(const struct clsa_st *st, clsa_error *error)
{
    const char *name, *lost = NULL, *file = NULL;
    size_t count = 0;
    json_t *value;
    json_object_foreach(json_object_get(st->index, "weight_map"), name, value)
    {
        const char *from = lost_from(st, name, value);
        if (!from)
            continue;
        if (count++ > 0)
            continue;
        lost = name;
        file = from;
    }
    if (count == 0)
        return CLSA_OK;
    char more[40] = "";
    if (count > 1)
        snprintf(more, sizeof more, " (nor are %zu others)", count - 1);
    return clsa_fail(error, CLSA_ERR_FORMAT,
                     "%s: tensor '%.80s' is not in %s%s: the files are not "
                     "complete, or of several versions",
                     st->index_path, lost, file, more);
}

static bool ends_in(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* ------------------------------------------------------------ no index */

/* What a folder without the usual names holds. */
struct found {
    char pickle[256]; /* one of them, or "" */
    char single[256]; /* a safetensors file, or "" */
    char shard[256];  /* the first shard of those that were found, or "" */
    size_t singles, sets;
};

/* The number and count of NAME-00001-of-00003.safetensors; the length of NAME,
   or 0 for other names. */
static size_t parse_shard(const char *name, unsigned *number, unsigned *count)
{
    static const char pattern[] = "-00001-of-00003.safetensors";
    const size_t size = strlen(name), end = sizeof pattern - 1;
    int used = 0;
    if (size <= end ||
        sscanf(name + size - end, "-%5u-of-%5u.safetensors%n", number, count,
               &used) != 2 ||
        (size_t)used != end || *number < 1 || *number > *count)
        return 0;
    return size - end;
}

static void make_shard(char name[256], size_t stem, unsigned number,
                       unsigned count)
{
    snprintf(name + stem, 256 - stem, "-%05u-of-%05u.safetensors",
             number % 100000, count % 100000);
}

static void take_entry(struct found *f, const char *name)
{
    static const char *const pickles[] = {".bin", ".pt", ".pth", ".ckpt"};
    unsigned number, count;
    char first[256];
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++)
        if (ends_in(name, pickles[i]))
            snprintf(f->pickle, sizeof f->pickle, "%s", name);
    if (!ends_in(name, ".safetensors") || strlen(name) > 255)
        return;
    const size_t stem = parse_shard(name, &number, &count);
    if (stem == 0) {
        snprintf(f->single, sizeof f->single, "%s", name);
        f->singles++;
        return;
    }
    snprintf(first, sizeof first, "%s", name);
    make_shard(first, stem, 1, count);
    if (strcmp(f->shard, first) == 0)
        return;
    memcpy(f->shard, first, sizeof first);
    f->sets++;
}

static clsa_status search(const char *folder, struct found *f,
                          clsa_error *error)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return clsa_fail_io(error, "%s: cannot read the folder", folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        take_entry(f, entry->d_name);
    closedir(dir);
    return CLSA_OK;
}

/* All shards of the set whose first is `first`. */
static clsa_status open_set(struct clsa_st *st, const char *folder,
                            const char *first, clsa_error *error)
{
    unsigned number = 1, count = 1;
    char name[256];
    const size_t stem = parse_shard(first, &number, &count);
    if (count > FILE_LIMIT)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s/%s: more than %d files", folder, first,
                         FILE_LIMIT);
    memcpy(name, first, sizeof name);
    for (number = 1; number <= count; number++) {
        make_shard(name, stem, number, count);
        CLSA_TRY(open_file(st, folder, name, error));
    }
    return CLSA_OK;
}

/* The only safetensors file, or the only set of shards. */
static clsa_status open_found(struct clsa_st *st, const char *folder,
                              clsa_error *error)
{
    struct found f = {.singles = 0};
    CLSA_TRY(search(folder, &f, error));
    if (f.sets == 1)
        return open_set(st, folder, f.shard, error);
    if (f.sets == 0 && f.singles == 1)
        return open_file(st, folder, f.single, error);
    if (f.sets + f.singles > 0)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: has several safetensors files but no "
                         "model.safetensors.index.json",
                         folder);
    if (!*f.pickle)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: has no model.safetensors", folder);
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "%s/%.200s: is a torch pickle, which can run programs: "
                     "export it with safetensors.torch.save_file("
                     "torch.load(FILE, weights_only=True), "
                     "\"model.safetensors\")",
                     folder, f.pickle);
}

clsa_status clsa_st_open_files(struct clsa_st *st, const char *folder,
                               clsa_error *error)
{
    static const char whole[] = "model.safetensors";
    char *path = clsa_path_join(folder, whole);
    char *index = clsa_path_join(folder, "model.safetensors.index.json");
    clsa_status status;
    if (!path || !index)
        status = clsa_fail_memory(error, "a path", sizeof whole);
    else if (clsa_path_exists(path))
        status = open_file(st, folder, whole, error);
    else if (clsa_path_exists(index)) {
        status = open_indexed(st, folder, index, error);
        index = NULL; /* is st->index_path */
    } else
        status = open_found(st, folder, error);
    clsa_mem_free(path);
    clsa_mem_free(index);
    return status;
}
