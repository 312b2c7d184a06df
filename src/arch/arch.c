/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the architecture of a file. */
#include <stdio.h>
#include <string.h>

#include "src/arch/indexes.h"
#include "src/base/mem.h"

const struct clsa_arch *clsa_arch_find(const char *name, size_t length)
{
    for (const struct clsa_arch *const *a = clsa_archs; *a; a++)
        if (strlen((*a)->name) == length &&
            memcmp((*a)->name, name, length) == 0)
            return *a;
    return NULL;
}

static clsa_status unknown(const struct clsa_gguf *gguf,
                           const struct clsa_gguf_string *name,
                           clsa_error *error)
{
    char list[200] = "";
    size_t used = 0;
    for (size_t i = 0; clsa_archs[i] && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s'%s'",
                                 i ? ", " : "", clsa_archs[i]->name);
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "%s: key 'general.architecture' is '%.*s': only models "
                     "of architecture %s can be run",
                     gguf->path, name->size < 40 ? (int)name->size : 40,
                     name->text, list);
}

/* A plan from the keys of the model, and its indexes from these or the side
   file's. */
static clsa_status read_plan(struct clsa_network *net,
                             const struct clsa_arch_keys *keys,
                             const struct clsa_gguf *side)
{
    if (net->arch->own_index)
        return side ? clsa_indexes_refuse(net, side, keys->error)
                    : net->arch->read(net, keys);
    clsa_indexes_claim(keys);
    CLSA_TRY(net->arch->read(net, keys));
    CLSA_TRY(clsa_indexes_read(net, keys));
    return side ? clsa_indexes_read_side(net, side, keys->error) : CLSA_OK;
}

clsa_status clsa_arch_read(struct clsa_network *net,
                           const struct clsa_gguf *gguf,
                           const struct clsa_gguf *side, clsa_error *error)
{
    struct clsa_gguf_string name;
    CLSA_TRY(clsa_gguf_text(gguf, "general.architecture", true, &name, error));
    net->arch = clsa_arch_find(name.text, name.size);
    if (!net->arch)
        return unknown(gguf, &name, error);
    bool *read = clsa_mem_calloc(gguf->key_count, sizeof *read);
    if (!read)
        return clsa_fail_memory(error, "keys of a model", gguf->key_count);
    const struct clsa_arch_keys keys = {gguf, net->arch->name, read, error};
    clsa_status status = read_plan(net, &keys, side);
    clsa_mem_free(read);
    if (!status)
        clsa_network_finish(net);
    return status;
}

clsa_status clsa_arch_find_all(struct clsa_network *net, struct clsa_finder *f)
{
    CLSA_TRY(net->arch->find(net, f));
    return net->arch->own_index ? CLSA_OK : clsa_indexes_find(net, f);
}

clsa_status clsa_arch_find_tensors(struct clsa_network *net,
                                   const struct clsa_gguf *gguf,
                                   const struct clsa_gguf *side,
                                   clsa_error *error)
{
    CLSA_TRY(clsa_tensors_find(net, gguf, clsa_arch_find_all, error));
    net->fine = clsa_network_is_fine(net);
    if (!side)
        return CLSA_OK;
    CLSA_TRY(clsa_tensors_find_side(net, side, clsa_indexes_find_side, error));
    return clsa_indexes_check(net, side, error);
}
