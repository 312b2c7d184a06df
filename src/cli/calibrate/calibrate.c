/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calibrate: which layers of an ordinary transformer choose rows for the
 * others. Texts with facts are read densely; candidates by what the layers look
 * at are tried as anchors, and the one that recalls most is written to the side
 * file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/minmax.h"
#include "src/cli/calibrate/calibrate.h"
#include "src/cli/commands.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

/* What makes no difference: nats of loss, a part of the answers. */
#define LOSS_ROWS   0.02
#define LOSS_WINDOW 0.01

enum { WINDOW = 512, QUERIES = 48, SAME_PART = 8 };

struct calibrate_options {
    struct cli_common common;
    const char *text, *side, *svg;
    uint64_t sites;
};

static const struct cli_option calibrate_table[] = {
    {.kind = CLI_FILE,
     .name = "text",
     .argument = "FILE",
     .help = "text to read; default: a story that is built in",
     .offset = offsetof(struct calibrate_options, text)},
    {.kind = CLI_SIZE,
     .name = "sites",
     .argument = "M",
     .help = "layers that choose; default: 3",
     .offset = offsetof(struct calibrate_options, sites),
     .min = 1,
     .max = CLI_SITES_MOST},
    {.kind = CLI_FILE,
     .letter = 'o',
     .name = "output",
     .argument = "SIDE",
     .help = "side file to write; default: x.clsa.gguf of x.gguf",
     .offset = offsetof(struct calibrate_options, side)},
    {.kind = CLI_FILE,
     .name = "svg",
     .argument = "FILE",
     .help = "draw a heat map of what layers share",
     .offset = offsetof(struct calibrate_options, svg)},
    {.kind = CLI_SIZE,
     .letter = 'c',
     .name = "context",
     .argument = "N",
     .help = "tokens of each text; default: up to 8192",
     .offset = offsetof(struct calibrate_options, common.context),
     .min = 1,
     .max = (uint64_t)1 << 31},
    {0}};

/* ------------------------------------------------------------------ reading */

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    const uint64_t *base = user;
    (void)total;
    cli_progress_update(*base + done);
    return cli_interrupt_seen();
}

/* Tokens whose attention is looked at: some of the second half of the text, and
   those that find an answer. */
static void mark_queries(const struct cli_facts_text *text, uint8_t *queries)
{
    const size_t half = text->end / 2;
    for (size_t i = 0; i < QUERIES; i++)
        queries[half + (text->end - half) * i / QUERIES] = CLSA_QUERY_TEXT;
    for (size_t i = 0; i < text->count; i++)
        for (size_t j = text->facts[i].answer; j < text->facts[i].end; j++)
            queries[j - 1] = CLSA_QUERY_ANSWER;
}

static int read_text(struct cli_calibration *c,
                     const clsa_session_options *options, size_t i,
                     uint64_t done)
{
    const struct cli_facts_text *text = &c->texts.text[i];
    const clsa_append_options how = {
        .want = CLSA_WANT_NONE, .on_progress = on_progress, .user = &done};
    uint8_t *queries = calloc(text->ids.count, 1);
    clsa_error error;
    if (!queries)
        return cli_fail_memory();
    mark_queries(text, queries);
    const clsa_status status =
        clsa_calibration_read(c->seen, text->ids.ids, text->ids.count, queries,
                              options, &how, &c->sessions[i], &error);
    free(queries);
    return status == CLSA_OK ? CLI_DONE : cli_fail_error(&error);
}

