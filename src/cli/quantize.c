/* SPDX-License-Identifier: Apache-2.0 */
/* quantize: a model file with other types of its tensors. */
#include <stdio.h>

#include "src/cli/commands.h"
#include "src/cli/message.h"
#include "src/cli/writing.h"

struct quantize_options {
    struct cli_common common;
    struct cli_writing writing;
};

static const struct cli_option quantize_table[] = {
    CLI_WRITING_OPTIONS(struct quantize_options),
    {.kind = CLI_FILE,
     .name = "eval",
     .argument = "TEXT",
     .help = "loss and recall on this text before and after",
     .offset = offsetof(struct quantize_options, writing.eval)},
    {0}};

static int quantize_arguments(struct quantize_options *options, int argc,
                              char **argv)
{
    const struct cli_command *self = &cli_command_quantize;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, options, &first));
    if (first == 0)
        return CLI_DONE;
    if (argc - first != 3)
        return cli_usage(self, "give IN, OUT and TYPE");
    CLI_TRY(cli_operands_check(self, 2, argv + first));
    options->writing.type = argv[first + 2];
    return cli_writing_run(&options->writing, &options->common, clsa_quantize,
                           argv[first], argv[first + 1]);
}

static int quantize_run(int argc, char **argv)
{
    struct quantize_options options = {.common = CLI_COMMON_INIT};
    int status = quantize_arguments(&options, argc, argv);
    cli_texts_free(&options.writing.keep);
    return status;
}

const struct cli_command cli_command_quantize = {
    .name = "quantize",
    .usage = "IN OUT TYPE",
    .operands = true,
    .summary = "Write a model file with other types of tensors.",
    .options = quantize_table,
    .run = quantize_run};
