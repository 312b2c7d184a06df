/* SPDX-License-Identifier: Apache-2.0 */
/* detokenize: token ids back to the text that they are. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/cli/commands.h"
#include "src/cli/jsonl.h"
#include "src/cli/library.h"
#include "src/cli/message.h"

struct detokenize_options {
    struct cli_common common;
    const char *file;
    bool jsonl;
};

static const struct cli_option detokenize_table[] = {
    {.kind = CLI_FILE,
     .letter = 'f',
     .name = "file",
     .argument = "FILE",
     .help = "take the ids from a file, - for standard input",
     .offset = offsetof(struct detokenize_options, file)},
    {.kind = CLI_FLAG,
     .name = "jsonl",
     .help = "read a JSON object in each line and print one",
     .offset = offsetof(struct detokenize_options, jsonl)},
    {0}};

/* The ids of a text that is cut up. */
static int split_ids(char *text, uint32_t vocab, struct cli_ids *ids)
{
    static const char between[] = " \t\r\n,[]";
    char *word;
    while ((word = strsep(&text, between))) {
        if (word[0] == '\0')
            continue;
        uint64_t id;
        if (word[strspn(word, "0123456789")] != '\0' ||
            !cli_parse_size(word, 0, vocab - 1, &id))
            return cli_fail("'%s' is not a token id from 0 to %" PRIu32, word,
                            vocab - 1);
        ids->ids[ids->count++] = (int32_t)id;
    }
    return CLI_DONE;
}

/* Ids in any of the forms of tokenize: separated by blanks, commas, [ ]. */
static int parse_ids(const char *text, uint32_t vocab, struct cli_ids *ids)
{
    char *copy = strdup(text);
    ids->ids = malloc((strlen(text) + 1) * sizeof *ids->ids);
    int status =
        copy && ids->ids ? split_ids(copy, vocab, ids) : cli_fail_memory();
    free(copy);
    return status;
}

/* Bytes as valid UTF-8: a U+FFFD for each byte or start of a character that is
   not. */
static int repair(const char *bytes, size_t size, struct cli_text *text)
{
    const unsigned char *p = (const unsigned char *)bytes;
    CLI_TRY(cli_text_add(text, "", 0));
    for (size_t i = 0, n; i < size; i += n) {
        bool open;
        n = clsa_utf8_length(p + i, size - i);
        if (n > 0) {
            CLI_TRY(cli_text_add(text, bytes + i, n));
            continue;
        }
        n = clsa_utf8_subpart(p + i, size - i, &open);
        CLI_TRY(cli_text_add(text, CLSA_REPLACEMENT, 3));
    }
    return CLI_DONE;
}

static int print_text(const struct cli_text *text, bool as_json)
{
    if (!as_json) {
        fwrite(text->data, 1, text->size, stdout);
        return CLI_DONE;
    }
    json_t *list = json_array();
    CLI_TRY(cli_json_append(list, json_stringn(text->data, text->size)));
    return cli_json_print(list);
}

static int print_ids(const clsa_model *model, const struct cli_ids *ids,
                     bool as_json)
{
    struct cli_text text = {0};
    clsa_error error;
    char *bytes;
    size_t size;
    if (clsa_detokenize_all(model, ids->ids, ids->count, &bytes, &size,
                            &error) != CLSA_OK)
        return cli_fail_error(&error);
    int status = repair(bytes, size, &text);
    if (!status)
        status = print_text(&text, as_json);
    clsa_free(bytes);
    cli_text_free(&text);
    return status;
}

static int detokenize_list(const clsa_model *model, const char *list,
                           bool as_json)
{
    struct cli_ids ids = {0};
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    int status = parse_ids(list, info.vocab, &ids);
    if (!status)
        status = print_ids(model, &ids, as_json);
    free(ids.ids);
    return status;
}

/* The ids of a request's list; false and a reason if it has others. */
static bool request_ids(const json_t *request, struct cli_ids *ids,
                        char error[CLI_JSONL_ERROR])
{
    const json_t *list = json_object_get(request, "ids");
    if (!json_is_array(list)) {
        snprintf(error, CLI_JSONL_ERROR, "give 'ids', a list of token ids");
        return false;
    }
    ids->ids = malloc((json_array_size(list) + 1) * sizeof *ids->ids);
    for (size_t i = 0; ids->ids && i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        const json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
        if (n < 0 || n > INT32_MAX) {
            snprintf(error, CLI_JSONL_ERROR, "ids[%zu] is not a token", i);
            return false;
        }
        ids->ids[ids->count++] = (int32_t)n;
    }
    return ids->ids;
}

static json_t *answer(void *model, const json_t *request,
                      char error[CLI_JSONL_ERROR])
{
    struct cli_ids ids = {0};
    json_t *base64 = NULL;
    clsa_error why;
    char *bytes;
    size_t size;
    if (!request_ids(request, &ids, error)) {
        free(ids.ids);
        return NULL;
    }
    if (clsa_detokenize_all(model, ids.ids, ids.count, &bytes, &size, &why)) {
        snprintf(error, CLI_JSONL_ERROR, "%s", why.message);
    } else {
        base64 = cli_jsonl_base64(bytes, size);
        clsa_free(bytes);
    }
    free(ids.ids);
    return base64 ? json_pack("{so}", "base64", base64) : NULL;
}

/* The ids of all operands as one text, or of a file. */
static int read_ids(const struct detokenize_options *options, int count,
                    char **operands, struct cli_text *list)
{
    if (options->file)
        return cli_file_read(options->file, list);
    if (count == 1 && strcmp(operands[0], "-") == 0)
        return cli_file_read("-", list);
    for (int i = 0; i < count; i++) {
        CLI_TRY(cli_text_add(list, operands[i], strlen(operands[i])));
        CLI_TRY(cli_text_add(list, " ", 1));
    }
    return CLI_DONE;
}

static int detokenize_one(const struct detokenize_options *options,
                          const clsa_model *model, int count, char **operands)
{
    struct cli_text list = {0};
    int status = read_ids(options, count, operands, &list);
    if (!status)
        status = detokenize_list(model, list.data, options->common.json);
    cli_text_free(&list);
    return status;
}

static int detokenize_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_detokenize;
    struct detokenize_options options = {.common = CLI_COMMON_INIT};
    clsa_model *model;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    if ((options.jsonl || options.file) && argc > first)
        return cli_usage(self, "the ids are in the file: no IDS beside it");
    if (!options.jsonl && !options.file && first == argc)
        return cli_usage(self, "give the IDS, or - for standard input");
    CLI_TRY(cli_vocab_open(&options.common, &model));
    const int status =
        options.jsonl
            ? cli_jsonl_run(options.file, answer, model)
            : detokenize_one(&options, model, argc - first, argv + first);
    clsa_model_close(model);
    return status;
}

const struct cli_command cli_command_detokenize = {
    .name = "detokenize",
    .usage = "IDS | - | -f FILE",
    .operands = true,
    .summary = "Turn token ids back into text.",
    .groups = CLI_GROUP_MODEL,
    .options = detokenize_table,
    .run = detokenize_run};
