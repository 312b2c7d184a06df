/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: everything but the shared cache is measured in a session that is
 * really opened and has read a token, after a prompt in a plan with prompts.
 * The cache grows with the tokens: its rows are K and V of the shared KV heads
 * and one index key each, in the types asked for, for every token of the
 * context.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/engine.h"
#include "src/cli/message.h"
#include "src/cli/plan.h"

/* Bytes of `count` values of a type in a cache row. */
static uint64_t row_bytes(clsa_type type, uint64_t count)
{
    switch (type) {
    case CLSA_TYPE_F32:
        return 4 * count;
    case CLSA_TYPE_Q8_0:
        return count / 32 * 34;
    case CLSA_TYPE_I8:
        return count + sizeof(float);
    default:
        return 2 * count;
    }
}

/* Tokens that are read as a prompt: longer ones take no more. */
#define PROMPT 32

static int read_prompt(clsa_session *session)
{
    static const int32_t ids[PROMPT] = {0};
    static const clsa_append only_read = {.want = CLSA_WANT_NONE};
    clsa_error error;

    if (clsa_session_context(session) < PROMPT)
        return CLI_DONE;
    if (clsa_session_append(session, ids, PROMPT, &only_read, &error) !=
            CLSA_OK ||
        clsa_session_truncate(session, 0, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

/* One token through all sessions takes all that a step needs. */
static int measure_step(clsa_session **sessions, struct cli_plan *plan)
{
    static const int32_t ids[CLI_BATCH_MAX] = {0};
    clsa_session_stats stats;
    clsa_error error;

    if (plan->prompts)
        CLI_TRY(read_prompt(sessions[0]));
    if (clsa_batch_append(sessions, ids, (size_t)plan->batch, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    clsa_session_get_stats(sessions[0], &stats);
    plan->context = clsa_session_context(sessions[0]);
    plan->windows = plan->batch * stats.window_bytes;
    plan->working_set =
        plan->batch * (stats.working_bytes + stats.policy_bytes);
    plan->scratch = stats.scratch_bytes;
    plan->prefill = plan->prompts ? stats.prefill_bytes : 0;
    return CLI_DONE;
}

static int measure(const struct cli_common *common, clsa_model *model,
                   uint64_t context, struct cli_plan *plan)
{
    clsa_session *sessions[CLI_BATCH_MAX] = {NULL};
    struct cli_common options = *common;
    int status = CLI_DONE;
    uint64_t i;

    if (context != 0)
        options.context = context;
    for (i = 0; i < plan->batch && status == CLI_DONE; i++)
        status =
            cli_session_open(&options, model, 0, plan->attention, &sessions[i]);
    if (status == CLI_DONE)
        status = measure_step(sessions, plan);
    for (i = 0; i < plan->batch; i++)
        clsa_session_close(sessions[i]);
    return status;
}

int cli_plan_make(const struct cli_common *common, clsa_model *model,
                  uint64_t context, const char *attention, uint64_t batch,
                  int prompts, struct cli_plan *plan)
{
    clsa_model_info info;
    uint64_t rows;

    memset(plan, 0, sizeof *plan);
    plan->prompts = prompts;
    plan->batch = batch;
    plan->attention = attention;
    clsa_model_get_info(model, &info);
    CLI_TRY(measure(common, model, context, plan));
    rows = batch * plan->context;
    plan->weights = info.file_size;
    plan->placed = info.placed_size;
    plan->cache =
        rows * row_bytes(common->kv_type,
                         2 * (uint64_t)info.kv_heads * info.head_size);
    if (info.index_size != 0)
        plan->index = rows * row_bytes(common->index_type, info.index_size);
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

static void print_text(const struct cli_plan *plan)
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
}

int cli_plan_print(const struct cli_common *common, clsa_model *model,
                   uint64_t batch)
{
    struct cli_plan plan;

    CLI_TRY(cli_plan_make(common, model, 0, cli_attention(common, model), batch,
                          1, &plan));
    if (!common->json) {
        print_text(&plan);
        return CLI_DONE;
    }
    return cli_json_print(json_pack(
        "[{sI sI ss ss ss s{sI sI sI sI sI sI sI sI sI}}]", "context",
        (json_int_t)plan.context, "batch", (json_int_t)plan.batch, "attention",
        plan.attention, "kv_type", clsa_type_name(common->kv_type),
        "index_type", clsa_type_name(common->index_type), "bytes", "weights",
        (json_int_t)plan.weights, "placed", (json_int_t)plan.placed, "cache",
        (json_int_t)plan.cache, "index", (json_int_t)plan.index, "windows",
        (json_int_t)plan.windows, "working_set", (json_int_t)plan.working_set,
        "scratch", (json_int_t)plan.scratch, "prefill",
        (json_int_t)plan.prefill, "total", (json_int_t)plan.total));
}
