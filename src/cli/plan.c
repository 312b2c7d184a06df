/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: everything but the shared cache is measured in a session that is
 * really opened and has read a token. The cache grows with the tokens: its
 * rows are K and V of the shared KV heads and one index key each, in the
 * types asked for, for every token of the context.
 */
#include <inttypes.h>
#include <stdio.h>

#include "src/cli/engine.h"
#include "src/cli/message.h"
#include "src/cli/plan.h"

struct plan {
    uint64_t context;
    uint64_t weights, cache, index, windows, working_set, scratch;
};

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

static int measure(const struct cli_common *common, clsa_model *model,
                   struct plan *plan)
{
    static const clsa_append last = {.want = CLSA_WANT_LAST};
    static const int32_t any = 0;
    clsa_session *session;
    clsa_session_stats stats;
    int status;

    CLI_TRY(cli_session_open(common, model, 0, NULL, &session));
    status = cli_append(session, &any, 1, &last, CLI_QUIET);
    if (status == CLI_DONE) {
        clsa_session_get_stats(session, &stats);
        plan->context = clsa_session_context(session);
        plan->windows = stats.window_bytes;
        plan->working_set = stats.working_bytes;
        plan->scratch = stats.scratch_bytes;
    }
    clsa_session_close(session);
    return status;
}

static void print_line(const char *name, uint64_t bytes)
{
    printf("%-12s %14" PRIu64 "  %10.1f MiB\n", name, bytes,
           (double)bytes / 1048576);
}

static void print_text(const struct plan *plan, uint64_t total)
{
    printf("%-12s %14s\n", "", "bytes");
    print_line("weights", plan->weights);
    print_line("cache", plan->cache);
    print_line("index", plan->index);
    print_line("windows", plan->windows);
    print_line("working set", plan->working_set);
    print_line("scratch", plan->scratch);
    print_line("total", total);
}

int cli_plan_print(const struct cli_common *common, clsa_model *model)
{
    struct plan plan = {0};
    clsa_model_info info;
    uint64_t total;

    clsa_model_get_info(model, &info);
    CLI_TRY(measure(common, model, &plan));
    plan.weights = info.file_size;
    plan.cache =
        plan.context * row_bytes(common->kv_type,
                                 2 * (uint64_t)info.kv_heads * info.head_size);
    if (info.index_size != 0)
        plan.index =
            plan.context * row_bytes(common->index_type, info.index_size);
    total = plan.weights + plan.cache + plan.index + plan.windows +
            plan.working_set + plan.scratch;
    if (!common->json) {
        print_text(&plan, total);
        return CLI_DONE;
    }
    return cli_json_print(json_pack(
        "[{sI ss ss ss s{sI sI sI sI sI sI sI}}]", "context",
        (json_int_t)plan.context, "attention", cli_attention(common, model),
        "kv_type", clsa_type_name(common->kv_type), "index_type",
        clsa_type_name(common->index_type), "bytes", "weights",
        (json_int_t)plan.weights, "cache", (json_int_t)plan.cache, "index",
        (json_int_t)plan.index, "windows", (json_int_t)plan.windows,
        "working_set", (json_int_t)plan.working_set, "scratch",
        (json_int_t)plan.scratch, "total", (json_int_t)total));
}
