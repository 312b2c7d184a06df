/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion: walks over the words before the last one as getopt_long would,
 * and prints what fits behind them. Wrong words are passed over: what is wrong
 * with them is for the command to say.
 */
#include <stdio.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/completion.h"
#include "src/cli/message.h"

/* Arguments that are words without being a list of choices. */
static const struct {
    const char *argument, *words;
} known_words[] = {{"POLICY", "clsa|clsa:|dense|window:|sink:"},
                   {"SHAPE", "tiny|1b|3b"},
                   {"TYPE", CLI_WEIGHT_TYPES}};

static const struct cli_option *find_long(const struct cli_option_list *list,
                                          const char *name, size_t size)
{
    size_t i;

    for (i = 0; i < list->count; i++)
        if (strlen(list->all[i]->name) == size &&
            memcmp(list->all[i]->name, name, size) == 0)
            return list->all[i];
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_option_list *list,
                                            char letter)
{
    size_t i;

    for (i = 0; i < list->count; i++)
        if (list->all[i]->letter == letter)
            return list->all[i];
    return NULL;
}

/* The option whose argument is the word behind this one, or NULL. */
static const struct cli_option *takes_next(const struct cli_option_list *list,
                                           const char *word)
{
    const struct cli_option *option;

    if (word[0] != '-' || word[1] == '\0')
        return NULL;
    if (word[1] == '-') {
        option = find_long(list, word + 2, strlen(word + 2));
        return option != NULL && option->argument != NULL ? option : NULL;
    }
    for (word++; *word != '\0'; word++) {
        option = find_letter(list, *word);
        if (option == NULL || option->argument != NULL)
            return option != NULL && word[1] == '\0' ? option : NULL;
    }
    return NULL;
}

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

/* The words of "a|b|C" but for those in capitals, which stand for others. */
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

/* The values of an option. `prefix` is what stands before them in the word. */
static void print_values(const struct cli_option *option, const char *start,
                         const char *prefix)
{
    const char *const *level = clsa_simd_levels();
    size_t i;

    if (option->kind == CLI_FILE) {
        print_file();
        return;
    }
    if (strcmp(option->argument, "LEVEL") == 0)
        for (; *level != NULL; level++)
            print_word(start, *level, strlen(*level), prefix, option->help);
    else if (strchr(option->argument, '|') != NULL)
        print_choices(start, option->argument, prefix, option->help);
    for (i = 0; i < sizeof known_words / sizeof known_words[0]; i++)
        if (strcmp(option->argument, known_words[i].argument) == 0)
            print_choices(start, known_words[i].words, prefix, option->help);
}

static void print_options(const struct cli_option_list *list, const char *start)
{
    char word[80];
    size_t i;

    for (i = 0; i < list->count; i++) {
        int size = snprintf(word, sizeof word, "--%s", list->all[i]->name);

        print_word(start, word, (size_t)size, "", list->all[i]->help);
    }
}

static void print_commands(const struct cli_command *const *commands,
                           const char *start)
{
    for (; *commands != NULL; commands++) {
        const char *space = strrchr((*commands)->name, ' ');
        const char *name = space != NULL ? space + 1 : (*commands)->name;

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
    int i, operands = 0;

    cli_options_collect(&list, command);
    for (i = 0; i < count - 1; i++) {
        if (pending != NULL && strcmp(words[i], "=") == 0)
            continue;
        operands |= pending == NULL && strcmp(words[i], "--") == 0;
        pending =
            pending != NULL || operands ? NULL : takes_next(&list, words[i]);
    }
    if (pending != NULL) {
        print_values(pending, strcmp(last, "=") == 0 ? "" : last, "");
    } else if (!operands && strncmp(last, "--", 2) == 0 && equals != NULL) {
        pending = find_long(&list, last + 2, (size_t)(equals - last) - 2);
        *equals = '\0';
        if (pending != NULL && pending->argument != NULL) {
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

        if (command == NULL)
            return CLI_DONE;
        count--;
        words++;
        if (command->commands == NULL) {
            complete_command(command, count, words);
            return CLI_DONE;
        }
        commands = command->commands;
    }
    if (count == 1)
        print_commands(commands, words[0]);
    return CLI_DONE;
}
