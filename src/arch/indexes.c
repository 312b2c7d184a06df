/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and tensors of indexes, and the check that a side file belongs to a
   model. */
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "src/arch/indexes.h"
#include "src/base/mem.h"

void clsa_indexes_claim(const struct clsa_arch_keys *keys)
{
    static const char *const names[] = {"attention.indexer.layers",
                                        "attention.indexer.head_count",
                                        "attention.indexer.key_length",
                                        "attention.indexer.top_k",
                                        "attention.indexer.sink_rows",
                                        "attention.indexer.recent_rows",
                                        "attention.indexer.first_window",
                                        "attention.anchor_layers",
                                        NULL};
    for (const char *const *n = names; *n; n++)
        clsa_keys_ignore(keys, *n);
}

/* ------------------------------------------------------------------- keys */

static bool has_index(const struct clsa_gguf *gguf, uint32_t layer)
{
    char name[60];
    snprintf(name, sizeof name, "blk.%" PRIu32 ".indexer.q_proj.weight", layer);
    return clsa_gguf_tensor(gguf, name) != NULL;
}

/* The sites: those that the key names, or the layers with tensors. Without any,
   top_k may be the number of rows of anchors. */
static clsa_status read_sites(const struct clsa_arch_keys *keys,
                              uint32_t layers, uint32_t *sites, uint32_t *count)
{
    CLSA_TRY(clsa_keys_layers(keys, "attention.indexer.layers", layers,
                              CLSA_LAYER_LIMIT, sites, count));
    for (uint32_t i = 0;
         i < layers && !clsa_keys_has(keys, "attention.indexer.layers"); i++)
        if (has_index(keys->gguf, i))
            sites[(*count)++] = i;
    if (*count > 0 || !clsa_keys_has(keys, "attention.indexer.top_k") ||
        clsa_keys_has(keys, "attention.anchor_layers"))
        return CLSA_OK;
    return clsa_fail(
        keys->error, CLSA_ERR_FORMAT,
        "%s: key '%s.attention.indexer.top_k' tells of an index, but no "
        "layer has a tensor 'blk.N.indexer.q_proj.weight'",
        keys->gguf->path, keys->arch);
}

clsa_status clsa_indexes_read_kept(const struct clsa_arch_keys *keys,
                                   uint32_t top_k, uint32_t *sinks,
                                   uint32_t *recent)
{
    uint64_t first = 0, last = 0;
    CLSA_TRY(clsa_keys_uint(keys, "attention.indexer.sink_rows", false, 0,
                            CLSA_SIZE_LIMIT, &first));
    CLSA_TRY(clsa_keys_uint(keys, "attention.indexer.recent_rows", false, 0,
                            CLSA_SIZE_LIMIT, &last));
    if (first + last >= top_k)
        return clsa_fail(
            keys->error, CLSA_ERR_FORMAT,
            "%s: keys '%s.attention.indexer.sink_rows' and '.recent_rows'"
            " are %" PRIu64 " and %" PRIu64 ", which leaves "
            "nothing to choose of '.top_k', %" PRIu32,
            keys->gguf->path, keys->arch, first, last, top_k);
    *sinks = (uint32_t)first;
    *recent = (uint32_t)last;
    return CLSA_OK;
}

static clsa_status read_sizes(const struct clsa_arch_keys *keys,
                              struct clsa_indexes *x, uint32_t *top_k)
{
    uint64_t window = 0;
    x->heads = 1;
    CLSA_TRY(clsa_keys_size(keys, "attention.indexer.head_count", false,
                            CLSA_SIZE_LIMIT, &x->heads));
    CLSA_TRY(clsa_keys_size(keys, "attention.indexer.key_length", true,
                            CLSA_INDEX_DIM_LIMIT, &x->dim));
    CLSA_TRY(clsa_keys_size(keys, "attention.indexer.top_k", true,
                            CLSA_SIZE_LIMIT, top_k));
    CLSA_TRY(clsa_indexes_read_kept(keys, *top_k, &x->sinks, &x->recent));
    CLSA_TRY(clsa_keys_uint(keys, "attention.indexer.first_window", false, 0,
                            CLSA_CONTEXT_LIMIT, &window));
    x->first_window = (uint32_t)window;
    if (x->dim % CLSA_HEAD_DIM_UNIT == 0 &&
        (uint64_t)x->heads * x->dim <= CLSA_SIZE_LIMIT)
        return CLSA_OK;
    return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key '%s.attention.indexer.key_length' is %" PRIu32
                     " for "
                     "%" PRIu32 " heads, which is not supported: only "
                     "multiples of %d are, and %d values of all heads",
                     keys->gguf->path, keys->arch, x->dim, x->heads,
                     CLSA_HEAD_DIM_UNIT, CLSA_SIZE_LIMIT);
}

