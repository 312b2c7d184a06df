/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and checking the sizes of a network. Keys that this engine could
 * not honour are refused by name rather than ignored. Limits are far above
 * any real network; they keep products of two sizes within 63 bits.
 */
#include <inttypes.h>
#include <string.h>

#include "src/model/hparams.h"

#define LAYER_LIMIT      1024
#define SIZE_LIMIT       (1u << 24)
#define INDEX_SIZE_LIMIT (1u << 16)
#define CONTEXT_LIMIT    ((uint64_t)1 << 31)
#define HEAD_UNIT        8 /* head sizes are multiples of it, for the kernels */

struct source {
    const struct clsa_gguf *gguf;
    clsa_error *error;
};

/* A size of 1..max; `value` stays where an optional one is absent. */
static clsa_status read_size(const struct source *s, const char *name,
                             bool required, uint32_t max, uint32_t *value)
{
    uint64_t wide = *value;
    CLSA_TRY(clsa_gguf_uint(s->gguf, name, required, 1, max, &wide, s->error));
    *value = (uint32_t)wide;
    return CLSA_OK;
}

/* A positive finite number; `value` stays where an optional one is absent. */
static clsa_status read_float(const struct source *s, const char *name,
                              bool required, double min, double max,
                              float *value)
{
    double wide = (double)*value;
    CLSA_TRY(
        clsa_gguf_float(s->gguf, name, required, min, max, &wide, s->error));
    *value = (float)wide;
    return CLSA_OK;
}

/* A key that may say just one thing; that is assumed where it is absent. */
static clsa_status read_fixed(const struct source *s, const char *name,
                              uint64_t wanted, const char *why)
{
    uint64_t value = wanted;
    CLSA_TRY(
        clsa_gguf_uint(s->gguf, name, false, 0, UINT64_MAX, &value, s->error));
    if (value == wanted)
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key '%s' is %" PRIu64 ", only %" PRIu64
                     " is supported: %s",
                     s->gguf->path, name, value, wanted, why);
}

static bool text_is(const struct clsa_gguf_string *text, const char *wanted)
{
    return text->size == strlen(wanted) &&
           memcmp(text->text, wanted, text->size) == 0;
}

static clsa_status read_architecture(const struct source *s)
{
    struct clsa_gguf_string text;
    CLSA_TRY(
        clsa_gguf_text(s->gguf, "general.architecture", true, &text, s->error));
    if (text_is(&text, "yoco"))
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key 'general.architecture' is '%.*s': only models "
                     "of architecture 'yoco' can be run",
                     s->gguf->path, text.size < 40 ? (int)text.size : 40,
                     text.text);
}

static clsa_status read_mixer(const struct source *s, struct clsa_hparams *hp)
{
    struct clsa_gguf_string text = {"swa", 3};
    CLSA_TRY(clsa_gguf_text(s->gguf, "yoco.self_decoder_type", false, &text,
                            s->error));
    hp->mixer = CLSA_MIXER_SWA;
    if (text_is(&text, "swa"))
        return CLSA_OK;
    hp->mixer = CLSA_MIXER_GATED_RETENTION;
    if (text_is(&text, "gated_retention"))
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key 'yoco.self_decoder_type' is '%.*s', which is "
                     "not supported: only 'swa' and 'gated_retention' are",
                     s->gguf->path, text.size < 40 ? (int)text.size : 40,
                     text.text);
}

static clsa_status read_sizes(const struct source *s, struct clsa_hparams *hp)
{
    CLSA_TRY(read_size(s, "yoco.block_count", true, LAYER_LIMIT, &hp->layers));
    if (hp->layers < 2)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: key 'yoco.block_count' is 1: a self-decoder and "
                         "a cross-decoder are 2 layers or more",
                         s->gguf->path);
    CLSA_TRY(read_size(s, "yoco.self_decoder_block_count", true, hp->layers - 1,
                       &hp->self_layers));
    CLSA_TRY(read_size(s, "yoco.embedding_length", true, SIZE_LIMIT, &hp->d));
    CLSA_TRY(
        read_size(s, "yoco.feed_forward_length", true, SIZE_LIMIT, &hp->f));
    CLSA_TRY(read_size(s, "yoco.vocab_size", true, SIZE_LIMIT, &hp->vocab));
    CLSA_TRY(clsa_gguf_uint(s->gguf, "yoco.context_length", true, 1,
                            CONTEXT_LIMIT, &hp->context, s->error));
    CLSA_TRY(read_float(s, "yoco.attention.layer_norm_rms_epsilon", true, 1e-20,
                        1, &hp->eps));
    hp->embedding_scale = 1;
    return read_float(s, "yoco.embedding_scale", false, 1e-9, 1e9,
                      &hp->embedding_scale);
}

