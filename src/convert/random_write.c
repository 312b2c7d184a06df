/* SPDX-License-Identifier: Apache-2.0 */
/* clsa_write_random: a model file of random weights. */
#include "clsa_bench.h"
#include "src/base/minmax.h"
#include "src/base/out.h"
#include "src/base/structs.h"
#include "src/engine/model.h"

#define PIECE ((size_t)64 << 20) /* written between two looks at progress */

/* The file that a model in memory is. */
static clsa_status write_file(const struct clsa_gguf *gguf, const char *path,
                              const clsa_model_options *options,
                              clsa_error *error)
{
    struct clsa_out out = {.file = NULL};
    clsa_model *written;
    clsa_status status = clsa_out_open(&out, path, error);
    for (size_t at = 0; !status && at < gguf->size; at += PIECE)
        status = clsa_out_write(&out, gguf->base + at,
                                clsa_min(PIECE, gguf->size - at), error);
    if (!status)
        status = clsa_out_close(&out, error);
    if (!status)
        status = clsa_model_open(&written, out.temporary, options, error);
    if (!status) {
        clsa_model_close(written);
        status = clsa_out_rename(&out, error);
    }
    clsa_out_free(&out);
    return status;
}

clsa_status clsa_write_random(const char *shape, const char *path,
                              const clsa_write_options *options,
                              clsa_error *error)
{
    clsa_write_options defaults;
    clsa_model_options how;
    clsa_model *model;
    clsa_write_options_init(&defaults);
    options = options ? options : &defaults;
    CLSA_CHECK_RESERVED(options, "clsa_write_options", error);
    clsa_model_options_init(&how);
    how.threads = options->threads;
    how.on_progress = options->on_progress;
    how.user = options->user;
    const int type =
        options->type == CLSA_WRITE_SAME ? CLSA_TYPE_Q8_0 : options->type;
    CLSA_TRY(clsa_model_random_file(&model, shape, type, &how, error));
    clsa_status status = write_file(model->gguf, path, &how, error);
    clsa_model_close(model);
    return status;
}
