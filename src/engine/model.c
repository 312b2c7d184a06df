/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing of models, and the questions about them. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "clsa_bench.h"
#include "src/arch/random.h"
#include "src/base/mem.h"
#include "src/base/numa.h"
#include "src/base/structs.h"
#include "src/engine/backend_onednn.h"
#include "src/engine/step.h"
#include "src/model/gguf_print.h"
#include "src/model/numa_weights.h"

#define STRING(x) #x
#define VERSION_TEXT(major, minor, patch)                                      \
    STRING(major) "." STRING(minor) "." STRING(patch)

const char *clsa_version(void)
{
    return VERSION_TEXT(CLSA_VERSION_MAJOR, CLSA_VERSION_MINOR,
                        CLSA_VERSION_PATCH);
}

uint32_t clsa_version_number(void)
{
    return CLSA_VERSION;
}

const char *const *clsa_simd_levels(void)
{
    return clsa_simd_names();
}

/* What a count of this machine is; 1 if nobody knows. */
static uint32_t ask_machine(unsigned (*count)(const struct clsa_numa *numa))
{
    struct clsa_numa *numa;
    if (clsa_numa_open(&numa, NULL, NULL) != CLSA_OK)
        return 1;
    unsigned n = count(numa);
    clsa_numa_close(numa);
    return n;
}

uint32_t clsa_core_count(void)
{
    return ask_machine(clsa_numa_cores);
}

uint32_t clsa_default_threads(void)
{
    return ask_machine(clsa_team_default);
}

uint64_t clsa_default_memory(void)
{
    bool by_cgroup;
    return clsa_budget_default(&by_cgroup);
}

void clsa_free(void *memory)
{
    clsa_mem_free(memory);
}

void clsa_model_options_init(clsa_model_options *options)
{
    *options = (clsa_model_options){
        .prefill_memory = CLSA_PREFILL_MEMORY,
    };
}

/* The level that was asked for, by the caller or the environment. */
static clsa_status choose_simd(struct clsa_model *model, const char *name,
                               clsa_error *error)
{
    const char *source = "option simd";
    if (!name && (name = getenv("CLSA_SIMD")))
        source = "CLSA_SIMD";
    if (name && !*name)
        name = NULL;
    model->simd = clsa_simd_table(name);
    if (model->simd)
        return CLSA_OK;
    char list[200] = "";
    for (const char *const *n = clsa_simd_names(); *n; n++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *n);
    }
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "%s: this CPU has no SIMD level '%s': use one of %s",
                     source, name, list);
}

/* A text of the file as a string of our own; `missing` where there is none. */
static clsa_status copy_text(char **copy, const struct clsa_gguf *gguf,
                             const char *key, const char *missing,
                             clsa_error *error)
{
    struct clsa_gguf_string text = {missing, missing ? strlen(missing) : 0};
    CLSA_TRY(clsa_gguf_text(gguf, key, false, &text, error));
    if (text.text && !(*copy = clsa_mem_dup(text.text, text.size)))
        return clsa_fail_memory(error, key, text.size);
    return CLSA_OK;
}

/* What the options say: kernels and threads. */
static clsa_status open_machine(struct clsa_model *m,
                                const clsa_model_options *options,
                                clsa_error *error)
{
    CLSA_CHECK_RESERVED(options, "clsa_model_options", error);
    clsa_budget_open(&m->budget, options->memory_limit);
    m->progress = (struct clsa_progress){options->on_progress, options->user};
    m->prefill_memory = options->prefill_memory < SIZE_MAX
                            ? (size_t)options->prefill_memory
                            : SIZE_MAX;
    CLSA_TRY(choose_simd(m, options->simd, error));
    CLSA_TRY(clsa_numa_open(&m->numa, options->numa, error));
    return clsa_team_open(&m->team, options->threads, m->numa, error);
}

/* Upper bound of the memory for keys and tokenizer: this factor times the
   bytes of the file before its tensors. A token or merge takes at least 11
   bytes in the file and at most 64 in memory. */