/* A layer with a cache that it writes: its rows get the keys. */
static clsa_status check_layer(const struct clsa_arch_keys *keys,
                               const struct clsa_network *net, uint32_t i,
                               bool site)
{
    const struct clsa_layer *l = &net->layers[i];
    const char *wrong = NULL;
    if (!clsa_layer_reads_cache(net, l))
        wrong = "has a window and no cache to select from";
    else if (site && !l->writes)
        wrong = "has no cache of its own";
    if (!wrong)
        return CLSA_OK;
    return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                     "%s: layer %" PRIu32 " is %s, but it %s", keys->gguf->path,
                     i, site ? "the site of an index" : "an anchor layer",
                     wrong);
}

/* Layers from 0 on have no index any more. */
static void forget(struct clsa_network *net)
{
    for (uint32_t i = 0; i < net->layer_count; i++)
        net->layers[i].indexed = false;
    for (uint32_t i = 0; i < net->store_count; i++)
        net->stores[i].index_dim = 0;
}

/* The sites of a file, if it has any, become the network's. */
static clsa_status read_indexes(struct clsa_network *net,
                                const struct clsa_arch_keys *keys, bool side)
{
    uint32_t sites[CLSA_LAYER_LIMIT], count = 0, top_k = 0;
    struct clsa_indexes x = {.from_side = side};
    CLSA_TRY(read_sites(keys, net->layer_count, sites, &count));
    if (count == 0)
        return CLSA_OK;
    CLSA_TRY(read_sizes(keys, &x, &top_k));
    forget(net);
    for (uint32_t i = 0; i < count; i++) {
        struct clsa_layer *l = &net->layers[sites[i]];
        CLSA_TRY(check_layer(keys, net, sites[i], true));
        l->indexed = true;
        net->stores[l->store].index_dim = x.dim;
    }
    x.anchor_count = net->indexes.anchor_count;
    x.anchor_rows = net->indexes.anchor_rows;
    memcpy(x.anchors, net->indexes.anchors, sizeof x.anchors);
    net->indexes = x;
    net->top_k = top_k;
    return CLSA_OK;
}

/* Rows of anchors by a file without an index: its top_k. */
static clsa_status read_anchor_rows(const struct clsa_arch_keys *keys,
                                    uint32_t *rows)
{
    uint32_t sinks, recent;
    *rows = 0;
    CLSA_TRY(clsa_keys_size(keys, "attention.indexer.top_k", false,
                            CLSA_SIZE_LIMIT, rows));
    return *rows ? clsa_indexes_read_kept(keys, *rows, &sinks, &recent)
                 : CLSA_OK;
}

static clsa_status read_anchors(struct clsa_network *net,
                                const struct clsa_arch_keys *keys)
{
    struct clsa_indexes *x = &net->indexes;
    uint32_t sites[CLSA_LAYER_LIMIT], count = 0;
    CLSA_TRY(read_sites(keys, net->layer_count, sites, &count));
    if (count == 0)
        CLSA_TRY(read_anchor_rows(keys, &x->anchor_rows));
    CLSA_TRY(clsa_keys_layers(keys, "attention.anchor_layers", net->layer_count,
                              CLSA_ANCHORS_MOST, x->anchors, &x->anchor_count));
    for (uint32_t i = 0; i < x->anchor_count; i++)
        CLSA_TRY(check_layer(keys, net, x->anchors[i], false));
    return CLSA_OK;
}

clsa_status clsa_indexes_read(struct clsa_network *net,
                              const struct clsa_arch_keys *keys)
{
    CLSA_TRY(read_indexes(net, keys, false));
    return read_anchors(net, keys);
}

/* -------------------------------------------------------------- side files */

