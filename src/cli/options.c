/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: parsing and --help from the tables. The tables of a command are
 * its own, the tables of the shared groups it names, and the general one, in
 * this order; an option's number is its place in that sequence.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/habits.h"
#include "src/cli/message.h"
#include "src/cli/options.h"

enum {
    FIRST_CODE = 256, /* getopt code of option 0: above all letters */
    HELP_COLUMN = 26
};

#define COMMON(member) offsetof(struct cli_common, member)

static const struct cli_option model_options[] = {
    {.kind = CLI_FILE,
     .letter = 'm',
     .name = "model",
     .argument = "FILE",
     .help = "model file; default: $CLSA_MODEL or the installed one",
     .offset = COMMON(model)},
    {.kind = CLI_FILE,
     .name = "index",
     .argument = "FILE|none",
     .help = "side file of indexes; default: x.clsa.gguf of x.gguf",
     .offset = COMMON(index)},
    {.kind = CLI_TEXT,
     .name = "numa",
     .argument = "auto|off|NODES",
     .help = "memory nodes to use, for example 0,2-3",
     .offset = COMMON(numa)},
    {.kind = CLI_SIZE,
     .name = "memory-limit",
     .argument = "SIZE",
     .help = "most memory to use; default: of machine or cgroup",
     .offset = COMMON(memory_limit),
     .min = 1,
     .max = UINT64_MAX},
    {0}};

static const struct cli_option threads_options[] = {
    {.kind = CLI_SIZE,
     .letter = 't',
     .name = "threads",
     .argument = "N",
     .help = "threads; default: one per core, within the quota",
     .offset = COMMON(threads),
     .min = 1,
     .max = 1024},
    {.kind = CLI_TEXT,
     .name = "simd",
     .argument = "LEVEL",
     .help = "kernels to use, see clsa info; default: the best",
     .offset = COMMON(simd)},
    {0}};

static const struct cli_option session_options[] = {
    {.kind = CLI_SIZE,
     .letter = 'c',
     .name = "context",
     .argument = "N",
     .help = "tokens that fit; default: what the command needs",
     .offset = COMMON(context),
     .max = (uint64_t)1 << 31},
    {.kind = CLI_TEXT,
     .name = "attention",
     .argument = "POLICY",
     .help = "clsa, clsa:K, dense or another policy of clsa(7)",
     .offset = COMMON(attention)},
    {.kind = CLI_TYPE,
     .name = "kv-type",
     .argument = "f32|f16|bf16|q8_0",
     .help = "type of the cached keys and values; default: bf16",
     .offset = COMMON(kv_type)},
    {.kind = CLI_TYPE,
     .name = "index-type",
     .argument = "f32|bf16|i8",
     .help = "type of the cached index keys; default: i8",
     .offset = COMMON(index_type)},
    {.kind = CLI_CHOICE,
     .name = "prefill",
     .argument = "auto|native|own|f32|bf16|int8",
     .help = "backend for prompts; default: auto",
     .offset = COMMON(prefill)},
    {.kind = CLI_CHOICE,
     .name = "prompt-attention",
     .argument = "dense|policy",
     .help = "rows that prompts read; default: dense",
     .offset = COMMON(prompt_attention)},
    {.kind = CLI_SIZE,
     .name = "prefill-memory",
     .argument = "BYTES",
     .help = "memory for converted weights; default: 512M",
     .offset = COMMON(prefill_memory),
     .max = (uint64_t)1 << 40},
    {0}};

static const struct cli_option general_options[] = {
    {.kind = CLI_FLAG,
     .name = "json",
     .help = "print one JSON document instead of text",
     .offset = COMMON(json)},
    {.kind = CLI_FLAG,
     .letter = 'q',
     .name = "quiet",
     .help = "print failures only",
     .offset = COMMON(quiet)},
    {.kind = CLI_FLAG,
     .letter = 'v',
     .name = "verbose",
     .help = "print details on standard error",
     .offset = COMMON(verbose)},
    {.kind = CLI_HELP,
     .letter = 'h',
     .name = "help",
     .help = "print this help"},
    {.kind = CLI_VERSION, .name = "version", .help = "print the version"},
    {0}};

