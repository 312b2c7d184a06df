/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval logits: next-token logits after each of a list of id lists, as raw
 * floats for comparison with another implementation, and the cache rows that
 * the last token read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/engine.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"

struct logits_options {
    struct cli_common common;
    const char *ids, *output, *rows;
};

#define AT(member) offsetof(struct logits_options, member)

static const struct cli_option logits_table[] = {
    {.kind = CLI_FILE,
     .name = "ids",
     .argument = "FILE",
     .help = "JSON list of lists of token ids",
     .offset = AT(ids)},
    {.kind = CLI_FILE,
     .letter = 'o',
     .name = "output",
     .argument = "FILE",
     .help = "write the logits here: float32, little-endian",
     .offset = AT(output)},
    {.kind = CLI_FILE,
     .name = "rows",
     .argument = "FILE",
     .help = "write the rows that the last tokens read here",
     .offset = AT(rows)},
    {0}};

/* One evaluation. */
struct logits {
    const struct logits_options *options;
    clsa_model *model;
    clsa_session *session;
    uint32_t vocab;
    const char *attention;
    struct cli_ids *lists;
    size_t count;
    uint64_t tokens, longest; /* of all lists */
    struct cli_output output, rows_output;
    json_t *rows, *results;
};

static int read_lists(struct logits *logits)
{
    const char *path = logits->options->ids;
    json_t *json, *item;
    size_t i;
    int status = CLI_DONE;

    CLI_TRY(cli_json_read_list(path, &json));
    logits->lists = calloc(json_array_size(json) + 1, sizeof *logits->lists);
    if (logits->lists == NULL)
        status = cli_fail_memory();
    for (i = 0; i < json_array_size(json) && status == CLI_DONE; i++) {
        item = json_array_get(json, i);
        status = cli_json_ids(item, logits->vocab, path, i, &logits->lists[i]);
        logits->count = i + 1;
        logits->tokens += logits->lists[i].count;
        if (logits->lists[i].count > logits->longest)
            logits->longest = logits->lists[i].count;
    }
    json_decref(json);
    return status;
}

static int write_logits(struct logits *logits, const float *values)
{
    uint32_t i;

    for (i = 0; i < logits->vocab; i++) {
        unsigned char bytes[4];
        uint32_t bits;

        memcpy(&bits, &values[i], sizeof bits);
        bytes[0] = (unsigned char)bits;
        bytes[1] = (unsigned char)(bits >> 8);
        bytes[2] = (unsigned char)(bits >> 16);
        bytes[3] = (unsigned char)(bits >> 24);
        fwrite(bytes, 1, sizeof bytes, logits->output.file);
    }
    if (fflush(logits->output.file) != 0 || ferror(logits->output.file))
        return cli_fail("%s: %s: the logits are not complete",
                        logits->options->output, strerror(errno));
    return CLI_DONE;
}

/* Rows as a list; all of them where the policy is dense. */
static int add_list(const struct logits *logits, const uint32_t *rows,
                    size_t count, json_t *to)
{
    json_t *list = json_array();
    size_t i;

    if (rows == NULL)
        count = clsa_session_length(logits->session);
    for (i = 0; i < count; i++)
        CLI_TRY(cli_json_append(
            list, json_integer(rows != NULL ? rows[i] : (json_int_t)i)));
    return cli_json_append(to, list);
}

/* The rows of the last token: a list, or one for each layer where they are
   not the same. */
static int add_rows(struct logits *logits)
{
    const clsa_session *session = logits->session;
    size_t count = 0;
    const uint32_t *rows = clsa_session_rows(session, &count), *layer;
    json_t *lists;
    uint32_t i;

    if (clsa_session_layer_rows(session, 0, &count) == rows)
        return add_list(logits, rows, count, logits->rows);
    lists = json_array();
    for (i = 0; (layer = clsa_session_layer_rows(session, i, &count)); i++)
        CLI_TRY(add_list(logits, layer, count, lists));
    return cli_json_append(logits->rows, lists);
}

static int add_result(struct logits *logits, const struct cli_ids *ids,
                      const float *values)
{
    uint32_t best = 0, i;

    for (i = 1; i < logits->vocab; i++)
        if (values[i] > values[best])
            best = i;
    return cli_json_append(logits->results,
                           json_pack("{ss sI sI}", "policy", logits->attention,
                                     "tokens", (json_int_t)ids->count, "argmax",
                                     (json_int_t)best));
}

