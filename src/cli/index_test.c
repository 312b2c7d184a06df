/* SPDX-License-Identifier: Apache-2.0 */
/* index test: how much of the attention an index finds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/cli/commands.h"
#include "src/cli/index.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

struct test_options {
    struct cli_common common;
    struct cli_texts texts;
    uint64_t rows, windows;
};

#define AT(member) offsetof(struct test_options, member)

static const struct cli_option test_table[] = {
    {.kind = CLI_TEXTS,
     .name = "text",
     .argument = "FILE",
     .help = "the text, - for standard input",
     .offset = AT(texts)},
    {.kind = CLI_SIZE,
     .letter = 'c',
     .name = "context",
     .argument = "N",
     .help = "tokens of a window; default: 4096",
     .offset = AT(common.context),
     .min = 2,
     .max = UINT32_MAX},
    {.kind = CLI_SIZE,
     .name = "rows",
     .argument = "K",
     .help = "rows that are chosen; default: 512",
     .offset = AT(rows),
     .min = 1,
     .max = UINT32_MAX},
    {.kind = CLI_SIZE,
     .name = "windows",
     .argument = "N",
     .help = "windows of the text at most; default: 8",
     .offset = AT(windows),
     .min = 1,
     .max = 1000000},
    {0}};

static int tell(void *user, uint64_t done, uint64_t total)
{
    bool *started = user;
    if (!*started)
        cli_progress_start("reading", "tokens", total);
    *started = true;
    cli_progress_update(done);
    return cli_interrupt_seen();
}

static int print(const clsa_index_scores *s)
{
    printf("%" PRIu64 " windows of %" PRIu64 " tokens\n\n", s->texts,
           s->tokens);
    printf("%-5s  %8s  %6s  %5s\n", "site", "coverage", "best", "share");
    for (uint32_t i = 0; i < s->site_count; i++)
        printf("%5" PRIu32 "  %8.4f  %6.4f  %5.3f\n", s->sites[i].layer,
               s->sites[i].coverage, s->sites[i].best,
               s->sites[i].coverage / s->sites[i].best);
    printf("%-5s  %8.4f  %6.4f  %5.3f\n", "mean", s->coverage, s->best,
           s->coverage / s->best);
    return CLI_DONE;
}

static int print_json(const clsa_index_scores *s)
{
    json_t *sites = json_array();
    for (uint32_t i = 0; i < s->site_count; i++)
        CLI_TRY(cli_json_append(
            sites, json_pack("{sI sf sf}", "layer",
                             (json_int_t)s->sites[i].layer, "coverage",
                             s->sites[i].coverage, "best", s->sites[i].best)));
    return cli_json_print(json_pack("{sf sf so}", "coverage", s->coverage,
                                    "best", s->best, "sites", sites));
}

static int test_model(const struct test_options *o, int more, char **files,
                      clsa_model *model, struct cli_ids *ids)
{
    clsa_index_scores scores;
    clsa_error error;
    bool started = false;
    const clsa_index_test_options options = {.rows = (uint32_t)o->rows,
                                             .context =
                                                 (uint32_t)o->common.context,
                                             .texts = (uint32_t)o->windows,
                                             .on_progress = tell,
                                             .user = &started};
    CLI_TRY(cli_index_read(model, &o->texts, more, files, ids));
    if (clsa_index_test(model, ids->ids, ids->count, &options, &scores, &error))
        return cli_fail_option(&error);
    cli_progress_end();
    return o->common.json ? print_json(&scores) : print(&scores);
}

static int test_arguments(struct test_options *o, int argc, char **argv)
{
    const struct cli_command *self = &cli_command_index_test;
    struct cli_ids ids = {.ids = NULL};
    clsa_model *model = NULL;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, o, &first));
    if (first == 0)
        return CLI_DONE;
    CLI_TRY(
        cli_index_operands(self, &o->common, &o->texts, argc, argv, &first));
    int status = cli_model_open(&o->common, &model);
    if (!status)
        status = test_model(o, argc - first, argv + first, model, &ids);
    free(ids.ids);
    clsa_model_close(model);
    return status;
}

static int test_run(int argc, char **argv)
{
    struct test_options options = {.common = CLI_COMMON_INIT};
    int status = test_arguments(&options, argc, argv);
    cli_texts_free(&options.texts);
    return status;
}

const struct cli_command cli_command_index_test = {
    .name = "index test",
    .usage = "MODEL --text FILE...",
    .summary = "Measure how much of the attention an index finds.",
    .operands = true,
    .groups = CLI_GROUP_MODEL,
    .options = test_table,
    .run = test_run};
