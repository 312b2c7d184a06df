/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval needles: needle-in-a-haystack retrieval (NIAH), how many facts hidden in
 * a context each policy recalls. What the
 * questions on a context have in common is read once; every question is then
 * asked under every policy in a fork of its own, greedily. A policy that keeps
 * what it has seen of each token reads it for itself, once.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/eval/needle_file.h"
#include "src/cli/measure.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

struct needles_options {
    struct cli_common common;
    const char *file;
};

static const struct cli_option needles_table[] = {
    {.kind = CLI_FILE,
     .name = "file",
     .argument = "FILE",
     .help = "contexts and questions, one JSON object per line",
     .offset = offsetof(struct needles_options, file)},
    {0}};

struct evaluation {
    const struct needles_options *options;
    clsa_model *model;
    clsa_session *session;
    clsa_sampler *sampler; /* greedy */
    struct cli_needles needles;
    struct cli_policies policies;
    uint64_t *recalled;       /* [policies], and after it: */
    uint64_t *outputs, *rows; /* tokens with logits, rows that they have read */
    uint64_t done;            /* tokens of the progress */
};

/* Add the text of a token (-1: the rest) to the output. */
static int add_token(const clsa_model *model, clsa_detokenizer *decoder,
                     int32_t id, struct cli_text *output)
{
    clsa_error error;
    char *text;
    size_t size;
    if (clsa_detokenize(model, decoder, id, &text, &size, &error) != CLSA_OK)
        return cli_fail_error(&error);
    int status = cli_text_add(output, text, size);
    clsa_free(text);
    return status;
}

/* Generate until the verdict is clear. The session has the logits that
   follow the question. */
static int judge(struct evaluation *work, clsa_session *session,
                 const char *answer, struct cli_text *output, int *verdict)
{
    clsa_detokenizer decoder = {0};
    uint64_t budget = cli_needle_budget(answer);
    *verdict = -1;
    clsa_error error;
    int32_t id;
    while (*verdict < 0 && budget-- > 0) {
        if (clsa_sampler_sample(work->sampler, session, &id, &error) != CLSA_OK)
            return cli_fail_error(&error);
        if (cli_is_end(work->model, id))
            break;
        CLI_TRY(add_token(work->model, &decoder, id, output));
        *verdict = cli_needle_verdict(output->data, answer, false);
        if (clsa_session_length(session) == clsa_session_context(session))
            break;
        if (*verdict < 0 &&
            clsa_session_append(session, &id, 1, NULL, &error) != CLSA_OK)
            return cli_fail_error(&error);
    }
    CLI_TRY(add_token(work->model, &decoder, -1, output));
    if (*verdict < 0)
        *verdict = cli_needle_verdict(output->data, answer, true);
    return CLI_DONE;
}

static int ask_fork(struct evaluation *work, clsa_session *fork,
                    const struct cli_needle *line,
                    const struct cli_question *question, size_t policy)
{
    static const clsa_append_options last = {.want = CLSA_WANT_LAST};
    const char *name = work->policies.names[policy];
    size_t rest = question->ids.count - line->common;
    struct cli_text output = {0};
    int verdict = 0;
    CLI_TRY(cli_append(fork, question->ids.ids + line->common, rest, &last,
                       work->done));
    work->done += rest;
    int status = judge(work, fork, question->answer, &output, &verdict);
    if (status)
        goto done;
    work->recalled[policy] += (uint64_t)verdict;
    cli_verbose("%s: asked for '%s', said '%s': %s", name, question->answer,
                output.data, verdict ? "recalled" : "not recalled");
done:
    cli_text_free(&output);
    return status;
}

/* Ask the questions on a context, each in a fork of `session`, which has read
   what they have in common under the policy. */
static int ask_all(struct evaluation *work, const clsa_session *session,
                   const struct cli_needle *line, size_t policy)
{
    for (size_t i = 0; i < line->count; i++) {
        clsa_session *fork;
        clsa_error error;
        if (clsa_session_fork(session, &fork, &error) != CLSA_OK)
            return cli_fail_error(&error);
        int status = ask_fork(work, fork, line, &line->questions[i], policy);
        clsa_session_stats stats;
        clsa_session_get_stats(fork, &stats, sizeof stats);
        work->outputs[policy] += stats.outputs;
        work->rows[policy] += stats.output_rows;
        clsa_session_close(fork);
        CLI_TRY(status);
    }
    return CLI_DONE;
}

static int ask_line(struct evaluation *work, const struct cli_needle *line)
{
    static const clsa_append_options only_read = {.want = CLSA_WANT_NONE};
    clsa_error error;
    if (clsa_session_truncate(work->session, 0, &error) != CLSA_OK)
        return cli_fail_error(&error);
    if (line->common > 0)
        CLI_TRY(cli_append(work->session, line->questions[0].ids.ids,
                           line->common, &only_read, work->done));
    work->done += line->common;
    for (size_t policy = 0; policy < work->policies.count; policy++) {
        clsa_session *session;
        CLI_TRY(
            cli_fork(work->session, work->policies.names[policy], &session));
        int status = ask_all(work, session, line, policy);
        clsa_session_close(session);
        CLI_TRY(status);
    }
    return CLI_DONE;
}

