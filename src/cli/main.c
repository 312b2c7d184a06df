/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clsa: the program. Finds the command, runs it, and sees at the end that all
 * of its output has arrived.
 */
#include <stdio.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/completion.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"
#include "src/cli/streams.h"

static const struct cli_command *const commands[] = {
    &cli_command_run,       &cli_command_chat,
    &cli_command_serve,     &cli_command_chat_template,
    &cli_command_tokenize,  &cli_command_detokenize,
    &cli_command_eval,      &cli_command_info,
    &cli_command_convert,   &cli_command_quantize,
    &cli_command_calibrate, &cli_command_index,
    &cli_command_bench,     NULL};

static void help(const struct cli_command *const *list, const char *prefix,
                 const char *about)
{
    printf("usage: %s COMMAND [options]\n\n%s\n\nCommands:\n", prefix, about);
    for (; *list; list++) {
        const char *space = strrchr((*list)->name, ' ');
        printf("  %-13s %s\n", space ? space + 1 : (*list)->name,
               (*list)->summary);
    }
    printf("\n%s COMMAND --help lists the options of a command.\n", prefix);
}

const struct cli_command *
cli_command_find(const struct cli_command *const *list, const char *name)
{
    for (; *list; list++) {
        const char *space = strrchr((*list)->name, ' ');
        if (strcmp(space ? space + 1 : (*list)->name, name) == 0)
            return *list;
    }
    return NULL;
}

/* "help A B" becomes "A B --help". */
static void turn_help(int argc, char **argv)
{
    static char option[] = "--help";
    memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof *argv);
    argv[argc - 1] = option;
}

int cli_commands_run(const struct cli_command *const *list, const char *prefix,
                     const char *about, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        fprintf(stderr, "%s: a command is missing; see %s --help\n", prefix,
                prefix);
        return CLI_USAGE;
    }
    if (strcmp(name, "help") == 0) {
        turn_help(argc, argv);
        name = argv[1];
    }
    const struct cli_command *command = cli_command_find(list, name);
    if (command)
        return command->run(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help(list, prefix, about);
        return CLI_DONE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        cli_options_version();
        return CLI_DONE;
    }
    fprintf(stderr, "%s: unknown command %s; see %s --help\n", prefix, name,
            prefix);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    if (!cli_streams_prepare())
        return CLI_FAILED;
    cli_signals_install();
    if (argc > 1 && strcmp(argv[1], "--complete") == 0)
        return cli_output_finish(cli_complete(commands, argc - 2, argv + 2));
    return cli_output_finish(cli_commands_run(
        commands, "clsa",
        "Inference with cross-layer sparse attention on CPUs.", argc, argv));
}
