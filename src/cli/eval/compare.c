/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval compare: the quality of all policies at equal budgets of rows: the loss
 * of a text at several context lengths, and the facts recalled from needle
 * files. All policies see the same positions.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/minmax.h"
#include "src/cli/commands.h"
#include "src/cli/compare.h"
#include "src/cli/eval/score.h"
#include "src/cli/measure.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/table.h"

struct compare_options {
    struct cli_common common;
    const char *file, *contexts, *budgets, *csv, *plot;
    struct cli_texts needles;
    uint64_t windows, last;
};

#define MEMBER(name) offsetof(struct compare_options, name)

static const struct cli_option compare_table[] = {
    {.kind = CLI_FILE,
     .name = "file",
     .argument = "FILE",
     .help = "a text, for the loss",
     .offset = MEMBER(file)},
    {.kind = CLI_TEXT,
     .name = "contexts",
     .argument = "N,...",
     .help = "tokens of a window of the text; default: 2K,8K",
     .offset = MEMBER(contexts)},
    {.kind = CLI_SIZE,
     .name = "windows",
     .argument = "N",
     .help = "most windows of each size; default: 4",
     .offset = MEMBER(windows),
     .min = 1,
     .max = 1000000},
    {.kind = CLI_SIZE,
     .name = "last",
     .argument = "N",
     .help = "tokens that count at the end of a window; default: 1024",
     .offset = MEMBER(last),
     .min = 1,
     .max = (uint64_t)1 << 30},
    {.kind = CLI_TEXTS,
     .name = "needles",
     .argument = "FILE",
     .help = "contexts and questions; may be repeated",
     .offset = MEMBER(needles)},
    {.kind = CLI_TEXT,
     .name = "budgets",
     .argument = "N,...",
     .help = "rows of a policy without --attention; default: 512",
     .offset = MEMBER(budgets)},
    {.kind = CLI_FILE,
     .name = "csv",
     .argument = "FILE",
     .help = "write the results as CSV",
     .offset = MEMBER(csv)},
    {.kind = CLI_FILE,
     .name = "plot",
     .argument = "FILE",
     .help = "write an SVG plot of loss over budget",
     .offset = MEMBER(plot)},
    {0}};

static const struct cli_column columns[] = {
    {"policy", -22, 0}, {"budget", 6, 0},   {"context", 8, 0},
    {"tokens", 7, 0},   {"loss", 9, 5},     {"minus_dense", 11, 5},
    {"asked", 5, 0},    {"recalled", 8, 0}, {NULL, 0, 0}};

struct comparison {
    const struct compare_options *options;
    clsa_model *model;
    uint32_t vocab;
    struct cli_policies policies;
    struct cli_numbers contexts;
    struct cli_ids ids;
    json_t *results;
    size_t printed;
};

/* Print what has been found since, unless as JSON at the end. */
static void print_new(struct comparison *work)
{
    for (; !work->options->common.json &&
           work->printed < json_array_size(work->results);
         work->printed++)
        cli_table_line(columns, json_array_get(work->results, work->printed),
                       work->printed == 0);
}

/* The beginning of a result: what it is of. */
static json_t *new_result(const char *policy, uint64_t context)
{
    char family[16];
    uint64_t budget = cli_compare_budget(policy, family);
    return json_pack("{ss ss so sI}", "policy", policy, "family", family,
                     "budget",
                     budget ? json_integer((json_int_t)budget) : json_null(),
                     "context", (json_int_t)context);
}

/* ------------------------------------------------------------------- loss */

static double mean(const struct cli_loss *loss)
{
    return loss->sum / (double)loss->count;
}

static int add_losses(struct comparison *work, uint64_t context,
                      const struct cli_loss *losses)
{
    double dense = NAN;
    for (size_t i = 0; i < work->policies.count; i++)
        if (strcmp(work->policies.names[i], "dense") == 0)
            dense = mean(&losses[i]);
    for (size_t i = 0; i < work->policies.count; i++) {
        json_t *result = new_result(work->policies.names[i], context);
        json_object_set_new(result, "tokens",
                            json_integer((json_int_t)losses[i].count));
        json_object_set_new(result, "loss", json_real(mean(&losses[i])));
        json_object_set_new(
            result, "rows_read",
            json_real((double)losses[i].rows / (double)losses[i].count));
        json_object_set_new(result, "minus_dense",
                            isnan(dense) ? json_null()
                                         : json_real(mean(&losses[i]) - dense));
        CLI_TRY(cli_json_append(work->results, result));
    }
    return CLI_DONE;
}