clsa_status clsa_indexes_refuse(const struct clsa_network *net,
                                const struct clsa_gguf *side, clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "%s: models of architecture %s have their index in the "
                     "model file: use --index none",
                     side->path, net->arch->name);
}

static clsa_status foreign(const struct clsa_gguf *side, const char *what,
                           clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_MISMATCH,
                     "%s: is the index of another model: %s; use --index with "
                     "another file or none",
                     side->path, what);
}

static bool says(const struct clsa_gguf_string *text, const char *word)
{
    return text->size == strlen(word) &&
           memcmp(text->text, word, text->size) == 0;
}

static clsa_status check_kind(const struct clsa_network *net,
                              const struct clsa_gguf *side, clsa_error *error)
{
    struct clsa_gguf_string type = {"", 0}, arch = {"", 0};
    CLSA_TRY(clsa_gguf_text(side, "general.type", false, &type, error));
    CLSA_TRY(clsa_gguf_text(side, "general.architecture", true, &arch, error));
    if (!says(&type, "index"))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: is not the index of a model, whose key "
                         "'general.type' would be 'index'",
                         side->path);
    return says(&arch, net->arch->name)
               ? CLSA_OK
               : foreign(side, "its architecture is not the model's", error);
}

/* The keys of a side file, none of them asked for; free keys->read. */
static clsa_status open_keys(struct clsa_arch_keys *keys,
                             const struct clsa_network *net,
                             const struct clsa_gguf *side, clsa_error *error)
{
    bool *read = clsa_mem_calloc(side->key_count + 1, sizeof *read);
    *keys = (struct clsa_arch_keys){side, net->arch->name, read, error};
    return read ? CLSA_OK
                : clsa_fail_memory(error, "keys of an index", side->key_count);
}

static clsa_status check_size(const struct clsa_arch_keys *keys,
                              const char *name, uint32_t value)
{
    uint64_t said = value;
    char text[100];
    CLSA_TRY(clsa_keys_uint(keys, name, true, 0, UINT64_MAX, &said));
    if (said == value)
        return CLSA_OK;
    snprintf(text, sizeof text, "its '%s' is %" PRIu64 ", the model's %" PRIu32,
             name, said, value);
    return foreign(keys->gguf, text, keys->error);
}

static clsa_status check_sizes(const struct clsa_network *net,
                               const struct clsa_arch_keys *keys)
{
    CLSA_TRY(check_size(keys, "block_count", net->layer_count));
    return check_size(keys, "embedding_length", net->hidden);
}

static clsa_status read_side(struct clsa_network *net,
                             const struct clsa_arch_keys *keys)
{
    clsa_indexes_claim(keys);
    CLSA_TRY(check_sizes(net, keys));
    CLSA_TRY(read_indexes(net, keys, true));
    if (clsa_keys_has(keys, "attention.anchor_layers"))
        CLSA_TRY(read_anchors(net, keys));
    else if (!net->indexes.from_side)
        return clsa_fail(
            keys->error, CLSA_ERR_FORMAT,
            "%s: has neither an index nor key '%s.attention.anchor_layers'",
            keys->gguf->path, keys->arch);
    return clsa_keys_finish(keys);
}

clsa_status clsa_indexes_read_side(struct clsa_network *net,
                                   const struct clsa_gguf *side,
                                   clsa_error *error)
{
    CLSA_TRY(check_kind(net, side, error));
    struct clsa_arch_keys keys;
    CLSA_TRY(open_keys(&keys, net, side, error));
    clsa_status status = read_side(net, &keys);
    clsa_mem_free(keys.read);
    return status;
}

