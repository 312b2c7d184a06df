/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of tensors is made first, then one block of memory for all, which
 * the threads fill. Values depend on tensor, row and place alone. A model like
 * an ordinary one is a whole file in memory.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/arch/random.h"
#include "src/base/types.h"
#include "src/model/gguf_read.h"
#include "src/model/mix.h"
#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/base/loop.h"
#include "src/base/random.h"
#include "src/model/numa_weights.h"

#define SEED 0x636c7361u

static const char weights[] = "random weights";

/* Of struct clsa_shape, which does not name one. */
static const char architecture[] = "yoco";

/* Values stored at once: whole blocks of every format. */
#define CHUNK 1024

/* Bound of values of a bias. */
#define BIAS 0.1f

/* Values that the threads make between two looks at the caller's wish. */
#define SLAB ((size_t)1 << 23)

/* -------------------------------------------------------------- tensors */

/* The list of tensors grows in `gguf`. */
struct builder {
    struct clsa_gguf *gguf;
    size_t capacity;              /* of the list */
    int type;                     /* of matrices, or a mix */
    const struct clsa_like *like; /* NULL: a shape */
    bool tied;
    clsa_error *error;
};

/* The number of bytes of a tensor, whose type is known by now. */
static clsa_status measure(const struct builder *b, struct clsa_gguf_tensor *t)
{
    enum clsa_format format = CLSA_F32;
    size_t cols = (size_t)t->shape[0], bytes, block;
    clsa_type_format(t->type, &format);
    block = clsa_format_block(format);
    if (cols % block)
        return clsa_fail(b->error, CLSA_ERR_ARGUMENT,
                         "shape: a row of tensor '%s' has %zu values, and "
                         "type %s needs a multiple of %zu",
                         t->name, cols, clsa_type_name((clsa_type)t->type),
                         block);
    if (!clsa_size_mul(clsa_format_bytes(format, cols), (size_t)t->shape[1],
                       &bytes))
        return clsa_fail_memory(b->error, weights, SIZE_MAX);
    t->size = bytes;
    return CLSA_OK;
}

/* Offsets of all tensors from the first one. */
static clsa_status place(struct builder *b, size_t alignment)
{
    struct clsa_gguf *g = b->gguf;
    size_t at = 0;
    for (size_t i = 0; i < g->tensor_count; i++) {
        struct clsa_gguf_tensor *t = &g->tensors[i];
        t->offset = at;
        CLSA_TRY(measure(b, t));
        if (!clsa_size_add(at, (size_t)t->size, &at) ||
            at > SIZE_MAX / 2 - alignment)
            return clsa_fail_memory(b->error, weights, SIZE_MAX);
        at = clsa_round_up(at, alignment);
    }
    g->size = at;
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
        return clsa_fail_memory(b->error, weights, capacity * sizeof *tensors);
    g->tensors = tensors;
    b->capacity = capacity;
    return CLSA_OK;
}

static bool wanted(const struct builder *b, const char *name,
                   enum clsa_presence presence)
{
    if (presence == CLSA_OPTIONAL)
        return b->like && clsa_like_has(b->like, name);
    return !b->tied || strcmp(name, "output.weight") != 0;
}

/* `make` of a finder. */
static clsa_status add(void *maker, const char *name,
                       enum clsa_presence presence, size_t rows, size_t cols)
{
    struct builder *b = maker;
    if (!wanted(b, name, presence))
        return CLSA_OK;
    CLSA_TRY(grow(b));
    struct clsa_gguf_tensor *t = &b->gguf->tensors[b->gguf->tensor_count];
    *t = (struct clsa_gguf_tensor){
        .name = clsa_mem_dup(name, strlen(name)),
        .type = CLSA_TYPE_F32,
        .dims = rows ? 2 : 1,
        .shape = {cols, rows ? rows : 1, 1, 1},
    };
    if (!t->name)
        return clsa_fail_memory(b->error, name, strlen(name));
    b->gguf->tensor_count++;
    return CLSA_OK;
}

/* ---------------------------------------------------------------- types */