/* All texts but the last one, whose attention is not looked at. */
static int read_texts(struct cli_calibration *c,
                      const clsa_session_options *options)
{
    const size_t last = c->texts.count - 1;
    uint64_t done = 0;
    cli_progress_start("reading", "tokens", c->texts.count * c->texts.context);
    for (size_t i = 0; i < last; i++) {
        CLI_TRY(read_text(c, options, i, done));
        done += c->texts.text[i].ids.count;
    }
    clsa_session_options plain = *options;
    plain.context = c->texts.context;
    plain.attention = "dense";
    clsa_error error;
    if (clsa_session_open(&c->sessions[last], c->model, &plain, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    static const clsa_append_options only_read = {.want = CLSA_WANT_NONE};
    CLI_TRY(cli_append(c->sessions[last], c->texts.text[last].ids.ids,
                       c->texts.text[last].end, &only_read, done));
    cli_progress_end();
    return CLI_DONE;
}

/* ------------------------------------------------------------------- trials */

static void name_anchors(struct cli_trial *trial, uint64_t rows,
                         const uint32_t *list, uint32_t sites)
{
    const size_t size = sizeof trial->policy;
    size_t n = (size_t)snprintf(trial->policy, size, "anchors:%" PRIu64, rows);
    for (uint32_t i = 0; i < sites && n < size; i++)
        n += (size_t)snprintf(trial->policy + n, size - n, "%c%" PRIu32,
                              i ? ',' : ':', list[i]);
}

/* Run trials on texts first .. end - 1. */
static int run(struct cli_calibration *c, struct cli_trial *list, size_t count,
               size_t first, size_t end)
{
    struct cli_trials trials = {
        .model = c->model, .list = list, .count = count};
    uint64_t work = 0;
    for (size_t i = first; i < end; i++)
        work += cli_trials_work(&trials, &c->texts.text[i]);
    cli_progress_start("trying", "answers and losses", work);
    for (size_t i = first; i < end; i++)
        CLI_TRY(cli_trials_run(&trials, c->sessions[i], &c->texts.text[i]));
    cli_progress_end();
    return CLI_DONE;
}

/* Answers that make no difference to so many. */
static uint64_t few(uint64_t recalled)
{
    return clsa_max_u64(recalled / SAME_PART, 1);
}

/* Whether a trial does as well as another. */
static bool as_well(const struct cli_trial *trial,
                    const struct cli_trial *other, double loss)
{
    return trial->recalled + few(other->recalled) >= other->recalled &&
           cli_trial_loss(trial) <= cli_trial_loss(other) + loss;
}

/* The candidate with the most answers; of those that have about as many, the
   one with the least loss. */
static size_t best_list(const struct cli_calibration *c)
{
    uint64_t most = 0;
    size_t best = c->list_count;
    for (size_t i = 0; i < c->list_count; i++)
        most = clsa_max_u64(most, c->tried[i + 1].recalled);
    for (size_t i = 0; i < c->list_count; i++)
        if (c->tried[i + 1].recalled + few(most) >= most &&
            (best == c->list_count || cli_trial_loss(&c->tried[i + 1]) <
                                          cli_trial_loss(&c->tried[best + 1])))
            best = i;
    return best;
}

static int try_lists(struct cli_calibration *c)
{
    snprintf(c->tried[0].policy, sizeof c->tried[0].policy, "dense");
    for (size_t i = 0; i < c->list_count; i++)
        name_anchors(&c->tried[i + 1], cli_calibration_rows(c),
                     c->lists + i * c->sites, c->sites);
    CLI_TRY(run(c, c->tried, c->list_count + 1, 0, c->texts.count - 1));
    if (c->tried[0].recalled == 0)
        cli_warning("the model answers none of the questions with all rows "
                    "either: layers and K are chosen by loss alone");
    c->chosen = c->lists + best_list(c) * c->sites;
    c->covered = clsa_calibration_covered(c->seen, c->chosen, c->sites);
    return CLI_DONE;
}

/* The least number of rows that does as well as all rows. */
static int try_rows(struct cli_calibration *c)
{
    const uint32_t base = cli_calibration_rows(c);
    uint32_t rows[CLI_ROWS_TRIED];
    for (size_t i = 0; i < CLI_ROWS_TRIED; i++) {
        rows[i] = (uint32_t)clsa_max((size_t)base / 4 << i, (size_t)8);
        name_anchors(&c->by_rows[i], rows[i], c->chosen, c->sites);
    }
    CLI_TRY(run(c, c->by_rows, CLI_ROWS_TRIED, 0, c->texts.count - 1));
    size_t i = 0;
    while (i < CLI_ROWS_TRIED - 1 &&
           !as_well(&c->by_rows[i], &c->tried[0], LOSS_ROWS))
        i++;
    c->rows = rows[i];
    c->enough = as_well(&c->by_rows[i], &c->tried[0], LOSS_ROWS);
    return CLI_DONE;
}

/* Whether the layers before the first anchor may be windows: with the others
   dense, and with anchors. */
static int try_windows(struct cli_calibration *c)
{
    if (c->chosen[0] == 0)
        return CLI_DONE;
    c->window = clsa_min((uint32_t)WINDOW, cli_calibration_rows(c));
    name_anchors(&c->windowed[0], c->texts.context, c->chosen, c->sites);
    name_anchors(&c->windowed[1], c->rows, c->chosen, c->sites);
    c->windowed[0].window = c->windowed[1].window = c->window;
    CLI_TRY(run(c, c->windowed, 2, 0, c->texts.count - 1));
    size_t i = 0;
    while (strcmp(c->by_rows[i].policy, c->windowed[1].policy) != 0)
        i++;
    c->windows = as_well(&c->windowed[0], &c->tried[0], LOSS_WINDOW) &&
                 as_well(&c->windowed[1], &c->by_rows[i], LOSS_WINDOW);
    return CLI_DONE;
}

static int check(struct cli_calibration *c)
{
    const size_t last = c->texts.count - 1;
    snprintf(c->check[0].policy, sizeof c->check[0].policy, "dense");
    name_anchors(&c->check[1], c->rows, c->chosen, c->sites);
    c->check[2] = c->check[1];
    c->check[2].window = c->window;
    return run(c, c->check, c->window ? 3 : 2, last, last + 1);
}

/* ------------------------------------------------------------------ command */

static int list_candidates(struct cli_calibration *c)
{
    c->list_count = clsa_calibration_candidates(c->seen, c->sites,
                                                CLI_LISTS_MOST, c->lists);
    if (c->list_count > 0)
        return CLI_DONE;
    return cli_fail("--sites %" PRIu32
                    ": the model has fewer layers that could "
                    "choose rows for others: use a smaller number",
                    c->sites);
}

static int open_all(struct cli_calibration *c,
                    const struct calibrate_options *options)
{
    struct cli_common common = options->common;
    clsa_model_info info;
    clsa_error error;
    common.index = "none";
    CLI_TRY(cli_model_open(&common, &c->model));
    if (clsa_calibration_open(&c->seen, c->model, &error) != CLSA_OK)
        return cli_fail("%s: %s", common.model, error.message);
    clsa_model_get_info(c->model, &info, sizeof info);
    c->layers = info.layers;
    c->sites = (uint32_t)options->sites;
    c->mass = calloc(c->layers, sizeof *c->mass);
    c->shared = calloc((size_t)c->layers * c->layers, sizeof *c->shared);
    return c->mass && c->shared ? list_candidates(c) : cli_fail_memory();
}

static void close_all(struct cli_calibration *c)
{
    for (size_t i = 0; i < CLI_TEXTS_MOST; i++)
        clsa_session_close(c->sessions[i]);
    cli_facts_free(&c->texts);
    clsa_calibration_close(c->seen);
    clsa_model_close(c->model);
    free(c->mass);
    free(c->shared);
}

/* Refuse files that could not be written, before long work. */
static int check_files(const struct cli_calibration *c, const char *side,
                       const struct calibrate_options *options)
{
    clsa_error error;
    int indexed;
    CLI_TRY(cli_output_apart(side, options->common.model));
    if (clsa_anchors_check(c->model, side, &indexed, &error) != CLSA_OK)
        return cli_fail_error(&error);
    CLI_TRY(cli_output_check(side));
    if (!options->svg)
        return CLI_DONE;
    CLI_TRY(cli_output_apart(options->svg, options->common.model));
    return cli_output_check(options->svg);
}

static int find(struct cli_calibration *c,
                const struct calibrate_options *options)
{
    clsa_session_options session;
    CLI_TRY(cli_facts_make(c->model, options->text, options->common.context,
                           &c->texts));
    cli_common_session(&options->common, &session);
    CLI_TRY(read_texts(c, &session));
    clsa_calibration_result(c->seen, c->mass, c->shared);
    CLI_TRY(list_candidates(c));
    CLI_TRY(try_lists(c));
    CLI_TRY(try_rows(c));
    CLI_TRY(try_windows(c));
    return check(c);
}

static int write_side(const struct cli_calibration *c, const char *side)
{
    const clsa_anchors anchors = {.layers = c->chosen,
                                  .count = c->sites,
                                  .rows = c->rows,
                                  .first_window = c->windows ? c->window : 0};
    clsa_error error;
    if (clsa_anchors_write(c->model, side, &anchors, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

static int calibrate(const struct calibrate_options *options, const char *side)
{
    struct cli_calibration c = {.model = NULL};
    int status = open_all(&c, options);
    if (!status)
        status = check_files(&c, side, options);
    if (!status)
        status = find(&c, options);
    if (!status)
        status = write_side(&c, side);
    if (!status && options->svg)
        status = cli_calibration_draw(&c, options->svg);
    if (!status)
        status = cli_calibration_print(&c, side, options->common.json);
    close_all(&c);
    return status;
}

static int calibrate_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_calibrate;
    struct calibrate_options options = {.common = CLI_COMMON_INIT, .sites = 3};
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    const int operands = argc - first;
    if (operands + (options.common.model != NULL) != 1)
        return cli_usage(self, "give one MODEL");
    if (options.common.index)
        return cli_usage(self, "the side file is named by -o, not by --index");
    CLI_TRY(cli_operands_check(self, operands, argv + first));
    if (operands == 1)
        options.common.model = argv[first];
    if (options.side)
        return calibrate(&options, options.side);
    char *side = clsa_index_beside(options.common.model);
    if (!side)
        return cli_fail_memory();
    const int status = calibrate(&options, side);
    clsa_free(side);
    return status;
}

const struct cli_command cli_command_calibrate = {
    .name = "calibrate",
    .usage = "MODEL",
    .operands = true,
    .summary = "Find the layers that can choose rows for the others.",
    .groups = CLI_GROUP_MODEL,
    .options = calibrate_table,
    .run = calibrate_run};
