/* SPDX-License-Identifier: Apache-2.0 */
/* Which way prompts take. */
#include <string.h>

#include "src/engine/products.h"

static const char *const names[] = {"f32", "bf16", "int8", "own"};

const char *clsa_path_name(enum clsa_path path)
{
    return names[path];
}

static bool is_fast(enum clsa_path path)
{
    return path == CLSA_PATH_OWN || clsa_gemm_fast((enum clsa_gemm_type)path);
}

/* Weights keep the precision that they are stored with, as far as the CPU is
   good at it. */
static enum clsa_path best_path(const struct clsa_model *model)
{
    enum clsa_path path = CLSA_PATH_INT8;
    if (strcmp(model->simd->name, "ref") == 0)
        return CLSA_PATH_OWN;
    switch (model->weights.layers[0].up.format) {
    case CLSA_F32:
        path = CLSA_PATH_F32;
        break;
    case CLSA_F16:
    case CLSA_BF16:
        if (is_fast(CLSA_PATH_BF16))
            path = CLSA_PATH_BF16;
        break;
    default:
        break;
    }
    return is_fast(path) ? path : CLSA_PATH_OWN;
}

clsa_status clsa_path_parse(enum clsa_path *path, const char *name,
                            const struct clsa_model *model, clsa_error *error)
{
    if (!name || strcmp(name, "auto") == 0) {
        *path = best_path(model);
        return CLSA_OK;
    }
    for (int i = 0; i <= CLSA_PATH_OWN; i++)
        if (strcmp(name, names[i]) == 0) {
            if (!is_fast((enum clsa_path)i))
                return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                                 "option prefill: %s needs oneDNN in this "
                                 "build and a CPU that is fast at it; use "
                                 "auto or own",
                                 name);
            *path = (enum clsa_path)i;
            return CLSA_OK;
        }
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "option prefill: '%s' is none of auto, own, f32, bf16, "
                     "int8",
                     name);
}
