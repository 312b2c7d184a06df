/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenize, detokenize: a text cut into tokens and back. The text is taken as
 * it is: special tokens written in it are cut out, none is added.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/engine.h"
#include "src/cli/message.h"

struct tokenize_options {
    struct cli_common common;
    const char *file;
    int ids;
};

static const struct cli_option tokenize_table[] = {
    {.kind = CLI_FILE,
     .letter = 'f',
     .name = "file",
     .argument = "FILE",
     .help = "take the text from a file, - for standard input",
     .offset = offsetof(struct tokenize_options, file)},
    {.kind = CLI_FLAG,
     .name = "ids",
     .help = "print the ids alone, on one line",
     .offset = offsetof(struct tokenize_options, ids)},
    {0}};

/* The bytes of a token, those that do not print as escapes. */
static void print_bytes(const char *bytes, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte == '\n')
            fputs("\\n", stdout);
        else if (byte == '\\')
            fputs("\\\\", stdout);
        else if (byte < 0x20 || byte >= 0x7f)
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
}

static void print_tokens(const clsa_model *model, const struct cli_ids *ids)
{
    size_t i, size;

    for (i = 0; i < ids->count; i++) {
        const char *bytes = clsa_token_bytes(model, ids->ids[i], &size);

        printf("%" PRId32 "\t", ids->ids[i]);
        print_bytes(bytes, size);
        putchar('\n');
    }
}

static int print_ids(const struct cli_ids *ids, int as_json)
{
    json_t *list;
    size_t i;

    if (!as_json) {
        for (i = 0; i < ids->count; i++)
            printf("%s%" PRId32, i > 0 ? " " : "", ids->ids[i]);
        putchar('\n');
        return CLI_DONE;
    }
    list = json_array();
    for (i = 0; i < ids->count; i++)
        CLI_TRY(cli_json_append(list, json_integer(ids->ids[i])));
    return cli_json_print(list);
}

static int tokenize_text(const struct tokenize_options *options,
                         const struct cli_text *text)
{
    struct cli_ids ids = {0};
    clsa_model *model;
    int status;

    CLI_TRY(cli_model_open(&options->common, &model));
    status = cli_tokenize(model, text->data, text->size, CLSA_TOKENIZE_SPECIAL,
                          &ids);
    if (status == CLI_DONE && (options->ids || options->common.json))
        status = print_ids(&ids, options->common.json);
    else if (status == CLI_DONE)
        print_tokens(model, &ids);
    free(ids.ids);
    clsa_model_close(model);
    return status;
}

static int tokenize_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_tokenize;
    struct tokenize_options options = {.common = CLI_COMMON_INIT};
    struct cli_text text = {0};
    int first, status;

    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    if (argc - first != (options.file == NULL))
        return cli_usage(self, "give one TEXT, in quotes, or -f FILE");
    if (options.file != NULL)
        status = cli_file_read(options.file, &text);
    else
        status = cli_text_add(&text, argv[first], strlen(argv[first]));
    if (status == CLI_DONE)
        status = tokenize_text(&options, &text);
    cli_text_free(&text);
    return status;
}

const struct cli_command cli_command_tokenize = {.name = "tokenize",
                                                 .usage = "TEXT | -f FILE",
                                                 .operands = 1,
                                                 .summary =
                                                     "Cut a text into tokens.",
                                                 .groups = CLI_GROUP_MODEL,
                                                 .options = tokenize_table,
                                                 .run = tokenize_run};

/* ------------------------------------------------------------- detokenize */

/* Ids in any of the forms of tokenize: separated by blanks, commas, [ ]. */
static int parse_ids(const char *text, uint32_t vocab, struct cli_ids *ids)
{
    static const char between[] = " \t\r\n,[]";
    char *copy = strdup(text), *rest = copy, *word;
    int status = CLI_DONE;

    ids->ids = malloc((strlen(text) + 1) * sizeof *ids->ids);
    if (copy == NULL || ids->ids == NULL)
        status = cli_fail_memory();
    while (status == CLI_DONE && (word = strsep(&rest, between)) != NULL) {
        uint64_t id;

        if (word[0] == '\0')
            continue;
        if (word[strspn(word, "0123456789")] == '\0' &&
            cli_parse_size(word, 0, vocab - 1, &id))
            ids->ids[ids->count++] = (int32_t)id;
        else
            status = cli_fail("'%s' is no token id from 0 to %" PRIu32, word,
                              vocab - 1);
    }
    free(copy);
    return status;
}

static int detokenize_ids(const clsa_model *model, const struct cli_ids *ids,
                          struct cli_text *text)
{
    clsa_detokenizer state = {{0}, 0};
    clsa_error error;
    size_t i, size;
    int status = cli_text_add(text, "", 0);

    for (i = 0; i <= ids->count && status == CLI_DONE; i++) {
        int32_t id = i < ids->count ? ids->ids[i] : -1;
        char *piece;

        if (clsa_detokenize(model, &state, id, &piece, &size, &error) !=
            CLSA_OK)
            return cli_fail_error(&error);
        status = cli_text_add(text, piece, size);
        clsa_free(piece);
    }
    return status;
}

static int print_text(const struct cli_text *text, int as_json)
{
    json_t *list;

    if (!as_json) {
        fwrite(text->data, 1, text->size, stdout);
        return CLI_DONE;
    }
    list = json_array();
    CLI_TRY(cli_json_append(list, json_stringn(text->data, text->size)));
    return cli_json_print(list);
}

static int detokenize_text(const struct cli_common *common, const char *list)
{
    struct cli_ids ids = {0};
    struct cli_text text = {0};
    clsa_model_info info;
    clsa_model *model;
    int status;

    CLI_TRY(cli_model_open(common, &model));
    clsa_model_get_info(model, &info);
    status = parse_ids(list, info.vocab, &ids);
    if (status == CLI_DONE)
        status = detokenize_ids(model, &ids, &text);
    if (status == CLI_DONE)
        status = print_text(&text, common->json);
    free(ids.ids);
    cli_text_free(&text);
    clsa_model_close(model);
    return status;
}

/* The ids of all operands as one text, or standard input for "-". */
static int read_ids(int count, char **operands, struct cli_text *list)
{
    int i;

    if (count == 1 && strcmp(operands[0], "-") == 0)
        return cli_file_read("-", list);
    for (i = 0; i < count; i++) {
        CLI_TRY(cli_text_add(list, operands[i], strlen(operands[i])));
        CLI_TRY(cli_text_add(list, " ", 1));
    }
    return CLI_DONE;
}

static int detokenize_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_detokenize;
    struct cli_common common = CLI_COMMON_INIT;
    struct cli_text list = {0};
    int first, status;

    CLI_TRY(cli_options_parse(self, argc, argv, &common, &first));
    if (first == 0)
        return CLI_DONE;
    if (first == argc)
        return cli_usage(self, "give the IDS, or - for standard input");
    status = read_ids(argc - first, argv + first, &list);
    if (status == CLI_DONE)
        status = detokenize_text(&common, list.data);
    cli_text_free(&list);
    return status;
}

const struct cli_command cli_command_detokenize = {
    .name = "detokenize",
    .usage = "IDS | -",
    .operands = 1,
    .summary = "Turn token ids back into text.",
    .groups = CLI_GROUP_MODEL,
    .run = detokenize_run};
