/* SPDX-License-Identifier: Apache-2.0 */
/* convert: a model folder to a model file. */
#include <stdio.h>

#include "src/cli/commands.h"
#include "src/cli/message.h"
#include "src/cli/writing.h"

struct convert_options {
    struct cli_common common;
    const char *output;
    struct cli_writing writing;
};

static const struct cli_option convert_table[] = {
    {.kind = CLI_FILE,
     .letter = 'o',
     .name = "output",
     .argument = "FILE",
     .help = "the model file to write",
     .offset = offsetof(struct convert_options, output)},
    {.kind = CLI_TEXT,
     .name = "type",
     .argument = "TYPE",
     .help = "type of the matrices; default: unchanged",
     .offset = offsetof(struct convert_options, writing.type)},
    CLI_WRITING_OPTIONS(struct convert_options),
    {0}};

static int convert_arguments(struct convert_options *options, int argc,
                             char **argv)
{
    const struct cli_command *self = &cli_command_convert;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, options, &first));
    if (first == 0)
        return CLI_DONE;
    if (argc - first != 1 || !options->output)
        return cli_usage(self, "give one DIR, and -o FILE");
    CLI_TRY(cli_operands_check(self, 1, argv + first));
    return cli_writing_run(&options->writing, &options->common, clsa_convert,
                           argv[first], options->output);
}

static int convert_run(int argc, char **argv)
{
    struct convert_options options = {.common = CLI_COMMON_INIT};
    int status = convert_arguments(&options, argc, argv);
    cli_texts_free(&options.writing.keep);
    return status;
}

const struct cli_command cli_command_convert = {
    .name = "convert",
    .usage = "DIR -o FILE",
    .operands = 1,
    .summary = "Make a model file from a folder with safetensors.",
    .options = convert_table,
    .run = convert_run};
