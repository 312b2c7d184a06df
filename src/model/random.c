/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of tensors is made first, then one block of memory for all, which
 * the threads fill. Values depend on tensor, row and place alone.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/random.h"
#include "src/model/placed.h"
#include "src/model/random.h"

#define SEED 0x636c7361u

/* Of a session that does not say. */
#define CONTEXT ((uint64_t)1 << 20)

/* Most tensors of a layer, and of what is not in a layer; with the indexer
   and the norms of the heads. */
#define LAYER_TENSORS 11
#define OTHER_TENSORS 9

/* Values stored at once: whole blocks of every format. */
#define CHUNK 1024

/* Values that the threads make between two looks at the caller's wish. */
#define SLAB ((size_t)1 << 23)

/* ---------------------------------------------------------------- sizes */

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

/* The limits of clsa_hparams_read. */
static clsa_status check_shape(const clsa_shape *s, clsa_error *error)
{
    const uint32_t most = 1u << 24;
    const struct {
        const char *name;
        uint32_t value, min, max, unit;
    } sizes[] = {
        {"width", s->width, 1, most, 1},
        {"self_layers", s->self_layers, 1, 512, 1},
        {"cross_layers", s->cross_layers, 1, 512, 1},
        {"heads", s->heads, 1, most, 1},
        {"kv_heads", s->kv_heads, 1, most, 1},
        {"head_size", s->head_size, 8, CLSA_MAX_HEAD, 8},
        {"ffn", s->ffn, 1, most, 1},
        {"window", s->window, 1, most, 1},
        {"index_size", s->index_size, 0, 1u << 16, 8},
        {"top_k", s->top_k, s->index_size ? 1 : 0, most, 1},
        {"vocab", s->vocab, 1, most, 1},
    };
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

static void set_hparams(struct clsa_hparams *hp, const clsa_shape *s)
{
    *hp = (struct clsa_hparams){
        .layers = s->self_layers + s->cross_layers,
        .self_layers = s->self_layers,
        .d = s->width,
        .f = s->ffn,
        .vocab = s->vocab,
        .context = CONTEXT,
        .cross = {.h = s->heads,
                  .g = s->kv_heads,
                  .e = s->head_size,
                  .r = s->heads / s->kv_heads},
        .mixer = CLSA_MIXER_SWA,
        .window = s->window,
        .index_size = s->index_size,
        .top_k = s->index_size ? s->top_k : 0,
        .eps = 1e-6f,
        .embedding_scale = 1.0f,
    };
    hp->self = hp->cross;
    hp->self.rope_base = 10000.0f;
}

/* -------------------------------------------------------------- tensors */

/* Grows the list; the first failure stays. */
struct builder {
    struct clsa_gguf *gguf;
    clsa_type type; /* of matrices */
    clsa_status status;
    clsa_error *error;
};

static clsa_status place(struct builder *b, struct clsa_gguf_tensor *t)
{
    enum clsa_format format = CLSA_F32;
    size_t cols = (size_t)t->shape[0], bytes, block, end;
    clsa_gguf_format(t->type, &format);
    block = clsa_format_block(format);
    if (cols % block)
        return clsa_fail(b->error, CLSA_ERR_ARGUMENT,
                         "shape: a row of tensor '%s' has %zu values, and "
                         "type %s needs a multiple of %zu",
                         t->name, cols, clsa_type_name(b->type), block);
    if (!clsa_size_mul(clsa_format_bytes(format, cols), (size_t)t->shape[1],
                       &bytes) ||
        !clsa_size_add(b->gguf->size, bytes, &end) ||
        end > SIZE_MAX / 2 - CLSA_CACHE_LINE)
        return clsa_fail_memory(b->error, "random weights", SIZE_MAX);
    t->offset = b->gguf->size;
    t->size = bytes;
    b->gguf->size = clsa_round_up(end, CLSA_CACHE_LINE);
    return CLSA_OK;
}

static void add(struct builder *b, const char *name, clsa_type type,
                size_t rows, size_t cols)
{
    struct clsa_gguf_tensor *t = &b->gguf->tensors[b->gguf->tensor_count];
    if (b->status)
        return;
    *t = (struct clsa_gguf_tensor){
        .name = clsa_mem_dup(name, strlen(name)),
        .type = (uint32_t)type,
        .dims = rows > 1 ? 2 : 1,
        .shape = {cols, rows, 1, 1},
    };
    if (!t->name) {
        b->status = clsa_fail_memory(b->error, name, strlen(name));
        return;
    }
    b->gguf->tensor_count++;
    b->status = place(b, t);
}

static void add_matrix(struct builder *b, uint32_t layer, const char *role,
                       size_t rows, size_t cols)
{
    char name[80];
    snprintf(name, sizeof name, "blk.%" PRIu32 ".%s.weight", layer, role);
    add(b, name, b->type, rows, cols);
}

static void add_vector(struct builder *b, uint32_t layer, const char *role,
                       size_t n)
{
    char name[80];
    snprintf(name, sizeof name, "blk.%" PRIu32 ".%s.weight", layer, role);
    add(b, name, CLSA_TYPE_F32, 1, n);
}

static void add_layer(struct builder *b, const struct clsa_hparams *hp,
                      uint32_t layer)
{
    const struct clsa_heads *heads = &hp->cross;
    size_t d = hp->d, f = hp->f, e = heads->e;
    size_t he = (size_t)heads->h * e, ge = (size_t)heads->g * e;
    bool self = layer < hp->self_layers, shared = layer == hp->self_layers;
    add_vector(b, layer, "attn_norm", d);
    add_matrix(b, layer, "attn_q", he, d);
    add_vector(b, layer, "attn_q_norm", e);
    if (self || shared) {
        add_matrix(b, layer, "attn_k", ge, d);
        add_matrix(b, layer, "attn_v", ge, d);
        add_vector(b, layer, "attn_k_norm", e);
    }
    if (shared)
        add_vector(b, layer, "kv_norm", d);
    if (shared && hp->index_size) {
        add_matrix(b, layer, "indexer.q_proj", hp->index_size, d);
        add_matrix(b, layer, "indexer.k_proj", hp->index_size, d);
    }
    add_matrix(b, layer, "attn_output", d, he);
    add_vector(b, layer, "ffn_norm", d);
    add_matrix(b, layer, "ffn_gate", f, d);
    add_matrix(b, layer, "ffn_up", f, d);
    add_matrix(b, layer, "ffn_down", d, f);
}

static clsa_status list_tensors(struct builder *b,
                                const struct clsa_hparams *hp, bool tied)
{
    size_t most = (size_t)hp->layers * LAYER_TENSORS + OTHER_TENSORS;
    b->gguf->tensors = clsa_mem_calloc(most, sizeof *b->gguf->tensors);
    if (!b->gguf->tensors)
        return clsa_fail_memory(b->error, "random weights",
                                most * sizeof *b->gguf->tensors);
    add(b, "token_embd.weight", b->type, hp->vocab, hp->d);
    for (uint32_t i = 0; i < hp->layers; i++)
        add_layer(b, hp, i);
    add(b, "output_norm.weight", CLSA_TYPE_F32, 1, hp->d);
    if (!tied)
        add(b, "output.weight", b->type, hp->vocab, hp->d);
    return b->status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct clsa_gguf_name *)a)->name,
                  ((const struct clsa_gguf_name *)b)->name);
}

