/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models in parts, as gguf-split writes them: NAME-00001-of-00003.gguf has the
 * keys of the model and says split.no 0, split.count 3 and, in
 * split.tensors.count, how many tensors the parts have together. Every part is
 * a GGUF file of its own. The first is opened and finds the others by its name.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/model/gguf_read.h"

#define PARTS_LIMIT 99999 /* five digits */
#define ENDING      sizeof "-00001-of-00001.gguf"

/* What a part says about itself; count 0: nothing. */
struct split {
    uint64_t number, count, tensors; /* number from 0 */
};

static clsa_status read_split(const struct clsa_gguf *gguf, struct split *s,
                              clsa_error *error)
{
    *s = (struct split){.count = 0};
    CLSA_TRY(clsa_gguf_uint(gguf, "split.count", false, 0, PARTS_LIMIT,
                            &s->count, error));
    if (s->count == 0)
        return CLSA_OK;
    CLSA_TRY(clsa_gguf_uint(gguf, "split.no", true, 0, s->count - 1, &s->number,
                            error));
    return clsa_gguf_uint(gguf, "split.tensors.count", false, 0, UINT64_MAX,
                          &s->tensors, error);
}

static void make_ending(char ending[ENDING], uint64_t number, uint64_t count)
{
    snprintf(ending, ENDING, "-%05u-of-%05u.gguf", (unsigned)number + 1,
             (unsigned)count);
}

/* Whether the name of a file ends as the name of such a part. */
static bool is_named(const char *path, const struct split *s)
{
    char ending[ENDING];
    const size_t size = strlen(path);
    make_ending(ending, s->number, s->count);
    return size >= ENDING - 1 &&
           strcmp(path + size - (ENDING - 1), ending) == 0;
}

/* A part that is not the first has been opened. */
static clsa_status name_first(const struct clsa_gguf *gguf, const char *path,
                              const struct split *s, clsa_error *error)
{
    char ending[ENDING];
    make_ending(ending, 0, s->count);
    const char *shown = gguf->path;
    const int stem =
        is_named(path, s) ? (int)(strlen(shown) - (ENDING - 1)) : 0;
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "%s: is part %" PRIu64 " of %" PRIu64
                     " of a model: give the first part, %.*s%s",
                     shown, s->number + 1, s->count, stem, shown,
                     stem ? ending : ending + 1);
}

/* Puts the name of another part into `name`, a copy of the first one's. */
static void make_name(char *name, uint64_t number, uint64_t count)
{
    make_ending(name + strlen(name) - (ENDING - 1), number, count);
}

static clsa_status check_there(const struct clsa_gguf *gguf, char *name,
                               uint64_t count, clsa_error *error)
{
    uint64_t missing = 0, first = 0;
    for (uint64_t i = count - 1; i > 0; i--) {
        make_name(name, i, count);
        if (access(name, F_OK) == 0)
            continue;
        missing++;
        first = i;
    }
    if (missing == 0)
        return CLSA_OK;
    char ending[ENDING], more[40] = "";
    make_ending(ending, first, count);
    if (missing > 1)
        snprintf(more, sizeof more, " and %" PRIu64 " more", missing - 1);
    return clsa_fail(error, CLSA_ERR_IO,
                     "%s: of the %" PRIu64 " parts of this model, *%s%s %s "
                     "missing: put all parts in one folder",
                     gguf->path, count, ending, more,
                     missing > 1 ? "are" : "is");
}

/* Room for the tensors of another part at the end of the list. */
static clsa_status move_tensors(struct clsa_gguf *gguf, struct clsa_gguf *part,
                                uint32_t number, clsa_error *error)
{
    size_t count;
    struct clsa_gguf_tensor *tensors = NULL;
    if (clsa_size_add(gguf->tensor_count, part->tensor_count, &count))
        tensors = clsa_mem_resize(gguf->tensors, count, sizeof *tensors);
    if (!tensors)
        return clsa_fail_memory(error, "tensors", part->tensor_count);
    gguf->tensors = tensors;
    for (size_t i = 0; i < part->tensor_count; i++) {
        tensors[gguf->tensor_count] = part->tensors[i];
        tensors[gguf->tensor_count++].part = number;
    }
    part->tensor_count = 0; /* the names are ours now */
    return CLSA_OK;
}

static clsa_status add_part(struct clsa_gguf *gguf, const char *name,
                            uint64_t number, const struct split *first,
                            clsa_error *error)
{
    struct clsa_gguf *part;
    struct split s;
    CLSA_TRY(clsa_gguf_open_one(&part, name, error));
    gguf->parts[gguf->part_count++] = part;
    CLSA_TRY(read_split(part, &s, error));
    if (s.count == 0)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: is not part %" PRIu64 " of the model: its keys "
                         "name no part",
                         part->path, number + 1);
    if (s.number != number || s.count != first->count ||
        s.tensors != first->tensors)
        return clsa_fail(
            error, CLSA_ERR_FORMAT,
            "%s: is not part %" PRIu64 " of %" PRIu64
            " of the model: its keys say part %" PRIu64 " of %" PRIu64,
            part->path, number + 1, first->count, s.number + 1, s.count);
    if (part->tensor_count == 0)
        return CLSA_OK;
    return move_tensors(gguf, part, (uint32_t)number, error);
}

static clsa_status add_parts(struct clsa_gguf *gguf, char *name,
                             const struct split *first, clsa_error *error)
{
    CLSA_TRY(check_there(gguf, name, first->count, error));
    gguf->parts = clsa_mem_calloc((size_t)first->count, sizeof *gguf->parts);
    if (!gguf->parts)
        return clsa_fail_memory(error, "the parts of a model",
                                (size_t)first->count);
    for (uint64_t i = 1; i < first->count; i++) {
        make_name(name, i, first->count);
        CLSA_TRY(add_part(gguf, name, i, first, error));
    }
    if (first->tensors > 0 && first->tensors != gguf->tensor_count)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key 'split.tensors.count' is %" PRIu64
                         ", but the parts have %zu tensors",
                         gguf->path, first->tensors, gguf->tensor_count);
    clsa_mem_free(gguf->tensor_names);
    return clsa_gguf_index_tensors(gguf, error);
}

clsa_status clsa_gguf_join(struct clsa_gguf *gguf, const char *path,
                           clsa_error *error)
{
    struct split s;
    CLSA_TRY(read_split(gguf, &s, error));
    if (s.count < 2)
        return CLSA_OK;
    if (s.number > 0)
        return name_first(gguf, path, &s, error);
    if (!is_named(path, &s))
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: is the first of %" PRIu64 " parts of a model, "
                         "but its name does not end in -00001-of-%05" PRIu64
                         ".gguf, which leads to the others: rename it",
                         gguf->path, s.count, s.count);
    char *name = clsa_mem_dup(path, strlen(path));
    if (!name)
        return clsa_fail_memory(error, "a path", strlen(path));
    clsa_status status = add_parts(gguf, name, &s, error);
    clsa_mem_free(name);
    return status;
}