/* The type of a matrix; those of shapes have it as it was asked for. */
static clsa_type type_of(const struct builder *b,
                         const struct clsa_mix_list *list,
                         const struct clsa_gguf_tensor *t)
{
    const bool mix = clsa_mix_known(b->type);
    clsa_type type = mix ? CLSA_TYPE_BF16 : (clsa_type)b->type;
    if (b->like && strstr(t->name, ".indexer."))
        return CLSA_TYPE_BF16;
    if (mix && !clsa_mix_keeps(t->name))
        type = clsa_mix_type(b->type, list, t->name);
    return mix || b->like ? clsa_mix_fitting(type, t->shape[0]) : type;
}

static clsa_status set_types(struct builder *b)
{
    struct clsa_gguf *g = b->gguf;
    struct clsa_mix_list list = {.count = g->tensor_count};
    list.at = clsa_mem_calloc(g->tensor_count, sizeof *list.at);
    if (!list.at)
        return clsa_fail_memory(b->error, weights, g->tensor_count);
    for (size_t i = 0; i < g->tensor_count; i++)
        list.at[i] = (struct clsa_mix_matrix){g->tensors[i].name,
                                              g->tensors[i].shape[1]};
    for (size_t i = 0; i < g->tensor_count; i++)
        if (g->tensors[i].dims > 1)
            g->tensors[i].type = (uint32_t)type_of(b, &list, &g->tensors[i]);
    clsa_mem_free(list.at);
    return CLSA_OK;
}

static clsa_status list_tensors(struct clsa_network *net, struct builder *b)
{
    struct clsa_finder f = {.make = add, .maker = b, .error = b->error};
    CLSA_TRY(clsa_arch_find_all(net, &f));
    return set_types(b);
}

static clsa_status check_type(int type, clsa_error *error)
{
    enum clsa_format format;
    if (clsa_mix_known(type) || clsa_type_format((uint32_t)type, &format))
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "type %d is not a type of weights: use " CLSA_WEIGHT_TYPES,
                     type);
}

/* --------------------------------------------------------------- memory */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct clsa_gguf_name *)a)->name,
                  ((const struct clsa_gguf_name *)b)->name);
}

