/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, closing and looking up: the mapping of a GGUF file and its sorted
 * indexes of names. The parser is gguf_read.c, typed values gguf_value.c,
 * models in parts gguf_split.c.
 *
 * The size is taken once, by fstat of the descriptor that is mapped; nothing
 * past it is ever read.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file_map.h"
#include "src/base/mem.h"
#include "src/model/gguf.h"
#include "src/model/gguf_read.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model files are used in place, and they are little-endian"
#endif

/* Longest path in messages, so that there is room for the reason. */
#define PATH_SHOWN 200

static char *shown_path(const char *path)
{
    size_t size = strlen(path);
    if (size <= PATH_SHOWN)
        return clsa_mem_dup(path, size);
    char *shown = clsa_mem_dup(path + size - PATH_SHOWN, PATH_SHOWN);
    if (shown)
        memcpy(shown, "...", 3);
    return shown;
}

/* A file that can be mapped: regular, not empty, of a size that fits. */
static clsa_status check_file(const struct clsa_gguf *gguf,
                              const struct stat *st, clsa_error *error)
{
    if (S_ISDIR(st->st_mode))
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: is a directory, not a GGUF file: use clsa "
                         "convert to make one from a model folder",
                         gguf->path);
    if (!S_ISREG(st->st_mode))
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: is not a regular file and cannot be mapped: save "
                         "the model to a file first",
                         gguf->path);
    if (st->st_size == 0)
        return clsa_fail(error, CLSA_ERR_FORMAT, "%s: the file is empty",
                         gguf->path);
    if ((uintmax_t)st->st_size > SIZE_MAX / 4)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: the file is too large for this system",
                         gguf->path);
    return CLSA_OK;
}

static clsa_status map_descriptor(struct clsa_gguf *gguf, int fd,
                                  clsa_error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return clsa_fail_io(error, "%s: cannot read its size", gguf->path);
    CLSA_TRY(check_file(gguf, &st, error));
    size_t size = (size_t)st.st_size;
    gguf->base = clsa_file_map(fd, size, &gguf->in_memory);
    if (!gguf->base)
        return clsa_fail_io(error, "%s: cannot map or read it", gguf->path);
    gguf->size = size;
#ifdef MADV_HUGEPAGE
    clsa_gguf_advise(gguf, MADV_HUGEPAGE); /* where files can have them */
#endif
    gguf->device = (uint64_t)st.st_dev;
    gguf->inode = (uint64_t)st.st_ino;
    return CLSA_OK;
}

static clsa_status map_file(struct clsa_gguf *gguf, const char *path,
                            clsa_error *error)
{
    /* O_NONBLOCK: the open of a FIFO without a writer would wait for one */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return clsa_fail_io(error, "%s: cannot open it", gguf->path);
    clsa_status status = map_descriptor(gguf, fd, error);
    close(fd); /* the mapping stays */
    return status;
}

static clsa_status map_bytes(struct clsa_gguf *gguf, const void *bytes,
                             size_t size, clsa_error *error)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return clsa_fail_memory(error, gguf->path, size);
    memcpy(base, bytes, size);
    gguf->base = base;
    gguf->size = size;
    return CLSA_OK;
}

/* A file, or a copy of `size` bytes. */
static clsa_status open_source(struct clsa_gguf **gguf, const char *path,
                               const void *bytes, size_t size,
                               clsa_error *error)
{
    struct clsa_gguf *g = clsa_mem_calloc(1, sizeof *g);
    if (g)
        g->path = shown_path(path);
    if (!g || !g->path) {
        clsa_mem_free(g);
        return clsa_fail_memory(error, "a model file", sizeof *g);
    }
    clsa_status status =
        bytes ? map_bytes(g, bytes, size, error) : map_file(g, path, error);
    if (status == CLSA_OK)
        status = clsa_gguf_parse(g, error);
    if (status != CLSA_OK)
        clsa_gguf_close(g);
    else
        *gguf = g;
    return status;
}

clsa_status clsa_gguf_open_one(struct clsa_gguf **gguf, const char *path,
                               clsa_error *error)
{
    return open_source(gguf, path, NULL, 0, error);
}

clsa_status clsa_gguf_open_bytes(struct clsa_gguf **gguf, const char *path,
                                 const void *bytes, size_t size,
                                 clsa_error *error)
{
    return open_source(gguf, path, bytes, size, error);
}

