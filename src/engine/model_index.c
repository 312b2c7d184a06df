/* SPDX-License-Identifier: Apache-2.0 */
/* The side file of indexes that belongs to a model file. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "clsa_train.h"
#include "src/base/mem.h"
#include "src/engine/model.h"

/* Bytes of a path without its end: .gguf, and before it -00001-of-00003 of a
   split file. */
static size_t stem_of(const char *path)
{
    static const char end[] = ".gguf", digits[] = "0123456789";
    enum { NUMBER = 5, PART = 2 * NUMBER + 5 };
    size_t n = strlen(path);
    if (n >= strlen(end) && strcmp(path + n - strlen(end), end) == 0)
        n -= strlen(end);
    if (n <= PART)
        return n;
    const char *part = path + n - PART;
    if (part[0] == '-' && strspn(part + 1, digits) == NUMBER &&
        memcmp(part + 1 + NUMBER, "-of-", 4) == 0 &&
        strspn(part + PART - NUMBER, digits) == NUMBER)
        n -= PART;
    return n;
}

char *clsa_index_beside(const char *path)
{
    static const char side[] = ".clsa.gguf";
    const size_t length = stem_of(path);
    char *name = clsa_mem_calloc(length + sizeof side, 1);
    if (!name)
        return NULL;
    memcpy(name, path, length);
    memcpy(name + length, side, sizeof side);
    return name;
}

clsa_status clsa_model_open_side(struct clsa_gguf **side, const char *path,
                                 const char *index, clsa_error *error)
{
    *side = NULL;
    if (index)
        return strcmp(index, "none") == 0 ? CLSA_OK
                                          : clsa_gguf_open(side, index, error);
    char *name = clsa_index_beside(path);
    if (!name)
        return clsa_fail_memory(error, "the name of an index", strlen(path));
    const bool none =
        access(name, F_OK) != 0 &&
        (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG);
    clsa_status status = none ? CLSA_OK : clsa_gguf_open(side, name, error);
    clsa_mem_free(name);
    return status;
}