/* The memory of all tensors, and the index of their names. */
static clsa_status take_memory(struct clsa_gguf *g, struct clsa_budget *budget,
                               clsa_error *error)
{
    CLSA_TRY(clsa_budget_take(budget, g->size, weights, error));
    unsigned char *base = clsa_mem_map(g->size);
    if (!base)
        return clsa_fail_memory(error, weights, g->size);
    g->base = base;
    g->tensor_names = clsa_mem_calloc(g->tensor_count, sizeof *g->tensor_names);
    if (!g->tensor_names)
        return clsa_fail_memory(error, weights,
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

/* Types whose blocks take long to find have so many rows of their own; those
   after them are made of the same blocks in another order. */
#define OWN_ROWS ((size_t)512)

static bool takes_long(enum clsa_format format)
{
    return format != CLSA_F32 && format != CLSA_F16 && format != CLSA_BF16 &&
           format != CLSA_Q8_0 && format != CLSA_Q4_0;
}

/* What the threads work on: some rows of a matrix. */
struct filling {
    const struct clsa_simd *simd;
    const struct clsa_like *like; /* or NULL */
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

/* Row j of a matrix, some of whose first rows are there: the blocks of one of
   them, from another one on. */
static void turn_row(unsigned char *data, size_t j, size_t bytes, size_t block)
{
    const unsigned char *from = data + j % OWN_ROWS * bytes;
    const size_t first = j / OWN_ROWS * block % bytes;
    unsigned char *row = data + j * bytes;
    memcpy(row, from + first, bytes - first);
    memcpy(row + bytes - first, from, first);
}

static void fill(void *context, struct clsa_worker *w)
{
    const struct filling *f = context;
    enum clsa_format format = CLSA_F32;
    const size_t cols = (size_t)f->tensor->shape[0];
    clsa_type_format(f->tensor->type, &format);
    const size_t bytes = clsa_format_bytes(format, cols);
    const size_t block = clsa_format_size(format).bytes;
    unsigned char *data = (unsigned char *)(uintptr_t)f->tensor->data;
    struct clsa_loop loop = clsa_loop(w, f->rows);
    while (clsa_loop_next(&loop))
        for (size_t j = f->first + loop.begin; j < f->first + loop.end; j++)
            if (j >= OWN_ROWS && takes_long(format))
                turn_row(data, j, bytes, block);
            else
                fill_row(f->simd, format, data + j * bytes, cols,
                         clsa_random_stream(f->seed, j));
}

static void fill_vector(const struct clsa_gguf_tensor *t, uint64_t seed,
                        const struct clsa_like *like)
{
    float *data = (float *)(uintptr_t)t->data;
    const size_t n = (size_t)t->shape[0], length = strlen(t->name);
    if (length > 5 && strcmp(t->name + length - 5, ".bias") == 0)
        clsa_random_floats(data, n, seed, BIAS);
    else if (like && clsa_like_has(like, t->name))
        clsa_like_factors(like, t->name, data, n);
    else
        for (size_t i = 0; i < n; i++)
            data[i] = 1.0f;
}

/* Rows to be made at once, from `first` on; none of those that others are made
   of together with these. */
static size_t piece(size_t first, size_t rows, size_t cols)
{
    const size_t end = first < OWN_ROWS ? clsa_min(OWN_ROWS, rows) : rows;
    return clsa_min(cols < SLAB ? SLAB / cols : 1, end - first);
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
        if (t->dims == 1)
            fill_vector(t, f->seed, f->like);
        for (f->first = 0; t->dims > 1 && f->first < rows;
             f->first += f->rows) {
            f->rows = piece(f->first, rows, cols);
            clsa_team_run(team, fill, f);
            done += f->rows * cols;
            CLSA_TRY(clsa_progress_tell(progress, done, total, weights, error));
        }
    }
    return CLSA_OK;
}

/* The values of a model whose memory is there. */
static clsa_status fill_model(struct clsa_gguf *g, const struct clsa_like *like,
                              const struct clsa_maker *maker, clsa_error *error)
{
    struct filling f = {.simd = maker->simd, .like = like};
    CLSA_TRY(clsa_team_ready(maker->team, error));
    clsa_numa_weights_bind(g, maker->team);
    return fill_all(&f, g, maker->team, maker->progress, error);
}

static clsa_status make(struct clsa_gguf *g, struct clsa_network *net,
                        struct builder *b, const struct clsa_maker *maker)
{
    if (!(g->path = clsa_mem_dup(weights, strlen(weights))))
        return clsa_fail_memory(b->error, weights, 1);
    CLSA_TRY(list_tensors(net, b));
    CLSA_TRY(place(b, CLSA_CACHE_LINE));
    CLSA_TRY(take_memory(g, maker->budget, b->error));
    return fill_model(g, NULL, maker, b->error);
}

clsa_status clsa_random_open(struct clsa_gguf **gguf, struct clsa_network *net,
                             const clsa_shape *shape, int type,
                             const struct clsa_maker *maker, clsa_error *error)
{
    net->arch = clsa_arch_find(architecture, strlen(architecture));
    CLSA_TRY(net->arch->set_shape(net, shape, error));
    clsa_network_finish(net);
    CLSA_TRY(check_type(type, error));
    struct clsa_gguf *g = clsa_mem_calloc(1, sizeof *g);
    if (!g)
        return clsa_fail_memory(error, weights, sizeof *g);
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

/* ------------------------------------------------------ ordinary models */

/* A plan from keys, which are looked at as those of a file. All that they leave
   open is the number of tokens, told by a tensor without data. */
static clsa_status read_keys(struct clsa_network *net,
                             const struct clsa_like *like, clsa_error *error)
{
    struct clsa_bytes bytes = {.data = NULL};
    struct clsa_gguf *g = NULL;
    clsa_gguf_begin(&bytes, 1, &like->keys);
    clsa_gguf_put_tensor(&bytes, "token_embd.weight", 2, like->vocab, 1,
                         UINT32_MAX, 0);
    clsa_bytes_add(&bytes, (char[CLSA_GGUF_ALIGNMENT]){0}, CLSA_GGUF_ALIGNMENT);
    clsa_status status = CLSA_OK;
    if (bytes.failed)
        status = clsa_fail_memory(error, "keys of a model", bytes.size);
    if (!status)
        status =
            clsa_gguf_open_bytes(&g, weights, bytes.data, bytes.size, error);
    if (!status)
        status = clsa_arch_read(net, g, NULL, error);
    clsa_bytes_free(&bytes);
    clsa_gguf_close(g);
    return status;
}

/* The start of the file: keys and infos, up to the first tensor. */
static clsa_status start_file(const struct builder *b, struct clsa_bytes *bytes)
{
    const struct clsa_gguf *list = b->gguf;
    clsa_gguf_begin(bytes, list->tensor_count, &b->like->keys);
    for (size_t i = 0; i < list->tensor_count; i++) {
        const struct clsa_gguf_tensor *t = &list->tensors[i];
        clsa_gguf_put_tensor(bytes, t->name, t->dims, t->shape[1], t->shape[0],
                             t->type, t->offset);
    }
    const size_t over = bytes->size % CLSA_GGUF_ALIGNMENT;
    clsa_bytes_add(bytes, (char[CLSA_GGUF_ALIGNMENT]){0},
                   over ? CLSA_GGUF_ALIGNMENT - over : 0);
    return bytes->failed
               ? clsa_fail_memory(b->error, "keys of a model", bytes->size)
               : CLSA_OK;
}

/* A file in memory, from its start and the sizes of its tensors. */
static clsa_status map_file(struct clsa_gguf *g, const struct clsa_bytes *start,
                            size_t tensors, struct clsa_budget *budget,
                            clsa_error *error)
{
    size_t size;
    if (!(g->path = clsa_mem_dup(weights, strlen(weights))))
        return clsa_fail_memory(error, weights, 1);
    if (!clsa_size_add(start->size, tensors, &size))
        return clsa_fail_memory(error, weights, SIZE_MAX);
    CLSA_TRY(clsa_budget_take(budget, size, weights, error));
    unsigned char *base = clsa_mem_map(size);
    if (!base)
        return clsa_fail_memory(error, weights, size);
    memcpy(base, start->data, start->size);
    g->base = base;
    g->size = size;
    return clsa_gguf_parse(g, error);
}

static clsa_status make_like(struct clsa_gguf *g, struct clsa_network *net,
                             struct builder *b, const struct clsa_maker *maker)
{
    struct clsa_bytes start = {.data = NULL};
    CLSA_TRY(list_tensors(net, b));
    CLSA_TRY(place(b, CLSA_GGUF_ALIGNMENT));
    clsa_status status = start_file(b, &start);
    if (!status)
        status = map_file(g, &start, b->gguf->size, maker->budget, b->error);
    clsa_bytes_free(&start);
    return status ? status : fill_model(g, b->like, maker, b->error);
}

clsa_status clsa_random_open_like(struct clsa_gguf **gguf,
                                  struct clsa_network *net,
                                  const struct clsa_like *like, int type,
                                  const struct clsa_maker *maker,
                                  clsa_error *error)
{
    CLSA_TRY(check_type(type, error));
    CLSA_TRY(read_keys(net, like, error));
    struct clsa_gguf *g = clsa_mem_calloc(1, sizeof *g);
    struct clsa_gguf *list = clsa_mem_calloc(1, sizeof *list);
    struct builder b = {.gguf = list,
                        .type = type,
                        .like = like,
                        .tied = like->tied,
                        .error = error};
    clsa_status status = g && list
                             ? make_like(g, net, &b, maker)
                             : clsa_fail_memory(error, weights, sizeof *g);
    clsa_gguf_close(list);
    if (status)
        clsa_gguf_close(g);
    else
        *gguf = g;
    return status;
}
