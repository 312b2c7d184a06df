/* SPDX-License-Identifier: Apache-2.0 */
/* The list of tensors of a new file, and the rules of their types. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/types.h"
#include "src/base/utf8.h"
#include "src/convert/tensor_plan.h"
#include "src/model/mix.h"

struct clsa_planned_tensor *clsa_tensor_plan_add(struct clsa_tensor_plan *plan)
{
    if (plan->count == plan->capacity) {
        const size_t capacity = 2 * plan->capacity + 64;
        struct clsa_planned_tensor *grown =
            clsa_mem_resize(plan->tensors, capacity, sizeof *grown);
        if (!grown)
            return NULL;
        plan->tensors = grown;
        plan->capacity = capacity;
    }
    struct clsa_planned_tensor *t = &plan->tensors[plan->count++];
    memset(t, 0, sizeof *t);
    return t;
}

void clsa_tensor_plan_free(struct clsa_tensor_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        clsa_mem_free(plan->tensors[i].own);
    clsa_mem_free(plan->tensors);
    *plan = (struct clsa_tensor_plan){.tensors = NULL};
}

clsa_status clsa_source_refuse(const char *path, clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "%s: is a file of the model that is read, which would be "
                     "lost: give another name for the new file",
                     path);
}

void clsa_note(const clsa_write_options *options, const char *format, ...)
{
    char text[256], line[sizeof text];
    va_list args;
    if (!options->on_note)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    clsa_utf8_escape(line, sizeof line, text, strlen(text));
    options->on_note(options->user, line);
}

void clsa_write_options_init(clsa_write_options *options)
{
    *options = (clsa_write_options){.type = CLSA_WRITE_SAME};
}

/* ------------------------------------------------------------------- types */

/* PATTERN=TYPE; the pattern is the part of `size` bytes. */
static clsa_status parse_keep(const char *keep, size_t *size, clsa_type *type,
                              clsa_error *error)
{
    const char *equal = strrchr(keep, '=');
    if (!equal || equal == keep || equal - keep >= CLSA_PLANNED_NAME)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option keep: '%s' is not PATTERN=TYPE", keep);
    if (clsa_type_parse(equal + 1, type, NULL) || *type == CLSA_TYPE_I8)
        return clsa_fail(
            error, CLSA_ERR_ARGUMENT,
            "option keep: '%s': the type must be " CLSA_WEIGHT_TYPES, keep);
    *size = (size_t)(equal - keep);
    return CLSA_OK;
}

/* A pattern that matches no matrix is a slip. */
static clsa_status check_keep(const struct clsa_tensor_plan *plan,
                              const char *keep, clsa_error *error)
{
    char pattern[CLSA_PLANNED_NAME];
    size_t size;
    clsa_type type;
    CLSA_TRY(parse_keep(keep, &size, &type, error));
    memcpy(pattern, keep, size);
    pattern[size] = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (plan->tensors[i].dims > 1 &&
            fnmatch(pattern, plan->tensors[i].name, 0) == 0)
            return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "option keep: '%s' matches the name of no matrix: names "
                     "are token_embd.weight, blk.0.ffn_up.weight and so on",
                     keep);
}

/* The type that a pattern of `keep` gives a tensor; false: none does. */
static clsa_status kept(const struct clsa_planned_tensor *t,
                        const clsa_write_options *options, clsa_type *type,
                        bool *found, clsa_error *error)
{
    *found = false;
    for (size_t i = 0; i < options->keep_count && !*found; i++) {
        char pattern[CLSA_PLANNED_NAME];
        size_t size;
        clsa_type each;
        CLSA_TRY(parse_keep(options->keep[i], &size, &each, error));
        memcpy(pattern, options->keep[i], size);
        pattern[size] = 0;
        if (fnmatch(pattern, t->name, 0) != 0)
            continue;
        *type = each;
        *found = true;
    }
    return CLSA_OK;
}

static bool below_eight_bits(clsa_type type)
{
    enum clsa_format format = CLSA_F32;
    clsa_type_format((uint32_t)type, &format);
    const struct clsa_format_size size = clsa_format_size(format);
    return size.bytes < size.values;
}

static clsa_status choose_type(struct clsa_planned_tensor *t,
                               const struct clsa_mix_list *list,
                               const clsa_write_options *options,
                               clsa_error *error)
{
    bool found;
    const bool mix = clsa_mix_known(options->type);
    if (options->type == CLSA_WRITE_SAME || (mix && clsa_mix_keeps(t->name)))
        t->wanted = clsa_format_type(t->from);
    else if (mix)
        t->wanted = clsa_mix_type(options->type, list, t->name);
    else
        t->wanted = (clsa_type)options->type;
    if (below_eight_bits(t->wanted) && strstr(t->name, ".indexer."))
        t->wanted = CLSA_TYPE_Q8_0;
    CLSA_TRY(kept(t, options, &t->wanted, &found, error));
    if (t->dims == 1)
        t->wanted = CLSA_TYPE_F32;
    t->type = clsa_mix_fitting(t->wanted, t->cols);
    if (t->type != t->wanted)
        clsa_note(options,
                  "%s: rows of %" PRIu64
                  " values do not divide into blocks of %s: %s is used instead",
                  t->name, t->cols, clsa_type_name(t->wanted),
                  clsa_type_name(t->type));
    return CLSA_OK;
}

static clsa_status choose_types(struct clsa_tensor_plan *plan,
                                const clsa_write_options *options,
                                clsa_error *error)
{
    struct clsa_mix_list list = {.count = plan->count};
    clsa_status status = CLSA_OK;
    list.at = clsa_mem_calloc(plan->count, sizeof *list.at);
    if (!list.at)
        return clsa_fail_memory(error, "tensors", plan->count);
    for (size_t i = 0; i < plan->count; i++)
        list.at[i] = (struct clsa_mix_matrix){plan->tensors[i].name,
                                              plan->tensors[i].rows};
    for (size_t i = 0; !status && i < plan->count; i++)
        status = choose_type(&plan->tensors[i], &list, options, error);
    clsa_mem_free(list.at);
    return status;
}

clsa_status clsa_tensor_plan_types(struct clsa_tensor_plan *plan,
                                   const clsa_write_options *options,
                                   clsa_error *error)
{
    enum clsa_format format;
    if (options->type != CLSA_WRITE_SAME && !clsa_mix_known(options->type) &&
        !clsa_type_format((uint32_t)options->type, &format))
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option type: %s is not a type of tensors",
                         clsa_type_name((clsa_type)options->type)
                             ? clsa_type_name((clsa_type)options->type)
                             : "that number");
    for (size_t i = 0; i < options->keep_count; i++)
        CLSA_TRY(check_keep(plan, options->keep[i], error));
    return choose_types(plan, options, error);
}

uint32_t clsa_tensor_plan_file_type(const struct clsa_tensor_plan *plan,
                                    const clsa_write_options *options)
{
    if (clsa_mix_known(options->type))
        return clsa_mix_file_number(options->type);
    uint64_t values[CLSA_FORMATS] = {0};
    enum clsa_format best = CLSA_F32;
    for (size_t i = 0; i < plan->count; i++) {
        const struct clsa_planned_tensor *t = &plan->tensors[i];
        enum clsa_format format = CLSA_F32;
        clsa_type_format((uint32_t)t->type, &format);
        values[format] += t->rows * t->cols;
        if (values[format] > values[best])
            best = format;
    }
    return clsa_type_file_number(clsa_format_type(best));
}