void clsa_indexes_sum(const struct clsa_network *net, const uint32_t *layers,
                      uint32_t count, char text[CLSA_INDEXES_SUM])
{
    const uint64_t n = net->hidden;
    struct sha256_ctx sum;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char name[60];
    sha256_init(&sum);
    for (uint32_t i = 0; i < count; i++) {
        const struct clsa_layer *l = &net->layers[layers[i]];
        snprintf(name, sizeof name, "blk.%" PRIu32 ".attn_norm.weight",
                 layers[i]);
        sha256_update(&sum, strlen(name), (const uint8_t *)name);
        sha256_update(&sum, sizeof n, (const uint8_t *)&n);
        sha256_update(&sum, n * sizeof *l->attn_norm,
                      (const uint8_t *)l->attn_norm);
    }
    sha256_digest(&sum, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

clsa_status clsa_indexes_list(const struct clsa_network *net,
                              const struct clsa_gguf *side,
                              struct clsa_indexes_lists *lists,
                              clsa_error *error)
{
    struct clsa_arch_keys keys;
    CLSA_TRY(open_keys(&keys, net, side, error));
    lists->site_count = lists->anchor_count = 0;
    clsa_status status =
        read_sites(&keys, net->layer_count, lists->sites, &lists->site_count);
    if (!status)
        status = clsa_keys_layers(&keys, "attention.anchor_layers",
                                  net->layer_count, CLSA_ANCHORS_MOST,
                                  lists->anchors, &lists->anchor_count);
    clsa_mem_free(keys.read);
    return status;
}

clsa_status clsa_indexes_check(const struct clsa_network *net,
                               const struct clsa_gguf *side, clsa_error *error)
{
    uint32_t sites[CLSA_LAYER_LIMIT], anchors[CLSA_ANCHORS_MOST];
    struct clsa_indexes_lists lists = {.sites = sites, .anchors = anchors};
    struct clsa_gguf_string of;
    char sum[CLSA_INDEXES_SUM];
    CLSA_TRY(clsa_gguf_text(side, "clsa.index.of", true, &of, error));
    CLSA_TRY(clsa_indexes_list(net, side, &lists, error));
    if (lists.site_count > 0)
        clsa_indexes_sum(net, sites, lists.site_count, sum);
    else
        clsa_indexes_sum(net, anchors, lists.anchor_count, sum);
    return says(&of, sum) ? CLSA_OK
                          : foreign(side,
                                    "key 'clsa.index.of' is not the sum "
                                    "of this model's norms",
                                    error);
}

clsa_status clsa_indexes_check_file(const struct clsa_network *net,
                                    const struct clsa_gguf *side,
                                    clsa_error *error)
{
    CLSA_TRY(check_kind(net, side, error));
    struct clsa_arch_keys keys;
    CLSA_TRY(open_keys(&keys, net, side, error));
    const clsa_status status = check_sizes(net, &keys);
    clsa_mem_free(keys.read);
    return status ? status : clsa_indexes_check(net, side, error);
}

/* ----------------------------------------------------------------- tensors */

static clsa_status find_index(const struct clsa_indexes *x,
                              struct clsa_finder *f, uint32_t i, size_t d,
                              struct clsa_layer *l)
{
    CLSA_TRY(clsa_find_matrix(f, i, "indexer.q_proj", CLSA_REQUIRED,
                              (size_t)x->heads * x->dim, d, &l->index_q));
    CLSA_TRY(clsa_find_matrix(f, i, "indexer.k_proj", CLSA_REQUIRED, x->dim, d,
                              &l->index_k));
    if (x->heads == 1)
        return CLSA_OK;
    CLSA_TRY(clsa_find_matrix(f, i, "indexer.weights_proj", CLSA_REQUIRED,
                              x->heads, d, &l->index_weights));
    return clsa_find_bias(f, i, "indexer.weights_proj", CLSA_REQUIRED, x->heads,
                          &l->index_bias);
}

clsa_status clsa_indexes_find_side(struct clsa_network *net,
                                   struct clsa_finder *f)
{
    for (uint32_t i = 0; i < net->layer_count; i++)
        if (net->layers[i].indexed && net->indexes.from_side)
            CLSA_TRY(
                find_index(&net->indexes, f, i, net->hidden, &net->layers[i]));
    return CLSA_OK;
}

clsa_status clsa_indexes_find(struct clsa_network *net, struct clsa_finder *f)
{
    for (uint32_t i = 0; i < net->layer_count; i++) {
        struct clsa_layer *l = &net->layers[i];
        if (net->indexes.from_side) {
            clsa_find_unused(f, i, "indexer.q_proj");
            clsa_find_unused(f, i, "indexer.k_proj");
            clsa_find_unused(f, i, "indexer.weights_proj");
        } else if (l->indexed)
            CLSA_TRY(find_index(&net->indexes, f, i, net->hidden, l));
    }
    return CLSA_OK;
}