/* An option of a command takes the place of a shared one of its name. */
static void list_add(struct cli_option_list *list,
                     const struct cli_option *table)
{
    for (; table->kind != CLI_END && list->count < CLI_MAX_OPTIONS; table++)
        if (!cli_options_find(list, table->name, strlen(table->name)))
            list->all[list->count++] = table;
}

void cli_options_collect(struct cli_option_list *list,
                         const struct cli_command *command)
{
    list->count = 0;
    if (command->shared)
        list_add(list, command->shared);
    if (command->options)
        list_add(list, command->options);
    list->own = list->count;
    if (command->groups & CLI_GROUP_MODEL)
        list_add(list, model_options);
    if (command->groups & (CLI_GROUP_MODEL | CLI_GROUP_THREADS))
        list_add(list, threads_options);
    if (command->groups & CLI_GROUP_SESSION)
        list_add(list, session_options);
    list_add(list, general_options);
}

const struct cli_option *cli_options_find(const struct cli_option_list *list,
                                          const char *name, size_t size)
{
    for (size_t i = 0; i < list->count; i++)
        if (strlen(list->all[i]->name) == size &&
            memcmp(list->all[i]->name, name, size) == 0)
            return list->all[i];
    return NULL;
}

const struct cli_option *cli_options_letter(const struct cli_option_list *list,
                                            int letter)
{
    for (size_t i = 0; i < list->count && letter != 0; i++)
        if (list->all[i]->letter == letter)
            return list->all[i];
    return NULL;
}

const struct cli_option *cli_options_pending(const struct cli_option_list *list,
                                             const char *word)
{
    if (word[0] != '-' || word[1] == '\0')
        return NULL;
    const struct cli_option *option;
    if (word[1] == '-') {
        option = cli_options_find(list, word + 2, strlen(word + 2));
        return option && option->argument ? option : NULL;
    }
    for (word++; *word != '\0'; word++) {
        option = cli_options_letter(list, *word);
        if (!option || option->argument)
            return option && word[1] == '\0' ? option : NULL;
    }
    return NULL;
}

int cli_usage(const struct cli_command *command, const char *format, ...)
{
    fprintf(stderr, "clsa %s: ", command->name);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "; see clsa %s --help\n", command->name);
    return CLI_USAGE;
}

int cli_operands_check(const struct cli_command *command, int count,
                       char **operands)
{
    for (int i = 0; i < count; i++)
        if (operands[i][0] == '\0')
            return cli_usage(command, "a file name is empty");
    return CLI_DONE;
}

/* ------------------------------------------------------------------- help */

static void help_option(const struct cli_option *option)
{
    char left[64];
    int used = snprintf(
        left, sizeof left, "  %c%c%s --%s%s%s", option->letter ? '-' : ' ',
        option->letter ? option->letter : ' ', option->letter ? "," : " ",
        option->name, option->argument ? " " : "",
        option->argument ? option->argument : "");
    if (used >= HELP_COLUMN)
        printf("%s\n%*s%s\n", left, HELP_COLUMN, "", option->help);
    else
        printf("%-*s%s\n", HELP_COLUMN, left, option->help);
}

void cli_options_help(const struct cli_command *command)
{
    printf("usage: clsa %s [options]%s%s\n\n%s\n\n", command->name,
           command->usage[0] != '\0' ? " " : "", command->usage,
           command->summary);
    struct cli_option_list list;
    cli_options_collect(&list, command);
    for (size_t i = 0; i < list.count; i++) {
        if (i == list.own)
            printf("%sCommon options:\n", i > 0 ? "\n" : "");
        help_option(list.all[i]);
    }
    if (command->more)
        printf("\n%s", command->more);
}

void cli_options_version(void)
{
    printf("clsa %s\n", clsa_version());
}

