/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calibrate: what the parts of the command share: the work that calibrate.c
 * does and report.c prints.
 */
#ifndef CLSA_CLI_CALIBRATE_H
#define CLSA_CLI_CALIBRATE_H

#include <stdbool.h>

#include "clsa_train.h"
#include "src/cli/calibrate/trials.h"

enum {
    CLI_SITES_MOST = 16,
    CLI_LISTS_MOST = 10, /* candidates that are tried */
    CLI_ROWS_TRIED = 5,  /* numbers of rows, each twice the one before */
};

struct cli_calibration {
    clsa_model *model;
    clsa_calibration *seen;
    struct cli_facts_texts texts;
    clsa_session *sessions[CLI_TEXTS_MOST]; /* that have read them */
    uint32_t layers, sites;
    float *mass, *shared; /* [L], [L][L] */

    uint32_t lists[CLI_LISTS_MOST * CLI_SITES_MOST];
    size_t list_count;
    struct cli_trial tried[CLI_LISTS_MOST + 1]; /* the first one: dense */
    const uint32_t *chosen;                     /* of lists */
    double covered;

    struct cli_trial by_rows[CLI_ROWS_TRIED];
    uint32_t rows;   /* K that is enough */
    bool enough;     /* else it is the most that was tried */
    uint32_t window; /* that was tried; 0: there is no layer for it */
    struct cli_trial windowed[2]; /* others dense, others by anchors */
    bool windows;                 /* they change nothing that matters */

    struct cli_trial check[3]; /* dense, anchors, anchors with windows: on the
                                  last text */
};

/* Rows of anchors while candidates are tried. */
static inline uint32_t cli_calibration_rows(const struct cli_calibration *c)
{
    return (uint32_t)(c->texts.context / 16);
}

/* Print what was found, as text or as one JSON object. */
int cli_calibration_print(const struct cli_calibration *c, const char *side,
                          bool json);

/* Draw the heat map. */
int cli_calibration_draw(const struct cli_calibration *c, const char *path);

#endif /* CLSA_CLI_CALIBRATE_H */
