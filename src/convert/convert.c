/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clsa_convert: a model folder to a model file. The layout says which tensors
 * there have to be; all that are missing or unknown are told before it fails.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/convert/convert.h"
#include "src/convert/layout.h"

#define CONFIG_LIMIT ((size_t)16 << 20)

/* What convert works on. */
struct job {
    const char *folder;
    const clsa_write_options *options;
    const struct clsa_layout *layout;
    struct clsa_config config;
    struct clsa_st st;
    struct clsa_plan plan;
    struct clsa_keys keys;
    uint32_t ffn;
    size_t missing, unknown;
    clsa_error *error;
};

/* ------------------------------------------------------------ configuration */

static clsa_status read_layout(struct job *j, const char *path,
                               const json_t *config)
{
    static const struct clsa_layout *const layouts[] = {
        &clsa_layout_own, &clsa_layout_unilm, &clsa_layout_fla};
    struct clsa_json_source s = {path, config, j->error};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i]->matches(config))
            j->layout = layouts[i];
    if (!j->layout)
        return clsa_fail(j->error, CLSA_ERR_UNSUPPORTED,
                         "%s: describes no YOCO network: only model_type yoco "
                         "(clsa, fla) and the params.json of unilm are known",
                         path);
    CLSA_TRY(j->layout->read(&j->config, &s));
    const struct clsa_config *c = &j->config;
    return clsa_layout_refuse(&s, "num_self_decoder_layers",
                              c->layers > CLSA_LAYER_LIMIT ||
                                  c->self_layers >= c->layers);
}

/* An id, or the first of a list of them. */
static int64_t token_id(const json_t *config, const char *key, uint32_t vocab)
{
    const json_t *id = json_object_get(config, key);
    if (json_is_array(id))
        id = json_array_get(id, 0);
    const json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    return n >= 0 && n < (json_int_t)vocab ? n : -1;
}

static clsa_status read_config(struct job *j)
{
    char *path = clsa_path_join(j->folder, "config.json");
    char *params = clsa_path_join(j->folder, "params.json");
    json_t *config = NULL;
    clsa_status status = CLSA_OK;
    if (!path || !params)
        status = clsa_fail_memory(j->error, "a path", strlen(j->folder));
    else if (clsa_path_exists(params) && !clsa_path_exists(path)) {
        clsa_mem_free(path);
        path = params;
        params = NULL;
    }
    if (!status)
        status = clsa_json_load(&config, path, CONFIG_LIMIT, j->error);
    if (!status)
        status = read_layout(j, path, config);
    if (!status) {
        j->config.bos = token_id(config, "bos_token_id", j->config.vocab);
        j->config.eos = token_id(config, "eos_token_id", j->config.vocab);
    }
    json_decref(config);
    clsa_mem_free(path);
    clsa_mem_free(params);
    return status;
}

/* ------------------------------------------------------------------ tensors */