/* ---------------------------------------------------------------- parsing */

/* The word of "a|b|c" that is `text`, in any case where `fold`, or NULL. */
static const char *choice_find(const char *choices, const char *text, bool fold)
{
    size_t size = strlen(text);
    const char *word = choices;
    while (size > 0) {
        size_t length = strcspn(word, "|");
        if (length == size && (fold ? strncasecmp(word, text, size)
                                    : strncmp(word, text, size)) == 0)
            return word;
        if (word[length] == '\0')
            break;
        word += length + 1;
    }
    return NULL;
}

bool cli_parse_type(const char *text, const char *choices, clsa_type *type)
{
    return choice_find(choices, text, true) &&
           clsa_type_parse(text, type, NULL) == CLSA_OK;
}

bool cli_parse_mix(const char *text, int *mix)
{
    static const struct {
        const char *name;
        clsa_mix mix;
    } mixes[] = {
        {"q2_k", CLSA_MIX_Q2_K},     {"q3_k_s", CLSA_MIX_Q3_K_S},
        {"q3_k_m", CLSA_MIX_Q3_K_M}, {"q3_k_l", CLSA_MIX_Q3_K_L},
        {"q4_k_s", CLSA_MIX_Q4_K_S}, {"q4_k_m", CLSA_MIX_Q4_K_M},
        {"q5_k_s", CLSA_MIX_Q5_K_S}, {"q5_k_m", CLSA_MIX_Q5_K_M},
        {"iq4_nl", CLSA_MIX_IQ4_NL}, {"iq4_xs", CLSA_MIX_IQ4_XS},
    };
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++)
        if (strcasecmp(mixes[i].name, text) == 0) {
            *mix = (int)mixes[i].mix;
            return true;
        }
    return false;
}

static int texts_add(struct cli_texts *texts, const char *value)
{
    const char **grown =
        realloc(texts->values, (texts->count + 1) * sizeof *texts->values);
    if (!grown)
        return cli_fail_memory();
    texts->values = grown;
    texts->values[texts->count++] = value;
    return CLI_DONE;
}

void cli_texts_free(struct cli_texts *texts)
{
    free(texts->values);
    texts->values = NULL;
    texts->count = 0;
}

static int store_size(const struct cli_command *command,
                      const struct cli_option *option, const char *text,
                      uint64_t *place)
{
    if (option->minus_one && strcmp(text, "-1") == 0) {
        *place = UINT64_MAX;
        return CLI_DONE;
    }
    if (cli_parse_size(text, option->min, option->max, place))
        return CLI_DONE;
    return cli_usage(command,
                     "--%s: '%s' is not a number from %" PRIu64 " to %" PRIu64,
                     option->name, text, option->min, option->max);
}

static int store_type(const struct cli_command *command,
                      const struct cli_option *option, const char *text,
                      clsa_type *place)
{
    if (cli_parse_type(text, option->argument, place))
        return CLI_DONE;
    return cli_usage(command, "--%s: '%s' is not one of %s", option->name, text,
                     option->argument);
}

static int store_weights(const struct cli_command *command,
                         const struct cli_option *option, const char *text,
                         int *place)
{
    clsa_type type;
    if (!choice_find(CLI_WEIGHT_TYPES, text, true) &&
        cli_parse_mix(text, place))
        return CLI_DONE;
    CLI_TRY(store_type(command, option, text, &type));
    *place = (int)type;
    return CLI_DONE;
}

