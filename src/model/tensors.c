/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the tensors of a network by name and role. Each one that is used is
 * marked; one that is left unmarked at the end does not belong to the network
 * that the keys describe. Vectors are copied to one block of floats; matrices
 * are used in place.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/types.h"
#include "src/model/tensors.h"

#define NAME_SIZE 80

/* `kind`: weight or bias. */
static void make_name(char name[NAME_SIZE], uint32_t layer, const char *role,
                      const char *kind)
{
    if (layer == CLSA_NO_LAYER)
        snprintf(name, NAME_SIZE, "%s.%s", role, kind);
    else
        snprintf(name, NAME_SIZE, "blk.%" PRIu32 ".%s.%s", layer, role, kind);
}

static clsa_status check_shape(const struct clsa_finder *f,
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
    return clsa_fail(
        f->error, CLSA_ERR_FORMAT,
        "%s: tensor '%s' has the shape %s, but the keys require [%" PRIu64
        "][%" PRIu64 "]",
        f->gguf->path, t->name, found, rows, cols);
}

/* A tensor of [rows][cols] by its name, checked and marked. *tensor is NULL if
   an optional one is absent. */
static clsa_status look_up(struct clsa_finder *f, const char *name,
                           enum clsa_presence presence, size_t rows,
                           size_t cols, const struct clsa_gguf_tensor **tensor,
                           enum clsa_format *format)
{
    const struct clsa_gguf_tensor *t = clsa_gguf_tensor(f->gguf, name);
    *tensor = t;
    if (!t && presence != CLSA_REQUIRED)
        return CLSA_OK;
    if (!t)
        return clsa_fail(f->error, CLSA_ERR_FORMAT,
                         "%s: tensor '%s' is missing", f->gguf->path, name);
    if (!clsa_type_format(t->type, format))
        return clsa_fail(f->error, CLSA_ERR_UNSUPPORTED,
                         "%s: tensor '%s' has type %" PRIu32 " of GGUF, which "
                         "is not supported: convert the model "
                         "to " CLSA_WEIGHT_TYPES,
                         f->gguf->path, name, t->type);
    f->used[t - f->gguf->tensors] = true;
    return check_shape(f, t, rows, cols);
}

clsa_status clsa_find_matrix(struct clsa_finder *f, uint32_t layer,
                             const char *role, enum clsa_presence presence,
                             size_t rows, size_t cols,
                             struct clsa_matrix *matrix)
{
    const struct clsa_gguf_tensor *t;
    enum clsa_format format = CLSA_F32;
    char name[NAME_SIZE];
    make_name(name, layer, role, "weight");
    if (f->make)
        return f->make(f->maker, name, presence, rows, cols);
    CLSA_TRY(look_up(f, name, presence, rows, cols, &t, &format));
    if (t)
        *matrix = (struct clsa_matrix){format, rows, cols, t->data};
    return CLSA_OK;
}

static bool all_zero(const float *values, size_t n)
{
    size_t i = 0;
    while (i < n && values[i] == 0)
        i++;
    return i == n;
}

static clsa_status check_finite(const struct clsa_finder *f,
                                const struct clsa_gguf_tensor *t,
                                const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return clsa_fail(f->error, CLSA_ERR_FORMAT,
                             "%s: tensor '%s' has a value that is not a "
                             "finite number, at %zu",
                             f->gguf->path, t->name, i);
    return CLSA_OK;
}

/* A vector by its name, copied; *tensor is NULL if there is none. */
static clsa_status find_floats(struct clsa_finder *f, const char *name,
                               enum clsa_presence presence, size_t n,
                               const struct clsa_gguf_tensor **tensor,
                               const float **vector)
{
    enum clsa_format format = CLSA_F32;
    *tensor = NULL;
    if (f->make)
        return f->make(f->maker, name, presence, 0, n);
    CLSA_TRY(look_up(f, name, presence, 1, n, tensor, &format));
    if (!*tensor)
        return CLSA_OK;
    float *values = f->next;
    f->simd.load[format](values, (*tensor)->data, n);
    CLSA_TRY(check_finite(f, *tensor, values, n));
    f->next += n;
    *vector = values;
    return CLSA_OK;
}

clsa_status clsa_find_vector(struct clsa_finder *f, uint32_t layer,
                             const char *role, enum clsa_presence presence,
                             size_t n, const float **vector)
{
    const struct clsa_gguf_tensor *t;
    char name[NAME_SIZE];
    make_name(name, layer, role, "weight");
    CLSA_TRY(find_floats(f, name, presence, n, &t, vector));
    if (t && all_zero(*vector, n))
        return clsa_fail(f->error, CLSA_ERR_FORMAT,
                         "%s: tensor '%s' has only zeros, as in a file that "
                         "was not downloaded completely: get it again",
                         f->gguf->path, t->name);
    return CLSA_OK;
}

