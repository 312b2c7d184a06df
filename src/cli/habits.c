/* SPDX-License-Identifier: Apache-2.0 */
/* habits: the tables, and how they join the table of getopt_long. */
#include <stdbool.h>
#include <string.h>

#include "src/cli/habits.h"
#include "src/cli/message.h"

/* Other names of options, for the commands that have them. */
static const struct {
    const char *name, *ours;
} names[] = {{"n-predict", "tokens"},
             {"predict", "tokens"},
             {"max-tokens", "tokens"},
             {"ctx-size", "context"},
             {"temperature", "temp"},
             {"repetition-penalty", "repeat-penalty"},
             {"reverse-prompt", "stop"},
             {"sys", "system"},
             {"system-prompt", "system"},
             {"conversation", "chat"},
             {"cnv", "chat"},
             {"chat-template-kwargs", "template-vars"},
             {"cache-type-k", "kv-type"},
             {"cache-type-v", "kv-type"},
             {"ctk", "kv-type"},
             {"ctv", "kv-type"},
             {"V", "version"}};

static const char no_gpu[] = "all layers run on the CPU";
static const char no_batch[] = "prompts are read in blocks of the engine";
static const char no_mapping[] = "weights are mapped from the file";
static const char no_flash[] = "attention never stores the scores of a prompt";

/* Options that have no meaning here. */
static const struct {
    const char *name, *why;
    int argument; /* of getopt_long */
} none[] = {{"ngl", no_gpu, required_argument},
            {"gpu-layers", no_gpu, required_argument},
            {"n-gpu-layers", no_gpu, required_argument},
            {"main-gpu", no_gpu, required_argument},
            {"mg", no_gpu, required_argument},
            {"split-mode", no_gpu, required_argument},
            {"sm", no_gpu, required_argument},
            {"tensor-split", no_gpu, required_argument},
            {"ts", no_gpu, required_argument},
            {"device", no_gpu, required_argument},
            {"dev", no_gpu, required_argument},
            {"no-kv-offload", no_gpu, no_argument},
            {"nkvo", no_gpu, no_argument},
            {"cpu-moe", no_gpu, no_argument},
            {"cmoe", no_gpu, no_argument},
            {"mlock", no_mapping, no_argument},
            {"mmap", no_mapping, no_argument},
            {"no-mmap", no_mapping, no_argument},
            {"fa", no_flash, optional_argument},
            {"flash-attn", no_flash, optional_argument},
            {"batch-size", no_batch, required_argument},
            {"ub", no_batch, required_argument},
            {"ubatch-size", no_batch, required_argument},
            {"threads-batch", "-t is for prompts too", required_argument},
            {"tb", "-t is for prompts too", required_argument},
            {"no-warmup", "there is no warm-up", no_argument},
            {"warmup", "there is no warm-up", no_argument},
            {"log-disable", "-q prints failures only", no_argument},
            {"no-display-prompt", "the prompt is not printed", no_argument},
            {"color", "the output is text alone", optional_argument}};

enum {
    NAMES = sizeof names / sizeof names[0],
    NONE = sizeof none / sizeof none[0]
};
_Static_assert(NAMES + NONE <= CLI_HABITS_MAX, "room in the table of getopt");

static bool met[NONE];

static const struct cli_option *find(const struct cli_option_list *list,
                                     const char *name)
{
    return cli_options_find(list, name, strlen(name));
}

/* "--name" of a habit, for "-name"; NULL for anything else. The texts outlive
   the parse. */
static char *long_form(const char *word)
{
    static char text[8][32];
    static size_t used;
    char *place = text[used % 8];
    bool known = false;
    for (size_t i = 0; i < NAMES && !known; i++)
        known = strcmp(names[i].name, word + 1) == 0;
    for (size_t i = 0; i < NONE && !known; i++)
        known = strcmp(none[i].name, word + 1) == 0;
    if (!known || strlen(word) + 2 > sizeof text[0])
        return NULL;
    used++;
    place[0] = '-';
    strcpy(place + 1, word);
    return place;
}

/* Whether the word after this one is an argument. */
static bool takes_next(const struct cli_option_list *list, const char *word)
{
    const struct cli_option *option = cli_options_pending(list, word);
    if (option || strncmp(word, "--", 2) != 0)
        return option != NULL;
    for (size_t i = 0; i < NAMES && !option; i++)
        if (strcmp(names[i].name, word + 2) == 0)
            option = find(list, names[i].ours);
    for (size_t i = 0; i < NONE && !option; i++)
        if (strcmp(none[i].name, word + 2) == 0)
            return none[i].argument == required_argument;
    return option && option->argument;
}

/* '_' is '-' in the name of a long option. */
static void use_dashes(char *word)
{
    for (word += 2; *word != '\0' && *word != '='; word++)
        if (*word == '_')
            *word = '-';
}

static bool is_switch(const char *word)
{
    return strcmp(word, "on") == 0 || strcmp(word, "off") == 0 ||
           strcmp(word, "auto") == 0;
}

void cli_habits_rewrite(const struct cli_option_list *list, int argc,
                        char **argv)
{
    static char batch[] = "--batch-size", flash[] = "--flash-attn=on";
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        char *word = argv[i];
        if (word[0] != '-')
            continue;
        if (word[1] == '-')
            use_dashes(word);
        else if (strcmp(word, "-b") == 0 && !cli_options_letter(list, 'b'))
            argv[i] = batch;
        else if ((word = long_form(argv[i])))
            argv[i] = word;
        const bool may_switch = strcmp(argv[i], "--fa") == 0 ||
                                strcmp(argv[i], "--flash-attn") == 0;
        if (may_switch && i + 1 < argc && is_switch(argv[i + 1]))
            argv[i] = argv[i + 1] = flash;
        i += takes_next(list, argv[i]);
    }
}

struct option *cli_habits_table(const struct cli_option_list *list, int first,
                                struct option *longs)
{
    for (size_t i = 0; i < NAMES; i++)
        for (size_t k = 0; k < list->count; k++)
            if (strcmp(list->all[k]->name, names[i].ours) == 0)
                *longs++ = (struct option){.name = names[i].name,
                                           .has_arg = list->all[k]->argument
                                                          ? required_argument
                                                          : no_argument,
                                           .val = first + (int)k};
    for (size_t i = 0; i < NONE; i++)
        if (!find(list, none[i].name))
            *longs++ = (struct option){.name = none[i].name,
                                       .has_arg = none[i].argument,
                                       .val = CLI_HABIT_CODE + (int)i};
    return longs;
}

void cli_habits_meet(int code)
{
    met[code - CLI_HABIT_CODE] = true;
}

void cli_habits_tell(void)
{
    for (size_t i = 0; i < NONE; i++)
        if (met[i])
            cli_warning("option --%s has no meaning here: %s", none[i].name,
                        none[i].why);
}
