/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordinary_keys: the keys of the model file of an ordinary network. Keys that
 * only files of clsa have: ARCH.attention.sliding_window and _pattern of llama,
 * qwen2, qwen3, smollm3, ARCH.rope.layer_pattern of smollm3, attention.scale of
 * gemma2 and gemma3.
 */
#include <math.h>
#include <stdio.h>

#include "src/convert/job.h"

/* A key of the architecture. */
struct name {
    char text[80];
};

static struct name name_of(const struct clsa_job *j, const char *key)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s.%s", j->ordinary.kind->arch, key);
    return name;
}

static void put_u32(struct clsa_job *j, const char *key, uint64_t value)
{
    clsa_keys_u32(&j->keys, name_of(j, key).text, (uint32_t)value);
}

static void put_f32(struct clsa_job *j, const char *key, double value)
{
    clsa_keys_f32(&j->keys, name_of(j, key).text, (float)value);
}

static void put_bools(struct clsa_job *j, const char *key, const bool *values,
                      bool yes)
{
    const uint32_t n = j->ordinary.layers;
    clsa_keys_array(&j->keys, name_of(j, key).text, CLSA_GGUF_BOOL, n);
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char each = values[i] == yes;
        clsa_bytes_add(&j->keys.bytes, &each, 1);
    }
}

/* Whether the list says `yes` for all layers but every n-th; n 0: for all. */
static bool is_every(const struct clsa_ordinary *o, const bool *values,
                     bool yes, uint32_t n)
{
    for (uint32_t i = 0; i < o->layers; i++)
        if ((values[i] == yes) != (n == 0 || (i + 1) % n != 0))
            return false;
    return true;
}

/* Windows, and which layers have one if it is not what the architecture says of
   itself. */
static void put_windows(struct clsa_job *j)
{
    const struct clsa_ordinary *o = &j->ordinary;
    const bool gemma4 = (o->kind->flags & CLSA_KIND_GEMMA4) != 0;
    const bool by_kind = o->kind->windows == CLSA_WINDOWS_EVERY;
    const uint32_t every = gemma4 ? 1 : by_kind ? o->kind->usual.every : 0;
    bool any = by_kind;
    for (uint32_t i = 0; i < o->layers; i++)
        any = any || o->sliding[i];
    if (!any || (o->window == 0 && !by_kind))
        return;
    if (o->window)
        put_u32(j, "attention.sliding_window", o->window);
    if (!is_every(o, o->sliding, true, every))
        put_bools(j, "attention.sliding_window_pattern", o->sliding, true);
}

static void put_scaling(struct clsa_job *j, const struct clsa_angles *x)
{
    const bool yarn = x->scaling == CLSA_SCALING_YARN;
    if (yarn || x->scaling == CLSA_SCALING_LINEAR) {
        clsa_keys_text(&j->keys, name_of(j, "rope.scaling.type").text,
                       yarn ? "yarn" : "linear", yarn ? 4 : 6);
        put_f32(j, "rope.scaling.factor", x->factor);
    }
    if (yarn || x->scaling == CLSA_SCALING_LONGROPE)
        put_u32(j, "rope.scaling.original_context_length",
                (uint64_t)x->original);
    if (yarn && x->beta_fast > 0)
        put_f32(j, "rope.scaling.yarn_beta_fast", x->beta_fast);
    if (yarn && x->beta_slow > 0)
        put_f32(j, "rope.scaling.yarn_beta_slow", x->beta_slow);
    if (yarn && x->magnitude > 0) /* beside the one that follows from factor */
        put_f32(j, "rope.scaling.attn_factor",
                x->magnitude / (1 + 0.1 * log(x->factor)));
    if (x->scaling != CLSA_SCALING_LONGROPE)
        return;
    put_f32(j, "rope.scaling.attn_factor",
            x->magnitude > 0 ? x->magnitude
            : x->factor > 1  ? sqrt(1 + log(x->factor) / log(x->original))
                             : 1);
}

static void put_ropes(struct clsa_job *j)
{
    const struct clsa_ordinary *o = &j->ordinary;
    const struct clsa_angles *x = &o->rope;
    const uint32_t e = o->full_e ? o->full_e : o->e;
    const bool part = x->scaling != CLSA_SCALING_PROPORTIONAL;
    put_f32(j, "rope.freq_base", x->base);
    put_u32(j, "rope.dimension_count", part ? (uint32_t)(x->partial * e) : e);
    put_scaling(j, x);
    if (o->kind->windows == CLSA_WINDOWS_UNROTATED &&
        !is_every(o, o->unrotated, false, o->kind->usual.every))
        put_bools(j, "rope.layer_pattern", o->unrotated, false);
    if (!(o->kind->flags & CLSA_KIND_TWO_ROPES))
        return;
    put_f32(j, "rope.freq_base_swa", o->sliding_rope.base);
    if (o->full_e)
        put_u32(j, "rope.dimension_count_swa", o->e);
}

static void put_ffn(struct clsa_job *j)
{
    const struct clsa_ordinary *o = &j->ordinary;
    if (!o->wide || o->shared == 0) {
        put_u32(j, "feed_forward_length", o->ffn);
        return;
    }
    clsa_keys_array(&j->keys, name_of(j, "feed_forward_length").text,
                    CLSA_GGUF_I32, o->layers);
    for (uint32_t i = 0; i < o->layers; i++) {
        const uint32_t n = i < o->layers - o->shared ? o->ffn : 2 * o->ffn;
        clsa_bytes_add(&j->keys.bytes, &n, sizeof n);
    }
}

static void put_gemma(struct clsa_job *j)
{
    const struct clsa_ordinary *o = &j->ordinary;
    if (o->score_cap > 0)
        put_f32(j, "attn_logit_softcapping", o->score_cap);
    if (o->logit_cap > 0)
        put_f32(j, "final_logit_softcapping", o->logit_cap);
    if (o->scalar > 0) /* in floats, as it is without the key */
        put_f32(j, "attention.scale", (double)(1.0f / sqrtf((float)o->scalar)));
    if (!o->full_e)
        return;
    put_u32(j, "attention.key_length_swa", o->e);
    put_u32(j, "attention.value_length_swa", o->e);
    put_u32(j, "attention.shared_kv_layers", o->shared);
    put_u32(j, "embedding_length_per_layer_input", o->input);
}

void clsa_ordinary_keys(struct clsa_job *j)
{
    const struct clsa_ordinary *o = &j->ordinary;
    const uint32_t e = o->full_e ? o->full_e : o->e;
    put_u32(j, "block_count", o->layers);
    put_u32(j, "context_length", o->context);
    put_u32(j, "embedding_length", o->d);
    put_ffn(j);
    put_u32(j, "vocab_size", o->vocab);
    put_u32(j, "attention.head_count", o->h);
    put_u32(j, "attention.head_count_kv", o->g);
    put_u32(j, "attention.key_length", e);
    put_u32(j, "attention.value_length", e);
    put_f32(j, "attention.layer_norm_rms_epsilon", o->eps);
    put_ropes(j);
    put_windows(j);
    if (o->kind->flags & CLSA_KIND_GELU)
        put_gemma(j);
}
