/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the tensors of a network by name and role. Each one that is used is
 * marked, and what is left unmarked at the end does not belong to the network
 * that the keys describe: an error, since leaving it out would change what
 * the model computes. Vectors are copied to one block of floats; matrices are
 * used where they lie.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/model/weights.h"

struct finder {
    const struct clsa_gguf *gguf;
    const struct clsa_hparams *hp;
    bool *used;            /* [tensor_count] */
    float *room;           /* where the next vector goes */
    struct clsa_simd simd; /* scalar kernels: formats to float */
    clsa_error *error;
};

enum presence { REQUIRED, OPTIONAL };

#define NAME_SIZE 80

/* "blk.N.ROLE.weight", or "ROLE.weight" for the layer NO_LAYER. */
#define NO_LAYER (-1)

static void make_name(char name[NAME_SIZE], int layer, const char *role)
{
    if (layer == NO_LAYER)
        snprintf(name, NAME_SIZE, "%s.weight", role);
    else
        snprintf(name, NAME_SIZE, "blk.%d.%s.weight", layer, role);
}

static clsa_status check_shape(const struct finder *f,
                               const struct clsa_gguf_tensor *t, uint64_t rows,
                               uint64_t cols)
{
    if (t->shape[0] == cols && t->shape[1] == rows && t->shape[2] == 1 &&
        t->shape[3] == 1)
        return CLSA_OK;
    char found[100] = "";
    size_t used = 0;
    for (uint32_t i = t->dims; i-- > 0;)
        used += (size_t)snprintf(found + used, sizeof found - used,
                                 "[%" PRIu64 "]", t->shape[i]);
    return clsa_fail(f->error, CLSA_ERR_FORMAT,
                     "%s: tensor '%s' has the shape %s, but the keys make it "
                     "[%" PRIu64 "][%" PRIu64 "]",
                     f->gguf->path, t->name, found, rows, cols);
}

/*
 * Finds a tensor of [rows][cols], checks and marks it. *tensor is NULL where
 * an optional one is absent.
 */
static clsa_status find(struct finder *f, int layer, const char *role,
                        enum presence presence, size_t rows, size_t cols,
                        const struct clsa_gguf_tensor **tensor,
                        enum clsa_format *format)
{
    char name[NAME_SIZE];
    make_name(name, layer, role);
    const struct clsa_gguf_tensor *t = clsa_gguf_tensor(f->gguf, name);
    *tensor = t;
    if (!t && presence == OPTIONAL)
        return CLSA_OK;
    if (!t)
        return clsa_fail(f->error, CLSA_ERR_FORMAT,
                         "%s: tensor '%s' is missing", f->gguf->path, name);
    if (!clsa_gguf_format(t->type, format))
        return clsa_fail(f->error, CLSA_ERR_UNSUPPORTED,
                         "%s: tensor '%s' has type %" PRIu32 " of GGUF, which "
                         "is not supported: convert the model to f32, f16, "
                         "bf16, q8_0, q4_0, q4_k or q6_k",
                         f->gguf->path, name, t->type);
    f->used[t - f->gguf->tensors] = true;
    return check_shape(f, t, rows, cols);
}

static clsa_status find_matrix(struct finder *f, int layer, const char *role,
                               enum presence presence, size_t rows, size_t cols,
                               struct clsa_matrix *matrix)
{
    const struct clsa_gguf_tensor *t;
    enum clsa_format format = CLSA_F32;
    CLSA_TRY(find(f, layer, role, presence, rows, cols, &t, &format));
    if (t)
        *matrix = (struct clsa_matrix){format, rows, cols, t->data};
    return CLSA_OK;
}

static clsa_status find_vector(struct finder *f, int layer, const char *role,
                               enum presence presence, size_t n,
                               const float **vector)
{
    const struct clsa_gguf_tensor *t;
    enum clsa_format format = CLSA_F32;
    CLSA_TRY(find(f, layer, role, presence, 1, n, &t, &format));
    if (!t)
        return CLSA_OK;
    float *values = f->room;
    f->simd.load[format](values, t->data, n);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return clsa_fail(f->error, CLSA_ERR_FORMAT,
                             "%s: tensor '%s' has a value that is not a "
                             "finite number, at %zu",
                             f->gguf->path, t->name, i);
    f->room += n;
    *vector = values;
    return CLSA_OK;
}

