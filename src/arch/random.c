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

#include "src/arch/random.h"
#include "src/base/mem.h"
#include "src/base/loop.h"
#include "src/base/random.h"
#include "src/base/types.h"
#include "src/model/numa_weights.h"

#define SEED 0x636c7361u

/* Of shapes, which do not name one. */
static const char architecture[] = "yoco";

/* Values stored at once: whole blocks of every format. */
#define CHUNK 1024

/* Values that the threads make between two looks at the caller's wish. */
#define SLAB ((size_t)1 << 23)

/* -------------------------------------------------------------- tensors */

/* Grows the list of tensors. */
struct builder {
    struct clsa_gguf *gguf;
    size_t capacity; /* of the list */
    clsa_type type;  /* of matrices */
    bool tied;
    clsa_error *error;
};

static clsa_status place(struct builder *b, struct clsa_gguf_tensor *t)
{
    enum clsa_format format = CLSA_F32;
    size_t cols = (size_t)t->shape[0], bytes, block, end;
    clsa_type_format(t->type, &format);
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

static clsa_status grow(struct builder *b)
{
    struct clsa_gguf *g = b->gguf;
    const size_t capacity = b->capacity ? 2 * b->capacity : 64;
    if (g->tensor_count < b->capacity)
        return CLSA_OK;
    struct clsa_gguf_tensor *tensors =
        clsa_mem_resize(g->tensors, capacity, sizeof *tensors);
    if (!tensors)
        return clsa_fail_memory(b->error, "random weights",
                                capacity * sizeof *tensors);
    g->tensors = tensors;
    b->capacity = capacity;
    return CLSA_OK;
}

/* `make` of a finder. */
static clsa_status add(void *maker, const char *name, size_t rows, size_t cols)
{
    struct builder *b = maker;
    if (b->tied && strcmp(name, "output.weight") == 0)
        return CLSA_OK;
    CLSA_TRY(grow(b));
    struct clsa_gguf_tensor *t = &b->gguf->tensors[b->gguf->tensor_count];
    *t = (struct clsa_gguf_tensor){
        .name = clsa_mem_dup(name, strlen(name)),
        .type = (uint32_t)(rows ? b->type : CLSA_TYPE_F32),
        .dims = rows ? 2 : 1,
        .shape = {cols, rows ? rows : 1, 1, 1},
    };
    if (!t->name)
        return clsa_fail_memory(b->error, name, strlen(name));
    b->gguf->tensor_count++;
    return place(b, t);
}

static clsa_status list_tensors(struct clsa_network *net, struct builder *b)
{
    struct clsa_finder f = {.make = add, .maker = b, .error = b->error};
    return net->arch->find(net, &f);
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
    const size_t cols = (size_t)f->tensor->shape[0];
    clsa_type_format(f->tensor->type, &format);
    size_t bytes = clsa_format_bytes(format, cols);
    unsigned char *data = (unsigned char *)(uintptr_t)f->tensor->data;
    struct clsa_loop loop = clsa_loop(w, f->rows);
    while (clsa_loop_next(&loop))
        for (size_t j = f->first + loop.begin; j < f->first + loop.end; j++)
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

static clsa_status make(struct clsa_gguf *g, struct clsa_network *net,
                        struct builder *b, const struct clsa_maker *maker)
{
    if (!(g->path = clsa_mem_dup("random model", strlen("random model"))))
        return clsa_fail_memory(b->error, "random weights", 1);
    CLSA_TRY(list_tensors(net, b));
    CLSA_TRY(take_memory(g, maker->budget, b->error));
    CLSA_TRY(clsa_team_ready(maker->team, b->error));
    clsa_numa_weights_bind(g, maker->team);
    return fill_all(&(struct filling){.simd = maker->simd}, g, maker->team,
                    maker->progress, b->error);
}

clsa_status clsa_random_open(struct clsa_gguf **gguf, struct clsa_network *net,
                             const clsa_shape *shape, clsa_type type,
                             const struct clsa_maker *maker, clsa_error *error)
{
    enum clsa_format format;
    net->arch = clsa_arch_find(architecture, strlen(architecture));
    CLSA_TRY(net->arch->set_shape(net, shape, error));
    clsa_network_finish(net);
    if (!clsa_type_format((uint32_t)type, &format))
        return clsa_fail(
            error, CLSA_ERR_ARGUMENT,
            "type %d is not a type of weights: use " CLSA_WEIGHT_TYPES,
            (int)type);
    struct clsa_gguf *g = clsa_mem_calloc(1, sizeof *g);
    if (!g)
        return clsa_fail_memory(error, "random weights", sizeof *g);
    struct builder b = {
        .gguf = g, .type = type, .tied = shape->tied != 0, .error = error};
    clsa_status status = make(g, net, &b, maker);
    if (status) {
        clsa_gguf_close(g);
        return status;
    }
    *gguf = g;
    return CLSA_OK;
}
