/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenize: a text cut into tokens. Special tokens written in it are cut out
 * and none is added, unless options say otherwise.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/jsonl.h"
#include "src/cli/library.h"
#include "src/cli/message.h"

struct tokenize_options {
    struct cli_common common;
    const char *file;
    bool ids, pieces, offsets, plain, add_special, jsonl;
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
    {.kind = CLI_FLAG,
     .name = "pieces",
     .help = "with --json: the bytes of each token, too",
     .offset = offsetof(struct tokenize_options, pieces)},
    {.kind = CLI_FLAG,
     .name = "offsets",
     .help = "print where in the text each token begins and ends",
     .offset = offsetof(struct tokenize_options, offsets)},
    {.kind = CLI_FLAG,
     .name = "plain",
     .help = "take special tokens in the text as text",
     .offset = offsetof(struct tokenize_options, plain)},
    {.kind = CLI_FLAG,
     .name = "add-special",
     .help = "add bos and eos as the model asks",
     .offset = offsetof(struct tokenize_options, add_special)},
    {.kind = CLI_FLAG,
     .name = "jsonl",
     .help = "read a JSON object in each line and print one",
     .offset = offsetof(struct tokenize_options, jsonl)},
    {0}};

/* The tokens of a text and where they begin. */
struct tokens {
    clsa_token_place *at;
    size_t count, size; /* tokens; bytes of the text */
};

static size_t token_end(const struct tokens *tokens, size_t i)
{
    return i + 1 < tokens->count ? tokens->at[i + 1].start : tokens->size;
}

/* The bytes of a token, those that do not print as escapes. */
static void print_bytes(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
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

static void print_tokens(const clsa_model *model, const struct tokens *tokens,
                         bool offsets)
{
    size_t size;
    for (size_t i = 0; i < tokens->count; i++) {
        const char *bytes = clsa_token_bytes(model, tokens->at[i].id, &size);
        printf("%" PRId32 "\t", tokens->at[i].id);
        if (offsets)
            printf("%zu\t%zu\t", tokens->at[i].start, token_end(tokens, i));
        print_bytes(bytes, size);
        putchar('\n');
    }
}

static void print_ids(const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        printf("%s%" PRId32, i > 0 ? " " : "", tokens->at[i].id);
    putchar('\n');
}

/* A token as an object: its bytes are text if they are UTF-8. */
static json_t *token_object(const clsa_model *model,
                            const struct tokenize_options *options,
                            const struct tokens *tokens, size_t i)
{
    json_t *object = json_pack("{sI}", "id", (json_int_t)tokens->at[i].id);
    if (options->pieces) {
        size_t size;
        const char *bytes = clsa_token_bytes(model, tokens->at[i].id, &size);
        json_t *text = json_stringn(bytes, size);
        json_object_set_new(object, text ? "text" : "base64",
                            text ? text : cli_jsonl_base64(bytes, size));
    }
    if (options->offsets) {
        json_object_set_new(object, "start",
                            json_integer((json_int_t)tokens->at[i].start));
        json_object_set_new(object, "end",
                            json_integer((json_int_t)token_end(tokens, i)));
    }
    return object;
}

static int print_json(const clsa_model *model,
                      const struct tokenize_options *options,
                      const struct tokens *tokens)
{
    const bool objects = options->pieces || options->offsets;
    json_t *list = json_array();
    for (size_t i = 0; i < tokens->count; i++)
        CLI_TRY(cli_json_append(
            list, objects ? token_object(model, options, tokens, i)
                          : json_integer(tokens->at[i].id)));
    return cli_json_print(list);
}

static int tokenize_text(const clsa_model *model,
                         const struct tokenize_options *options,
                         const struct cli_text *text)
{
    struct tokens tokens = {.size = text->size};
    const unsigned flags =
        (options->plain ? 0 : CLSA_TOKENIZE_SPECIAL) |
        (options->add_special ? CLSA_TOKENIZE_BOS | CLSA_TOKENIZE_EOS : 0);
    clsa_error error;
    int status = CLI_DONE;
    if (clsa_tokenize_places(model, text->data, text->size, flags, &tokens.at,
                             &tokens.count, &error) != CLSA_OK)
        return cli_fail_error(&error);
    if (options->common.json)
        status = print_json(model, options, &tokens);
    else if (options->ids)
        print_ids(&tokens);
    else
        print_tokens(model, &tokens, options->offsets);
    clsa_free(tokens.at);
    return status;
}

static bool is_set(const json_t *request, const char *name)
{
    return json_is_true(json_object_get(request, name));
}

static json_t *answer(void *model, const json_t *request,
                      char error[CLI_JSONL_ERROR])
{
    struct cli_text text = {0};
    const char *data = cli_jsonl_text(request, &text, error);
    int32_t *ids = NULL;
    size_t count = 0;
    clsa_error why;
    if (!data)
        return NULL;
    const bool add = is_set(request, "add_special");
    const unsigned flags =
        (is_set(request, "parse_special") ? CLSA_TOKENIZE_SPECIAL : 0) |
        (add ? CLSA_TOKENIZE_BOS | CLSA_TOKENIZE_EOS : 0);
    json_t *list = NULL;
    if (clsa_tokenize(model, data, text.size, flags, &ids, &count, &why))
        snprintf(error, CLI_JSONL_ERROR, "%s", why.message);
    else
        list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(ids[i]));
    clsa_free(ids);
    cli_text_free(&text);
    return list ? json_pack("{so}", "ids", list) : NULL;
}

/* The text of the operand or the file, cut. */
static int tokenize_one(const struct tokenize_options *options,
                        const char *operand, const clsa_model *model)
{
    struct cli_text text = {0};
    int status = options->file ? cli_file_read(options->file, &text)
                               : cli_text_add(&text, operand, strlen(operand));
    if (!status)
        status = tokenize_text(model, options, &text);
    cli_text_free(&text);
    return status;
}

static int tokenize_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_tokenize;
    struct tokenize_options options = {.common = CLI_COMMON_INIT};
    clsa_model *model;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    if (options.jsonl && argc > first)
        return cli_usage(self, "with --jsonl the texts are in the lines read");
    if (!options.jsonl && argc - first != !options.file)
        return cli_usage(self, "give one TEXT, in quotes, or -f FILE");
    CLI_TRY(cli_vocab_open(&options.common, &model));
    const int status = options.jsonl
                           ? cli_jsonl_run(options.file, answer, model)
                           : tokenize_one(&options, argv[first], model);
    clsa_model_close(model);
    return status;
}

const struct cli_command cli_command_tokenize = {.name = "tokenize",
                                                 .usage = "TEXT | -f FILE",
                                                 .operands = true,
                                                 .summary =
                                                     "Cut a text into tokens.",
                                                 .groups = CLI_GROUP_MODEL,
                                                 .options = tokenize_table,
                                                 .run = tokenize_run};