/* Factors that angles are divided by. */
static clsa_status find_rope(struct finder *f, const char *role,
                             const struct clsa_heads *heads,
                             const float **factors)
{
    size_t half = heads->e / 2;
    CLSA_TRY(find_vector(f, NO_LAYER, role, OPTIONAL, half, factors));
    for (size_t i = 0; *factors && i < half; i++)
        if (!((*factors)[i] > 0))
            return clsa_fail(f->error, CLSA_ERR_FORMAT,
                             "%s: tensor '%s.weight' has a factor that is not "
                             "above 0, at %zu",
                             f->gguf->path, role, i);
    return CLSA_OK;
}

static clsa_status find_ffn(struct finder *f, int i, struct clsa_layer *layer)
{
    size_t d = f->hp->d, n = f->hp->f;
    CLSA_TRY(find_vector(f, i, "ffn_norm", REQUIRED, d, &layer->ffn_norm));
    CLSA_TRY(find_matrix(f, i, "ffn_gate", REQUIRED, n, d, &layer->gate));
    CLSA_TRY(find_matrix(f, i, "ffn_up", REQUIRED, n, d, &layer->up));
    return find_matrix(f, i, "ffn_down", REQUIRED, d, n, &layer->down);
}

/* What the layers of both stacks have: q, its output and the FFN. */
static clsa_status find_common(struct finder *f, int i,
                               const struct clsa_heads *heads,
                               struct clsa_layer *layer)
{
    size_t d = f->hp->d, he = (size_t)heads->h * heads->e;
    CLSA_TRY(find_vector(f, i, "attn_norm", REQUIRED, d, &layer->attn_norm));
    CLSA_TRY(find_matrix(f, i, "attn_q", REQUIRED, he, d, &layer->q));
    CLSA_TRY(find_matrix(f, i, "attn_output", REQUIRED, d, he, &layer->out));
    return find_ffn(f, i, layer);
}

static clsa_status find_self(struct finder *f, int i, struct clsa_layer *layer)
{
    const struct clsa_heads *heads = &f->hp->self;
    size_t d = f->hp->d, e = heads->e, ge = heads->g * e, he = heads->h * e;
    CLSA_TRY(find_common(f, i, heads, layer));
    CLSA_TRY(find_matrix(f, i, "attn_k", REQUIRED, ge, d, &layer->k));
    CLSA_TRY(find_matrix(f, i, "attn_v", REQUIRED, ge, d, &layer->v));
    if (f->hp->mixer == CLSA_MIXER_GATED_RETENTION) {
        CLSA_TRY(
            find_matrix(f, i, "attn_gate", REQUIRED, he, d, &layer->gate_r));
        return find_matrix(f, i, "attn_decay", REQUIRED, heads->h, d,
                           &layer->decay);
    }
    CLSA_TRY(find_vector(f, i, "attn_q_norm", OPTIONAL, e, &layer->q_norm));
    return find_vector(f, i, "attn_k_norm", OPTIONAL, e, &layer->k_norm);
}

static clsa_status find_cross(struct finder *f, int i, struct clsa_layer *layer)
{
    const struct clsa_heads *heads = &f->hp->cross;
    CLSA_TRY(find_common(f, i, heads, layer));
    return find_vector(f, i, "attn_q_norm", OPTIONAL, heads->e, &layer->q_norm);
}

/* The rows of the shared cache and the indexer; they are in block S. */
static clsa_status find_shared(struct finder *f, struct clsa_weights *w)
{
    const struct clsa_heads *heads = &f->hp->cross;
    size_t d = f->hp->d, e = heads->e, ge = heads->g * e;
    size_t n = f->hp->index_size;
    int s = (int)f->hp->self_layers;
    CLSA_TRY(find_vector(f, s, "kv_norm", REQUIRED, d, &w->kv_norm));
    CLSA_TRY(find_matrix(f, s, "attn_k", REQUIRED, ge, d, &w->k));
    CLSA_TRY(find_matrix(f, s, "attn_v", REQUIRED, ge, d, &w->v));
    CLSA_TRY(find_vector(f, s, "attn_k_norm", OPTIONAL, e, &w->k_norm));
    if (n == 0)
        return CLSA_OK;
    CLSA_TRY(find_matrix(f, s, "indexer.q_proj", REQUIRED, n, d, &w->index_q));
    return find_matrix(f, s, "indexer.k_proj", REQUIRED, n, d, &w->index_k);
}

