/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architecture yoco: decoder-decoder models (arXiv 2405.05254) with or without
 * an index (CLSA, arXiv 2606.06467). Keys and tensors: clsa-gguf(5).
 *
 *   layers 0 .. S-1   self-decoder: sliding windows, or gated retention; each
 *                     writes and reads a store of its own
 *   layer S           writes the one cache, from H by a norm of its own, and
 *                     the index keys; the site of its selection
 *   layers S .. L-1   cross-decoder: no K and V, all read that cache
 */
#include <inttypes.h>
#include <math.h>

#include "src/arch/indexes.h"
#include "src/arch/usual.h"
#include "src/base/structs.h"

enum { ROPE_SELF, ROPE_CROSS, ROPES };
enum { SLIDING_WINDOW, GATED_RETENTION };

/* What the keys or a shape say. */
struct sizes {
    uint32_t layers, self_layers;
    uint32_t hidden, ffn, vocab;
    uint64_t context;
    float eps, embedding_scale;
    struct clsa_heads self, cross;
    float rope_self, rope_cross; /* bases; cross 0: not rotated */
    unsigned mixer;              /* of the self-decoder */
    uint32_t window, index_dim, top_k, sinks, recent;
};

/* ------------------------------------------------------------------- plan */

static void plan_layer(struct clsa_network *net, const struct sizes *s,
                       uint32_t i)
{
    const bool self = i < s->self_layers;
    const bool retention = self && s->mixer == GATED_RETENTION;
    struct clsa_layer *l = &net->layers[i];
    l->mixer = retention ? CLSA_MIXER_RETENTION : CLSA_MIXER_ATTENTION;
    l->heads = self ? s->self : s->cross;
    l->store = self ? i : s->self_layers;
    l->writes = i <= s->self_layers;
    l->site = i == s->self_layers;
    l->indexed = l->site && s->index_dim > 0;
    if (self)
        l->rope = ROPE_SELF;
    else if (s->rope_cross > 0)
        l->rope = ROPE_CROSS;
    l->ffn = s->ffn;
    l->scale = 1.0f / sqrtf((float)l->heads.head_dim);
}

static clsa_status plan(struct clsa_network *net, const struct sizes *s,
                        clsa_error *error)
{
    CLSA_TRY(
        clsa_network_open(net, s->layers, s->self_layers + 1, ROPES, error));
    net->hidden = s->hidden;
    net->vocab = s->vocab;
    net->context = s->context;
    net->eps = s->eps;
    net->embedding_scale = s->embedding_scale;
    net->top_k = s->top_k;
    net->indexes = (struct clsa_indexes){.heads = 1,
                                         .dim = s->index_dim,
                                         .sinks = s->sinks,
                                         .recent = s->recent};
    net->ropes[ROPE_SELF].base = s->rope_self;
    net->ropes[ROPE_SELF].pairs = s->self.head_dim / 2;
    net->ropes[ROPE_CROSS].base = s->rope_cross;
    net->ropes[ROPE_CROSS].pairs = s->cross.head_dim / 2;
    for (uint32_t i = 0; i < s->self_layers; i++)
        net->stores[i] = (struct clsa_store_plan){
            .kind = s->mixer == GATED_RETENTION ? CLSA_STORE_STATE
                                                : CLSA_STORE_WINDOW,
            .kv_heads = s->self.kv_heads,
            .head_dim = s->self.head_dim,
            .window = s->window,
        };
    net->stores[s->self_layers] = (struct clsa_store_plan){
        .kind = CLSA_STORE_CACHE,
        .kv_heads = s->cross.kv_heads,
        .head_dim = s->cross.head_dim,
        .index_dim = s->index_dim,
    };
    for (uint32_t i = 0; i < s->layers; i++)
        plan_layer(net, s, i);
    return CLSA_OK;
}

/* ------------------------------------------------------------------- keys */

