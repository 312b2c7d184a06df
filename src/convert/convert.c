/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clsa_convert: a model folder to a model file. The checkpoint format says
 * which tensors there have to be; all that are missing or unknown are told
 * before it fails.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/base/structs.h"
#include "src/convert/convert.h"
#include "src/convert/job.h"

/* ------------------------------------------------------------ configuration */

/* What no format reads, but may not be passed over. */
static clsa_status read_rest(struct clsa_job *j,
                             const struct clsa_json_source *s)
{
    struct clsa_config *c = &j->config;
    CLSA_TRY(clsa_checkpoint_check(s, NULL));
    CLSA_TRY(clsa_checkpoint_check_sizes(c, s));
    CLSA_TRY(
        clsa_checkpoint_choice(s, "tie_word_embeddings", &c->tied, &c->untied));
    return clsa_checkpoint_refuse(s, "num_self_decoder_layers",
                                  c->layers > CLSA_LAYER_LIMIT ||
                                      c->self_layers >= c->layers);
}

static void tell_unknown(const struct clsa_job *j, const json_t *object)
{
    char list[160];
    if (clsa_checkpoint_unknown(object, list, sizeof list) > 0)
        clsa_note(j->folder.options, "keys of %s that are not known here: %s",
                  clsa_base_name(j->folder.config.path), list);
}

/* The message for a network that no format describes. */
static clsa_status wrong_network(const struct clsa_json_source *s,
                                 const json_t *text)
{
    const char *type = json_string_value(json_object_get(text, "model_type"));
    char list[160] = "";
    size_t used = 0;
    for (const struct clsa_kind *k = clsa_kinds; k->arch; k++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s, ",
                                 k->types[0]);
    return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key 'model_type' is '%.40s', which is not supported: "
                     "only %syoco (clsa, fla) and the params.json of unilm are",
                     s->path, type ? type : "", list);
}

static clsa_status read_config(struct clsa_job *j)
{
    static const struct clsa_checkpoint *const formats[] = {
        &clsa_checkpoint_own, &clsa_checkpoint_unilm, &clsa_checkpoint_fla};
    const struct clsa_json_source s =
        clsa_folder_source(&j->folder, &j->folder.config);
    const json_t *text = s.object;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i]->matches(s.object))
            j->checkpoint = formats[i];
    if (!j->checkpoint)
        j->ordinary.kind = clsa_ordinary_find(s.object, &text);
    if (!j->checkpoint && !j->ordinary.kind)
        return wrong_network(&s, text);
    if (j->checkpoint) {
        CLSA_TRY(j->checkpoint->read(&j->config, &s));
        CLSA_TRY(read_rest(j, &s));
    } else
        CLSA_TRY(clsa_ordinary_read(j, text));
    tell_unknown(j, s.object);
    if (text != s.object)
        tell_unknown(j, text);
    return CLSA_OK;
}

/* ------------------------------------------------------------------ tensors */

/* Whether a role has a place in this network, and has to be there. */
static bool has_role(const struct clsa_config *c, unsigned flags)
{
    return !(((flags & CLSA_ROLE_RETENTION) && !c->retention) ||
             ((flags & CLSA_ROLE_SWA) && c->retention) ||
             ((flags & CLSA_ROLE_INDEXER) && c->index_size == 0) ||
             ((flags & CLSA_ROLE_QK_NORM) && c->no_qk_norm));
}

static bool is_optional(const struct clsa_config *c, unsigned flags)
{
    return (flags & CLSA_ROLE_OPTIONAL) ||
           ((flags & CLSA_ROLE_OUTPUT) && !c->untied) ||
           ((flags & CLSA_ROLE_QK_NORM) && !c->qk_norm);
}

