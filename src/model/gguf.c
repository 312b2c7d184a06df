/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, closing and looking up: the mapping of a GGUF file and its sorted
 * indexes of names. The parser is gguf_read.c, typed values gguf_value.c.
 *
 * The size is taken once, by fstat of the descriptor that is mapped; nothing
 * behind it is ever read.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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
                         "convert to make one of a model folder",
                         gguf->path);
    if (!S_ISREG(st->st_mode))
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: is not a regular file, and only those can be "
                         "mapped: save the model to a file first",
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
    void *base = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED)
        return clsa_fail_io(error, "%s: cannot map it", gguf->path);
#ifdef MADV_HUGEPAGE
    madvise(base, size, MADV_HUGEPAGE); /* where files can have them */
#endif
    gguf->base = base;
    gguf->size = size;
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

clsa_status clsa_gguf_open(struct clsa_gguf **gguf, const char *path,
                           clsa_error *error)
{
    struct clsa_gguf *g = clsa_mem_calloc(1, sizeof *g);
    if (g)
        g->path = shown_path(path);
    if (!g || !g->path) {
        clsa_mem_free(g);
        return clsa_fail_memory(error, "a model file", sizeof *g);
    }
    clsa_status status = map_file(g, path, error);
    if (status == CLSA_OK)
        status = clsa_gguf_parse(g, error);
    if (status != CLSA_OK)
        clsa_gguf_close(g);
    else
        *gguf = g;
    return status;
}

void clsa_gguf_populate(struct clsa_gguf *gguf)
{
#ifdef MADV_POPULATE_READ
    if (!gguf->populated && !gguf->placed)
        madvise((void *)(uintptr_t)gguf->base, gguf->size, MADV_POPULATE_READ);
#endif
    gguf->populated = true;
}

void clsa_gguf_close(struct clsa_gguf *gguf)
{
    if (!gguf)
        return;
    for (size_t i = 0; i < gguf->key_count; i++)
        clsa_mem_free(gguf->keys[i].name);
    for (size_t i = 0; i < gguf->tensor_count; i++)
        clsa_mem_free(gguf->tensors[i].name);
    clsa_mem_free(gguf->keys);
    clsa_mem_free(gguf->tensors);
    clsa_mem_free(gguf->key_names);
    clsa_mem_free(gguf->tensor_names);
    if (gguf->base)
        munmap((void *)(uintptr_t)gguf->base, gguf->size);
    clsa_mem_unmap(gguf->placed, gguf->placed_size);
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

bool clsa_gguf_format(uint32_t type, enum clsa_format *format)
{
    static const struct {
        clsa_type type;
        enum clsa_format format;
    } formats[] = {
        {CLSA_TYPE_F32, CLSA_F32},   {CLSA_TYPE_F16, CLSA_F16},
        {CLSA_TYPE_BF16, CLSA_BF16}, {CLSA_TYPE_Q8_0, CLSA_Q8_0},
        {CLSA_TYPE_Q4_0, CLSA_Q4_0}, {CLSA_TYPE_Q4_K, CLSA_Q4_K},
        {CLSA_TYPE_Q6_K, CLSA_Q6_K},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if ((uint32_t)formats[i].type == type) {
            *format = formats[i].format;
            return true;
        }
    }
    return false;
}
