/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench tokenize: how fast a text is cut into tokens, by one thread. The text
 * counts as it is: one that repeats is read faster than one that does not.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/cli/commands.h"
#include "src/cli/library.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

#define RUNS 5

struct tokenize_options {
    struct cli_common common;
    const char *file;
};

static const struct cli_option tokenize_table[] = {
    {.kind = CLI_FILE,
     .letter = 'f',
     .name = "file",
     .argument = "FILE",
     .help = "the text, - for standard input",
     .offset = offsetof(struct tokenize_options, file)},
    {0}};

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The median time of several runs, and the number of tokens. */
static int measure(const clsa_model *model, const struct cli_text *text,
                   double *seconds, size_t *tokens)
{
    double each[RUNS];
    for (int i = 0; i < RUNS; i++) {
        clsa_error error;
        int32_t *ids;
        CLI_TRY(cli_interrupt_check());
        const double start = cli_seconds();
        if (clsa_tokenize(model, text->data, text->size, 0, &ids, tokens,
                          &error) != CLSA_OK)
            return cli_fail_error(&error);
        each[i] = cli_seconds() - start;
        clsa_free(ids);
    }
    qsort(each, RUNS, sizeof *each, compare);
    *seconds = each[RUNS / 2];
    return CLI_DONE;
}

static int print(const struct tokenize_options *options, size_t bytes,
                 size_t tokens, double seconds)
{
    const double rate = seconds > 0 ? (double)bytes / seconds / 1e6 : 0;
    if (options->common.json)
        return cli_json_print(json_pack(
            "[{so sI sI sf sf}]", "file", cli_json_text(options->file), "bytes",
            (json_int_t)bytes, "tokens", (json_int_t)tokens, "ms",
            seconds * 1e3, "mb_per_s", rate));
    printf("%zu bytes, %zu tokens, %.1f ms, %.1f MB/s\n", bytes, tokens,
           seconds * 1e3, rate);
    return CLI_DONE;
}

static int bench_tokenize_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_bench_tokenize;
    struct tokenize_options options = {.common = CLI_COMMON_INIT};
    struct cli_text text = {0};
    clsa_model *model = NULL;
    double seconds = 0;
    size_t tokens = 0;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    if (!options.file)
        return cli_usage(self, "give a text with -f FILE");
    int status = cli_file_read(options.file, &text);
    if (!status)
        status = cli_vocab_open(&options.common, &model);
    if (!status)
        status = measure(model, &text, &seconds, &tokens);
    if (!status)
        status = print(&options, text.size, tokens, seconds);
    cli_text_free(&text);
    clsa_model_close(model);
    return status;
}

const struct cli_command cli_command_bench_tokenize = {
    .name = "bench tokenize",
    .usage = "-f FILE",
    .summary = "Time the tokenizer.",
    .groups = CLI_GROUP_MODEL,
    .options = tokenize_table,
    .run = bench_tokenize_run};