/* Tokens to read, for the progress. */
static uint64_t reading_work(const struct evaluation *work)
{
    uint64_t tokens = 0;
    for (size_t i = 0; i < work->needles.count; i++) {
        const struct cli_needle *line = &work->needles.lines[i];
        tokens += line->common;
        for (size_t j = 0; j < line->count; j++)
            tokens += work->policies.count *
                      (line->questions[j].ids.count - line->common);
    }
    return tokens;
}

/* As text, where `print` says so, and as a list. */
static int list_results(const struct evaluation *work, bool print, json_t *list)
{
    uint64_t asked = work->needles.asked;
    uint64_t tokens = (work->needles.tokens + asked / 2) / asked;
    if (print)
        printf("%-16s %6s %9s %15s\n", "policy", "asked", "recalled",
               "context_tokens");
    for (size_t i = 0; i < work->policies.count; i++) {
        const char *name = work->policies.names[i];
        if (print)
            printf("%-16s %6" PRIu64 " %9" PRIu64 " %15" PRIu64 "\n", name,
                   asked, work->recalled[i], tokens);
        CLI_TRY(cli_json_append(
            list, json_pack("{ss sI sI sI sf}", "policy", name, "asked",
                            (json_int_t)asked, "recalled",
                            (json_int_t)work->recalled[i], "context_tokens",
                            (json_int_t)tokens, "rows_read",
                            (double)work->rows[i] / (double)work->outputs[i])));
    }
    return CLI_DONE;
}

/* Refuse contexts that do not fit, before any work. */
static int check_context(const struct evaluation *work)
{
    uint64_t context = clsa_session_context(work->session);
    for (size_t i = 0; i < work->needles.count; i++)
        for (size_t j = 0; j < work->needles.lines[i].count; j++) {
            size_t count = work->needles.lines[i].questions[j].ids.count;
            if (count > context)
                return cli_fail("%s: context %zu: %zu tokens do not fit a "
                                "context of %" PRIu64 ": use a larger -c",
                                work->options->file, i + 1, count, context);
        }
    return CLI_DONE;
}

static int open_sampler(struct evaluation *work)
{
    clsa_sampler_options options;
    clsa_sampler_options_init(&options);
    options.temperature = 0;
    clsa_error error;
    if (clsa_sampler_open(&work->sampler, &options, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

static int eval_file(struct evaluation *work)
{
    const struct needles_options *o = work->options;
    CLI_TRY(cli_model_open(&o->common, &work->model));
    CLI_TRY(cli_policies_parse(&o->common, work->model, &work->policies));
    CLI_TRY(cli_needles_read(o->file, work->model, &work->needles));
    CLI_TRY(open_sampler(work));
    CLI_TRY(cli_session_open(&o->common, work->model, work->needles.longest,
                             work->policies.names[0], &work->session));
    CLI_TRY(cli_policies_check(&work->policies, work->session, NULL));
    CLI_TRY(check_context(work));
    work->recalled = calloc(3 * work->policies.count, sizeof *work->recalled);
    if (!work->recalled)
        return cli_fail_memory();
    work->outputs = work->recalled + work->policies.count;
    work->rows = work->outputs + work->policies.count;
    cli_progress_start("reading", "tokens", reading_work(work));
    for (size_t i = 0; i < work->needles.count; i++)
        CLI_TRY(ask_line(work, &work->needles.lines[i]));
    cli_progress_end();
    return CLI_DONE;
}

static int measure(const void *parsed, bool print, json_t *list)
{
    const struct needles_options *options = parsed;
    struct evaluation work = {.options = options};
    int status = eval_file(&work);
    if (status)
        goto done;
    status = list_results(&work, print, list);
done:
    free(work.recalled);
    cli_needles_free(&work.needles);
    cli_policies_free(&work.policies);
    clsa_sampler_close(work.sampler);
    clsa_session_close(work.session);
    clsa_model_close(work.model);
    return status;
}

int cli_eval_needles(const struct cli_common *common, const char *file,
                     json_t *list)
{
    const struct needles_options options = {.common = *common, .file = file};
    return measure(&options, false, list);
}

static int needles_run(int argc, char **argv)
{
    struct needles_options options = {.common = CLI_COMMON_INIT};
    return cli_measure_run(&cli_command_eval_needles, argc, argv, &options,
                           &options.file, measure);
}

const struct cli_command cli_command_eval_needles = {
    .name = "eval needles",
    .usage = "--file FILE",
    .summary = "Count the facts recalled from long contexts (NIAH).",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = needles_table,
    .run = needles_run};
