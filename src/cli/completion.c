/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion: walks over the words before the last one as getopt_long would,
 * and prints what fits after them. Wrong words are passed over: what is wrong
 * with them is for the command to say.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "clsa_bench.h"
#include "src/cli/commands.h"
#include "src/cli/completion.h"
#include "src/cli/message.h"

/* Arguments that are words without being a list of choices. */
static const struct {
    const char *argument, *words;
} known_words[] = {{"SHAPE", "tiny|1b|3b"}, {"TYPE", CLI_WEIGHT_TYPES}};

/* A candidate, where it goes on from what is there. */
static void print_word(const char *start, const char *word, size_t size,
                       const char *prefix, const char *about)
{
    size_t typed = strlen(start);
    if (typed <= size && memcmp(word, start, typed) == 0)
        printf("%s%.*s\t%s\n", prefix, (int)size, word, about);
}

static void print_file(void)
{
    printf("\tFILE\n");
}

/* The words of "a|b|C", except words in capitals, which stand for others. */
static void print_choices(const char *start, const char *choices,
                          const char *prefix, const char *about)
{
    for (;;) {
        size_t size = strcspn(choices, "|,");
        if (size > 0 && (choices[0] < 'A' || choices[0] > 'Z'))
            print_word(start, choices, size, prefix, about);
        choices += size;
        if (*choices == '\0')
            break;
        choices++;
    }
}

static void print_shapes(const char *start, const char *prefix,
                         const char *about)
{
    const char *name;
    for (size_t i = 0; (name = clsa_shape_name(i)); i++)
        print_word(start, name, strlen(name), prefix, about);
}

/* The values of an option. `prefix` is what stands before them in the word. */
static void print_values(const struct cli_option *option, const char *start,
                         const char *prefix)
{
    const char *const *level = clsa_simd_levels();
    const char *const *policy = clsa_attention_policies();
    if (option->kind == CLI_FILE || option->kind == CLI_FILES) {
        print_file();
        return;
    }
    if (strcmp(option->argument, "POLICY") == 0)
        for (; *policy != NULL; policy++)
            print_word(start, *policy,
                       strcspn(*policy, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), prefix,
                       option->help);
    if (strcmp(option->argument, "SHAPE") == 0)
        print_shapes(start, prefix, option->help);
    if (strcmp(option->argument, "LEVEL") == 0)
        for (; *level; level++)
            print_word(start, *level, strlen(*level), prefix, option->help);
    else if (strchr(option->argument, '|'))
        print_choices(start, option->argument, prefix, option->help);
    for (size_t i = 0; i < sizeof known_words / sizeof known_words[0]; i++)
        if (strcmp(option->argument, known_words[i].argument) == 0)
            print_choices(start, known_words[i].words, prefix, option->help);
}

static void print_options(const struct cli_option_list *list, const char *start)
{
    char word[80];
    for (size_t i = 0; i < list->count; i++) {
        int size = snprintf(word, sizeof word, "--%s", list->all[i]->name);
        print_word(start, word, (size_t)size, "", list->all[i]->help);
    }
}

static void print_commands(const struct cli_command *const *commands,
                           const char *start)
{
    for (; *commands; commands++) {
        const char *space = strrchr((*commands)->name, ' ');
        const char *name = space ? space + 1 : (*commands)->name;
        print_word(start, name, strlen(name), "", (*commands)->summary);
    }
    print_word(start, "--help", 6, "", "print the commands");
    print_word(start, "--version", 9, "", "print the version");
}

/* The last of the words of a command, all of which follow its name. */
static void complete_command(const struct cli_command *command, int count,
                             char **words)
{
    const struct cli_option *pending = NULL;
    struct cli_option_list list;
    char *last = words[count - 1], *equals = strchr(last, '=');
    bool operands = false;
    cli_options_collect(&list, command);
    for (int i = 0; i < count - 1; i++) {
        if (pending && strcmp(words[i], "=") == 0)
            continue;
        operands |= !pending && strcmp(words[i], "--") == 0;
        pending =
            pending || operands ? NULL : cli_options_pending(&list, words[i]);
    }
    if (pending) {
        print_values(pending, strcmp(last, "=") == 0 ? "" : last, "");
    } else if (!operands && strncmp(last, "--", 2) == 0 && equals) {
        pending =
            cli_options_find(&list, last + 2, (size_t)(equals - last) - 2);
        *equals = '\0';
        if (pending && pending->argument) {
            char prefix[80];
            snprintf(prefix, sizeof prefix, "%s=", last);
            print_values(pending, equals + 1, prefix);
        }
    } else if (!operands && last[0] == '-') {
        print_options(&list, last);
    } else {
        print_file();
    }
}

int cli_complete(const struct cli_command *const *commands, int count,
                 char **words)
{
    while (count > 1) {
        const struct cli_command *command =
            cli_command_find(commands, words[0]);
        if (!command)
            return CLI_DONE;
        count--;
        words++;
        if (!command->commands) {
            complete_command(command, count, words);
            return CLI_DONE;
        }
        commands = command->commands;
    }
    if (count == 1)
        print_commands(commands, words[0]);
    return CLI_DONE;
}
