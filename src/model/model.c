/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing of models, and the questions about them. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/mem.h"
#include "src/base/numa.h"
#include "src/engine/products.h"
#include "src/engine/step.h"
#include "src/model/gguf_print.h"
#include "src/model/model.h"
#include "src/model/placed.h"
#include "src/model/random.h"

#define STRING(x) #x
#define VERSION_TEXT(major, minor, patch)                                      \
    STRING(major) "." STRING(minor) "." STRING(patch)

const char *clsa_version(void)
{
    return VERSION_TEXT(CLSA_VERSION_MAJOR, CLSA_VERSION_MINOR,
                        CLSA_VERSION_PATCH);
}

const char *const *clsa_simd_levels(void)
{
    return clsa_simd_names();
}

uint32_t clsa_core_count(void)
{
    struct clsa_numa *numa;
    if (clsa_numa_open(&numa, NULL, NULL) != CLSA_OK)
        return 1;
    unsigned cores = clsa_numa_cores(numa);
    clsa_numa_close(numa);
    return cores;
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

/* base^(-2i/e) / factors[i], the angle per position of pair i. */
static clsa_status make_angles(double **angles, const struct clsa_heads *heads,
                               const float *factors, clsa_error *error)
{
    uint32_t half = heads->e / 2;
    if (heads->rope_base <= 0)
        return CLSA_OK;
    double *a = clsa_mem_calloc(half, sizeof *a);
    if (!a)
        return clsa_fail_memory(error, "rotary angles", half * sizeof *a);
    for (uint32_t i = 0; i < half; i++)
        a[i] = pow((double)heads->rope_base, -2.0 * i / heads->e) /
               (factors ? (double)factors[i] : 1.0);
    *angles = a;
    return CLSA_OK;
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

/* What follows from m->gguf and m->hp, however these were made. */
static clsa_status open_network(struct clsa_model *m, clsa_error *error)
{
    CLSA_TRY(clsa_weights_open(&m->weights, m->gguf, &m->hp, error));
    CLSA_TRY(
        make_angles(&m->rope_self, &m->hp.self, m->weights.rope_self, error));
    return make_angles(&m->rope_cross, &m->hp.cross, m->weights.rope_cross,
                       error);
}

/* What the options say: kernels and threads. */
static clsa_status open_machine(struct clsa_model *m,
                                const clsa_model_options *options,
                                clsa_error *error)
{
    clsa_budget_open(&m->budget, options->memory_limit);
    m->progress = (struct clsa_progress){options->on_progress, options->user};
    m->prefill_memory = options->prefill_memory < SIZE_MAX
                            ? (size_t)options->prefill_memory
                            : SIZE_MAX;
    CLSA_TRY(choose_simd(m, options->simd, error));
    CLSA_TRY(clsa_numa_open(&m->numa, options->numa, error));
    return clsa_team_open(&m->team, options->threads, m->numa, error);
}

/* Keys and tokenizer: no more than so many times the bytes of the file in
   front of its tensors: a token or a merge has 11 bytes there at least, and no
   more than 64 in lists and tables. */
#define KEYS_FACTOR 8

static clsa_status check_keys(struct clsa_model *m, clsa_error *error)
{
    uint64_t size = m->gguf->size;
    for (size_t i = 0; i < m->gguf->tensor_count; i++)
        if (m->gguf->tensors[i].offset < size)
            size = m->gguf->tensors[i].offset;
    return clsa_budget_take(&m->budget, KEYS_FACTOR * size,
                            "keys and tokenizer of the model", error);
}

static clsa_status open_file(struct clsa_model *m, const char *path,
                             clsa_error *error)
{
    CLSA_TRY(clsa_gguf_open(&m->gguf, path, error));
    CLSA_TRY(check_keys(m, error));
    CLSA_TRY(clsa_hparams_read(&m->hp, m->gguf, error));
    CLSA_TRY(clsa_placed_copy(m->gguf, m->team, &m->budget, error));
    CLSA_TRY(open_network(m, error));
    CLSA_TRY(clsa_tokenizer_open(&m->tokenizer, m->gguf, m->hp.vocab, error));
    CLSA_TRY(copy_text(&m->name, m->gguf, "general.name", "", error));
    return copy_text(&m->chat_template, m->gguf, "tokenizer.chat_template",
                     NULL, error);
}

static clsa_status open_random(struct clsa_model *m, const clsa_shape *shape,
                               clsa_type type, clsa_error *error)
{
    static const char name[] = "random weights";
    CLSA_TRY(clsa_random_open(&m->gguf, &m->hp, shape, type, m->simd, m->team,
                              &m->budget, &m->progress, error));
    CLSA_TRY(open_network(m, error));
    if (!(m->name = clsa_mem_dup(name, strlen(name))))
        return clsa_fail_memory(error, "a model", sizeof name);
    return CLSA_OK;
}

/* A model of a file, or of random weights where there is a shape. */
static clsa_status open_model(clsa_model **model, const char *path,
                              const clsa_shape *shape, clsa_type type,
                              const clsa_model_options *options,
                              clsa_error *error)
{
    clsa_model_options defaults;
    struct clsa_model *m = clsa_mem_calloc(1, sizeof *m);
    clsa_model_options_init(&defaults);
    if (!m)
        return clsa_fail_memory(error, "a model", sizeof *m);
    clsa_status status = open_machine(m, options ? options : &defaults, error);
    if (status == CLSA_OK)
        status = shape ? open_random(m, shape, type, error)
                       : open_file(m, path, error);
    if (status) {
        clsa_model_close(m);
        return status;
    }
    *model = m;
    return CLSA_OK;
}

clsa_status clsa_model_open(clsa_model **model, const char *path,
                            const clsa_model_options *options,
                            clsa_error *error)
{
    return open_model(model, path, NULL, CLSA_TYPE_F32, options, error);
}

clsa_status clsa_model_random(clsa_model **model, const clsa_shape *shape,
                              clsa_type type, const clsa_model_options *options,
                              clsa_error *error)
{
    return open_model(model, NULL, shape, type, options, error);
}

void clsa_model_close(clsa_model *model)
{
    if (!model)
        return;
    clsa_scratch_close(model->scratch);
    clsa_products_close(model->products);
    if (model->team)
        clsa_team_close(model->team);
    clsa_numa_close(model->numa);
    clsa_mem_free(model->name);
    clsa_mem_free(model->chat_template);
    clsa_mem_free(model->rope_self);
    clsa_mem_free(model->rope_cross);
    if (model->tokenizer)
        clsa_tokenizer_close(model->tokenizer);
    clsa_weights_close(&model->weights);
    if (model->gguf)
        clsa_gguf_close(model->gguf);
    clsa_mem_free(model);
}

void clsa_model_get_info(const clsa_model *model, clsa_model_info *info)
{
    const struct clsa_hparams *hp = &model->hp;
    *info = (clsa_model_info){
        .name = model->name,
        .simd = model->simd->name,
        .threads = clsa_team_size(model->team),
        .layers = hp->layers,
        .self_layers = hp->self_layers,
        .width = hp->d,
        .ffn = hp->f,
        .vocab = hp->vocab,
        .heads = hp->cross.h,
        .kv_heads = hp->cross.g,
        .head_size = hp->cross.e,
        .window = hp->window,
        .index_size = hp->index_size,
        .top_k = hp->top_k,
        .context = hp->context,
        .parameters = model->weights.parameters,
        .file_size = model->gguf->size,
        .placed_size = model->gguf->placed_size,
        .bos = -1,
        .eos = -1,
        .chat_template = model->chat_template,
        .notice = clsa_numa_notice(model->numa),
    };
    if (!model->tokenizer)
        return;
    info->bos = clsa_tokenizer_bos(model->tokenizer);
    info->eos = clsa_tokenizer_eos(model->tokenizer);
    info->add_bos = clsa_tokenizer_add_bos(model->tokenizer);
}

uint64_t clsa_model_fingerprint(clsa_model *model)
{
    if (model->fingerprint == 0) {
        uint64_t hash = XXH3_64bits(model->gguf->base, model->gguf->size);
        model->fingerprint = hash ? hash : 1;
    }
    return model->fingerprint;
}

size_t clsa_model_tensor_count(const clsa_model *model)
{
    return model->gguf->tensor_count;
}

void clsa_model_tensor(const clsa_model *model, size_t i,
                       clsa_tensor_info *info)
{
    const struct clsa_gguf_tensor *t = &model->gguf->tensors[i];
    *info = (clsa_tensor_info){
        .name = t->name,
        .type = (clsa_type)t->type,
        .dims = t->dims,
        .shape = {t->dims > 1 ? t->shape[1] : t->shape[0],
                  t->dims > 1 ? t->shape[0] : 1},
        .size = t->size,
        .offset = t->offset,
    };
}

size_t clsa_model_metadata_count(const clsa_model *model)
{
    return model->gguf->key_count;
}

size_t clsa_model_metadata(const clsa_model *model, size_t i, const char **key,
                           char *value, size_t capacity)
{
    const struct clsa_gguf_key *k = &model->gguf->keys[i];
    *key = k->name;
    return clsa_gguf_print(k, value, capacity);
}

/* ----------------------------------------------------- the tokenizer's door */

static clsa_status check_tokenizer(const clsa_model *model, clsa_error *error)
{
    if (model->tokenizer)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "a model of random weights has no tokenizer: give it "
                     "token ids");
}

clsa_status clsa_tokenize(const clsa_model *model, const char *text,
                          size_t size, unsigned flags, int32_t **ids,
                          size_t *count, clsa_error *error)
{
    CLSA_TRY(check_tokenizer(model, error));
    return clsa_tokenizer_encode(model->tokenizer, text, size, flags, ids,
                                 count, error);
}

const char *clsa_token_bytes(const clsa_model *model, int32_t id, size_t *size)
{
    return model->tokenizer ? clsa_tokenizer_bytes(model->tokenizer, id, size)
                            : NULL;
}

int clsa_token_is_special(const clsa_model *model, int32_t id)
{
    return model->tokenizer ? clsa_tokenizer_special(model->tokenizer, id) : 0;
}

clsa_status clsa_detokenize(const clsa_model *model, clsa_detokenizer *state,
                            int32_t id, char **text, size_t *size,
                            clsa_error *error)
{
    CLSA_TRY(check_tokenizer(model, error));
    return clsa_tokenizer_decode(model->tokenizer, state, id, text, size,
                                 error);
}