/* Heads of a stack whose h, g and e have been read; `suffix` as in the keys. */
static clsa_status check_heads(const struct source *s, struct clsa_heads *heads,
                               const char *suffix)
{
    const char *path = s->gguf->path;
    if (heads->h % heads->g != 0)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: key 'yoco.attention.head_count%s' is %" PRIu32
                         ", not a multiple of head_count_kv%s, %" PRIu32,
                         path, suffix, heads->h, suffix, heads->g);
    if (heads->e % HEAD_UNIT != 0)
        return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                         "%s: key 'yoco.attention.key_length%s' is %" PRIu32
                         ", which is not supported: only multiples of %d are",
                         path, suffix, heads->e, HEAD_UNIT);
    if ((uint64_t)heads->h * heads->e > SIZE_LIMIT)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: key 'yoco.attention.head_count%s' is %" PRIu32
                         ", too many heads of size %" PRIu32,
                         path, suffix, heads->h, heads->e);
    heads->r = heads->h / heads->g;
    return CLSA_OK;
}

static clsa_status read_cross(const struct source *s, struct clsa_hparams *hp)
{
    struct clsa_heads *cross = &hp->cross;
    CLSA_TRY(
        read_size(s, "yoco.attention.head_count", true, SIZE_LIMIT, &cross->h));
    CLSA_TRY(read_size(s, "yoco.attention.head_count_kv", true, SIZE_LIMIT,
                       &cross->g));
    CLSA_TRY(read_size(s, "yoco.attention.key_length", true, CLSA_MAX_HEAD,
                       &cross->e));
    CLSA_TRY(check_heads(s, cross, ""));
    CLSA_TRY(read_fixed(s, "yoco.attention.value_length", cross->e,
                        "values are as long as keys"));
    CLSA_TRY(read_fixed(s, "yoco.attention.shared_kv_layers",
                        hp->layers - hp->self_layers - 1,
                        "all cross-decoder layers but the first share"));
    uint64_t rotated = 0;
    CLSA_TRY(clsa_gguf_uint(s->gguf, "yoco.rope.dimension_count", false, 0,
                            UINT64_MAX, &rotated, s->error));
    float base = 10000;
    CLSA_TRY(read_float(s, "yoco.rope.freq_base", false, 1, 1e30, &base));
    cross->rope_base = rotated > 0 ? base : 0;
    if (rotated == 0)
        return CLSA_OK;
    return read_fixed(s, "yoco.rope.dimension_count", cross->e,
                      "heads are rotated as a whole or not at all");
}

static clsa_status read_self(const struct source *s, struct clsa_hparams *hp)
{
    struct clsa_heads *self = &hp->self;
    *self = hp->cross;
    CLSA_TRY(read_size(s, "yoco.attention.head_count_self", false, SIZE_LIMIT,
                       &self->h));
    if (hp->mixer == CLSA_MIXER_GATED_RETENTION) {
        self->g = self->h;
        CLSA_TRY(read_fixed(s, "yoco.attention.head_count_kv_self", self->h,
                            "retention has a key for each query"));
    }
    CLSA_TRY(read_size(s, "yoco.attention.head_count_kv_self", false,
                       SIZE_LIMIT, &self->g));
    CLSA_TRY(read_size(s, "yoco.attention.key_length_self", false,
                       CLSA_MAX_HEAD, &self->e));
    CLSA_TRY(check_heads(s, self, "_self"));
    CLSA_TRY(read_fixed(s, "yoco.rope.dimension_count_swa", self->e,
                        "heads of the self-decoder are rotated as a whole"));
    CLSA_TRY(read_float(s, "yoco.rope.freq_base_swa", true, 1, 1e30,
                        &self->rope_base));
    hp->window = 1;
    if (hp->mixer == CLSA_MIXER_GATED_RETENTION)
        return CLSA_OK;
    return read_size(s, "yoco.attention.sliding_window", true, SIZE_LIMIT,
                     &hp->window);
}

/* Any of the indexer's keys makes its sizes required. */
static clsa_status read_indexer(const struct source *s, struct clsa_hparams *hp)
{
    static const char heads[] = "yoco.attention.indexer.head_count";
    static const char size[] = "yoco.attention.indexer.key_length";
    static const char top_k[] = "yoco.attention.indexer.top_k";
    if (!clsa_gguf_key(s->gguf, heads) && !clsa_gguf_key(s->gguf, size) &&
        !clsa_gguf_key(s->gguf, top_k))
        return CLSA_OK;
    CLSA_TRY(read_fixed(s, heads, 1, "there is one index head"));
    CLSA_TRY(read_size(s, size, true, INDEX_SIZE_LIMIT, &hp->index_size));
    CLSA_TRY(read_size(s, top_k, true, SIZE_LIMIT, &hp->top_k));
    if (hp->index_size % HEAD_UNIT == 0)
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key '%s' is %" PRIu32
                     ", which is not supported: only multiples of %d are",
                     s->gguf->path, size, hp->index_size, HEAD_UNIT);
}

clsa_status clsa_hparams_read(struct clsa_hparams *hp,
                              const struct clsa_gguf *gguf, clsa_error *error)
{
    struct source s = {gguf, error};
    struct clsa_hparams read = {.layers = 0};
    CLSA_TRY(read_architecture(&s));
    CLSA_TRY(read_mixer(&s, &read));
    CLSA_TRY(read_sizes(&s, &read));
    CLSA_TRY(read_cross(&s, &read));
    CLSA_TRY(read_self(&s, &read));
    CLSA_TRY(read_indexer(&s, &read));
    *hp = read;
    return CLSA_OK;
}