static clsa_status add_tensor(struct job *j, const struct clsa_st_tensor *from,
                              const char *name, uint32_t head)
{
    struct clsa_plan_tensor *t = clsa_plan_add(&j->plan);
    if (!t)
        return clsa_fail_memory(j->error, "tensors", sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->dims = from->dims;
    t->from = from->format;
    t->data = from->data;
    t->rows = from->dims == 2 ? from->shape[0] : 1;
    t->cols = from->dims == 2 ? from->shape[1] : from->shape[0];
    t->head = head;
    if (head && t->dims == 1) { /* a value for each row of a head */
        t->rows = t->cols;
        t->cols = 1;
    }
    if (head && t->rows % head != 0)
        return clsa_fail(j->error, CLSA_ERR_FORMAT,
                         "%s: tensor '%s' has %" PRIu64 " rows, which are no "
                         "heads of %" PRIu32,
                         from->file, from->name, t->rows, head);
    if (strstr(name, "ffn_gate"))
        j->ffn = (uint32_t)(t->rows < UINT32_MAX ? t->rows : UINT32_MAX);
    return CLSA_OK;
}

/* Takes the tensor of a role, or tells that it is missing. */
static clsa_status take(struct job *j, const struct clsa_role *role,
                        const char *prefix, const char *block,
                        const struct clsa_stack *stack)
{
    const struct clsa_config *c = &j->config;
    char theirs[160], ours[CLSA_PLAN_NAME];
    if (((role->flags & CLSA_ROLE_RETENTION) && !c->retention) ||
        ((role->flags & CLSA_ROLE_SWA) && c->retention) ||
        ((role->flags & CLSA_ROLE_INDEXER) && c->index_size == 0))
        return CLSA_OK;
    snprintf(theirs, sizeof theirs, "%s%s.weight", prefix, role->theirs);
    snprintf(ours, sizeof ours, "%s%s.weight", block, role->ours);
    struct clsa_st_tensor *from = clsa_st_find(&j->st, theirs);
    if (!from) {
        if (!(role->flags & CLSA_ROLE_OPTIONAL)) {
            clsa_note(j->options, "missing: %s", theirs);
            j->missing++;
        }
        return CLSA_OK;
    }
    from->used = true;
    if (!from->known)
        return clsa_fail(j->error, CLSA_ERR_UNSUPPORTED,
                         "%s: tensor '%s' is %s of %" PRIu32 " dimensions: "
                         "only F32, F16 and BF16 of one or two are supported",
                         from->file, theirs, from->dtype, from->dims);
    const bool pairs = stack && stack->base > 0 && stack->interleaved &&
                       (role->flags & CLSA_ROLE_ROTATED);
    return add_tensor(j, from, ours, pairs ? stack->e : 0);
}

static clsa_status take_all(struct job *j, const struct clsa_role *roles,
                            const char *prefix, const char *block,
                            const struct clsa_stack *stack)
{
    for (; roles->theirs; roles++)
        CLSA_TRY(take(j, roles, prefix, block, stack));
    return CLSA_OK;
}

/* Prefixes are formats of the layouts, with one %u. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static clsa_status take_layer(struct job *j, uint32_t i)
{
    const struct clsa_config *c = &j->config;
    const struct clsa_layout *l = j->layout;
    const bool self = i < c->self_layers;
    const uint32_t number =
        !self && l->cross_from_zero ? i - c->self_layers : i;
    char prefix[80], block[24];
    snprintf(prefix, sizeof prefix, self ? l->self_prefix : l->cross_prefix,
             number);
    snprintf(block, sizeof block, "blk.%" PRIu32 ".", i);
    CLSA_TRY(take_all(j, self ? l->self : l->cross, prefix, block,
                      self ? &c->self : &c->cross));
    if (i != c->self_layers)
        return CLSA_OK;
    return take_all(j, l->shared, "", block, &c->cross);
}

/* The factors that turn exponents 2i/e into i/(e/2-1). */
static clsa_status add_factors(struct job *j, const char *name,
                               const struct clsa_stack *stack)
{
    const uint32_t half = stack->e / 2;
    if (!stack->endpoint || stack->base <= 0)
        return CLSA_OK;
    if (half < 2)
        return clsa_fail(j->error, CLSA_ERR_UNSUPPORTED,
                         "%s: heads of %" PRIu32 " values are too small",
                         j->folder, stack->e);
    struct clsa_plan_tensor *t = clsa_plan_add(&j->plan);
    float *factors = clsa_mem_calloc(half, sizeof *factors);
    if (!t || !factors) {
        clsa_mem_free(factors);
        return clsa_fail_memory(j->error, name, half);
    }
    for (uint32_t i = 0; i < half; i++)
        factors[i] = (float)pow(stack->base,
                                (double)i / (half - 1) - 2.0 * i / stack->e);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->dims = 1;
    t->rows = 1;
    t->cols = half;
    t->data = t->own = factors;
    return CLSA_OK;
}

/* Tensors that repeat what others say: angles are computed from the keys. */
static bool is_buffer(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && strcmp(dot, ".inv_freq") == 0;
}

static clsa_status check_complete(struct job *j)
{
    for (size_t i = 0; i < j->st.count; i++) {
        const struct clsa_st_tensor *t = &j->st.tensors[i];
        if (t->used || is_buffer(t->name))
            continue;
        clsa_note(j->options, "unknown: %s (%s)", t->name, t->file);
        j->unknown++;
    }
    if (j->missing + j->unknown == 0)
        return CLSA_OK;
    return clsa_fail(j->error, CLSA_ERR_FORMAT,
                     "%s: %zu tensors of the layout '%s' are missing and %zu "
                     "are unknown: the notes list them",
                     j->folder, j->missing, j->layout->name, j->unknown);
}

static clsa_status take_tensors(struct job *j)
{
    CLSA_TRY(take_all(j, j->layout->ends, "", "", NULL));
    CLSA_TRY(add_factors(j, "rope_freqs_self.weight", &j->config.self));
    CLSA_TRY(add_factors(j, "rope_freqs_cross.weight", &j->config.cross));
    for (uint32_t i = 0; i < j->config.layers; i++)
        CLSA_TRY(take_layer(j, i));
    return check_complete(j);
}

/* A folder that names an indexer but has none is one without. */
static void look_for_indexer(struct job *j)
{
    struct clsa_config *c = &j->config;
    if (c->index_size == 0 ||
        clsa_st_find(&j->st, "model.indexer.q_proj.weight") ||
        clsa_st_find(&j->st, "model.indexer.k_proj.weight"))
        return;
    clsa_note(j->options, "no indexer: dense, window and sink attention only");
    c->index_size = c->top_k = 0;
}

/* --------------------------------------------------------------------- keys */

#define U32(name, value) clsa_keys_u32(k, "yoco." name, (uint32_t)(value))
#define F(name, value)   clsa_keys_f32(k, "yoco." name, (float)(value))

static void add_self_keys(struct clsa_keys *k, const struct clsa_config *c)
{
    const struct clsa_stack *a = &c->self, *b = &c->cross;
    F("rope.freq_base_swa", a->base);
    U32("rope.dimension_count_swa", a->e);
    if (c->retention)
        clsa_keys_text(k, "yoco.self_decoder_type", "gated_retention", 15);
    else
        U32("attention.sliding_window", c->window);
    if (a->h == b->h && a->g == b->g && a->e == b->e)
        return;
    U32("attention.head_count_self", a->h);
    U32("attention.head_count_kv_self", a->g);
    U32("attention.key_length_self", a->e);
}

static void add_keys(struct job *j)
{
    const struct clsa_config *c = &j->config;
    struct clsa_keys *k = &j->keys;
    U32("context_length", c->context);
    U32("block_count", c->layers);
    U32("self_decoder_block_count", c->self_layers);
    U32("embedding_length", c->d);
    U32("feed_forward_length", j->ffn);
    U32("vocab_size", c->vocab);
    if (c->embedding_scale != 1)
        F("embedding_scale", c->embedding_scale);
    U32("attention.head_count", c->cross.h);
    U32("attention.head_count_kv", c->cross.g);
    U32("attention.key_length", c->cross.e);
    U32("attention.value_length", c->cross.e);
    F("attention.layer_norm_rms_epsilon", c->eps);
    U32("attention.shared_kv_layers", c->layers - c->self_layers - 1);
    U32("rope.dimension_count", c->cross.base > 0 ? c->cross.e : 0);
    if (c->cross.base > 0)
        F("rope.freq_base", c->cross.base);
    add_self_keys(k, c);
    if (c->index_size == 0)
        return;
    U32("attention.indexer.head_count", 1);
    U32("attention.indexer.key_length", c->index_size);
    U32("attention.indexer.top_k", c->top_k);
}

/* The last part of the folder's real path. */
static void add_general_keys(struct job *j)
{
    char *real = realpath(j->folder, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    const char *name = slash && slash[1] ? slash + 1 : "model";
    clsa_keys_text(&j->keys, "general.architecture", "yoco", 4);
    if (clsa_utf8_valid(name, strlen(name)))
        clsa_keys_text(&j->keys, "general.name", name, strlen(name));
    clsa_keys_u32(&j->keys, "general.file_type", clsa_plan_file_type(&j->plan));
    clsa_keys_u32(&j->keys, "general.alignment", CLSA_GGUF_ALIGNMENT);
    free(real);
}

/* ------------------------------------------------------------------- convert
 */

static clsa_status convert(struct job *j, const char *path)
{
    CLSA_TRY(read_config(j));
    CLSA_TRY(clsa_st_open(&j->st, j->folder, j->error));
    if (j->config.context == 0) {
        j->config.context = 4096;
        clsa_note(j->options, "max_seq_len says nothing: 4096 is assumed");
    }
    look_for_indexer(j);
    CLSA_TRY(take_tensors(j));
    CLSA_TRY(clsa_plan_types(&j->plan, j->options, j->error));
    add_general_keys(j);
    add_keys(j);
    CLSA_TRY(clsa_convert_tokenizer(&j->keys, j->folder, j->config.vocab,
                                    j->config.bos, j->config.eos, j->options,
                                    j->error));
    return clsa_plan_write(&j->plan, &j->keys, path, j->options, j->error);
}

clsa_status clsa_convert(const char *folder, const char *path,
                         const clsa_write_options *options, clsa_error *error)
{
    clsa_write_options defaults;
    struct job j = {.folder = folder, .error = error};
    clsa_write_options_init(&defaults);
    j.options = options ? options : &defaults;
    j.config.eps = 1e-5;
    j.config.embedding_scale = 1;
    clsa_status status = convert(&j, path);
    clsa_bytes_free(&j.keys.bytes);
    clsa_plan_free(&j.plan);
    clsa_st_close(&j.st);
    return status;
}
