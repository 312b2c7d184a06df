/* SPDX-License-Identifier: Apache-2.0 */
/* A side file from what is there and what changes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/arch/arch.h"
#include "src/arch/indexes.h"
#include "src/base/mem.h"
#include "src/base/out.h"
#include "src/train/side_file.h"

/* A file that is being made. */
struct making {
    const struct clsa_model *model;
    const char *path;
    const struct clsa_side_change *change;
    struct clsa_gguf *before; /* the file that is there, or NULL */
    struct clsa_gguf *change_keys;
    struct clsa_keys keys;
    struct clsa_bytes head; /* of the file */
    const struct clsa_gguf_tensor **kept;
    size_t kept_count;
    uint64_t end; /* of the tensors so far, from the start of their data */
    clsa_error *error;
};

void clsa_side_key(const struct clsa_model *model, const char *name,
                   char key[CLSA_SIDE_KEY])
{
    snprintf(key, CLSA_SIDE_KEY, "%s.attention.%s", model->net.arch->name,
             name);
}

void clsa_side_layers(struct clsa_keys *keys, const char *key,
                      const uint32_t *layers, uint32_t count)
{
    clsa_keys_array(keys, key, CLSA_GGUF_I32, count);
    clsa_bytes_add(&keys->bytes, layers, count * sizeof *layers);
}

/* ---------------------------------------------------------- what is there */

static clsa_status open_before(const struct clsa_model *model, const char *path,
                               struct clsa_gguf **before, clsa_error *error)
{
    clsa_status status = CLSA_OK;
    *before = NULL;
    if (access(path, F_OK) == 0)
        status = clsa_gguf_open(before, path, error);
    if (!status && *before)
        status = clsa_indexes_check_file(&model->net, *before, error);
    if (status) {
        clsa_gguf_close(*before);
        *before = NULL;
    }
    return status;
}

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* A key that every side file gets anew. */
static bool is_own(const struct making *m, const char *name)
{
    static const char *const sizes[] = {"block_count", "embedding_length"};
    const size_t arch = strlen(m->model->net.arch->name);
    for (size_t i = 0; i < 2; i++)
        if (starts_with(name, m->model->net.arch->name) && name[arch] == '.' &&
            strcmp(name + arch + 1, sizes[i]) == 0)
            return true;
    return strcmp(name, "general.type") == 0 ||
           strcmp(name, "general.architecture") == 0 ||
           strcmp(name, "clsa.index.of") == 0;
}

/* A key of an index that is replaced. */
static bool is_old(const struct making *m, const char *name)
{
    char index[CLSA_SIDE_KEY], window[CLSA_SIDE_KEY];
    clsa_side_key(m->model, "indexer.", index);
    clsa_side_key(m->model, "indexer.first_window", window);
    return m->change->new_index && starts_with(name, index) &&
           strcmp(name, window) != 0;
}

static void copy_keys(struct making *m)
{
    for (size_t i = 0; m->before && i < m->before->key_count; i++) {
        const struct clsa_gguf_key *key = &m->before->keys[i];
        if (!is_own(m, key->name) && !is_old(m, key->name) &&
            !clsa_gguf_key(m->change_keys, key->name))
            clsa_keys_copy(&m->keys, key);
    }
    for (size_t i = 0; i < m->change_keys->key_count; i++)
        clsa_keys_copy(&m->keys, &m->change_keys->keys[i]);
}

/* ------------------------------------------------------------------- keys */

static clsa_status open_keys(const struct clsa_keys *keys,
                             struct clsa_gguf **gguf, clsa_error *error)
{
    struct clsa_bytes bytes = {.data = NULL};
    clsa_gguf_begin(&bytes, 0, keys);
    clsa_status status =
        bytes.failed ? clsa_fail_memory(error, "keys of an index", bytes.size)
                     : clsa_gguf_open_bytes(gguf, "keys of an index",
                                            bytes.data, bytes.size, error);
    clsa_bytes_free(&bytes);
    return status;
}

/* The sites of the new file, or its anchors if it has no index. */
static clsa_status list_layers(struct making *m, const struct clsa_gguf *keys,
                               uint32_t *layers, uint32_t *count)
{
    uint32_t sites[CLSA_LAYER_LIMIT], anchors[CLSA_ANCHORS_MOST];
    struct clsa_indexes_lists now = {.sites = sites, .anchors = anchors};
    const struct clsa_network *net = &m->model->net;
    CLSA_TRY(clsa_indexes_list(net, keys, &now, m->error));
    *count = now.site_count > 0 ? now.site_count : now.anchor_count;
    memcpy(layers, now.site_count > 0 ? sites : anchors,
           *count * sizeof *layers);
    if (now.site_count > 0 || !m->before || m->change->new_index)
        return CLSA_OK;
    /* tensors may say it, without a key */
    CLSA_TRY(clsa_indexes_list(net, m->before, &now, m->error));
    if (now.site_count > 0) {
        *count = now.site_count;
        memcpy(layers, sites, *count * sizeof *layers);
    }
    return CLSA_OK;
}

/* The key that says which model the file is of. */
static clsa_status put_sum(struct making *m)
{
    uint32_t layers[CLSA_LAYER_LIMIT], count = 0;
    char sum[CLSA_INDEXES_SUM];
    struct clsa_gguf *keys;
    CLSA_TRY(open_keys(&m->keys, &keys, m->error));
    clsa_status status = list_layers(m, keys, layers, &count);
    clsa_gguf_close(keys);
    CLSA_TRY(status);
    clsa_indexes_sum(&m->model->net, layers, count, sum);
    clsa_keys_text(&m->keys, "clsa.index.of", sum, strlen(sum));
    return CLSA_OK;
}

