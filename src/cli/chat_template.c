/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat-template: messages written as the text that a model reads, by the chat
 * template of a model or of a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/jsonl.h"
#include "src/cli/library.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

struct template_options {
    struct cli_common common;
    const char *template_file, *file;
    bool jsonl;
};

static const struct cli_option template_table[] = {
    {.kind = CLI_FILE,
     .name = "template",
     .argument = "FILE",
     .help = "use the chat template of a text file, without a model",
     .offset = offsetof(struct template_options, template_file)},
    {.kind = CLI_FILE,
     .letter = 'f',
     .name = "file",
     .argument = "FILE",
     .help = "take the messages from a file; default: standard input",
     .offset = offsetof(struct template_options, file)},
    {.kind = CLI_FLAG,
     .name = "jsonl",
     .help = "a JSON object per line in, one per line out",
     .offset = offsetof(struct template_options, jsonl)},
    {0}};

/* The template, and who owns it. */
struct opened {
    clsa_model *model;
    clsa_chat_template *own;
    const clsa_chat_template *chat_template;
};

static int open_file(const char *path, struct opened *o)
{
    struct cli_text text = {0};
    clsa_error error;
    CLI_TRY(cli_file_read(path, &text));
    const double start = cli_seconds();
    const clsa_status status =
        clsa_chat_template_open(&o->own, text.data, text.size, &error);
    cli_text_free(&text);
    if (status)
        return cli_fail("%s: %s", path, error.message);
    cli_verbose("parsed the chat template in %.2f ms",
                1e3 * (cli_seconds() - start));
    o->chat_template = o->own;
    return CLI_DONE;
}

static int open_template(const struct template_options *options,
                         struct opened *o)
{
    clsa_error error;
    if (options->template_file)
        return open_file(options->template_file, o);
    CLI_TRY(cli_vocab_open(&options->common, &o->model));
    if (clsa_model_chat_template(o->model, &o->chat_template, &error))
        return cli_fail("%s: %s", cli_model_path(&options->common),
                        error.message);
    return CLI_DONE;
}

/* A line in, a line out: a request that fails does not end the others. */
static int render_line(void *user, const char *request, size_t size)
{
    const struct opened *o = user;
    clsa_error error;
    char *text;
    size_t written;
    if (clsa_chat_template_render(o->chat_template, request, size, &text,
                                  &written, &error))
        return cli_jsonl_print(json_pack("{ss}", "error", error.message));
    const int status =
        cli_jsonl_print(json_pack("{ss%}", "output", text, written));
    clsa_free(text);
    return status;
}

static int render_all(const struct opened *o, const struct cli_text *input,
                      bool as_json)
{
    clsa_error error;
    char *text;
    size_t size;
    if (clsa_chat_template_render(o->chat_template, input->data, input->size,
                                  &text, &size, &error))
        return cli_fail_error(&error);
    int status = CLI_DONE;
    if (as_json) {
        json_t *list = json_array();
        status =
            cli_json_append(list, json_pack("{ss%}", "output", text, size));
        if (status == CLI_DONE)
            status = cli_json_print(list);
    } else {
        fwrite(text, 1, size, stdout);
    }
    clsa_free(text);
    return status;
}

static int render(const struct template_options *options)
{
    struct opened o = {0};
    struct cli_text input = {0};
    int status = open_template(options, &o);
    if (status)
        goto done;
    if (options->jsonl) {
        status = cli_jsonl_lines(options->file, render_line, &o);
        goto done;
    }
    status = cli_file_read(options->file ? options->file : "-", &input);
    if (!status)
        status = render_all(&o, &input, options->common.json);
done:
    cli_text_free(&input);
    clsa_chat_template_close(o.own);
    clsa_model_close(o.model);
    return status;
}

static int template_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_chat_template;
    struct template_options options = {.common = CLI_COMMON_INIT};
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    if (options.template_file && options.common.model)
        return cli_usage(self, "give only one of -m and --template");
    if (options.common.json && options.jsonl)
        return cli_usage(self, "give only one of --json and --jsonl");
    return render(&options);
}

const struct cli_command cli_command_chat_template = {
    .name = "chat-template",
    .usage = "[-f FILE]",
    .summary = "Write messages as the text that a model reads.",
    .groups = CLI_GROUP_MODEL,
    .options = template_table,
    .run = template_run};