static clsa_status read_sizes(const struct clsa_arch_keys *keys,
                              struct sizes *s)
{
    CLSA_TRY(clsa_keys_size(keys, "block_count", true, CLSA_LAYER_LIMIT,
                            &s->layers));
    if (s->layers < 2)
        return clsa_fail(keys->error, CLSA_ERR_FORMAT,
                         "%s: key '%s.block_count' is 1: a self-decoder and a "
                         "cross-decoder need 2 layers or more",
                         keys->gguf->path, keys->arch);
    CLSA_TRY(clsa_keys_size(keys, "self_decoder_block_count", true,
                            s->layers - 1, &s->self_layers));
    CLSA_TRY(clsa_keys_size(keys, "embedding_length", true, CLSA_SIZE_LIMIT,
                            &s->hidden));
    CLSA_TRY(clsa_keys_size(keys, "feed_forward_length", true, CLSA_SIZE_LIMIT,
                            &s->ffn));
    CLSA_TRY(
        clsa_keys_size(keys, "vocab_size", true, CLSA_SIZE_LIMIT, &s->vocab));
    CLSA_TRY(clsa_keys_uint(keys, "context_length", true, 1, CLSA_CONTEXT_LIMIT,
                            &s->context));
    CLSA_TRY(clsa_keys_float(keys, "attention.layer_norm_rms_epsilon", true,
                             1e-20, 1, &s->eps));
    s->embedding_scale = 1;
    return clsa_keys_float(keys, "embedding_scale", false, 1e-9, 1e9,
                           &s->embedding_scale);
}

static clsa_status read_cross(const struct clsa_arch_keys *keys,
                              struct sizes *s)
{
    struct clsa_heads *cross = &s->cross;
    CLSA_TRY(clsa_keys_size(keys, "attention.head_count", true, CLSA_SIZE_LIMIT,
                            &cross->heads));
    CLSA_TRY(clsa_keys_size(keys, "attention.head_count_kv", true,
                            CLSA_SIZE_LIMIT, &cross->kv_heads));
    CLSA_TRY(clsa_keys_size(keys, "attention.key_length", true,
                            CLSA_HEAD_DIM_LIMIT, &cross->head_dim));
    CLSA_TRY(clsa_keys_heads(keys, cross, ""));
    CLSA_TRY(clsa_keys_fixed(keys, "attention.value_length", cross->head_dim,
                             "values are as long as keys"));
    CLSA_TRY(clsa_keys_fixed(keys, "attention.shared_kv_layers",
                             s->layers - s->self_layers - 1,
                             "all cross-decoder layers but the first share"));
    uint64_t rotated = 0;
    CLSA_TRY(clsa_keys_uint(keys, "rope.dimension_count", false, 0, UINT64_MAX,
                            &rotated));
    float base = 10000;
    CLSA_TRY(clsa_keys_float(keys, "rope.freq_base", false, 1, 1e30, &base));
    s->rope_cross = rotated > 0 ? base : 0;
    if (rotated == 0)
        return CLSA_OK;
    return clsa_keys_fixed(keys, "rope.dimension_count", cross->head_dim,
                           "heads are rotated as a whole or not at all");
}

static clsa_status read_self(const struct clsa_arch_keys *keys, struct sizes *s)
{
    struct clsa_heads *self = &s->self;
    *self = s->cross;
    CLSA_TRY(clsa_keys_size(keys, "attention.head_count_self", false,
                            CLSA_SIZE_LIMIT, &self->heads));
    if (s->mixer == GATED_RETENTION) {
        self->kv_heads = self->heads;
        CLSA_TRY(clsa_keys_fixed(keys, "attention.head_count_kv_self",
                                 self->heads,
                                 "retention has a key for each query"));
    }
    CLSA_TRY(clsa_keys_size(keys, "attention.head_count_kv_self", false,
                            CLSA_SIZE_LIMIT, &self->kv_heads));
    CLSA_TRY(clsa_keys_size(keys, "attention.key_length_self", false,
                            CLSA_HEAD_DIM_LIMIT, &self->head_dim));
    CLSA_TRY(clsa_keys_heads(keys, self, "_self"));
    CLSA_TRY(clsa_keys_fixed(keys, "rope.dimension_count_swa", self->head_dim,
                             "heads of the self-decoder are rotated as a "
                             "whole"));
    CLSA_TRY(clsa_keys_float(keys, "rope.freq_base_swa", true, 1, 1e30,
                             &s->rope_self));
    s->window = 1;
    if (s->mixer == GATED_RETENTION)
        return CLSA_OK;
    return clsa_keys_size(keys, "attention.sliding_window", true,
                          CLSA_SIZE_LIMIT, &s->window);
}