static int score_windows(struct comparison *work, struct cli_scorer *scorer,
                         uint64_t context, const uint8_t *mask)
{
    const struct compare_options *o = work->options;
    uint64_t windows = work->ids.count / context;
    windows = clsa_min_u64(windows, o->windows);
    cli_progress_start(
        "reading", "tokens",
        windows * cli_score_work(&work->policies, mask, (size_t)context));
    for (uint64_t i = 0; i < windows; i++)
        CLI_TRY(cli_score(scorer, work->ids.ids + i * context, mask,
                          (size_t)context));
    cli_progress_end();
    return add_losses(work, context, scorer->loss);
}

static int score_context(struct comparison *work, uint64_t context)
{
    const struct compare_options *o = work->options;
    struct cli_scorer scorer = {.policies = &work->policies,
                                .vocab = work->vocab};
    struct cli_common common = o->common;
    uint64_t last = clsa_min_u64(o->last, context - 1);
    uint8_t *mask = calloc((size_t)context, 1);
    common.context = context;
    scorer.loss = calloc(work->policies.count, sizeof *scorer.loss);
    int status = CLI_DONE;
    if (!mask || !scorer.loss) {
        status = cli_fail_memory();
        goto done;
    }
    memset(mask + context - 1 - last, 1, (size_t)last);
    if ((status = cli_session_open(&common, work->model, 0, "dense",
                                   &scorer.session)))
        goto done;
    if ((status = cli_policies_check(&work->policies, scorer.session, NULL)))
        goto done;
    status = score_windows(work, &scorer, context, mask);
done:
    clsa_session_close(scorer.session);
    free(scorer.loss);
    free(mask);
    return status;
}

static int score_text(struct comparison *work)
{
    const struct compare_options *o = work->options;
    CLI_TRY(cli_tokenize_file(work->model, o->file, 0, &work->ids));
    for (size_t i = 0; i < work->contexts.count; i++)
        if (work->contexts.value[i] > work->ids.count)
            return cli_fail("%s: %zu tokens do not fill a window of %" PRIu64
                            ": use smaller --contexts or a longer text",
                            o->file, work->ids.count, work->contexts.value[i]);
    for (size_t i = 0; i < work->contexts.count; i++) {
        CLI_TRY(score_context(work, work->contexts.value[i]));
        print_new(work);
    }
    return CLI_DONE;
}

/* ---------------------------------------------------------------- needles */

/* The policies as --attention has them. */
static int join_names(const struct cli_policies *policies,
                      struct cli_text *names)
{
    for (size_t i = 0; i < policies->count; i++) {
        const char *name = policies->names[i];
        CLI_TRY(cli_text_add(names, ",", i > 0));
        CLI_TRY(cli_text_add(names, name, strlen(name)));
    }
    return CLI_DONE;
}

static int add_recall(struct comparison *work, const json_t *list)
{
    const json_t *found;
    size_t i;
    json_array_foreach(list, i, found)
    {
        json_t *result =
            new_result(json_string_value(json_object_get(found, "policy")),
                       (uint64_t)json_integer_value(
                           json_object_get(found, "context_tokens")));
        json_object_set(result, "asked", json_object_get(found, "asked"));
        json_object_set(result, "recalled", json_object_get(found, "recalled"));
        json_object_set(result, "rows_read",
                        json_object_get(found, "rows_read"));
        CLI_TRY(cli_json_append(work->results, result));
    }
    return CLI_DONE;
}

static int recall(struct comparison *work, const char *file)
{
    struct cli_common common = work->options->common;
    struct cli_text names = {0};
    json_t *list = json_array();
    int status = join_names(&work->policies, &names);
    if (status)
        goto done;
    common.attention = names.data;
    if ((status = cli_eval_needles(&common, file, list)))
        goto done;
    status = add_recall(work, list);
done:
    json_decref(list);
    cli_text_free(&names);
    print_new(work);
    return status;
}