clsa_status clsa_find_bias(struct clsa_finder *f, uint32_t layer,
                           const char *role, enum clsa_presence presence,
                           size_t n, const float **vector)
{
    const struct clsa_gguf_tensor *t;
    char name[NAME_SIZE];
    make_name(name, layer, role, "bias");
    return find_floats(f, name, presence, n, &t, vector);
}

clsa_status clsa_find_fused(struct clsa_finder *f, uint32_t layer,
                            const char *role, size_t rows, size_t cols,
                            struct clsa_matrix *const *parts)
{
    struct clsa_matrix all = {.data = NULL};
    CLSA_TRY(clsa_find_matrix(f, layer, role, CLSA_REQUIRED, rows, cols, &all));
    const unsigned char *at = all.data;
    for (; at && *parts; parts++) {
        struct clsa_matrix *m = *parts;
        *m = (struct clsa_matrix){all.format, m->rows, cols, at};
        at += m->rows * clsa_format_bytes(all.format, cols);
    }
    return CLSA_OK;
}

void clsa_find_unused(struct clsa_finder *f, uint32_t layer, const char *role)
{
    static const char *const kinds[] = {"weight", "bias"};
    char name[NAME_SIZE];
    for (size_t i = 0; i < 2 && !f->make; i++) {
        make_name(name, layer, role, kinds[i]);
        const struct clsa_gguf_tensor *t = clsa_gguf_tensor(f->gguf, name);
        if (t)
            f->used[t - f->gguf->tensors] = true;
    }
}

clsa_status clsa_find_factors(struct clsa_finder *f, const char *role,
                              enum clsa_presence presence,
                              const struct clsa_rope *rope,
                              const float **factors)
{
    CLSA_TRY(clsa_find_vector(f, CLSA_NO_LAYER, role, presence, rope->pairs,
                              factors));
    for (size_t i = 0; *factors && i < rope->pairs; i++)
        if (!((*factors)[i] > 0))
            return clsa_fail(f->error, CLSA_ERR_FORMAT,
                             "%s: tensor '%s.weight' has a factor that is not "
                             "above 0, at %zu",
                             f->gguf->path, role, i);
    return CLSA_OK;
}

clsa_status clsa_find_rope(struct clsa_finder *f, const char *role,
                           struct clsa_rope *rope)
{
    const float *factors = NULL;
    if (role)
        CLSA_TRY(clsa_find_factors(f, role, CLSA_OPTIONAL, rope, &factors));
    return f->make ? CLSA_OK : clsa_rope_set(rope, factors, f->error);
}

static clsa_status check_all_used(const struct clsa_finder *f)
{
    for (size_t i = 0; i < f->gguf->tensor_count; i++)
        if (!f->used[i])
            return clsa_fail(f->error, CLSA_ERR_UNSUPPORTED,
                             "%s: tensor '%s' does not belong to the network "
                             "that the keys describe",
                             f->gguf->path, f->gguf->tensors[i].name);
    return CLSA_OK;
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

/* Runs `find` over a file, whose vectors get a block of their own. */
static clsa_status run(struct clsa_network *net, const struct clsa_gguf *gguf,
                       clsa_status (*find)(struct clsa_network *net,
                                           struct clsa_finder *f),
                       float **block, clsa_error *error)
{
    struct clsa_finder f = {.gguf = gguf, .error = error};
    size_t vectors = count_vectors(gguf);
    clsa_simd_ref(&f.simd);
    f.used = clsa_mem_calloc(gguf->tensor_count, sizeof *f.used);
    *block = f.next = clsa_mem_calloc(vectors, sizeof **block);
    clsa_status status;
    if (!f.used || !*block)
        status = clsa_fail_memory(error, "the norms of a model",
                                  vectors * sizeof **block);
    else
        status = find(net, &f);
    if (!status)
        status = check_all_used(&f);
    clsa_mem_free(f.used);
    net->parameters += count_parameters(gguf);
    return status;
}

clsa_status clsa_tensors_find(struct clsa_network *net,
                              const struct clsa_gguf *gguf,
                              clsa_status (*find)(struct clsa_network *net,
                                                  struct clsa_finder *f),
                              clsa_error *error)
{
    net->parameters = 0;
    return run(net, gguf, find, &net->vectors, error);
}

clsa_status clsa_tensors_find_side(struct clsa_network *net,
                                   const struct clsa_gguf *side,
                                   clsa_status (*find)(struct clsa_network *net,
                                                       struct clsa_finder *f),
                                   clsa_error *error)
{
    return run(net, side, find, &net->side_vectors, error);
}