/* Any of the indexer's keys makes its sizes required. */
static clsa_status read_indexer(const struct clsa_arch_keys *keys,
                                struct sizes *s)
{
    static const char heads[] = "attention.indexer.head_count";
    static const char size[] = "attention.indexer.key_length";
    static const char top_k[] = "attention.indexer.top_k";
    if (!clsa_keys_has(keys, heads) && !clsa_keys_has(keys, size) &&
        !clsa_keys_has(keys, top_k))
        return CLSA_OK;
    CLSA_TRY(clsa_keys_fixed(keys, heads, 1, "there is one index head"));
    CLSA_TRY(
        clsa_keys_size(keys, size, true, CLSA_INDEX_DIM_LIMIT, &s->index_dim));
    CLSA_TRY(clsa_keys_size(keys, top_k, true, CLSA_SIZE_LIMIT, &s->top_k));
    CLSA_TRY(clsa_indexes_read_kept(keys, s->top_k, &s->sinks, &s->recent));
    if (s->index_dim % CLSA_HEAD_DIM_UNIT == 0)
        return CLSA_OK;
    return clsa_fail(keys->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key '%s.%s' is %" PRIu32
                     ", which is not supported: only multiples of %d are",
                     keys->gguf->path, keys->arch, size, s->index_dim,
                     CLSA_HEAD_DIM_UNIT);
}

static clsa_status read(struct clsa_network *net,
                        const struct clsa_arch_keys *keys)
{
    static const char *const mixers[] = {"swa", "gated_retention", NULL};
    struct sizes s = {.mixer = SLIDING_WINDOW};
    CLSA_TRY(clsa_keys_choice(keys, "self_decoder_type", mixers, &s.mixer));
    CLSA_TRY(read_sizes(keys, &s));
    CLSA_TRY(read_cross(keys, &s));
    CLSA_TRY(read_self(keys, &s));
    CLSA_TRY(read_indexer(keys, &s));
    return plan(net, &s, keys->error);
}

/* ------------------------------------------------------------------ shapes */

static clsa_status check_size(const char *name, uint32_t value, uint32_t min,
                              uint32_t max, uint32_t unit, clsa_error *error)
{
    if (value < min || value > max)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "shape: %s is %" PRIu32 ": use %" PRIu32
                         " to %" PRIu32,
                         name, value, min, max);
    if (value % unit)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "shape: %s is %" PRIu32 ": use a multiple of %" PRIu32,
                         name, value, unit);
    return CLSA_OK;
}

/* The limits of the keys. */
static clsa_status check_shape(const clsa_shape *s, clsa_error *error)
{
    const uint32_t most = CLSA_SIZE_LIMIT, half = CLSA_LAYER_LIMIT / 2;
    const struct {
        const char *name;
        uint32_t value, min, max, unit;
    } sizes[] = {
        {"width", s->width, 1, most, 1},
        {"self_layers", s->self_layers, 1, half, 1},
        {"cross_layers", s->cross_layers, 1, half, 1},
        {"heads", s->heads, 1, most, 1},
        {"kv_heads", s->kv_heads, 1, most, 1},
        {"head_size", s->head_size, CLSA_HEAD_DIM_UNIT, CLSA_HEAD_DIM_LIMIT,
         CLSA_HEAD_DIM_UNIT},
        {"ffn", s->ffn, 1, most, 1},
        {"window", s->window, 1, most, 1},
        {"index_size", s->index_size, 0, CLSA_INDEX_DIM_LIMIT,
         CLSA_HEAD_DIM_UNIT},
        {"top_k", s->top_k, s->index_size ? 1 : 0, most, 1},
        {"vocab", s->vocab, 1, most, 1},
    };
    CLSA_CHECK_RESERVED(s, "clsa_shape", error);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        CLSA_TRY(check_size(sizes[i].name, sizes[i].value, sizes[i].min,
                            sizes[i].max, sizes[i].unit, error));
    if (s->heads % s->kv_heads)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "shape: %" PRIu32 " heads do not divide into %" PRIu32
                         " kv_heads",
                         s->heads, s->kv_heads);
    if ((uint64_t)s->heads * s->head_size > most)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "shape: %" PRIu32 " heads of %" PRIu32
                         " values: use %" PRIu32 " values at most",
                         s->heads, s->head_size, most);
    return CLSA_OK;
}

static clsa_status set_shape(struct clsa_network *net, const clsa_shape *shape,
                             clsa_error *error)
{
    CLSA_TRY(check_shape(shape, error));
    struct sizes s = {
        .layers = shape->self_layers + shape->cross_layers,
        .self_layers = shape->self_layers,
        .hidden = shape->width,
        .ffn = shape->ffn,
        .vocab = shape->vocab,
        .context = (uint64_t)1 << 20,
        .eps = 1e-6f,
        .embedding_scale = 1,
        .cross = {.heads = shape->heads,
                  .kv_heads = shape->kv_heads,
                  .head_dim = shape->head_size,
                  .group = shape->heads / shape->kv_heads},
        .rope_self = 10000,
        .mixer = SLIDING_WINDOW,
        .window = shape->window,
        .index_dim = shape->index_size,
        .top_k = shape->index_size ? shape->top_k : 0,
    };
    s.self = s.cross;
    return plan(net, &s, error);
}

