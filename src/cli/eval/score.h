/* SPDX-License-Identifier: Apache-2.0 */
/*
 * score: the loss of given tokens under several policies. What comes before
 * the first wanted position is read once; each policy then reads the rest in
 * a fork, because windows and cache do not depend on the policy.
 */
#ifndef CLSA_CLI_SCORE_H
#define CLSA_CLI_SCORE_H

#include "src/cli/library.h"

/* Sum of losses in nats and their number; rows that were read for them. */
struct cli_loss {
    double sum;
    uint64_t count, rows;
};

struct cli_scorer {
    clsa_session *session; /* is emptied before each list */
    const struct cli_policies *policies;
    uint32_t vocab;
    uint64_t done;         /* tokens for the progress, over all lists */
    struct cli_loss *loss; /* [policies], added to */
};

/* -log softmax(logits)[id] */
double cli_token_loss(const float *logits, uint32_t vocab, int32_t id);

/* Tokens that cli_score will read, for the progress. */
uint64_t cli_score_work(const struct cli_policies *policies,
                        const uint8_t *mask, size_t count);

/* Add the losses of ids[i + 1] after ids[0..i] for every i < count - 1 whose
   mask is not 0; there is at least one. mask[count - 1] is 0. */
int cli_score(struct cli_scorer *scorer, const int32_t *ids,
              const uint8_t *mask, size_t count);

#endif /* CLSA_CLI_SCORE_H */