/* The memory of all tensors, and the index of their names. */
static clsa_status take_memory(struct clsa_gguf *g, struct clsa_budget *budget,
                               clsa_error *error)
{
    CLSA_TRY(clsa_budget_take(budget, g->size, "random weights", error));
    unsigned char *base = clsa_mem_map(g->size);
    if (!base)
        return clsa_fail_memory(error, "random weights", g->size);
    g->base = base;
    g->tensor_names = clsa_mem_calloc(g->tensor_count, sizeof *g->tensor_names);
    if (!g->tensor_names)
        return clsa_fail_memory(error, "random weights",
                                g->tensor_count * sizeof *g->tensor_names);
    for (size_t i = 0; i < g->tensor_count; i++) {
        g->tensors[i].data = base + g->tensors[i].offset;
        g->tensor_names[i] = (struct clsa_gguf_name){g->tensors[i].name, i};
    }
    qsort(g->tensor_names, g->tensor_count, sizeof *g->tensor_names,
          compare_names);
    return CLSA_OK;
}

/* --------------------------------------------------------------- values */

/* What the threads work on: some rows of a matrix. */
struct filling {
    const struct clsa_simd *simd;
    const struct clsa_gguf_tensor *tensor;
    uint64_t seed;
    size_t first, rows;
};

