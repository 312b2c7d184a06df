/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordinary_tensors: the tensors of an ordinary network, by the names that
 * transformers gives them, below whatever stands before all of them. Those of
 * other media are left out and told.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/convert/job.h"

#define PREFIX_SIZE (CLSA_ST_NAME_LIMIT + 1)

/* A frequency that does not turn. */
#define STILL 1e30f

/* ------------------------------------------------------------------- names */

/* What stands before the names of the text network: "model.", as a rule. */
static void find_prefix(const struct clsa_job *j, char prefix[PREFIX_SIZE])
{
    static const char last[] = "embed_tokens.weight";
    strcpy(prefix, "model.");
    for (size_t i = 0; i < j->st.count; i++) {
        const char *name = j->st.tensors[i].name;
        const size_t size = strlen(name), own = strlen(last);
        char layer[PREFIX_SIZE + 40];
        if (size < own || strcmp(name + size - own, last) != 0 ||
            (size > own && name[size - own - 1] != '.'))
            continue;
        snprintf(layer, sizeof layer, "%.*slayers.0.input_layernorm.weight",
                 (int)(size - own), name);
        if (!clsa_st_find(&j->st, layer))
            continue;
        snprintf(prefix, PREFIX_SIZE, "%.*s", (int)(size - own), name);
        return;
    }
}

/* Names of parts that belong to images and sounds. */
static bool is_other_medium(const char *name)
{
    static const char *const parts[] = {"vision", "visual",      "image",
                                        "audio",  "multi_modal", "multimodal",
                                        "video"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i]))
            return true;
    return false;
}

static void leave_media(struct clsa_job *j, const char *prefix)
{
    const json_t *text =
        json_object_get(j->folder.config.object, "text_config");
    size_t count = 0;
    for (size_t i = 0; json_is_object(text) && i < j->st.count; i++) {
        struct clsa_st_tensor *t = &j->st.tensors[i];
        if (t->used ||
            (*prefix && strncmp(t->name, prefix, strlen(prefix)) == 0) ||
            !is_other_medium(t->name))
            continue;
        t->used = true;
        count++;
    }
    if (count > 0)
        clsa_note(j->folder.options,
                  "%zu tensors of images and sounds are left out: the model "
                  "reads and writes text",
                  count);
}

/* ------------------------------------------------------------------- roles */

/* Where a role is taken: a layer, or the ends. */
struct place {
    const char *prefix, *block; /* of the names */
    bool shared, sliding;       /* of the layer */
};

static bool has_bias(const struct clsa_ordinary *o, unsigned flags)
{
    return ((flags & CLSA_PART_QKV_BIAS) && o->qkv_bias) ||
           ((flags & CLSA_PART_OUT_BIAS) && o->out_bias) ||
           ((flags & CLSA_PART_MLP_BIAS) && o->mlp_bias);
}

static clsa_status take_part(struct clsa_job *j, const struct clsa_role *role,
                             const struct place *p, const char *suffix)
{
    const struct clsa_ordinary *o = &j->ordinary;
    const unsigned f = role->flags, kind = o->kind->flags;
    char theirs[2 * PREFIX_SIZE], ours[CLSA_PLANNED_NAME];
    const bool pairs = (f & CLSA_PART_ROTATED) && (kind & CLSA_KIND_PAIRS);
    const struct clsa_wanted wanted = {
        .theirs = theirs,
        .ours = ours,
        .required =
            !(f & CLSA_PART_OPTIONAL) && !((f & CLSA_PART_KV) && p->shared),
        .reorder = pairs ? CLSA_REORDER_TO_PAIRS : CLSA_REORDER_NONE,
        .head = pairs ? o->e : 0,
        .add = (f & CLSA_PART_NORM) && (kind & CLSA_KIND_PLUS_ONE) ? 1 : 0,
    };
    snprintf(theirs, sizeof theirs, "%s%s%s", p->prefix, role->theirs,
             f & CLSA_PART_BARE ? "" : suffix);
    snprintf(ours, sizeof ours, "%s%s%s", p->block, role->ours, suffix);
    return clsa_job_take(j, &wanted);
}

static clsa_status take_all(struct clsa_job *j, const struct clsa_role *roles,
                            const struct place *p)
{
    const struct clsa_ordinary *o = &j->ordinary;
    for (; roles->theirs; roles++) {
        if ((roles->flags & CLSA_PART_INPUT) && o->input == 0)
            continue;
        if ((roles->flags & CLSA_PART_V) && o->v_is_k && !p->sliding)
            continue;
        CLSA_TRY(take_part(j, roles, p, ".weight"));
        if (has_bias(o, roles->flags))
            CLSA_TRY(take_part(j, roles, p, ".bias"));
    }
    return CLSA_OK;
}

static clsa_status take_layer(struct clsa_job *j, const char *prefix,
                              uint32_t i)
{
    const struct clsa_ordinary *o = &j->ordinary;
    char theirs[PREFIX_SIZE + 40], ours[24];
    const struct place place = {
        .prefix = theirs,
        .block = ours,
        .shared = i >= o->layers - o->shared,
        .sliding = o->sliding[i],
    };
    snprintf(theirs, sizeof theirs, "%slayers.%u.", prefix, i);
    snprintf(ours, sizeof ours, "blk.%u.", i);
    return take_all(j, o->kind->layer, &place);
}