/* Takes the tensor of a role, or tells that it is missing. */
static clsa_status take(struct clsa_job *j, const struct clsa_role *role,
                        const char *prefix, const char *block,
                        const struct clsa_stack *stack)
{
    const struct clsa_config *c = &j->config;
    char theirs[160], ours[CLSA_PLANNED_NAME];
    if (!has_role(c, role->flags))
        return CLSA_OK;
    snprintf(theirs, sizeof theirs, "%s%s.weight", prefix, role->theirs);
    snprintf(ours, sizeof ours, "%s%s.weight", block, role->ours);
    const bool pairs = stack && stack->rope.base > 0 && stack->interleaved &&
                       (role->flags & CLSA_ROLE_ROTATED);
    if ((role->flags & CLSA_ROLE_OUTPUT) && c->tied)
        clsa_job_tell_output(j, theirs);
    const struct clsa_wanted wanted = {
        .theirs = theirs,
        .ours = ours,
        .required = !is_optional(c, role->flags),
        .reorder = pairs ? CLSA_REORDER_TO_HALVES : CLSA_REORDER_NONE,
        .head = pairs ? stack->e : 0,
    };
    return clsa_job_take(j, &wanted);
}

static clsa_status take_all(struct clsa_job *j, const struct clsa_role *roles,
                            const char *prefix, const char *block,
                            const struct clsa_stack *stack)
{
    for (; roles->theirs; roles++)
        CLSA_TRY(take(j, roles, prefix, block, stack));
    return CLSA_OK;
}

/* Prefixes of a checkpoint format are printf formats with one %u. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static clsa_status take_layer(struct clsa_job *j, uint32_t i)
{
    const struct clsa_config *c = &j->config;
    const struct clsa_checkpoint *l = j->checkpoint;
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

/* The factors that turn exponents 2i/e into i/(e/2-1), and of a scaling. */
static clsa_status add_factors(struct clsa_job *j, const char *name,
                               const struct clsa_stack *stack)
{
    const uint32_t half = stack->e / 2;
    const double base = stack->rope.base;
    float *factors;
    if ((!stack->endpoint && stack->rope.scaling == CLSA_SCALING_NONE) ||
        base <= 0)
        return CLSA_OK;
    if (half < (stack->endpoint ? 2u : 1u))
        return clsa_fail(j->folder.error, CLSA_ERR_UNSUPPORTED,
                         "%s: heads of %" PRIu32 " values are too small",
                         j->folder.path, stack->e);
    CLSA_TRY(clsa_job_vector(j, name, half, &factors));
    for (uint32_t i = 0; i < half; i++) {
        const double usual = 2.0 * i / stack->e;
        const double own = stack->endpoint ? (double)i / (half - 1) : usual;
        factors[i] =
            (float)pow(base, own - usual) *
            clsa_checkpoint_slower(&stack->rope, (float)pow(base, -own));
    }
    return CLSA_OK;
}

static clsa_status take_tensors(struct clsa_job *j)
{
    CLSA_TRY(take_all(j, j->checkpoint->ends, "", "", NULL));
    CLSA_TRY(add_factors(j, "rope_freqs_self.weight", &j->config.self));
    CLSA_TRY(add_factors(j, "rope_freqs_cross.weight", &j->config.cross));
    for (uint32_t i = 0; i < j->config.layers; i++)
        CLSA_TRY(take_layer(j, i));
    return clsa_job_check(j, j->checkpoint->name);
}

/* What stands before the names of this format in all names of the folder, as
   wrappers of a training program leave it, is left out. */
static clsa_status strip_prefix(struct clsa_job *j)
{
    char name[80];
    snprintf(name, sizeof name, "%s.weight", j->checkpoint->ends[0].theirs);
    if (clsa_st_find(&j->st, name))
        return CLSA_OK;
    for (size_t i = 0; i < j->st.count; i++) {
        const char *each = j->st.tensors[i].name;
        const size_t size = strlen(each), own = strlen(name);
        if (size < own + 2 || each[size - own - 1] != '.' ||
            strcmp(each + size - own, name) != 0)
            continue;
        clsa_note(j->folder.options,
                  "the prefix '%.*s' of all names is left out",
                  (int)(size - own), each);
        return clsa_st_strip(&j->st, size - own, each, j->folder.error);
    }
    return CLSA_OK;
}

/* A folder that names an indexer but has none is one without. */
static void look_for_indexer(struct clsa_job *j)
{
    struct clsa_config *c = &j->config;
    if (c->index_size == 0 ||
        clsa_st_find(&j->st, "model.indexer.q_proj.weight") ||
        clsa_st_find(&j->st, "model.indexer.k_proj.weight"))
        return;
    clsa_note(j->folder.options,
              "no indexer: every attention policy except clsa can be used");
    c->index_size = c->top_k = 0;
}

