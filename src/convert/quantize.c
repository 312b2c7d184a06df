/* SPDX-License-Identifier: Apache-2.0 */
/* clsa_quantize: a model file in other types of tensors. */
#include <stdio.h>
#include <string.h>

#include "src/base/structs.h"
#include "src/base/types.h"
#include "src/convert/tensor_plan.h"
#include "src/engine/model.h"

static clsa_status add_tensors(struct clsa_tensor_plan *plan,
                               const struct clsa_gguf *gguf, clsa_error *error)
{
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        const struct clsa_gguf_tensor *from = &gguf->tensors[i];
        struct clsa_planned_tensor *t = clsa_tensor_plan_add(plan);
        if (!t)
            return clsa_fail_memory(error, "tensors", sizeof *t);
        snprintf(t->name, sizeof t->name, "%s", from->name);
        t->dims = from->dims == 1 ? 1 : 2;
        t->cols = from->shape[0];
        t->rows = from->shape[1];
        t->data = from->data;
        clsa_type_format(from->type, &t->from);
    }
    return CLSA_OK;
}

/* All keys but those that say how and in which parts the tensors are stored. */
static void add_keys(struct clsa_keys *keys, const struct clsa_gguf *gguf,
                     const struct clsa_tensor_plan *plan,
                     const clsa_write_options *options)
{
    static const char *const own[] = {"general.alignment", "general.file_type",
                                      "general.quantization_version"};
    for (size_t i = 0; i < gguf->key_count; i++) {
        bool skip = strncmp(gguf->keys[i].name, "split.", 6) == 0;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            skip = skip || strcmp(own[k], gguf->keys[i].name) == 0;
        if (!skip)
            clsa_keys_copy(keys, &gguf->keys[i]);
    }
    clsa_keys_u32(keys, own[0], CLSA_GGUF_ALIGNMENT);
    clsa_keys_u32(keys, own[1], clsa_tensor_plan_file_type(plan, options));
    clsa_keys_u32(keys, own[2], 2);
}

clsa_status clsa_quantize(const char *in, const char *out,
                          const clsa_write_options *options, clsa_error *error)
{
    struct clsa_tensor_plan plan = {.tensors = NULL};
    struct clsa_keys keys = {.count = 0};
    clsa_write_options defaults;
    clsa_model_options how;
    clsa_model *model;
    clsa_write_options_init(&defaults);
    options = options ? options : &defaults;
    CLSA_CHECK_RESERVED(options, "clsa_write_options", error);
    clsa_model_options_init(&how);
    how.threads = 1;
    CLSA_TRY(clsa_model_open(&model, in, &how, error));
    clsa_status status = CLSA_OK;
    if (clsa_gguf_is_file(model->gguf, out))
        status = clsa_source_refuse(out, error);
    if (!status)
        status = add_tensors(&plan, model->gguf, error);
    if (!status)
        status = clsa_tensor_plan_types(&plan, options, error);
    if (!status) {
        add_keys(&keys, model->gguf, &plan, options);
        status = clsa_tensor_plan_write(&plan, &keys, out, options, error);
    }
    clsa_bytes_free(&keys.bytes);
    clsa_tensor_plan_free(&plan);
    clsa_model_close(model);
    return status;
}