/* The output matrix, which lies beside the rest or inside of a wrapper. */
static clsa_status take_output(struct clsa_job *j, const char *prefix)
{
    static const char model[] = "model.", head[] = "lm_head.weight";
    const struct clsa_ordinary *o = &j->ordinary;
    const size_t size = strlen(prefix), own = strlen(model);
    char name[PREFIX_SIZE + 40];
    snprintf(name, sizeof name, "%.*s%s",
             size > own && strcmp(prefix + size - own, model) == 0
                 ? (int)(size - own)
                 : 0,
             prefix, head);
    if (!clsa_st_find(&j->st, name))
        snprintf(name, sizeof name, "%s", head);
    if (o->tied)
        clsa_job_tell_output(j, name);
    return clsa_job_take(j, &(struct clsa_wanted){.theirs = name,
                                                  .ours = "output.weight",
                                                  .required = !o->tied});
}

/* ------------------------------------------------------------------ angles */

static clsa_status add_list(struct clsa_job *j, const char *name,
                            const json_t *list)
{
    float *values;
    const size_t n = json_array_size(list);
    CLSA_TRY(clsa_job_vector(j, name, n, &values));
    for (size_t i = 0; i < n; i++)
        values[i] = (float)json_number_value(json_array_get(list, i));
    return CLSA_OK;
}

/* Some pairs are rotated, all of them slower by the factor. */
static clsa_status add_proportional(struct clsa_job *j)
{
    const struct clsa_angles *x = &j->ordinary.rope;
    const uint32_t e = j->ordinary.full_e;
    float *values;
    CLSA_TRY(clsa_job_vector(j, "rope_freqs.weight", e / 2, &values));
    for (uint32_t i = 0; i < e / 2; i++)
        values[i] =
            i < (uint32_t)(x->partial * e / 2) ? (float)x->factor : STILL;
    return CLSA_OK;
}

static clsa_status add_llama3(struct clsa_job *j)
{
    const struct clsa_ordinary *o = &j->ordinary;
    const uint32_t e = o->full_e ? o->full_e : o->e;
    float *values;
    CLSA_TRY(clsa_job_vector(j, "rope_freqs.weight", e / 2, &values));
    for (uint32_t i = 0; i < e / 2; i++) {
        const float power = (float)pow((double)(float)o->rope.base,
                                       (double)((float)(2 * i) / (float)e));
        values[i] = clsa_checkpoint_slower(&o->rope, 1.0f / power);
    }
    return CLSA_OK;
}

static clsa_status add_factors(struct clsa_job *j)
{
    const struct clsa_angles *x = &j->ordinary.rope;
    switch (x->scaling) {
    case CLSA_SCALING_LLAMA3:
        return add_llama3(j);
    case CLSA_SCALING_PROPORTIONAL:
        return add_proportional(j);
    case CLSA_SCALING_LONGROPE:
        CLSA_TRY(add_list(j, "rope_factors_long.weight", x->wide));
        return add_list(j, "rope_factors_short.weight", x->brief);
    default:
        return CLSA_OK;
    }
}

/* --------------------------------------------------------------------- all */

/* The embedding says how many tokens there are. */
static clsa_status check_vocab(struct clsa_job *j, const char *prefix)
{
    struct clsa_ordinary *o = &j->ordinary;
    char name[PREFIX_SIZE + 40];
    snprintf(name, sizeof name, "%sembed_tokens.weight", prefix);
    const struct clsa_st_tensor *t = clsa_st_find(&j->st, name);
    if (!t || t->dims != 2)
        return CLSA_OK; /* told later */
    if (o->vocab && t->shape[0] != o->vocab)
        return clsa_fail(j->folder.error, CLSA_ERR_FORMAT,
                         "%s: key 'vocab_size' is %u, but tensor '%s' has "
                         "%llu rows",
                         j->folder.config.path, o->vocab, name,
                         (unsigned long long)t->shape[0]);
    if (t->shape[0] <= CLSA_SIZE_LIMIT)
        o->vocab = (uint32_t)t->shape[0];
    return CLSA_OK;
}

clsa_status clsa_ordinary_tensors(struct clsa_job *j)
{
    const struct clsa_ordinary *o = &j->ordinary;
    char prefix[PREFIX_SIZE];
    find_prefix(j, prefix);
    const struct place ends = {.prefix = prefix, .block = ""};
    CLSA_TRY(check_vocab(j, prefix));
    CLSA_TRY(take_all(j, o->kind->ends, &ends));
    CLSA_TRY(take_output(j, prefix));
    CLSA_TRY(add_factors(j));
    for (uint32_t i = 0; i < o->layers; i++)
        CLSA_TRY(take_layer(j, prefix, i));
    leave_media(j, prefix);
    return clsa_job_check(j, o->kind->arch);
}