clsa_status clsa_gguf_open(struct clsa_gguf **gguf, const char *path,
                           clsa_error *error)
{
    struct clsa_gguf *g;
    CLSA_TRY(clsa_gguf_open_one(&g, path, error));
    clsa_status status = clsa_gguf_join(g, path, error);
    if (status != CLSA_OK)
        clsa_gguf_close(g);
    else
        *gguf = g;
    return status;
}

bool clsa_is_lfs_pointer(const unsigned char *data, size_t size)
{
    static const char start[] = "version https://git-lfs.";
    return size >= sizeof start - 1 &&
           memcmp(data, start, sizeof start - 1) == 0;
}

bool clsa_is_zero(const void *data, uint64_t size)
{
    const unsigned char *bytes = data;
    /* each byte is the same as the one before it, and the first is 0 */
    return size > 0 && bytes[0] == 0 &&
           memcmp(bytes, bytes + 1, (size_t)size - 1) == 0;
}

uint64_t clsa_gguf_bytes(const struct clsa_gguf *gguf)
{
    uint64_t bytes = gguf->size;
    for (size_t i = 0; i < gguf->part_count; i++)
        bytes += gguf->parts[i]->size;
    return bytes;
}

bool clsa_gguf_is_file(const struct clsa_gguf *gguf, const char *path)
{
    struct stat st;
    if (!gguf->inode || stat(path, &st) != 0)
        return false;
    const struct clsa_gguf *part = gguf;
    for (size_t i = 0;; part = gguf->parts[i++]) {
        if (part->device == (uint64_t)st.st_dev &&
            part->inode == (uint64_t)st.st_ino)
            return true;
        if (i == gguf->part_count)
            return false;
    }
}

void clsa_gguf_advise(const struct clsa_gguf *gguf, int advice)
{
    if (!gguf->in_memory)
        madvise((void *)(uintptr_t)gguf->base, gguf->size, advice);
    for (size_t i = 0; i < gguf->part_count; i++)
        clsa_gguf_advise(gguf->parts[i], advice);
}

uint64_t clsa_gguf_memory(const struct clsa_gguf *gguf)
{
    uint64_t bytes = gguf->in_memory ? gguf->size : 0;
    for (size_t i = 0; i < gguf->part_count; i++)
        bytes += clsa_gguf_memory(gguf->parts[i]);
    return bytes;
}

void clsa_gguf_populate(struct clsa_gguf *gguf)
{
#ifdef MADV_POPULATE_READ
    if (!gguf->populated && !gguf->numa_weights)
        clsa_gguf_advise(gguf, MADV_POPULATE_READ);
#endif
    gguf->populated = true;
}

void clsa_gguf_close(struct clsa_gguf *gguf)
{
    if (!gguf)
        return;
    for (size_t i = 0; i < gguf->part_count; i++)
        clsa_gguf_close(gguf->parts[i]);
    clsa_mem_free(gguf->parts);
    for (size_t i = 0; i < gguf->key_count; i++)
        clsa_mem_free(gguf->keys[i].name);
    for (size_t i = 0; i < gguf->tensor_count; i++)
        clsa_mem_free(gguf->tensors[i].name);
    clsa_mem_free(gguf->keys);
    clsa_mem_free(gguf->tensors);
    clsa_mem_free(gguf->key_names);
    clsa_mem_free(gguf->tensor_names);
    if (gguf->base)
        clsa_file_unmap(gguf->base, gguf->size);
    clsa_mem_unmap(gguf->numa_weights, gguf->numa_size);
    clsa_mem_free(gguf->path);
    clsa_mem_free(gguf);
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct clsa_gguf_name *)entry)->name);
}

static const struct clsa_gguf_name *
find_name(const struct clsa_gguf_name *names, size_t count, const char *name)
{
    if (count == 0)
        return NULL;
    return bsearch(name, names, count, sizeof *names, compare_name);
}

const struct clsa_gguf_key *clsa_gguf_key(const struct clsa_gguf *gguf,
                                          const char *name)
{
    const struct clsa_gguf_name *found =
        find_name(gguf->key_names, gguf->key_count, name);
    return found ? &gguf->keys[found->at] : NULL;
}

const struct clsa_gguf_tensor *clsa_gguf_tensor(const struct clsa_gguf *gguf,
                                                const char *name)
{
    const struct clsa_gguf_name *found =
        find_name(gguf->tensor_names, gguf->tensor_count, name);
    return found ? &gguf->tensors[found->at] : NULL;
}