static clsa_status make_keys(struct making *m)
{
    const struct clsa_network *net = &m->model->net;
    const char *arch = net->arch->name;
    char name[CLSA_SIDE_KEY];
    clsa_keys_text(&m->keys, "general.type", "index", 5);
    clsa_keys_text(&m->keys, "general.architecture", arch, strlen(arch));
    snprintf(name, sizeof name, "%s.block_count", arch);
    clsa_keys_u32(&m->keys, name, net->layer_count);
    snprintf(name, sizeof name, "%s.embedding_length", arch);
    clsa_keys_u32(&m->keys, name, net->hidden);
    copy_keys(m);
    return put_sum(m);
}

/* ---------------------------------------------------------------- tensors */

static uint64_t padded(uint64_t size)
{
    return (size + CLSA_GGUF_ALIGNMENT - 1) / CLSA_GGUF_ALIGNMENT *
           CLSA_GGUF_ALIGNMENT;
}

static uint64_t bytes_of(const struct clsa_side_tensor *t)
{
    return t->rows * t->cols * sizeof *t->values;
}

static bool is_replaced(const struct making *m, const char *name)
{
    size_t i = 0;
    while (i < m->change->tensor_count &&
           strcmp(m->change->tensors[i].name, name) != 0)
        i++;
    return m->change->new_index || i < m->change->tensor_count;
}

/* Which tensors of the file that is there stay. */
static clsa_status keep_tensors(struct making *m)
{
    const size_t n = m->before ? m->before->tensor_count : 0;
    m->kept = clsa_mem_calloc(n + 1, sizeof *m->kept);
    if (!m->kept)
        return clsa_fail_memory(m->error, "tensors of an index", n);
    for (size_t i = 0; i < n; i++)
        if (!is_replaced(m, m->before->tensors[i].name))
            m->kept[m->kept_count++] = &m->before->tensors[i];
    return CLSA_OK;
}

static void make_infos(struct making *m)
{
    const struct clsa_side_change *change = m->change;
    clsa_gguf_begin(&m->head, m->kept_count + change->tensor_count, &m->keys);
    for (size_t i = 0; i < m->kept_count; i++) {
        const struct clsa_gguf_tensor *t = m->kept[i];
        clsa_gguf_put_tensor(&m->head, t->name, t->dims, t->shape[1],
                             t->shape[0], t->type, m->end);
        m->end += padded(t->size);
    }
    for (size_t i = 0; i < change->tensor_count; i++) {
        const struct clsa_side_tensor *t = &change->tensors[i];
        clsa_gguf_put_tensor(&m->head, t->name, t->dims, t->rows, t->cols,
                             CLSA_TYPE_F32, m->end);
        m->end += padded(bytes_of(t));
    }
}

/* Bytes, and zeros up to the next tensor. */
static clsa_status write_padded(struct clsa_out *out, const void *data,
                                uint64_t size, clsa_error *error)
{
    static const unsigned char zeros[CLSA_GGUF_ALIGNMENT];
    CLSA_TRY(clsa_out_write(out, data, (size_t)size, error));
    return clsa_out_write(out, zeros, (size_t)(padded(size) - size), error);
}

static clsa_status write_all(const struct making *m, struct clsa_out *out)
{
    const struct clsa_side_change *change = m->change;
    CLSA_TRY(write_padded(out, m->head.data, m->head.size, m->error));
    for (size_t i = 0; i < m->kept_count; i++)
        CLSA_TRY(
            write_padded(out, m->kept[i]->data, m->kept[i]->size, m->error));
    for (size_t i = 0; i < change->tensor_count; i++)
        CLSA_TRY(write_padded(out, change->tensors[i].values,
                              bytes_of(&change->tensors[i]), m->error));
    return clsa_out_close(out, m->error);
}

static clsa_status write_file(struct making *m)
{
    struct clsa_out out = {.file = NULL};
    CLSA_TRY(keep_tensors(m));
    CLSA_TRY(make_keys(m));
    make_infos(m);
    if (m->head.failed)
        return clsa_fail_memory(m->error, "keys of an index", m->head.size);
    CLSA_TRY(clsa_out_open(&out, m->path, m->error));
    clsa_status status = write_all(m, &out);
    if (!status)
        status = clsa_out_rename(&out, m->error);
    clsa_out_free(&out);
    return status;
}

/* ------------------------------------------------------------------- calls */

/* An architecture whose index is in the model file. */
static clsa_status check_model(const struct clsa_model *model, const char *path,
                               clsa_error *error)
{
    if (model->net.layer_count > 0 && !model->net.arch->own_index)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "%s: models of architecture %s have no side file", path,
                     model->net.arch ? model->net.arch->name : "?");
}

clsa_status clsa_side_write(const struct clsa_model *model, const char *path,
                            const struct clsa_side_change *change,
                            clsa_error *error)
{
    struct making m = {
        .model = model, .path = path, .change = change, .error = error};
    CLSA_TRY(check_model(model, path, error));
    CLSA_TRY(open_keys(&change->keys, &m.change_keys, error));
    clsa_status status = open_before(model, path, &m.before, error);
    if (!status)
        status = write_file(&m);
    clsa_gguf_close(m.before);
    clsa_gguf_close(m.change_keys);
    clsa_bytes_free(&m.keys.bytes);
    clsa_bytes_free(&m.head);
    clsa_mem_free(m.kept);
    return status;
}

clsa_status clsa_side_has_index(const struct clsa_model *model,
                                const char *path, bool *has, clsa_error *error)
{
    struct clsa_gguf *file;
    CLSA_TRY(check_model(model, path, error));
    CLSA_TRY(open_before(model, path, &file, error));
    *has = file && file->tensor_count > 0;
    clsa_gguf_close(file);
    return CLSA_OK;
}
