/* SPDX-License-Identifier: Apache-2.0 */
/* The profile of a step, and what clsa_bench.h tells of it. */
#include <string.h>

#include "clsa_bench.h"
#include "src/base/clock.h"
#include "src/base/structs.h"
#include "src/engine/step.h"

void clsa_profile_start(struct clsa_step *step)
{
    step->profiled = step->model->profile.on;
    step->waited = step->waited_before = 0;
    if (step->profiled)
        step->op_clock = clsa_clock();
}

void clsa_profile_book(const struct clsa_pass *p, enum clsa_op op)
{
    struct clsa_step *step = p->step;
    if (p->w->id != 0)
        return;
    uint64_t *ns = step->model->profile.ns;
    const uint64_t now = clsa_clock();
    const uint64_t waited = step->waited - step->waited_before;
    ns[op] += now - step->op_clock - waited;
    ns[CLSA_OP_WAIT] += waited;
    step->op_clock = now;
    step->waited_before = step->waited;
}

void clsa_profile_end(struct clsa_step *step)
{
    if (!step->profiled)
        return;
    step->model->profile.ns[CLSA_OP_WAIT] += clsa_clock() - step->op_clock;
    step->model->profile.steps++;
}

void clsa_model_set_profile(clsa_model *model, int on)
{
    model->profile = (struct clsa_profile_times){.on = on != 0};
}

clsa_status clsa_model_get_profile(const clsa_model *model,
                                   clsa_profile *profile, size_t size)
{
    static const char *const names[CLSA_OPS] = {
        [CLSA_OP_EMBED] = "embedding",
        [CLSA_OP_NORM] = "norm",
        [CLSA_OP_QKV] = "qkv",
        [CLSA_OP_STORE] = "store",
        [CLSA_OP_INDEX] = "index",
        [CLSA_OP_SCAN] = "scan",
        [CLSA_OP_SELECT] = "select",
        [CLSA_OP_GATHER] = "gather",
        [CLSA_OP_ATTENTION] = "attention",
        [CLSA_OP_ATTN_OUT] = "attn_out",
        [CLSA_OP_FFN] = "ffn",
        [CLSA_OP_INPUT] = "input",
        [CLSA_OP_LOGITS] = "logits",
        [CLSA_OP_WAIT] = "barriers",
    };
    clsa_profile all = {.steps = model->profile.steps, .op_count = CLSA_OPS};
    for (uint32_t i = 0; i < CLSA_OPS; i++)
        all.ops[i] =
            (clsa_phase_time){names[i], (double)model->profile.ns[i] * 1e-6};
    return clsa_struct_give(profile, size, &all, sizeof all,
                            CLSA_SIZE_THROUGH(clsa_profile, ops));
}
