/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench model: a model file of random weights, with the keys and tensors of an
 * ordinary model, for measurements of programs that read files.
 */
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "src/cli/bench/bench.h"
#include "src/cli/bench/shape.h"
#include "src/cli/commands.h"
#include "src/cli/files.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

struct model_options {
    struct cli_common common;
    const char *shape, *output;
    int type;
};

static const struct cli_option model_table[] = {
    {.kind = CLI_TEXT,
     .name = "shape",
     .argument = "SHAPE",
     .help = "an ordinary model: llama-3.2-1b, ...",
     .offset = offsetof(struct model_options, shape)},
    {.kind = CLI_WEIGHTS,
     .name = "type",
     .argument = CLI_TYPES_AND_MIXES,
     .help = "type or mix of its matrices; default: q8_0",
     .offset = offsetof(struct model_options, type)},
    {.kind = CLI_FILE,
     .letter = 'o',
     .name = "output",
     .argument = "FILE",
     .help = "the model file",
     .offset = offsetof(struct model_options, output)},
    {.kind = CLI_SIZE,
     .letter = 't',
     .name = "threads",
     .argument = "N",
     .help = "threads; default: one per physical core",
     .offset = offsetof(struct model_options, common.threads),
     .min = 1,
     .max = 1024},
    {0}};

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    bool *started = user;
    if (!*started)
        cli_progress_start("making", "weights", total);
    *started = true;
    cli_progress_update(done);
    return cli_interrupt_seen();
}

static int report(const struct model_options *options)
{
    struct stat st = {.st_size = 0};
    stat(options->output, &st);
    if (options->common.json)
        return cli_json_print(json_pack(
            "[{so so sI}]", "file", cli_json_text(options->output), "shape",
            cli_json_text(options->shape), "size", (json_int_t)st.st_size));
    printf("%s: %lld bytes\n", options->output, (long long)st.st_size);
    return CLI_DONE;
}

static int bench_model_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_bench_model;
    struct model_options options = {.common = CLI_COMMON_INIT,
                                    .type = CLSA_TYPE_Q8_0};
    clsa_write_options how;
    clsa_error error;
    bool started = false;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    if (!options.shape || !options.output)
        return cli_usage(self, "give a model with --shape, a file with -o");
    CLI_TRY(cli_output_check(options.output));
    clsa_write_options_init(&how);
    how.type = options.type;
    how.threads = (uint32_t)options.common.threads;
    how.on_progress = on_progress;
    how.user = &started;
    const clsa_status status =
        clsa_write_random(options.shape, options.output, &how, &error);
    cli_progress_end();
    return status == CLSA_OK ? report(&options) : cli_fail_option(&error);
}

const struct cli_command cli_command_bench_model = {
    .name = "bench model",
    .usage = "--shape SHAPE -o FILE",
    .summary = "Write a model file of random weights.",
    .options = model_table,
    .run = bench_model_run};
