/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval logits: next-token logits after each of a list of id lists, as raw
 * floats for comparison with another implementation, and the cache rows that
 * the last token read.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/minmax.h"
#include "src/cli/commands.h"
#include "src/cli/library.h"
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
    struct clsa_out output, rows_output;
    json_t *rows, *results;
};

static int add_lists(struct logits *logits, const json_t *json)
{
    const size_t count = json_array_size(json);
    logits->lists = calloc(count + 1, sizeof *logits->lists);
    if (!logits->lists)
        return cli_fail_memory();
    for (size_t i = 0; i < count; i++) {
        struct cli_ids *ids = &logits->lists[i];
        logits->count = i + 1;
        CLI_TRY(cli_json_ids(json_array_get(json, i), logits->vocab,
                             logits->options->ids, i, ids));
        logits->tokens += ids->count;
        logits->longest = clsa_max_u64(logits->longest, ids->count);
    }
    return CLI_DONE;
}

static int read_lists(struct logits *logits)
{
    json_t *json;
    CLI_TRY(cli_json_read_list(logits->options->ids, &json));
    int status = add_lists(logits, json);
    json_decref(json);
    return status;
}

static int write_logits(struct logits *logits, const float *values)
{
    for (uint32_t i = 0; i < logits->vocab; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        unsigned char bytes[4];
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
    if (!rows)
        count = clsa_session_length(logits->session);
    for (size_t i = 0; i < count; i++)
        CLI_TRY(cli_json_append(list,
                                json_integer(rows ? rows[i] : (json_int_t)i)));
    return cli_json_append(to, list);
}

/* The rows of the last token: a list, or one for each layer where they are
   not the same. */
static int add_rows(struct logits *logits)
{
    const clsa_session *session = logits->session;
    size_t count = 0;
    const uint32_t *rows = NULL, *layer = NULL;
    uint32_t i = 0;
    size_t n;
    clsa_session_rows(session, &rows, &count);
    while (clsa_session_layer_rows(session, i, &layer, &n) == CLSA_OK &&
           layer == rows)
        i++;
    if (clsa_session_layer_rows(session, i, &layer, &n) != CLSA_OK)
        return add_list(logits, rows, count, logits->rows);
    json_t *lists = json_array();
    for (i = 0; clsa_session_layer_rows(session, i, &layer, &n) == CLSA_OK; i++)
        CLI_TRY(add_list(logits, layer, n, lists));
    return cli_json_append(logits->rows, lists);
}

static int add_result(struct logits *logits, const struct cli_ids *ids,
                      const float *values)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < logits->vocab; i++)
        if (values[i] > values[best] || isnan(values[best]))
            best = i;
    if (isnan(values[best]))
        return cli_fail("%s: entry %zu: all logits are NaN: the weights of the "
                        "model are damaged; get the file again",
                        logits->options->ids, (size_t)(ids - logits->lists));
    return cli_json_append(logits->results,
                           json_pack("{ss sI sI}", "policy", logits->attention,
                                     "tokens", (json_int_t)ids->count, "argmax",
                                     (json_int_t)best));
}

static int eval_list(struct logits *logits, const struct cli_ids *ids,
                     uint64_t done)
{
    static const clsa_append_options last = {.want = CLSA_WANT_LAST};
    clsa_error error;
    if (clsa_session_truncate(logits->session, 0, &error) != CLSA_OK)
        return cli_fail_error(&error);
    CLI_TRY(cli_append(logits->session, ids->ids, ids->count, &last, done));
    const float *values = clsa_session_logits(logits->session);
    CLI_TRY(write_logits(logits, values));
    CLI_TRY(add_result(logits, ids, values));
    return add_rows(logits);
}

/* A session for a list. Without -c its context is the list's length, by which
   some models choose how they rotate. */
static int open_session(struct logits *logits, uint64_t length)
{
    const struct logits_options *o = logits->options;
    clsa_session_close(logits->session);
    logits->session = NULL;
    return cli_session_open_file(&o->common, logits->model, length, NULL,
                                 o->ids, "a list", &logits->session);
}

static int eval_lists(struct logits *logits)
{
    uint64_t done = 0;
    cli_progress_start("reading", "tokens", logits->tokens);
    for (size_t i = 0; i < logits->count; i++) {
        if (logits->options->common.context == 0)
            CLI_TRY(open_session(logits, logits->lists[i].count));
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
    const char *model = cli_model_path(&o->common);
    CLI_TRY(cli_output_apart(o->output, o->ids));
    CLI_TRY(cli_output_apart(o->output, model));
    CLI_TRY(cli_output_apart(o->rows, o->ids));
    CLI_TRY(cli_output_apart(o->rows, model));
    CLI_TRY(cli_output_open(&logits->output, o->output));
    if (!o->rows)
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
    if (!logits->rows_output.file)
        return CLI_DONE;
    json_dumpf(logits->rows, logits->rows_output.file, 0);
    return cli_output_close(&logits->rows_output);
}

static int eval_file(struct logits *logits)
{
    const struct logits_options *o = logits->options;
    CLI_TRY(cli_model_open(&o->common, &logits->model));
    clsa_model_info info;
    clsa_model_get_info(logits->model, &info, sizeof info);
    logits->vocab = info.vocab;
    logits->attention = cli_attention(&o->common, logits->model);
    CLI_TRY(read_lists(logits));
    CLI_TRY(open_session(logits, logits->longest));
    CLI_TRY(open_outputs(logits));
    CLI_TRY(eval_lists(logits));
    CLI_TRY(close_outputs(logits));
    cli_info("%zu rows of %lu logits in %s", logits->count,
             (unsigned long)logits->vocab, o->output);
    if (o->common.json)
        return cli_json_print(json_incref(logits->results));
    return CLI_DONE;
}

static int eval_open(const struct logits_options *options)
{
    struct logits logits = {
        .options = options, .rows = json_array(), .results = json_array()};
    int status = eval_file(&logits);
    for (size_t i = 0; i < logits.count; i++)
        free(logits.lists[i].ids);
    free(logits.lists);
    clsa_out_free(&logits.output);
    clsa_out_free(&logits.rows_output);
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
    if (!options.ids || !options.output)
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
