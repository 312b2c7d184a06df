/* SPDX-License-Identifier: Apache-2.0 */
/* The side file of indexes that belongs to a model file. */
#include <string.h>
#include <unistd.h>

#include "clsa_train.h"
#include "src/base/mem.h"
#include "src/engine/model.h"

char *clsa_index_beside(const char *path)
{
    static const char end[] = ".gguf", side[] = ".clsa.gguf";
    size_t length = strlen(path);
    if (length >= strlen(end) && strcmp(path + length - strlen(end), end) == 0)
        length -= strlen(end);
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
    clsa_status status =
        access(name, F_OK) == 0 ? clsa_gguf_open(side, name, error) : CLSA_OK;
    clsa_mem_free(name);
    return status;
}
