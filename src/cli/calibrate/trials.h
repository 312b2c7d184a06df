/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trials: how well policies do on texts that a model has read densely: the loss
 * of the end of the text, and questions answered right. Tokens before these are
 * read densely, these under the policy. An answer counts if each of its tokens
 * is the likeliest one, and no letter or digit follows.
 */
#ifndef CLSA_CLI_CALIBRATE_TRIALS_H
#define CLSA_CLI_CALIBRATE_TRIALS_H

#include "src/cli/calibrate/texts.h"

enum { CLI_TRIAL_TEXT = 96 };

/* A policy, and what it did so far. */
struct cli_trial {
    char policy[CLI_TRIAL_TEXT];
    uint32_t window; /* of the layers before the first anchor; 0: all rows */
    uint64_t asked, recalled;
    double loss; /* sum in nats, of */
    uint64_t tokens;
};

/* Trials that are run together. */
struct cli_trials {
    const clsa_model *model;
    struct cli_trial *list;
    size_t count;
    uint64_t done; /* steps, for the progress */
};

/* Loss of a token on average. */
double cli_trial_loss(const struct cli_trial *trial);

/* Add a text to trials. `session` has read all of it, and is cut to its end. */
int cli_trials_run(struct cli_trials *trials, clsa_session *session,
                   const struct cli_facts_text *text);

/* Steps of that. */
uint64_t cli_trials_work(const struct cli_trials *trials,
                         const struct cli_facts_text *text);

#endif /* CLSA_CLI_CALIBRATE_TRIALS_H */
