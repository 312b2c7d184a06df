/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_plan: the memory that a run will take, for `clsa info --plan` and for
 * benchmarks, which refuse what does not fit.
 */
#ifndef CLSA_CLI_MEMORY_PLAN_H
#define CLSA_CLI_MEMORY_PLAN_H

#include <stdbool.h>

#include "clsa.h"
#include "src/cli/options.h"

/* Bytes; what a sequence takes is counted for all of the batch. */
struct cli_memory_plan {
    uint32_t layers, prompt_layers; /* of the model; that prompt tokens run */
    uint64_t context, batch;
    const char *attention;
    bool prompts; /* of 32 tokens or more are read too */
    uint64_t weights, placed, cache, index, windows, working_set, scratch,
        prefill, total;
};

/* Sequences of one batch, as clsa_batch_append takes them. */
#define CLI_BATCH_MAX 64

/*
 * The plan of `batch` full sessions of these options with a policy and a
 * context (0: from -c, or of the model), with or without prompts.
 */
int cli_memory_plan_make(const struct cli_common *common, clsa_model *model,
                         uint64_t context, const char *attention,
                         uint64_t batch, bool prompts,
                         struct cli_memory_plan *plan);

/* Print the plan for full sessions of these options. */
int cli_memory_plan_print(const struct cli_common *common, clsa_model *model,
                          uint64_t batch);

#endif /* CLSA_CLI_MEMORY_PLAN_H */
