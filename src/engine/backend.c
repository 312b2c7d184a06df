/* SPDX-License-Identifier: Apache-2.0 */
/* Who multiplies in prompts: names, and the best one for a model. */
#include <string.h>

#include "src/arch/arch.h"
#include "src/engine/backend_onednn.h"
#include "src/engine/session.h"

static const char *const names[] = {"f32", "bf16", "int8", "own"};

const char *clsa_prefill_name(enum clsa_prefill prefill)
{
    return names[prefill];
}

static bool is_fast(enum clsa_prefill prefill)
{
    return prefill == CLSA_PREFILL_NATIVE ||
           clsa_gemm_fast((enum clsa_gemm_type)prefill);
}

/* Weights keep the precision that they are stored with, as far as the CPU is
   good at it and the architecture bears it. */
static enum clsa_prefill best(const struct clsa_model *model)
{
    enum clsa_prefill prefill = CLSA_PREFILL_INT8;
    if (strcmp(model->simd->name, "ref") == 0)
        return CLSA_PREFILL_NATIVE;
    const enum clsa_format format = model->net.layers[0].up.format;
    if (format == CLSA_F32)
        prefill = CLSA_PREFILL_F32;
    else if (!model->net.arch->int8_prompts || format == CLSA_F16 ||
             format == CLSA_BF16)
        prefill =
            is_fast(CLSA_PREFILL_BF16) ? CLSA_PREFILL_BF16 : CLSA_PREFILL_F32;
    return is_fast(prefill) ? prefill : CLSA_PREFILL_NATIVE;
}

/* "auto" does without oneDNN, and says so if only the system is in the way. */
static void go_native(struct clsa_session *s)
{
    static const char *const notices[] = {
        [CLSA_GEMM_ALLOWED] = "",
        [CLSA_GEMM_NO_CODE] =
            "the system forbids memory that is written and executed, which "
            "oneDNN needs: prompts use the native kernels",
        [CLSA_GEMM_NO_ROOM] = "the system has no memory for oneDNN: prompts "
                              "use the native kernels",
    };
    s->prefill = CLSA_PREFILL_NATIVE;
    if (strcmp(s->model->simd->name, "ref") != 0)
        s->notice = notices[clsa_gemm_refusal()];
}

/* Why there is no oneDNN for a type that was asked for. */
static clsa_status refuse(const char *name, clsa_error *error)
{
    static const char *const reasons[] = {
        [CLSA_GEMM_ALLOWED] = " in this build and a CPU that is fast at it",
        [CLSA_GEMM_NO_CODE] =
            (", and the system forbids the memory for its code, which is "
             "written and executed (MemoryDenyWriteExecute, deny_execmem)"),
        [CLSA_GEMM_NO_ROOM] = ", and the system has no memory for it",
    };
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "option prefill: %s needs oneDNN%s; use auto or native",
                     name, reasons[clsa_gemm_refusal()]);
}

clsa_status clsa_prefill_choose(struct clsa_session *s, const char *name,
                                clsa_error *error)
{
    s->prefill_auto = !name || strcmp(name, "auto") == 0;
    s->notice = "";
    if (s->prefill_auto) {
        s->prefill = best(s->model);
        if (s->prefill == CLSA_PREFILL_NATIVE)
            go_native(s);
        return CLSA_OK;
    }
    if (strcmp(name, "native") == 0)
        name = names[CLSA_PREFILL_NATIVE];
    for (int i = 0; i <= CLSA_PREFILL_NATIVE; i++)
        if (strcmp(name, names[i]) == 0) {
            s->prefill = (enum clsa_prefill)i;
            return is_fast(s->prefill) ? CLSA_OK : refuse(name, error);
        }
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "option prefill: '%s' is not one of auto, own, f32, bf16, "
                     "int8",
                     name);
}

clsa_status clsa_prefill_reserve(struct clsa_session *s, bool outputs,
                                 clsa_error *error)
{
    const clsa_status status = clsa_onednn_reserve(
        s->model, s->prefill, s->prefill_block, outputs, error);
    if (!status || !s->prefill_auto || clsa_gemm_refusal() == CLSA_GEMM_ALLOWED)
        return status;
    go_native(s);
    return CLSA_OK;
}
