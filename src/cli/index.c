/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index: the group of commands that train and measure indexes of ordinary
 * models, and what they share: texts as tokens.
 */
#include "src/cli/index.h"
#include "src/cli/commands.h"
#include "src/cli/message.h"

int cli_index_operands(const struct cli_command *self,
                       struct cli_common *common, const struct cli_texts *texts,
                       int argc, char **argv, int *first)
{
    if (!common->model && *first < argc)
        common->model = argv[(*first)++];
    if (texts->count == 0)
        return cli_usage(self, "give a text with --text FILE");
    return cli_operands_check(self, argc - *first, argv + *first);
}

int cli_index_read(const clsa_model *model, const struct cli_texts *texts,
                   int more, char **files, struct cli_ids *ids)
{
    for (size_t i = 0; i < texts->count; i++)
        CLI_TRY(cli_tokenize_file(model, texts->values[i],
                                  CLSA_TOKENIZE_SPECIAL, ids));
    for (int i = 0; i < more; i++)
        CLI_TRY(cli_tokenize_file(model, files[i], CLSA_TOKENIZE_SPECIAL, ids));
    return CLI_DONE;
}

static const struct cli_command *const kinds[] = {
    &cli_command_index_train, &cli_command_index_test, NULL};

static int index_run(int argc, char **argv)
{
    return cli_commands_run(kinds, "clsa index", cli_command_index.summary,
                            argc, argv);
}

const struct cli_command cli_command_index = {
    .name = "index",
    .summary = "Train and measure indexes of ordinary models.",
    .run = index_run,
    .commands = kinds};
