/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_plan: everything but the caches is measured in a session that is
 * really opened and has read a token, after a prompt in a plan with prompts.
 * Caches grow with the tokens: the library says what a token takes in all of
 * them, K and V and index keys.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/library.h"
#include "src/cli/memory_plan.h"
#include "src/cli/message.h"

/* Tokens that are read as a prompt: longer ones take no more. */
#define PROMPT 32

static int read_prompt(clsa_session *session)
{
    static const int32_t ids[PROMPT] = {0};
    static const clsa_append_options only_read = {.want = CLSA_WANT_NONE};
    if (clsa_session_context(session) < PROMPT)
        return CLI_DONE;
    clsa_error error;
    if (clsa_session_append(session, ids, PROMPT, &only_read, &error) !=
            CLSA_OK ||
        clsa_session_truncate(session, 0, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

/* One token through all sessions takes all that a step needs. */
static int measure_step(clsa_session **sessions, struct cli_memory_plan *plan)
{
    static const int32_t ids[CLI_BATCH_MAX] = {0};
    if (plan->prompts)
        CLI_TRY(read_prompt(sessions[0]));
    clsa_error error;
    if (clsa_batch_append(sessions, ids, (size_t)plan->batch, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    clsa_session_stats stats;
    clsa_session_get_stats(sessions[0], &stats, sizeof stats);
    plan->context = clsa_session_context(sessions[0]);
    plan->cache = plan->batch * plan->context * stats.cache_row_bytes;
    plan->index = plan->batch * plan->context * stats.index_row_bytes;
    plan->windows = plan->batch * stats.window_bytes;
    plan->working_set =
        plan->batch * (stats.working_bytes + stats.policy_bytes);
    plan->scratch = stats.scratch_bytes;
    plan->prefill = plan->prompts ? stats.prefill_bytes : 0;
    return CLI_DONE;
}

static int measure(const struct cli_common *common, clsa_model *model,
                   uint64_t context, struct cli_memory_plan *plan)
{
    clsa_session *sessions[CLI_BATCH_MAX] = {NULL};
    struct cli_common options = *common;
    int status = CLI_DONE;
    if (context != 0)
        options.context = context;
    for (uint64_t i = 0; i < plan->batch; i++)
        if ((status = cli_session_open(&options, model, 0, plan->attention,
                                       &sessions[i])))
            goto done;
    status = measure_step(sessions, plan);
done:
    for (uint64_t i = 0; i < plan->batch; i++)
        clsa_session_close(sessions[i]);
    return status;
}

int cli_memory_plan_make(const struct cli_common *common, clsa_model *model,
                         uint64_t context, const char *attention,
                         uint64_t batch, bool prompts,
                         struct cli_memory_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan->prompts = prompts;
    plan->batch = batch;
    plan->attention = attention;
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    CLI_TRY(measure(common, model, context, plan));
    plan->layers = info.layers;
    plan->prompt_layers = info.prompt_layers;
    plan->weights = info.file_size;
    plan->placed = info.placed_size;
    plan->total = plan->weights + plan->placed + plan->cache + plan->index +
                  plan->windows + plan->working_set + plan->scratch +
                  plan->prefill;
    return CLI_DONE;
}

static void print_line(const char *name, uint64_t bytes)
{
    printf("%-12s %14" PRIu64 "  %10.1f MiB\n", name, bytes,
           (double)bytes / 1048576);
}

static void print_text(const struct cli_memory_plan *plan)
{
    printf("%-12s %14s\n", "", "bytes");
    print_line("weights", plan->weights);
    if (plan->placed != 0)
        print_line("on nodes", plan->placed);
    print_line("cache", plan->cache);
    print_line("index", plan->index);
    print_line("windows", plan->windows);
    print_line("working set", plan->working_set);
    print_line("scratch", plan->scratch);
    print_line("prefill", plan->prefill);
    print_line("total", plan->total);
    printf("%-12s %14" PRIu32 "  of %" PRIu32 " for a prompt token\n", "layers",
           plan->prompt_layers, plan->layers);
}

int cli_memory_plan_print(const struct cli_common *common, clsa_model *model,
                          uint64_t batch)
{
    struct cli_memory_plan plan;
    CLI_TRY(cli_memory_plan_make(common, model, 0, cli_attention(common, model),
                                 batch, true, &plan));
    if (!common->json) {
        print_text(&plan);
        return CLI_DONE;
    }
    return cli_json_print(json_pack(
        "[{sI sI sI sI ss ss ss s{sI sI sI sI sI sI sI sI sI}}]", "context",
        (json_int_t)plan.context, "batch", (json_int_t)plan.batch, "layers",
        (json_int_t)plan.layers, "prompt_layers",
        (json_int_t)plan.prompt_layers, "attention", plan.attention, "kv_type",
        clsa_type_name(common->kv_type), "index_type",
        clsa_type_name(common->index_type), "bytes", "weights",
        (json_int_t)plan.weights, "placed", (json_int_t)plan.placed, "cache",
        (json_int_t)plan.cache, "index", (json_int_t)plan.index, "windows",
        (json_int_t)plan.windows, "working_set", (json_int_t)plan.working_set,
        "scratch", (json_int_t)plan.scratch, "prefill",
        (json_int_t)plan.prefill, "total", (json_int_t)plan.total));
}
