/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval loss: mean next-token loss at given positions, per entry of a file and
 * policy. An entry may name its own policy, for where none is asked for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/minmax.h"
#include "src/cli/commands.h"
#include "src/cli/eval/score.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

struct loss_options {
    struct cli_common common;
    const char *ids;
};

static const struct cli_option loss_table[] = {
    {.kind = CLI_FILE,
     .name = "ids",
     .argument = "FILE",
     .help = "JSON list of entries with ids and positions",
     .offset = offsetof(struct loss_options, ids)},
    {0}};

/* One entry of the file. */
struct entry {
    struct cli_ids ids;
    uint8_t *mask; /* [ids.count] */
    size_t positions;
    struct cli_policies policies;
};

struct loss {
    const struct loss_options *options;
    clsa_model *model;
    clsa_session *session;
    uint32_t vocab;
    struct entry *entries;
    size_t count;
    uint64_t longest, work;
    json_t *results;
};

/* Positions p of which a token p + 1 follows. */
static int read_positions(const json_t *list, const char *path, size_t number,
                          struct entry *entry)
{
    entry->mask = calloc(entry->ids.count, 1);
    if (!entry->mask)
        return cli_fail_memory();
    if (json_array_size(list) == 0)
        return cli_fail("%s: entry %zu: positions is not a list", path, number);
    json_t *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        json_int_t position = json_integer_value(item);
        if (!json_is_integer(item) || position < 0 ||
            position >= (json_int_t)entry->ids.count - 1)
            return cli_fail("%s: entry %zu: position %zu of the list has no "
                            "token after it: there are %zu ids",
                            path, number, i, entry->ids.count);
        entry->mask[position] = 1;
    }
    for (i = 0; i < entry->ids.count; i++)
        entry->positions += entry->mask[i];
    return CLI_DONE;
}

static int read_entry(struct loss *loss, const json_t *json, size_t number,
                      struct entry *entry)
{
    const char *path = loss->options->ids;
    struct cli_common common = loss->options->common;
    const json_t *policy = json_object_get(json, "policy");
    if (policy && !json_is_string(policy))
        return cli_fail("%s: entry %zu: the policy is not a text", path,
                        number);
    if (!common.attention)
        common.attention = json_string_value(policy);
    CLI_TRY(cli_json_ids(json_object_get(json, "ids"), loss->vocab, path,
                         number, &entry->ids));
    CLI_TRY(read_positions(json_object_get(json, "positions"), path, number,
                           entry));
    CLI_TRY(cli_policies_parse(&common, loss->model, &entry->policies));
    loss->longest = clsa_max_u64(loss->longest, entry->ids.count);
    loss->work +=
        cli_score_work(&entry->policies, entry->mask, entry->ids.count);
    return CLI_DONE;
}

static int add_entries(struct loss *loss, const json_t *json)
{
    const size_t count = json_array_size(json);
    loss->entries = calloc(count + 1, sizeof *loss->entries);
    if (!loss->entries)
        return cli_fail_memory();
    for (size_t i = 0; i < count; i++) {
        loss->count = i + 1;
        CLI_TRY(
            read_entry(loss, json_array_get(json, i), i, &loss->entries[i]));
    }
    return CLI_DONE;
}

static int read_entries(struct loss *loss)
{
    json_t *json;
    CLI_TRY(cli_json_read_list(loss->options->ids, &json));
    int status = add_entries(loss, json);
    json_decref(json);
    return status;
}

static int add_results(struct loss *loss, size_t number,
                       const struct entry *entry, const struct cli_loss *sums)
{
    for (size_t i = 0; i < entry->policies.count; i++)
        CLI_TRY(cli_json_append(
            loss->results,
            json_pack("{sI ss sI sI sf sf}", "entry", (json_int_t)number,
                      "policy", entry->policies.names[i], "tokens",
                      (json_int_t)entry->ids.count, "positions",
                      (json_int_t)sums[i].count, "loss",
                      sums[i].sum / (double)sums[i].count, "rows_read",
                      (double)sums[i].rows / (double)sums[i].count)));
    return CLI_DONE;
}