/* --------------------------------------------------------------------- keys */

#define U32(name, value) clsa_keys_u32(k, "yoco." name, (uint32_t)(value))
#define F(name, value)   clsa_keys_f32(k, "yoco." name, (float)(value))

static void add_self_keys(struct clsa_keys *k, const struct clsa_config *c)
{
    const struct clsa_stack *a = &c->self, *b = &c->cross;
    F("rope.freq_base_swa", a->rope.base);
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

static void add_yoco_keys(struct clsa_job *j)
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
    U32("rope.dimension_count", c->cross.rope.base > 0 ? c->cross.e : 0);
    if (c->cross.rope.base > 0)
        F("rope.freq_base", c->cross.rope.base);
    add_self_keys(k, c);
    if (c->index_size == 0)
        return;
    U32("attention.indexer.head_count", 1);
    U32("attention.indexer.key_length", c->index_size);
    U32("attention.indexer.top_k", c->top_k);
}

/* The last part of the folder's real path. */
static void add_general_keys(struct clsa_job *j)
{
    char *real = realpath(j->folder.path, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    const char *name = slash && slash[1] ? slash + 1 : "model";
    const char *arch = j->checkpoint ? "yoco" : j->ordinary.kind->arch;
    clsa_keys_text(&j->keys, "general.architecture", arch, strlen(arch));
    if (clsa_utf8_valid(name, strlen(name)))
        clsa_keys_text(&j->keys, "general.name", name, strlen(name));
    clsa_keys_u32(&j->keys, "general.file_type",
                  clsa_tensor_plan_file_type(&j->plan, j->folder.options));
    clsa_keys_u32(&j->keys, "general.alignment", CLSA_GGUF_ALIGNMENT);
    free(real);
}

/* ------------------------------------------------------------------- convert
 */

/* The plan of a YOCO network. */
static clsa_status plan_yoco(struct clsa_job *j)
{
    CLSA_TRY(strip_prefix(j));
    if (j->config.context == 0) {
        j->config.context = 4096;
        clsa_note(j->folder.options,
                  "no context length in the configuration: 4096 is assumed");
    }
    look_for_indexer(j);
    return take_tensors(j);
}

static clsa_status convert(struct clsa_job *j, const char *path)
{
    CLSA_TRY(clsa_folder_open(&j->folder));
    CLSA_TRY(clsa_folder_check_output(&j->folder, path));
    CLSA_TRY(read_config(j));
    CLSA_TRY(clsa_st_open(&j->st, j->folder.path, j->folder.error));
    CLSA_TRY(j->checkpoint ? plan_yoco(j) : clsa_ordinary_tensors(j));
    CLSA_TRY(
        clsa_tensor_plan_types(&j->plan, j->folder.options, j->folder.error));
    add_general_keys(j);
    if (j->checkpoint)
        add_yoco_keys(j);
    else
        clsa_ordinary_keys(j);
    CLSA_TRY(clsa_convert_tokenizer(&j->keys, &j->folder,
                                    j->checkpoint ? j->config.vocab
                                                  : j->ordinary.vocab));
    return clsa_tensor_plan_write(&j->plan, &j->keys, path, j->folder.options,
                                  j->folder.error);
}

clsa_status clsa_convert(const char *folder, const char *path,
                         const clsa_write_options *options, clsa_error *error)
{
    clsa_write_options defaults;
    struct clsa_job j = {.folder = {.path = folder, .error = error}};
    clsa_write_options_init(&defaults);
    j.folder.options = options ? options : &defaults;
    CLSA_CHECK_RESERVED(j.folder.options, "clsa_write_options", error);
    j.config.eps = 1e-5;
    j.config.embedding_scale = 1;
    clsa_status status = convert(&j, path);
    clsa_bytes_free(&j.keys.bytes);
    clsa_tensor_plan_free(&j.plan);
    clsa_st_close(&j.st);
    clsa_folder_close(&j.folder);
    return status;
}
