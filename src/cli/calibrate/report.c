/* SPDX-License-Identifier: Apache-2.0 */
/* What calibrate has found: a table, JSON, a heat map. */
#include <inttypes.h>
#include <stdio.h>

#include "src/cli/calibrate/calibrate.h"
#include "src/cli/calibrate/heatmap.h"
#include "src/cli/message.h"

/* ---------------------------------------------------------------------- text
 */

static void print_shared(const struct cli_calibration *c)
{
    printf("Far attention of each layer (%%), and how much of it lies on the "
           "best rows of\nlayer a, a line each (%%):\n\n  layer");
    for (uint32_t b = 0; b < c->layers; b++)
        printf("%4" PRIu32, b);
    printf("\n   mass");
    for (uint32_t b = 0; b < c->layers; b++)
        printf("%4.0f", (double)c->mass[b] * 100);
    printf("\n\n");
    for (uint32_t a = 0; a < c->layers; a++) {
        printf("%7" PRIu32, a);
        for (uint32_t b = 0; b < c->layers; b++)
            printf("%4.0f", (double)c->shared[a * c->layers + b] * 100);
        printf("\n");
    }
}

static void print_trial(const struct cli_trial *trial)
{
    char window[40] = "";
    if (trial->window)
        snprintf(window, sizeof window, " window %" PRIu32, trial->window);
    printf("%-32s%-12s %4" PRIu64 " of %-4" PRIu64 " %8.4f\n", trial->policy,
           window, trial->recalled, trial->asked, cli_trial_loss(trial));
}

static void print_trials(const char *heading, const struct cli_trial *trials,
                         size_t count)
{
    printf("\n%-44s %12s %8s\n", heading, "recalled", "loss");
    for (size_t i = 0; i < count; i++)
        print_trial(&trials[i]);
}

static void print_list(const struct cli_calibration *c)
{
    for (uint32_t i = 0; i < c->sites; i++)
        printf("%s%" PRIu32, i ? "," : "", c->chosen[i]);
}

static void print_summary(const struct cli_calibration *c, const char *side)
{
    printf("\nLayers ");
    print_list(c);
    printf(" choose; %.0f %% of the far attention is on their rows.\n",
           c->covered * 100);
    printf(c->enough ? "The model needs K = %" PRIu32 ".\n"
                     : "The model needs more than K = %" PRIu32 ".\n",
           c->rows);
    if (c->window)
        printf("The layers before %" PRIu32 " %s windows of %" PRIu32
               " rows.\n",
               c->chosen[0], c->windows ? "can be" : "cannot be", c->window);
    printf("Written to %s.\n", side);
}

static void print_text(const struct cli_calibration *c, const char *side)
{
    print_shared(c);
    print_trials("candidates", c->tried, c->list_count + 1);
    print_trials("rows", c->by_rows, CLI_ROWS_TRIED);
    if (c->window)
        print_trials("windows", c->windowed, 2);
    print_trials("on other text", c->check, c->window ? 3 : 2);
    print_summary(c, side);
}

/* ---------------------------------------------------------------------- JSON
 */

static json_t *floats(const float *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_real((double)values[i]));
    return list;
}

static json_t *matrix(const struct cli_calibration *c)
{
    json_t *list = json_array();
    for (uint32_t a = 0; a < c->layers; a++)
        json_array_append_new(
            list, floats(c->shared + (size_t)a * c->layers, c->layers));
    return list;
}

static json_t *chosen(const struct cli_calibration *c)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < c->sites; i++)
        json_array_append_new(list, json_integer(c->chosen[i]));
    return list;
}

static json_t *trials(const struct cli_trial *trial, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, json_pack("{ss sI sI sI sf}", "policy", trial[i].policy,
                            "window", (json_int_t)trial[i].window, "asked",
                            (json_int_t)trial[i].asked, "recalled",
                            (json_int_t)trial[i].recalled, "loss",
                            cli_trial_loss(&trial[i])));
    return list;
}

static int print_json(const struct cli_calibration *c, const char *side)
{
    const struct cli_trial *check = c->check;
    return cli_json_print(json_pack(
        "{sI so so so sI sf s{sf sf} s{sI sI sI} sI sb sI so so so so so}",
        "layers", (json_int_t)c->layers, "far_mass", floats(c->mass, c->layers),
        "shared", matrix(c), "chosen", chosen(c), "first_window",
        (json_int_t)(c->windows ? c->window : 0), "covered", c->covered, "loss",
        "dense", cli_trial_loss(&check[0]), "anchors",
        cli_trial_loss(&check[1]), "recall", "asked",
        (json_int_t)check[0].asked, "dense", (json_int_t)check[0].recalled,
        "anchors", (json_int_t)check[1].recalled, "top_k", (json_int_t)c->rows,
        "enough", c->enough, "context", (json_int_t)c->texts.context,
        "candidates", trials(c->tried, c->list_count + 1), "rows",
        trials(c->by_rows, CLI_ROWS_TRIED), "windows",
        trials(c->windowed, c->window ? 2 : 0), "check",
        trials(check, c->window ? 3 : 2), "side", cli_json_text(side)));
}

int cli_calibration_print(const struct cli_calibration *c, const char *side,
                          bool json)
{
    if (json)
        return print_json(c, side);
    print_text(c, side);
    return CLI_DONE;
}

int cli_calibration_draw(const struct cli_calibration *c, const char *path)
{
    const struct cli_heatmap map = {
        .title = "Far attention of layer b on the best rows of layer a",
        .above = "Part of the attention of a layer that is far",
        .rows = "layer a",
        .columns = "layer b",
        .n = c->layers,
        .matrix = c->shared,
        .bars = c->mass,
        .marked = c->chosen,
        .marked_count = c->sites};
    return cli_heatmap_draw(&map, path);
}