static int eval_list(struct logits *logits, const struct cli_ids *ids,
                     uint64_t done)
{
    static const clsa_append last = {.want = CLSA_WANT_LAST};
    const float *values;
    clsa_error error;

    if (clsa_session_truncate(logits->session, 0, &error) != CLSA_OK)
        return cli_fail_error(&error);
    CLI_TRY(cli_append(logits->session, ids->ids, ids->count, &last, done));
    values = clsa_session_logits(logits->session);
    CLI_TRY(write_logits(logits, values));
    CLI_TRY(add_result(logits, ids, values));
    return add_rows(logits);
}

static int eval_lists(struct logits *logits)
{
    uint64_t done = 0;
    size_t i;

    cli_progress_start("reading", "tokens", logits->tokens);
    for (i = 0; i < logits->count; i++) {
        CLI_TRY(eval_list(logits, &logits->lists[i], done));
        done += logits->lists[i].count;
    }
    cli_progress_end();
    return CLI_DONE;
}

/* Both files are opened before the work, and get their names after it. */
static int open_outputs(struct logits *logits)
{
    const struct logits_options *o = logits->options;

    CLI_TRY(cli_output_open(&logits->output, o->output));
    if (o->rows == NULL)
        return CLI_DONE;
    CLI_TRY(cli_output_open(&logits->rows_output, o->rows));
    if (cli_output_same(&logits->output, &logits->rows_output))
        return cli_usage(&cli_command_eval_logits,
                         "-o and --rows are the same file '%s'", o->rows);
    return CLI_DONE;
}

static int close_outputs(struct logits *logits)
{
    CLI_TRY(cli_output_close(&logits->output));
    if (logits->rows_output.file == NULL)
        return CLI_DONE;
    json_dumpf(logits->rows, logits->rows_output.file, 0);
    return cli_output_close(&logits->rows_output);
}

static int eval_file(struct logits *logits)
{
    const struct logits_options *o = logits->options;

    CLI_TRY(read_lists(logits));
    CLI_TRY(cli_session_open(&o->common, logits->model, logits->longest, NULL,
                             &logits->session));
    if (logits->longest > clsa_session_context(logits->session))
        return cli_fail("%s: a list of %llu tokens does not fit the context: "
                        "use -c %llu",
                        o->ids, (unsigned long long)logits->longest,
                        (unsigned long long)logits->longest);
    CLI_TRY(open_outputs(logits));
    CLI_TRY(eval_lists(logits));
    CLI_TRY(close_outputs(logits));
    cli_note("%zu rows of %lu logits in %s", logits->count,
             (unsigned long)logits->vocab, o->output);
    if (o->common.json)
        return cli_json_print(json_incref(logits->results));
    return CLI_DONE;
}

static int eval_open(const struct logits_options *options)
{
    struct logits logits = {
        .options = options, .rows = json_array(), .results = json_array()};
    clsa_model_info info;
    size_t i;
    int status = cli_model_open(&options->common, &logits.model);

    if (status == CLI_DONE) {
        clsa_model_get_info(logits.model, &info);
        logits.vocab = info.vocab;
        logits.attention = cli_attention(&options->common, logits.model);
        status = eval_file(&logits);
    }
    for (i = 0; i < logits.count; i++)
        free(logits.lists[i].ids);
    free(logits.lists);
    cli_output_drop(&logits.output);
    cli_output_drop(&logits.rows_output);
    json_decref(logits.rows);
    json_decref(logits.results);
    clsa_session_close(logits.session);
    clsa_model_close(logits.model);
    return status;
}

static int logits_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_eval_logits;
    struct logits_options options = {.common = CLI_COMMON_INIT};
    int first;

    options.common.prefill = "own"; /* to be compared with other programs */
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    if (options.ids == NULL || options.output == NULL)
        return cli_usage(self, "give --ids FILE and -o FILE");
    return eval_open(&options);
}

const struct cli_command cli_command_eval_logits = {
    .name = "eval logits",
    .usage = "--ids FILE -o FILE",
    .summary = "Write the next-token logits after lists of ids.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = logits_table,
    .run = logits_run};