/* ---------------------------------------------------------------- command */

static int write_files(struct comparison *work)
{
    const struct compare_options *o = work->options;
    uint64_t longest = 0;
    char title[80];
    struct cli_plot plot = {.title = title,
                            .x_label = "rows of the budget",
                            .y_label = "loss above dense, nats per token",
                            .series = "family",
                            .x = "budget",
                            .y = "minus_dense",
                            .only = "context",
                            .log_x = true};
    for (size_t i = 0; i < work->contexts.count; i++)
        longest = clsa_max_u64(longest, work->contexts.value[i]);
    plot.value = (json_int_t)longest;
    snprintf(title, sizeof title, "Quality at a context of %" PRIu64 " tokens",
             longest);
    if (o->csv)
        CLI_TRY(cli_table_csv(columns, work->results, o->csv));
    if (o->plot)
        CLI_TRY(cli_plot_draw(&plot, work->results, o->plot));
    if (!o->common.json)
        return CLI_DONE;
    return cli_json_print(json_incref(work->results));
}

static int compare_all(struct comparison *work,
                       const struct cli_numbers *budgets)
{
    const struct compare_options *o = work->options;
    CLI_TRY(cli_model_open(&o->common, &work->model));
    clsa_model_info info;
    clsa_model_get_info(work->model, &info, sizeof info);
    work->vocab = info.vocab;
    CLI_TRY(cli_compare_policies(&o->common, work->model, budgets,
                                 &work->policies));
    if (o->file)
        CLI_TRY(score_text(work));
    for (size_t i = 0; i < o->needles.count; i++)
        CLI_TRY(recall(work, o->needles.values[i]));
    return write_files(work);
}

/* An output, if it is wanted, is none of the inputs. */
static int check_output(const struct compare_options *o, const char *output)
{
    if (!output)
        return CLI_DONE;
    CLI_TRY(cli_output_apart(output, o->file));
    CLI_TRY(cli_output_apart(output, cli_model_path(&o->common)));
    for (size_t i = 0; i < o->needles.count; i++)
        CLI_TRY(cli_output_apart(output, o->needles.values[i]));
    return cli_output_check(output);
}

static int check_options(const struct compare_options *o,
                         struct cli_numbers *contexts,
                         struct cli_numbers *budgets)
{
    const struct cli_command *self = &cli_command_eval_compare;
    if (!o->file && o->needles.count == 0)
        return cli_usage(self, "give --file FILE or --needles FILE");
    if (o->common.context != 0)
        return cli_usage(self, "--context: give --contexts instead");
    CLI_TRY(cli_numbers_parse(self, "contexts", o->contexts, 2,
                              (uint64_t)1 << 30, contexts));
    CLI_TRY(cli_numbers_parse(self, "budgets", o->budgets, 128,
                              (uint64_t)1 << 30, budgets));
    CLI_TRY(check_output(o, o->csv));
    CLI_TRY(check_output(o, o->plot));
    return CLI_DONE;
}

static int run(const struct compare_options *options)
{
    struct comparison work = {.options = options};
    struct cli_numbers budgets;
    CLI_TRY(check_options(options, &work.contexts, &budgets));
    work.results = json_array();
    int status = compare_all(&work, &budgets);
    free(work.ids.ids);
    cli_policies_free(&work.policies);
    json_decref(work.results);
    clsa_model_close(work.model);
    return status;
}

static int compare_arguments(struct compare_options *options, int argc,
                             char **argv)
{
    int first;
    CLI_TRY(cli_options_parse(&cli_command_eval_compare, argc, argv, options,
                              &first));
    return first == 0 ? CLI_DONE : run(options);
}

static int compare_run(int argc, char **argv)
{
    struct compare_options options = {.common = CLI_COMMON_INIT,
                                      .contexts = "2K,8K",
                                      .budgets = "512",
                                      .windows = 4,
                                      .last = 1024};
    int status = compare_arguments(&options, argc, argv);
    cli_texts_free(&options.needles);
    return status;
}

const struct cli_command cli_command_eval_compare = {
    .name = "eval compare",
    .usage = "[--file FILE] [--needles FILE]...",
    .summary = "Loss and recall of all policies at equal budgets.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = compare_table,
    .run = compare_run};
