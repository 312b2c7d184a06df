/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: parsing and --help from the tables. The tables of a command are
 * its own, those of the shared groups it names, and the general one, in this
 * order; an option's number is its place in that sequence.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    {.kind = CLI_TEXT,
     .name = "numa",
     .argument = "auto|off|NODES",
     .help = "memory nodes to use, for example 0,2-3",
     .offset = COMMON(numa)},
    {.kind = CLI_SIZE,
     .name = "memory-limit",
     .argument = "SIZE",
     .help = "memory to take at most; default: all there is",
     .offset = COMMON(memory_limit),
     .min = 1,
     .max = UINT64_MAX},
    {0}};

static const struct cli_option threads_options[] = {
    {.kind = CLI_SIZE,
     .letter = 't',
     .name = "threads",
     .argument = "N",
     .help = "threads; default: one per physical core",
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
     .min = 1,
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
     .argument = "auto|own|f32|bf16|int8",
     .help = "how prompts are multiplied; default: auto",
     .offset = COMMON(prefill)},
    {.kind = CLI_SIZE,
     .name = "prefill-memory",
     .argument = "BYTES",
     .help = "for weights converted for prompts; default: 512M",
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
     .help = "no notes and no progress bar, failures only",
     .offset = COMMON(quiet)},
    {.kind = CLI_FLAG,
     .letter = 'v',
     .name = "verbose",
     .help = "more about the work on standard error",
     .offset = COMMON(verbose)},
    {.kind = CLI_HELP, .letter = 'h', .name = "help", .help = "print this"},
    {.kind = CLI_VERSION, .name = "version", .help = "print the version"},
    {0}};

static void list_add(struct cli_option_list *list,
                     const struct cli_option *table)
{
    for (; table->kind != CLI_END && list->count < CLI_MAX_OPTIONS; table++)
        list->all[list->count++] = table;
}

void cli_options_collect(struct cli_option_list *list,
                         const struct cli_command *command)
{
    list->count = 0;
    if (command->options != NULL)
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

int cli_usage(const struct cli_command *command, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "clsa %s: ", command->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "; see clsa %s --help\n", command->name);
    return CLI_USAGE;
}

int cli_operands_check(const struct cli_command *command, int count,
                       char **operands)
{
    int i;

    for (i = 0; i < count; i++)
        if (operands[i][0] == '\0')
            return cli_usage(command, "the name of a file is empty");
    return CLI_DONE;
}

/* ------------------------------------------------------------------- help */

static void help_option(const struct cli_option *option)
{
    char left[64];
    int used;

    used = snprintf(
        left, sizeof left, "  %c%c%s --%s%s%s", option->letter ? '-' : ' ',
        option->letter ? option->letter : ' ', option->letter ? "," : " ",
        option->name, option->argument != NULL ? " " : "",
        option->argument != NULL ? option->argument : "");
    if (used >= HELP_COLUMN)
        printf("%s\n%*s%s\n", left, HELP_COLUMN, "", option->help);
    else
        printf("%-*s%s\n", HELP_COLUMN, left, option->help);
}

void cli_options_help(const struct cli_command *command)
{
    struct cli_option_list list;
    size_t i;

    printf("usage: clsa %s [options]%s%s\n\n%s\n\n", command->name,
           command->usage[0] != '\0' ? " " : "", command->usage,
           command->summary);
    cli_options_collect(&list, command);
    for (i = 0; i < list.count; i++) {
        if (i == list.own)
            printf("%sCommon options:\n", i > 0 ? "\n" : "");
        help_option(list.all[i]);
    }
}

void cli_options_version(void)
{
    printf("clsa %s\n", clsa_version());
}

/* ---------------------------------------------------------------- parsing */

/* The word of "a|b|c" that is `text`, in any case where `fold`, or NULL. */
static const char *choice_find(const char *choices, const char *text, int fold)
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

int cli_parse_type(const char *text, const char *choices, clsa_type *type)
{
    return choice_find(choices, text, 1) != NULL &&
           clsa_type_parse(text, type, NULL) == CLSA_OK;
}

static int texts_add(struct cli_texts *texts, const char *value)
{
    const char **grown =
        realloc(texts->values, (texts->count + 1) * sizeof *texts->values);

    if (grown == NULL)
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
    if (cli_parse_size(text, option->min, option->max, place))
        return CLI_DONE;
    return cli_usage(command,
                     "--%s: '%s' is no number from %" PRIu64 " to %" PRIu64,
                     option->name, text, option->min, option->max);
}

