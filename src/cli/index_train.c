/* SPDX-License-Identifier: Apache-2.0 */
/* index train: an index for a model, from texts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/commands.h"
#include "src/cli/index.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

struct train_options {
    struct cli_common common;
    struct cli_texts texts;
    const char *sites, *output;
    uint64_t heads, key_size, rows, steps, seed;
    double hours;
};

#define AT(member) offsetof(struct train_options, member)

static const struct cli_option train_table[] = {
    {.kind = CLI_TEXTS,
     .name = "text",
     .argument = "FILE",
     .help = "a text, - for standard input; may be repeated",
     .offset = AT(texts)},
    {.kind = CLI_TEXT,
     .name = "sites",
     .argument = "auto|LAYERS",
     .help = "layers such as 2,5,17; default: those of the side file",
     .offset = AT(sites)},
    {.kind = CLI_SIZE,
     .name = "heads",
     .argument = "H",
     .help = "heads of index queries; default: 1",
     .offset = AT(heads),
     .min = 1,
     .max = 64},
    {.kind = CLI_SIZE,
     .name = "key-size",
     .argument = "N",
     .help = "values of an index key, a multiple of 8; default: 64",
     .offset = AT(key_size),
     .min = 8,
     .max = 256},
    {.kind = CLI_REAL,
     .name = "hours",
     .argument = "T",
     .help = "time at most; default: while coverage rises",
     .offset = AT(hours),
     .low = 0.001,
     .high = 10000},
    {.kind = CLI_SIZE,
     .name = "steps",
     .argument = "N",
     .help = "steps at most; default: while coverage rises",
     .offset = AT(steps),
     .min = 1,
     .max = UINT32_MAX},
    {.kind = CLI_SIZE,
     .letter = 'c',
     .name = "context",
     .argument = "N",
     .help = "tokens that are read at a time; default: 4096",
     .offset = AT(common.context),
     .min = 2,
     .max = UINT32_MAX},
    {.kind = CLI_SIZE,
     .name = "rows",
     .argument = "K",
     .help = "rows that the index is to choose; default: 512",
     .offset = AT(rows),
     .min = 8,
     .max = UINT32_MAX},
    {.kind = CLI_SIZE,
     .name = "seed",
     .argument = "N",
     .help = "of first values and of the order of texts; default: 0",
     .offset = AT(seed),
     .max = UINT64_MAX},
    {.kind = CLI_FILE,
     .letter = 'o',
     .name = "output",
     .argument = "SIDE",
     .help = "the side file; default: x.clsa.gguf of x.gguf",
     .offset = AT(output)},
    {0}};

/* ------------------------------------------------------------------- sites */

/* Layers of a list such as 2,5,17; they are checked by the library. */
static int parse_sites(const char *text, uint32_t *sites, uint32_t *count)
{
    *count = 0;
    for (const char *at = text; *count < CLSA_INDEX_SITES_MOST; at++) {
        char *end;
        const unsigned long layer = strtoul(at, &end, 10);
        if (*at < '0' || *at > '9' || layer > UINT32_MAX)
            break;
        sites[(*count)++] = (uint32_t)layer;
        at = end;
        if (*at == 0)
            return CLI_DONE;
        if (*at != ',')
            break;
    }
    return cli_usage(&cli_command_index_train,
                     "--sites: '%s': use auto or layers such as 2,5,17", text);
}

/* ---------------------------------------------------------------- progress */

static int is_stopped(void *user)
{
    (void)user;
    return cli_interrupt_seen();
}

static int tell(void *user, const clsa_index_progress *p)
{
    const struct train_options *o = user;
    char line[200];
    if (o->common.json) {
        snprintf(line, sizeof line,
                 "{\"step\": %" PRIu64 ", \"seconds\": %.1f, \"coverage\": "
                 "%.6f, \"best\": %.6f, \"loss\": %.6f}",
                 p->step, p->seconds, p->coverage, p->best, p->loss);
        return cli_output_line(line);
    }
    cli_info("step %" PRIu64 ", %.0f s: coverage %.4f of %.4f, loss %.4f",
             p->step, p->seconds, p->coverage, p->best, p->loss);
    return 0;
}

/* --------------------------------------------------------------------- run */

static int train_model(struct train_options *o, clsa_model *model,
                       const struct cli_ids *ids)
{
    uint32_t sites[CLSA_INDEX_SITES_MOST], count = 0;
    clsa_error error;
    if (o->sites && strcmp(o->sites, "auto") != 0)
        CLI_TRY(parse_sites(o->sites, sites, &count));
    const clsa_index_train_options options = {.sites = count > 0 ? sites : NULL,
                                              .site_count = count,
                                              .heads = (uint32_t)o->heads,
                                              .key_size = (uint32_t)o->key_size,
                                              .rows = (uint32_t)o->rows,
                                              .context =
                                                  (uint32_t)o->common.context,
                                              .steps = o->steps,
                                              .hours = o->hours,
                                              .seed = o->seed,
                                              .on_progress = tell,
                                              .is_stopped = is_stopped,
                                              .user = o};
    if (clsa_index_train(model, ids->ids, ids->count, o->output, &options,
                         &error))
        return cli_fail_option(&error);
    cli_info("wrote %s", o->output);
    return CLI_DONE;
}

/* The side file that is there is the model's: sites come from it. */
static int train_files(struct train_options *o, int more, char **files)
{
    struct cli_ids ids = {.ids = NULL};
    clsa_model *model = NULL;
    if (!o->common.index && access(o->output, F_OK) == 0)
        o->common.index = o->output;
    CLI_TRY(cli_output_check(o->output));
    int status = cli_model_open(&o->common, &model);
    if (!status)
        status = cli_index_read(model, &o->texts, more, files, &ids);
    if (!status)
        status = train_model(o, model, &ids);
    free(ids.ids);
    clsa_model_close(model);
    return status;
}

static int train_arguments(struct train_options *o, int argc, char **argv)
{
    const struct cli_command *self = &cli_command_index_train;
    char *beside = NULL;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, o, &first));
    if (first == 0)
        return CLI_DONE;
    CLI_TRY(
        cli_index_operands(self, &o->common, &o->texts, argc, argv, &first));
    if (!o->output)
        o->output = beside = clsa_index_beside(cli_model_path(&o->common));
    int status = o->output ? train_files(o, argc - first, argv + first)
                           : cli_fail_memory();
    clsa_free(beside);
    return status;
}

static int train_run(int argc, char **argv)
{
    struct train_options options = {.common = CLI_COMMON_INIT};
    int status = train_arguments(&options, argc, argv);
    cli_texts_free(&options.texts);
    return status;
}

const struct cli_command cli_command_index_train = {
    .name = "index train",
    .usage = "MODEL --text FILE...",
    .summary = "Train an index for a model that has none.",
    .operands = true,
    .groups = CLI_GROUP_MODEL,
    .options = train_table,
    .run = train_run};