#define KEYS_FACTOR 8

static clsa_status check_keys(struct clsa_model *m, clsa_error *error)
{
    uint64_t size = m->gguf->size;
    for (size_t i = 0; i < m->gguf->tensor_count; i++)
        if (m->gguf->tensors[i].part == 0 && m->gguf->tensors[i].offset < size)
            size = m->gguf->tensors[i].offset;
    CLSA_TRY(clsa_budget_take(&m->budget, clsa_gguf_memory(m->gguf),
                              "a model file that cannot be mapped", error));
    return clsa_budget_take(&m->budget, KEYS_FACTOR * size,
                            "keys and tokenizer of the model", error);
}

/* What belongs to texts; the network may be empty. */
static clsa_status open_text(struct clsa_model *m, clsa_error *error)
{
    CLSA_TRY(clsa_tokenizer_open(&m->tokenizer, m->gguf, m->net.vocab, error));
    CLSA_TRY(copy_text(&m->name, m->gguf, "general.name", "", error));
    CLSA_TRY(copy_text(&m->chat_template, m->gguf, "tokenizer.chat_template",
                       NULL, error));
    return clsa_model_parse_chat_template(m, error);
}

static clsa_status open_file(struct clsa_model *m, const char *path,
                             const char *index, clsa_error *error)
{
    CLSA_TRY(clsa_gguf_open(&m->gguf, path, error));
    CLSA_TRY(clsa_model_open_side(&m->side, path, index, error));
    CLSA_TRY(check_keys(m, error));
    CLSA_TRY(clsa_arch_read(&m->net, m->gguf, m->side, error));
    CLSA_TRY(clsa_numa_weights_copy(m->gguf, m->team, &m->budget, error));
    CLSA_TRY(clsa_arch_find_tensors(&m->net, m->gguf, m->side, error));
    return open_text(m, error);
}

clsa_status clsa_model_open_text(struct clsa_model **model,
                                 struct clsa_gguf *gguf, clsa_error *error)
{
    struct clsa_model *m = clsa_mem_calloc(1, sizeof *m);
    if (!m) {
        clsa_gguf_close(gguf);
        return clsa_fail_memory(error, "a model", sizeof *m);
    }
    m->gguf = gguf;
    m->simd = clsa_simd_table(NULL);
    clsa_budget_open(&m->budget, 0);
    clsa_status status = check_keys(m, error);
    if (!status)
        status = open_text(m, error);
    if (status) {
        clsa_model_close(m);
        return status;
    }
    *model = m;
    return CLSA_OK;
}

/* Where a model comes from: a file, or random weights of a shape or like an
   ordinary model, with the keys of a tokenizer or without. */
struct source {
    const char *path;
    const clsa_shape *shape;
    const char *like;
    int type; /* of random weights, or a mix */
    bool text;
};

static clsa_status open_like(struct clsa_model *m, const struct source *s,
                             const struct clsa_maker *maker, clsa_error *error)
{
    struct clsa_like like = {.model = NULL};
    clsa_status status =
        clsa_like_open(&like, s->like, s->type, s->text, error);
    if (!status)
        status = clsa_random_open_like(&m->gguf, &m->net, &like, s->type, maker,
                                       error);
    clsa_like_close(&like);
    return status;
}

static clsa_status open_random(struct clsa_model *m, const struct source *s,
                               clsa_error *error)
{
    static const char name[] = "random weights";
    const struct clsa_maker maker = {m->simd, m->team, &m->budget,
                                     &m->progress};
    if (s->like)
        CLSA_TRY(open_like(m, s, &maker, error));
    else
        CLSA_TRY(clsa_random_open(&m->gguf, &m->net, s->shape, s->type, &maker,
                                  error));
    CLSA_TRY(clsa_arch_find_tensors(&m->net, m->gguf, NULL, error));
    if (!(m->name = clsa_mem_dup(name, strlen(name))))
        return clsa_fail_memory(error, "a model", sizeof name);
    return CLSA_OK;
}