int cli_options_set(const struct cli_command *command,
                    const struct cli_option *option, const char *text,
                    void *options)
{
    void *place = (char *)options + option->offset;
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)place = true;
        return CLI_DONE;
    case CLI_TEXTS:
        if (text[0] == '\0')
            return cli_usage(command, "--%s: the text is empty", option->name);
        return texts_add(place, text);
    case CLI_FILE:
    case CLI_FILES:
        if (text[0] == '\0')
            return cli_usage(command, "--%s: needs a file name", option->name);
        if (option->kind == CLI_FILES)
            return texts_add(place, text);
        *(const char **)place = text;
        return CLI_DONE;
    case CLI_CHOICE:
        if (!choice_find(option->argument, text, false))
            return cli_usage(command, "--%s: '%s' is not one of %s",
                             option->name, text, option->argument);
        *(const char **)place = text;
        return CLI_DONE;
    case CLI_TYPE:
        return store_type(command, option, text, place);
    case CLI_WEIGHTS:
        return store_weights(command, option, text, place);
    case CLI_SIZE:
        return store_size(command, option, text, place);
    case CLI_REAL:
        if (!cli_parse_real(text, option->low, option->high, place))
            return cli_usage(command,
                             "--%s: '%s' is not a number from %g to %g",
                             option->name, text, option->low, option->high);
        return CLI_DONE;
    default:
        *(const char **)place = text;
        return CLI_DONE;
    }
}

/* The tables in the form of getopt_long. */
static void getopt_tables(const struct cli_option_list *list,
                          struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (size_t i = 0; i < list->count; i++) {
        const struct cli_option *option = list->all[i];
        longs[i].name = option->name;
        longs[i].has_arg = option->argument ? required_argument : no_argument;
        longs[i].flag = NULL;
        longs[i].val = FIRST_CODE + (int)i;
        if (option->letter) {
            *shorts++ = option->letter;
            if (option->argument)
                *shorts++ = ':';
        }
    }
    *cli_habits_table(list, FIRST_CODE, longs + list->count) =
        (struct option){.name = NULL};
    *shorts = '\0';
}

/* The option that getopt_long means by a code, or NULL. */
static const struct cli_option *list_find(const struct cli_option_list *list,
                                          int code)
{
    if (code >= CLI_HABIT_CODE)
        return NULL;
    if (code >= FIRST_CODE)
        return list->all[code - FIRST_CODE];
    return cli_options_letter(list, code);
}

/* What getopt_long complains about. */
static int parse_refused(const struct cli_command *command,
                         const struct cli_option_list *list, int code,
                         char **argv)
{
    const struct cli_option *option = list_find(list, optopt);
    if (option && code == ':')
        return cli_usage(command, "--%s: needs %s", option->name,
                         option->argument);
    if (option)
        return cli_usage(command, "--%s: takes no argument", option->name);
    if (optopt >= CLI_HABIT_CODE)
        return cli_usage(command, "%s: needs an argument", argv[optind - 1]);
    if (optopt != 0)
        return cli_usage(command, "unknown option -%c", optopt);
    return cli_usage(command, "unknown option %s", argv[optind - 1]);
}

static void level_from(const struct cli_common *common)
{
    cli_message_set_level(common->quiet ? -1 : common->verbose);
}

int cli_options_parse(const struct cli_command *command, int argc, char **argv,
                      void *options, int *first)
{
    struct cli_option_list list;
    cli_options_collect(&list, command);
    struct option longs[CLI_MAX_OPTIONS + CLI_HABITS_MAX + 1];
    char shorts[2 * CLI_MAX_OPTIONS + 2];
    cli_habits_rewrite(&list, argc, argv);
    getopt_tables(&list, longs, shorts);
    opterr = 0;
    optind = 1;
    int code;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (code >= CLI_HABIT_CODE) {
            cli_habits_meet(code);
            continue;
        }
        const struct cli_option *option = list_find(&list, code);
        if (!option)
            return parse_refused(command, &list, code, argv);
        *first = 0;
        if (option->kind == CLI_HELP || option->kind == CLI_VERSION) {
            if (option->kind == CLI_HELP)
                cli_options_help(command);
            else
                cli_options_version();
            return CLI_DONE;
        }
        CLI_TRY(cli_options_set(command, option, optarg, options));
    }
    if (!command->operands && optind < argc)
        return cli_usage(command, "unexpected argument '%s'", argv[optind]);
    *first = optind;
    level_from(options);
    cli_habits_tell();
    return CLI_DONE;
}