/* ----------------------------------------------------------------- tensors */

/* K and V, of the layers that write a store. */
static clsa_status find_kv(struct clsa_finder *f, uint32_t i, size_t d,
                           struct clsa_layer *l)
{
    const size_t e = l->heads.head_dim, ge = l->heads.kv_heads * e;
    CLSA_TRY(clsa_find_matrix(f, i, "attn_k", CLSA_REQUIRED, ge, d, &l->k));
    CLSA_TRY(clsa_find_matrix(f, i, "attn_v", CLSA_REQUIRED, ge, d, &l->v));
    if (l->mixer == CLSA_MIXER_RETENTION)
        return CLSA_OK;
    return clsa_find_vector(f, i, "attn_k_norm", CLSA_USUAL, e, &l->k_norm);
}

static clsa_status find_retention(struct clsa_finder *f, uint32_t i, size_t d,
                                  struct clsa_layer *l)
{
    const size_t h = l->heads.heads, he = h * l->heads.head_dim;
    CLSA_TRY(clsa_find_matrix(f, i, "attn_gate", CLSA_REQUIRED, he, d,
                              &l->ret_gate));
    return clsa_find_matrix(f, i, "attn_decay", CLSA_REQUIRED, h, d,
                            &l->ret_decay);
}

/* What only the layer has that writes the shared cache. */
static clsa_status find_shared(struct clsa_finder *f, uint32_t i, size_t d,
                               size_t index_dim, struct clsa_layer *l)
{
    CLSA_TRY(clsa_find_vector(f, i, "kv_norm", CLSA_REQUIRED, d, &l->kv_norm));
    if (index_dim == 0)
        return CLSA_OK;
    CLSA_TRY(clsa_find_matrix(f, i, "indexer.q_proj", CLSA_REQUIRED, index_dim,
                              d, &l->index_q));
    return clsa_find_matrix(f, i, "indexer.k_proj", CLSA_REQUIRED, index_dim, d,
                            &l->index_k);
}

static clsa_status find_layer(struct clsa_network *net, struct clsa_finder *f,
                              uint32_t i)
{
    struct clsa_layer *l = &net->layers[i];
    const size_t d = net->hidden, e = l->heads.head_dim;
    const size_t he = l->heads.heads * e;
    CLSA_TRY(
        clsa_find_vector(f, i, "attn_norm", CLSA_REQUIRED, d, &l->attn_norm));
    CLSA_TRY(clsa_find_matrix(f, i, "attn_q", CLSA_REQUIRED, he, d, &l->q));
    if (l->mixer == CLSA_MIXER_ATTENTION)
        CLSA_TRY(
            clsa_find_vector(f, i, "attn_q_norm", CLSA_USUAL, e, &l->q_norm));
    if (l->writes)
        CLSA_TRY(find_kv(f, i, d, l));
    if (l->mixer == CLSA_MIXER_RETENTION)
        CLSA_TRY(find_retention(f, i, d, l));
    if (l->site)
        CLSA_TRY(find_shared(f, i, d, net->stores[l->store].index_dim, l));
    CLSA_TRY(clsa_find_matrix(f, i, "attn_output", CLSA_REQUIRED, d, he,
                              &l->attn_out));
    return clsa_usual_find_ffn(f, i, d, l);
}

static clsa_status find(struct clsa_network *net, struct clsa_finder *f)
{
    const size_t d = net->hidden, vocab = net->vocab;
    CLSA_TRY(clsa_find_matrix(f, CLSA_NO_LAYER, "token_embd", CLSA_REQUIRED,
                              vocab, d, &net->embedding));
    for (uint32_t i = 0; i < net->layer_count; i++)
        CLSA_TRY(find_layer(net, f, i));
    CLSA_TRY(clsa_find_vector(f, CLSA_NO_LAYER, "output_norm", CLSA_REQUIRED, d,
                              &net->output_norm));
    net->output = net->embedding;
    CLSA_TRY(clsa_find_matrix(f, CLSA_NO_LAYER, "output", CLSA_USUAL, vocab, d,
                              &net->output));
    CLSA_TRY(clsa_find_rope(f, "rope_freqs_self", &net->ropes[ROPE_SELF]));
    return clsa_find_rope(f, "rope_freqs_cross", &net->ropes[ROPE_CROSS]);
}

const struct clsa_arch clsa_arch_yoco = {
    .name = "yoco",
    .own_index = true,
    .int8_prompts = true,
    .read = read,
    .set_shape = set_shape,
    .find = find,
};
