/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval perplexity: mean loss over windows of a text that lie side by side.
 * Counted are the tokens of each window's second half, or all but its first, or
 * what llama-perplexity counts.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/eval/score.h"
#include "src/cli/measure.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

struct perplexity_options {
    struct cli_common common;
    const char *file, *positions;
};

#define AT(member) offsetof(struct perplexity_options, member)

static const struct cli_option perplexity_table[] = {
    {.kind = CLI_FILE,
     .name = "file",
     .argument = "FILE",
     .help = "the text, - for standard input",
     .offset = AT(file)},
    {.kind = CLI_CHOICE,
     .name = "positions",
     .argument = "half|all|chunk",
     .help = "part of each window that counts; default: half",
     .offset = AT(positions)},
    {0}};

struct perplexity {
    const struct perplexity_options *options;
    clsa_model *model;
    clsa_session *session;
    struct cli_ids ids;
    struct cli_policies policies;
    struct cli_loss *losses; /* [policies] */
    uint64_t window;
    bool chunks; /* windows as llama-perplexity has them */
};

/* The mask of a window: position i counts when token i + 1 does. */
static uint8_t *make_mask(const struct perplexity *work)
{
    bool all = strcmp(work->options->positions, "all") == 0;
    uint64_t first = all ? 0 : work->window / 2 - !work->chunks;
    uint8_t *mask = calloc(work->window, 1);
    if (mask)
        memset(mask + first, 1, work->window - 1 - first);
    return mask;
}

static int eval_windows(struct perplexity *work, const uint8_t *mask)
{
    struct cli_scorer scorer = {.session = work->session,
                                .policies = &work->policies,
                                .loss = work->losses};
    uint64_t windows = work->ids.count / work->window;
    clsa_model_info info;
    clsa_model_get_info(work->model, &info, sizeof info);
    scorer.vocab = info.vocab;
    cli_progress_start("reading", "tokens",
                       windows *
                           cli_score_work(&work->policies, mask, work->window));
    for (uint64_t i = 0; i < windows; i++) {
        int32_t *ids = work->ids.ids + i * work->window;
        if (work->chunks && info.add_bos && info.bos >= 0)
            ids[0] = info.bos;
        CLI_TRY(cli_score(&scorer, ids, mask, work->window));
    }
    cli_progress_end();
    if (work->ids.count % work->window != 0)
        cli_warning("%s: the last %" PRIu64
                    " tokens do not fill a window and are left out",
                    work->options->file, work->ids.count % work->window);
    return CLI_DONE;
}

/* As text, where `print` says so, and as a list. */
static int list_results(const struct perplexity *work, bool print, json_t *list)
{
    if (print)
        printf("%-16s %8s %8s  %9s  %s\n", "policy", "context", "tokens",
               "loss", "perplexity");
    for (size_t i = 0; i < work->policies.count; i++) {
        const struct cli_loss *sum = &work->losses[i];
        double loss = sum->sum / (double)sum->count;
        if (print)
            printf("%-16s %8" PRIu64 " %8" PRIu64 "  %9.6f  %.4f\n",
                   work->policies.names[i], work->window, sum->count, loss,
                   exp(loss));
        CLI_TRY(cli_json_append(
            list,
            json_pack("{ss sI sI sf sf sf}", "policy", work->policies.names[i],
                      "context", (json_int_t)work->window, "tokens",
                      (json_int_t)sum->count, "loss", loss, "perplexity",
                      exp(loss), "rows_read",
                      (double)sum->rows / (double)sum->count)));
    }
    return CLI_DONE;
}

static int eval_text(struct perplexity *work)
{
    const struct perplexity_options *o = work->options;
    CLI_TRY(cli_model_open(&o->common, &work->model));
    CLI_TRY(cli_policies_parse(&o->common, work->model, &work->policies));
    work->chunks = strcmp(o->positions, "chunk") == 0;
    CLI_TRY(cli_tokenize_file(
        work->model, work->options->file,
        work->chunks ? CLSA_TOKENIZE_BOS : CLSA_TOKENIZE_SPECIAL, &work->ids));
    if (work->ids.count < 2)
        return cli_fail("%s: is too short: give a text of at least two tokens",
                        o->file);
    CLI_TRY(cli_session_open(&o->common, work->model, work->ids.count,
                             work->policies.names[0], &work->session));
    CLI_TRY(cli_policies_check(&work->policies, work->session, NULL));
    work->window = clsa_session_context(work->session);
    if (work->window < (work->chunks ? 3 : 2))
        return cli_usage(&cli_command_eval_perplexity,
                         "--context: a window needs at least %d tokens",
                         work->chunks ? 3 : 2);
    if (work->ids.count < work->window)
        return cli_fail("%s: %zu tokens do not fill one window of %" PRIu64
                        ": use a smaller -c or a longer text",
                        o->file, work->ids.count, work->window);
    uint8_t *mask = make_mask(work);
    work->losses = calloc(work->policies.count, sizeof *work->losses);
    int status =
        mask && work->losses ? eval_windows(work, mask) : cli_fail_memory();
    free(mask);
    return status;
}

static int measure(const void *parsed, bool print, json_t *list)
{
    const struct perplexity_options *options = parsed;
    struct perplexity work = {.options = options};
    int status = eval_text(&work);
    if (status)
        goto done;
    status = list_results(&work, print, list);
done:
    free(work.ids.ids);
    free(work.losses);
    cli_policies_free(&work.policies);
    clsa_session_close(work.session);
    clsa_model_close(work.model);
    return status;
}

int cli_eval_perplexity(const struct cli_common *common, const char *file,
                        json_t *list)
{
    const struct perplexity_options options = {
        .common = *common, .file = file, .positions = "half"};
    return measure(&options, false, list);
}

static int perplexity_run(int argc, char **argv)
{
    struct perplexity_options options = {.common = CLI_COMMON_INIT,
                                         .positions = "half"};
    return cli_measure_run(&cli_command_eval_perplexity, argc, argv, &options,
                           &options.file, measure);
}

const struct cli_command cli_command_eval_perplexity = {
    .name = "eval perplexity",
    .usage = "--file FILE",
    .summary = "Loss and perplexity of a text, in windows of -c tokens.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = perplexity_table,
    .run = perplexity_run};