static int eval_entry(struct loss *loss, struct cli_scorer *scorer,
                      size_t number)
{
    const struct entry *entry = &loss->entries[number];
    scorer->policies = &entry->policies;
    scorer->loss = calloc(entry->policies.count, sizeof *scorer->loss);
    if (!scorer->loss)
        return cli_fail_memory();
    int status =
        cli_score(scorer, entry->ids.ids, entry->mask, entry->ids.count);
    if (status)
        goto done;
    status = add_results(loss, number, entry, scorer->loss);
done:
    free(scorer->loss);
    return status;
}

static int print_results(const struct loss *loss)
{
    if (loss->options->common.json)
        return cli_json_print(json_incref(loss->results));
    printf("%5s  %-16s %9s  %s\n", "entry", "policy", "positions", "loss");
    json_t *item;
    size_t i;
    json_array_foreach(loss->results, i, item) printf(
        "%5" JSON_INTEGER_FORMAT "  %-16s %9" JSON_INTEGER_FORMAT "  %.6f\n",
        json_integer_value(json_object_get(item, "entry")),
        json_string_value(json_object_get(item, "policy")),
        json_integer_value(json_object_get(item, "positions")),
        json_real_value(json_object_get(item, "loss")));
    return CLI_DONE;
}

/* The policies of an entry, which are its own without --attention. */
static int check_entry(const struct loss *loss, size_t number)
{
    const struct loss_options *o = loss->options;
    char where[4096 + 32];
    snprintf(where, sizeof where, "%s: entry %zu", o->ids, number);
    return cli_policies_check(&loss->entries[number].policies, loss->session,
                              !o->common.attention ? where : NULL);
}

static int eval_entries(struct loss *loss)
{
    struct cli_scorer scorer = {.vocab = loss->vocab};
    const struct cli_common *common = &loss->options->common;
    const char *first = NULL;
    CLI_TRY(read_entries(loss));
    if (loss->count == 0)
        return print_results(loss);
    if (common->attention)
        first = loss->entries[0].policies.names[0];
    CLI_TRY(cli_session_open_file(common, loss->model, loss->longest, first,
                                  loss->options->ids, "an entry",
                                  &loss->session));
    for (size_t i = 0; i < loss->count; i++)
        CLI_TRY(check_entry(loss, i));
    scorer.session = loss->session;
    cli_progress_start("reading", "tokens", loss->work);
    for (size_t i = 0; i < loss->count; i++)
        CLI_TRY(eval_entry(loss, &scorer, i));
    cli_progress_end();
    return print_results(loss);
}

static int eval_file(struct loss *loss)
{
    CLI_TRY(cli_model_open(&loss->options->common, &loss->model));
    clsa_model_info info;
    clsa_model_get_info(loss->model, &info, sizeof info);
    loss->vocab = info.vocab;
    return eval_entries(loss);
}

static int eval_open(const struct loss_options *options)
{
    struct loss loss = {.options = options, .results = json_array()};
    int status = eval_file(&loss);
    for (size_t i = 0; i < loss.count; i++) {
        free(loss.entries[i].ids.ids);
        free(loss.entries[i].mask);
        cli_policies_free(&loss.entries[i].policies);
    }
    free(loss.entries);
    json_decref(loss.results);
    clsa_session_close(loss.session);
    clsa_model_close(loss.model);
    return status;
}

static int loss_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_eval_loss;
    struct loss_options options = {.common = CLI_COMMON_INIT};
    int first;
    options.common.prefill = "own"; /* to be compared with other programs */
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    if (!options.ids)
        return cli_usage(self, "give --ids FILE");
    return eval_open(&options);
}

const struct cli_command cli_command_eval_loss = {
    .name = "eval loss",
    .usage = "--ids FILE",
    .summary = "Mean next-token loss at given positions.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = loss_table,
    .run = loss_run};
