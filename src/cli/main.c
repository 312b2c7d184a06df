/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clsa: the program. Finds the command, runs it, and sees at the end that all
 * of its output has arrived.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/completion.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

static const struct cli_command *const commands[] = {
    &cli_command_run,      &cli_command_tokenize, &cli_command_detokenize,
    &cli_command_eval,     &cli_command_info,     &cli_command_convert,
    &cli_command_quantize, &cli_command_bench,    NULL};

static void help(const struct cli_command *const *list, const char *prefix,
                 const char *about)
{
    printf("usage: %s COMMAND [options]\n\n%s\n\nCommands:\n", prefix, about);
    for (; *list != NULL; list++) {
        const char *space = strrchr((*list)->name, ' ');

        printf("  %-12s %s\n", space != NULL ? space + 1 : (*list)->name,
               (*list)->summary);
    }
    printf("\n%s COMMAND --help lists the options of a command.\n", prefix);
}

const struct cli_command *
cli_command_find(const struct cli_command *const *list, const char *name)
{
    for (; *list != NULL; list++) {
        const char *space = strrchr((*list)->name, ' ');

        if (strcmp(space != NULL ? space + 1 : (*list)->name, name) == 0)
            return *list;
    }
    return NULL;
}

int cli_commands_run(const struct cli_command *const *list, const char *prefix,
                     const char *about, int argc, char **argv)
{
    const struct cli_command *command;
    const char *name = argc > 1 ? argv[1] : NULL;

    if (name == NULL) {
        fprintf(stderr, "%s: a command is missing; see %s --help\n", prefix,
                prefix);
        return CLI_USAGE;
    }
    command = cli_command_find(list, name);
    if (command != NULL)
        return command->run(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help(list, prefix, about);
        return CLI_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        cli_options_version();
        return CLI_DONE;
    }
    fprintf(stderr, "%s: unknown command %s; see %s --help\n", prefix, name,
            prefix);
    return CLI_USAGE;
}

/* A file must not get the number of a standard stream that was closed, or
   messages would end up in it. Opened the wrong way round, reading and writing
   fail as with a closed one. Returns 0 where that cannot be had. */
static int hold_streams(void)
{
    int fd;

    for (fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return 0;
    return 1;
}

int main(int argc, char **argv)
{
    if (!hold_streams())
        return CLI_FAILED;
    cli_interrupt_install();
    if (argc > 1 && strcmp(argv[1], "--complete") == 0)
        return cli_output_finish(cli_complete(commands, argc - 2, argv + 2));
    return cli_output_finish(cli_commands_run(
        commands, "clsa",
        "Inference for YOCO models with cross-layer sparse attention.", argc,
        argv));
}
