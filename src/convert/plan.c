/* SPDX-License-Identifier: Apache-2.0 */
/* The list of tensors of a new file, and the rules of their types. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/convert/plan.h"

struct clsa_plan_tensor *clsa_plan_add(struct clsa_plan *plan)
{
    if (plan->count == plan->capacity) {
        const size_t capacity = 2 * plan->capacity + 64;
        struct clsa_plan_tensor *grown =
            clsa_mem_resize(plan->tensors, capacity, sizeof *grown);
        if (!grown)
            return NULL;
        plan->tensors = grown;
        plan->capacity = capacity;
    }
    struct clsa_plan_tensor *t = &plan->tensors[plan->count++];
    memset(t, 0, sizeof *t);
    return t;
}

void clsa_plan_free(struct clsa_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        clsa_mem_free(plan->tensors[i].own);
    clsa_mem_free(plan->tensors);
    *plan = (struct clsa_plan){.tensors = NULL};
}

void clsa_note(const clsa_write_options *options, const char *format, ...)
{
    char text[256];
    va_list args;
    if (!options->on_note)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    options->on_note(options->user, text);
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
    if (!equal || equal == keep || equal - keep >= CLSA_PLAN_NAME)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option keep: '%s' is not PATTERN=TYPE", keep);
    if (clsa_type_parse(equal + 1, type, NULL) || *type == CLSA_TYPE_I8)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option keep: '%s': the type has to be f32, f16, "
                         "bf16, q8_0, q4_0, q4_k or q6_k",
                         keep);
    *size = (size_t)(equal - keep);
    return CLSA_OK;
}

/* The type that a pattern of `keep` gives a tensor; false: none does. */
static clsa_status kept(const struct clsa_plan_tensor *t,
                        const clsa_write_options *options, clsa_type *type,
                        bool *found, clsa_error *error)
{
    *found = false;
    for (size_t i = 0; i < options->keep_count && !*found; i++) {
        char pattern[CLSA_PLAN_NAME];
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

static bool four_bits(clsa_type type)
{
    return type == CLSA_TYPE_Q4_0 || type == CLSA_TYPE_Q4_K ||
           type == CLSA_TYPE_Q6_K;
}

/* The nearest type that rows of this length can have. */
static clsa_type fitting(clsa_type type, uint64_t cols)
{
    enum clsa_format format = CLSA_F32;
    clsa_gguf_format((uint32_t)type, &format);
    if (clsa_format_block(format) == CLSA_K_BLOCK && cols % CLSA_K_BLOCK != 0)
        type = CLSA_TYPE_Q8_0;
    if (clsa_format_block(format) > 1 && cols % CLSA_BLOCK != 0)
        type = CLSA_TYPE_F16;
    return type;
}

static clsa_type type_of(enum clsa_format format)
{
    static const clsa_type types[CLSA_FORMATS] = {
        [CLSA_F32] = CLSA_TYPE_F32,   [CLSA_F16] = CLSA_TYPE_F16,
        [CLSA_BF16] = CLSA_TYPE_BF16, [CLSA_Q8_0] = CLSA_TYPE_Q8_0,
        [CLSA_Q4_0] = CLSA_TYPE_Q4_0, [CLSA_Q4_K] = CLSA_TYPE_Q4_K,
        [CLSA_Q6_K] = CLSA_TYPE_Q6_K,
    };
    return types[format];
}

static clsa_status choose_type(struct clsa_plan_tensor *t,
                               const clsa_write_options *options,
                               clsa_error *error)
{
    bool found;
    t->wanted = options->type == CLSA_WRITE_SAME ? type_of(t->from)
                                                 : (clsa_type)options->type;
    if (four_bits(t->wanted) && strstr(t->name, ".indexer."))
        t->wanted = CLSA_TYPE_Q8_0;
    CLSA_TRY(kept(t, options, &t->wanted, &found, error));
    if (t->dims == 1)
        t->wanted = CLSA_TYPE_F32;
    t->type = fitting(t->wanted, t->cols);
    if (t->type != t->wanted)
        clsa_note(options,
                  "%s: rows of %" PRIu64 " values are no whole blocks of %s: "
                  "%s instead",
                  t->name, t->cols, clsa_type_name(t->wanted),
                  clsa_type_name(t->type));
    return CLSA_OK;
}

clsa_status clsa_plan_types(struct clsa_plan *plan,
                            const clsa_write_options *options,
                            clsa_error *error)
{
    enum clsa_format format;
    if (options->type != CLSA_WRITE_SAME &&
        !clsa_gguf_format((uint32_t)options->type, &format))
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option type: %s is no type of tensors",
                         clsa_type_name((clsa_type)options->type)
                             ? clsa_type_name((clsa_type)options->type)
                             : "that number");
    for (size_t i = 0; i < options->keep_count; i++) {
        size_t size;
        clsa_type type;
        CLSA_TRY(parse_keep(options->keep[i], &size, &type, error));
    }
    for (size_t i = 0; i < plan->count; i++)
        CLSA_TRY(choose_type(&plan->tensors[i], options, error));
    return CLSA_OK;
}

/* The numbers are those of other writers of GGUF. */
uint32_t clsa_plan_file_type(const struct clsa_plan *plan)
{
    static const struct {
        clsa_type type;
        uint32_t number;
    } numbers[] = {
        {CLSA_TYPE_F32, 0},   {CLSA_TYPE_F16, 1},  {CLSA_TYPE_BF16, 32},
        {CLSA_TYPE_Q4_0, 2},  {CLSA_TYPE_Q8_0, 7}, {CLSA_TYPE_Q4_K, 14},
        {CLSA_TYPE_Q6_K, 18},
    };
    uint64_t most = 0;
    uint32_t best = 0;
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        uint64_t n = 0;
        for (size_t i = 0; i < plan->count; i++)
            if (plan->tensors[i].type == numbers[k].type)
                n += plan->tensors[i].rows * plan->tensors[i].cols;
        if (n > most) {
            most = n;
            best = numbers[k].number;
        }
    }
    return best;
}