static void fill_row(const struct clsa_simd *simd, enum clsa_format format,
                     unsigned char *row, size_t cols, uint64_t seed)
{
    float x[CHUNK], bound = CLSA_RANDOM_UNIT / sqrtf((float)cols);
    for (size_t at = 0; at < cols; at += CHUNK) {
        size_t n = cols - at < CHUNK ? cols - at : CHUNK;
        clsa_random_floats(x, n, clsa_random_stream(seed, at), bound);
        simd->store[format](row + clsa_format_bytes(format, at), x, n);
    }
}

static void fill(void *context, struct clsa_worker *w)
{
    const struct filling *f = context;
    enum clsa_format format = CLSA_F32;
    size_t begin, end, cols = (size_t)f->tensor->shape[0];
    clsa_gguf_format(f->tensor->type, &format);
    size_t bytes = clsa_format_bytes(format, cols);
    unsigned char *data = (unsigned char *)(uintptr_t)f->tensor->data;
    clsa_share(w, f->rows, &begin, &end);
    for (size_t j = f->first + begin; j < f->first + end; j++)
        fill_row(f->simd, format, data + j * bytes, cols,
                 clsa_random_stream(f->seed, j));
}

static void fill_vector(const struct clsa_gguf_tensor *t)
{
    float *data = (float *)(uintptr_t)t->data;
    for (size_t i = 0; i < t->shape[0]; i++)
        data[i] = 1.0f;
}

/* All tensors, some rows at a time; the caller may stop it between them. */
static clsa_status fill_all(struct filling *f, const struct clsa_gguf *g,
                            struct clsa_team *team,
                            const struct clsa_progress *progress,
                            clsa_error *error)
{
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < g->tensor_count; i++)
        total += g->tensors[i].shape[0] * g->tensors[i].shape[1];
    for (size_t i = 0; i < g->tensor_count; i++) {
        const struct clsa_gguf_tensor *t = f->tensor = &g->tensors[i];
        const size_t cols = (size_t)t->shape[0], rows = (size_t)t->shape[1];
        f->seed = SEED + i;
        f->rows = cols < SLAB ? SLAB / cols : 1;
        if (t->dims == 1)
            fill_vector(t);
        for (f->first = 0; t->dims > 1 && f->first < rows;
             f->first += f->rows) {
            if (f->rows > rows - f->first)
                f->rows = rows - f->first;
            clsa_team_run(team, fill, f);
            done += f->rows * cols;
            CLSA_TRY(clsa_progress_tell(progress, done, total, "random weights",
                                        error));
        }
    }
    return CLSA_OK;
}

clsa_status clsa_random_open(struct clsa_gguf **gguf, struct clsa_hparams *hp,
                             const clsa_shape *shape, clsa_type type,
                             const struct clsa_simd *simd,
                             struct clsa_team *team, struct clsa_budget *budget,
                             const struct clsa_progress *progress,
                             clsa_error *error)
{
    enum clsa_format format;
    CLSA_TRY(check_shape(shape, error));
    if (!clsa_gguf_format((uint32_t)type, &format))
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "type %d is none of weights: use f32, f16, bf16, "
                         "q8_0, q4_0, q4_k or q6_k",
                         (int)type);
    set_hparams(hp, shape);
    struct clsa_gguf *g = clsa_mem_calloc(1, sizeof *g);
    if (!g)
        return clsa_fail_memory(error, "random weights", sizeof *g);
    struct builder b = {.gguf = g, .type = type, .error = error};
    clsa_status status = CLSA_OK;
    if (!(g->path = clsa_mem_dup("random model", strlen("random model"))))
        status = clsa_fail_memory(error, "random weights", 1);
    if (status == CLSA_OK)
        status = list_tensors(&b, hp, shape->tied != 0);
    if (status == CLSA_OK)
        status = take_memory(g, budget, error);
    if (status == CLSA_OK)
        clsa_placed_bind(g, team);
    if (status == CLSA_OK)
        status =
            fill_all(&(struct filling){.simd = simd}, g, team, progress, error);
    if (status != CLSA_OK) {
        clsa_gguf_close(g);
        return status;
    }
    *gguf = g;
    return CLSA_OK;
}