static clsa_status find_ends(struct finder *f, struct clsa_weights *w)
{
    size_t d = f->hp->d, vocab = f->hp->vocab;
    CLSA_TRY(find_matrix(f, NO_LAYER, "token_embd", REQUIRED, vocab, d,
                         &w->embedding));
    w->output = w->embedding;
    CLSA_TRY(
        find_matrix(f, NO_LAYER, "output", OPTIONAL, vocab, d, &w->output));
    CLSA_TRY(
        find_vector(f, NO_LAYER, "output_norm", REQUIRED, d, &w->output_norm));
    CLSA_TRY(find_rope(f, "rope_freqs_self", &f->hp->self, &w->rope_self));
    return find_rope(f, "rope_freqs_cross", &f->hp->cross, &w->rope_cross);
}

static clsa_status check_all_used(const struct finder *f)
{
    for (size_t i = 0; i < f->gguf->tensor_count; i++)
        if (!f->used[i])
            return clsa_fail(f->error, CLSA_ERR_UNSUPPORTED,
                             "%s: tensor '%s' is not one of the network that "
                             "the keys describe",
                             f->gguf->path, f->gguf->tensors[i].name);
    return CLSA_OK;
}

static clsa_status find_all(struct finder *f, struct clsa_weights *w)
{
    CLSA_TRY(find_ends(f, w));
    for (uint32_t i = 0; i < f->hp->layers; i++) {
        if (i < f->hp->self_layers)
            CLSA_TRY(find_self(f, (int)i, &w->layers[i]));
        else
            CLSA_TRY(find_cross(f, (int)i, &w->layers[i]));
    }
    CLSA_TRY(find_shared(f, w));
    return check_all_used(f);
}

/* Values in the tensors that can be vectors: bounded by the file, which the
   sizes of the keys are not before the tensors have been found. */
static size_t count_vectors(const struct clsa_gguf *gguf)
{
    size_t n = 0;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        const struct clsa_gguf_tensor *t = &gguf->tensors[i];
        if (t->data && t->shape[1] == 1 && t->shape[2] == 1 && t->shape[3] == 1)
            n += (size_t)t->shape[0];
    }
    return n;
}

static uint64_t count_parameters(const struct clsa_gguf *gguf)
{
    uint64_t n = 0;
    for (size_t i = 0; i < gguf->tensor_count; i++)
        n += gguf->tensors[i].shape[0] * gguf->tensors[i].shape[1];
    return n;
}

clsa_status clsa_weights_open(struct clsa_weights *weights,
                              const struct clsa_gguf *gguf,
                              const struct clsa_hparams *hp, clsa_error *error)
{
    struct clsa_weights w = {.parameters = 0};
    struct finder f = {.gguf = gguf, .hp = hp, .error = error};
    size_t vectors = count_vectors(gguf);
    clsa_simd_ref(&f.simd);
    f.used = clsa_mem_calloc(gguf->tensor_count, sizeof *f.used);
    w.layers = clsa_mem_calloc(hp->layers, sizeof *w.layers);
    w.vectors = f.room = clsa_mem_calloc(vectors, sizeof *w.vectors);
    clsa_status status;
    if (!f.used || !w.layers || !w.vectors)
        status = clsa_fail_memory(error, "the norms of a model",
                                  vectors * sizeof *w.vectors);
    else
        status = find_all(&f, &w);
    clsa_mem_free(f.used);
    if (status != CLSA_OK) {
        clsa_weights_close(&w);
        return status;
    }
    w.parameters = count_parameters(gguf);
    *weights = w;
    return CLSA_OK;
}

void clsa_weights_close(struct clsa_weights *weights)
{
    clsa_mem_free(weights->layers);
    clsa_mem_free(weights->vectors);
    *weights = (struct clsa_weights){.layers = NULL};
}