static int store_type(const struct cli_command *command,
                      const struct cli_option *option, const char *text,
                      clsa_type *place)
{
    if (cli_parse_type(text, option->argument, place))
        return CLI_DONE;
    return cli_usage(command, "--%s: '%s' is none of %s", option->name, text,
                     option->argument);
}

/* Put the value of an option with an argument, or a flag, into its place. */
static int store(const struct cli_command *command,
                 const struct cli_option *option, const char *text,
                 void *options)
{
    void *place = (char *)options + option->offset;

    switch (option->kind) {
    case CLI_FLAG:
        ++*(int *)place;
        return CLI_DONE;
    case CLI_TEXTS:
        if (text[0] == '\0')
            return cli_usage(command, "--%s: needs some text", option->name);
        return texts_add(place, text);
    case CLI_FILE:
        if (text[0] == '\0')
            return cli_usage(command, "--%s: needs the name of a file",
                             option->name);
        *(const char **)place = text;
        return CLI_DONE;
    case CLI_CHOICE:
        if (choice_find(option->argument, text, 0) == NULL)
            return cli_usage(command, "--%s: '%s' is none of %s", option->name,
                             text, option->argument);
        *(const char **)place = text;
        return CLI_DONE;
    case CLI_TYPE:
        return store_type(command, option, text, place);
    case CLI_SIZE:
        return store_size(command, option, text, place);
    case CLI_REAL:
        if (!cli_parse_real(text, option->low, option->high, place))
            return cli_usage(command, "--%s: '%s' is no number from %g to %g",
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
    size_t i;

    *shorts++ = ':';
    for (i = 0; i < list->count; i++) {
        const struct cli_option *option = list->all[i];

        longs[i].name = option->name;
        longs[i].has_arg = option->argument != NULL;
        longs[i].flag = NULL;
        longs[i].val = FIRST_CODE + (int)i;
        if (option->letter) {
            *shorts++ = option->letter;
            if (option->argument != NULL)
                *shorts++ = ':';
        }
    }
    memset(&longs[list->count], 0, sizeof longs[0]);
    *shorts = '\0';
}

/* The option that getopt_long means by a code, or NULL. */
static const struct cli_option *list_find(const struct cli_option_list *list,
                                          int code)
{
    size_t i;

    if (code >= FIRST_CODE)
        return list->all[code - FIRST_CODE];
    for (i = 0; i < list->count && code != 0; i++)
        if (list->all[i]->letter == code)
            return list->all[i];
    return NULL;
}

/* What getopt_long complains about. */
static int parse_refused(const struct cli_command *command,
                         const struct cli_option_list *list, int code,
                         char **argv)
{
    const struct cli_option *option = list_find(list, optopt);

    if (option != NULL && code == ':')
        return cli_usage(command, "--%s: needs %s", option->name,
                         option->argument);
    if (option != NULL)
        return cli_usage(command, "--%s: takes no argument", option->name);
    if (optopt != 0)
        return cli_usage(command, "unknown option -%c", optopt);
    return cli_usage(command, "unknown option %s", argv[optind - 1]);
}

static void level_from(const struct cli_common *common)
{
    cli_message_set_level(common->quiet ? -1 : common->verbose > 0);
}

int cli_options_parse(const struct cli_command *command, int argc, char **argv,
                      void *options, int *first)
{
    struct cli_option_list list;
    struct option longs[CLI_MAX_OPTIONS + 1];
    char shorts[2 * CLI_MAX_OPTIONS + 2];
    int code;

    cli_options_collect(&list, command);
    getopt_tables(&list, longs, shorts);
    opterr = 0;
    optind = 1;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const struct cli_option *option = list_find(&list, code);

        if (option == NULL)
            return parse_refused(command, &list, code, argv);
        *first = 0;
        if (option->kind == CLI_HELP || option->kind == CLI_VERSION) {
            if (option->kind == CLI_HELP)
                cli_options_help(command);
            else
                cli_options_version();
            return CLI_DONE;
        }
        CLI_TRY(store(command, option, optarg, options));
    }
    if (!command->operands && optind < argc)
        return cli_usage(command, "unexpected argument '%s'", argv[optind]);
    *first = optind;
    level_from(options);
    return CLI_DONE;
}