static clsa_status open_model(clsa_model **model, const struct source *source,
                              const clsa_model_options *options,
                              clsa_error *error)
{
    clsa_model_options defaults;
    struct clsa_model *m = clsa_mem_calloc(1, sizeof *m);
    clsa_model_options_init(&defaults);
    if (!m)
        return clsa_fail_memory(error, "a model", sizeof *m);
    if (!options)
        options = &defaults;
    clsa_status status = open_machine(m, options, error);
    if (status == CLSA_OK)
        status = source->path
                     ? open_file(m, source->path, options->index, error)
                     : open_random(m, source, error);
    if (status) {
        clsa_model_close(m);
        return status;
    }
    m->native = clsa_backend_native(m->simd, m->net.fine);
    *model = m;
    return CLSA_OK;
}

clsa_status clsa_model_open(clsa_model **model, const char *path,
                            const clsa_model_options *options,
                            clsa_error *error)
{
    const struct source source = {.path = path};
    return open_model(model, &source, options, error);
}

clsa_status clsa_model_random(clsa_model **model, const clsa_shape *shape,
                              int type, const clsa_model_options *options,
                              clsa_error *error)
{
    const struct source source = {.shape = shape, .type = type};
    return open_model(model, &source, options, error);
}

clsa_status clsa_model_random_like(clsa_model **model, const char *shape,
                                   int type, const clsa_model_options *options,
                                   clsa_error *error)
{
    const struct source source = {.like = shape, .type = type};
    return open_model(model, &source, options, error);
}

clsa_status clsa_model_random_file(struct clsa_model **model, const char *shape,
                                   int type, const clsa_model_options *options,
                                   clsa_error *error)
{
    const struct source source = {.like = shape, .type = type, .text = true};
    return open_model(model, &source, options, error);
}

void clsa_model_close(clsa_model *model)
{
    if (!model)
        return;
    clsa_scratch_close(model->scratch);
    clsa_onednn_close(model->onednn);
    if (model->team)
        clsa_team_close(model->team);
    clsa_numa_close(model->numa);
    clsa_mem_free(model->name);
    clsa_mem_free(model->chat_template);
    clsa_chat_template_close(model->chat);
    if (model->tokenizer)
        clsa_tokenizer_close(model->tokenizer);
    clsa_network_close(&model->net);
    if (model->gguf)
        clsa_gguf_close(model->gguf);
    if (model->side)
        clsa_gguf_close(model->side);
    clsa_mem_free(model);
}

/* The largest window of a layer; 1: states instead. */
static uint32_t window_of(const struct clsa_network *net)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < net->store_count; i++)
        if (net->stores[i].window > most)
            most = net->stores[i].window;
    return most;
}

/* Dimensions; 0 for a model of the text part alone. */
static void fill_network(const clsa_model *model, clsa_model_info *all)
{
    const struct clsa_network *net = &model->net;
    if (net->layer_count == 0)
        return;
    const struct clsa_layer *reader = &net->layers[net->first_reader];
    all->threads = clsa_team_size(model->team);
    all->layers = net->layer_count;
    all->self_layers = net->first_reader;
    all->width = net->hidden;
    all->ffn = reader->ffn;
    all->vocab = net->vocab;
    all->heads = reader->heads.heads;
    all->kv_heads = reader->heads.kv_heads;
    all->head_size = reader->heads.head_dim;
    all->window = window_of(net);
    all->index_size = net->largest.index_dim;
    all->top_k = net->top_k;
    all->context = net->context;
    all->parameters = net->parameters;
    all->attention = clsa_policy_default(net);
    all->notice = clsa_numa_notice(model->numa);
    all->prompt_layers = net->last_writer + 1;
    all->caches = net->cache_count;
    all->anchors = net->indexes.anchor_count;
    all->index_heads = net->top_k ? net->indexes.heads : 0;
    for (uint32_t i = 0; i < net->layer_count; i++)
        all->index_sites += net->layers[i].indexed;
    all->index_file = model->side ? model->side->path : "";
}

clsa_status clsa_model_get_info(const clsa_model *model, clsa_model_info *info,
                                size_t size)
{
    clsa_model_info all = {
        .name = model->name,
        .simd = model->simd->name,
        .file_size = clsa_gguf_bytes(model->gguf),
        .placed_size = model->gguf->numa_size,
        .bos = -1,
        .eos = -1,
        .chat_template = model->chat_template,
        .attention = "",
        .notice = "",
        .index_file = "",
    };
    fill_network(model, &all);
    if (model->tokenizer) {
        all.bos = clsa_tokenizer_bos(model->tokenizer);
        all.eos = clsa_tokenizer_eos(model->tokenizer);
        all.add_bos = clsa_tokenizer_add_bos(model->tokenizer);
        all.vocab = (uint32_t)clsa_tokenizer_vocab(model->tokenizer)->count;
    }
    return clsa_struct_give(info, size, &all, sizeof all,
                            CLSA_SIZE_THROUGH(clsa_model_info, index_file));
}

/* Of the bytes of a file, and of the fingerprints of the other parts. */
static uint64_t hash_file(const struct clsa_gguf *gguf)
{
    uint64_t hash = XXH3_64bits(gguf->base, gguf->size);
    for (size_t i = 0; i < gguf->part_count; i++) {
        const uint64_t pair[2] = {hash, hash_file(gguf->parts[i])};
        hash = XXH3_64bits(pair, sizeof pair);
    }
    return hash;
}

uint64_t clsa_model_fingerprint(clsa_model *model)
{
    if (model->fingerprint == 0) {
        uint64_t hash = hash_file(model->gguf);
        if (model->side) {
            const uint64_t pair[2] = {hash, hash_file(model->side)};
            hash = XXH3_64bits(pair, sizeof pair);
        }
        model->fingerprint = hash ? hash : 1;
    }
    return model->fingerprint;
}

size_t clsa_model_tensor_count(const clsa_model *model)
{
    return model->gguf->tensor_count;
}

clsa_status clsa_model_tensor(const clsa_model *model, size_t i,
                              clsa_tensor_info *info, size_t size)
{
    if (i >= model->gguf->tensor_count)
        return CLSA_ERR_ARGUMENT;
    const struct clsa_gguf_tensor *t = &model->gguf->tensors[i];
    const clsa_tensor_info all = {
        .name = t->name,
        .type = (clsa_type)t->type,
        .dims = t->dims,
        .shape = {t->dims > 1 ? t->shape[1] : t->shape[0],
                  t->dims > 1 ? t->shape[0] : 1},
        .size = t->size,
        .offset = t->offset,
        .part = t->part + 1,
    };
    return clsa_struct_give(info, size, &all, sizeof all,
                            CLSA_SIZE_THROUGH(clsa_tensor_info, part));
}

int clsa_model_tensor_is_zero(const clsa_model *model, size_t i)
{
    if (i >= model->gguf->tensor_count)
        return 0;
    const struct clsa_gguf_tensor *t = &model->gguf->tensors[i];
    return clsa_is_zero(t->data, t->size);
}

size_t clsa_model_metadata_count(const clsa_model *model)
{
    return model->gguf->key_count;
}

clsa_status clsa_model_metadata(const clsa_model *model, size_t i,
                                const char **key, char *value, size_t capacity)
{
    if (i >= model->gguf->key_count)
        return CLSA_ERR_ARGUMENT;
    const struct clsa_gguf_key *k = &model->gguf->keys[i];
    *key = k->name;
    clsa_gguf_print(k, value, capacity);
    return CLSA_OK;
}

void clsa_model_memory(const clsa_model *model, uint64_t *limit,
                       uint64_t *taken)
{
    if (limit)
        *limit = model->budget.limit;
    if (taken)
        *taken = model->budget.taken;
}
