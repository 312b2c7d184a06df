/* SPDX-License-Identifier: Apache-2.0 */
/*
 * score: teacher-forced losses. The log-softmax is summed in double, in the
 * order of the vocabulary.
 */
#include <math.h>

#include "src/cli/eval/score.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

/* What the logits of one policy are compared with. */
struct target {
    const int32_t *ids;
    uint32_t vocab;
    struct cli_loss *loss;
};

double cli_token_loss(const float *logits, uint32_t vocab, int32_t id)
{
    double best = logits[0], sum = 0;
    for (uint32_t i = 1; i < vocab; i++)
        if (logits[i] > best)
            best = logits[i];
    for (uint32_t i = 0; i < vocab; i++)
        sum += exp(logits[i] - best);
    return log(sum) + best - logits[id];
}

static void add_loss(void *user, uint64_t position, const float *logits)
{
    const struct target *target = user;
    target->loss->sum +=
        cli_token_loss(logits, target->vocab, target->ids[position + 1]);
    target->loss->count++;
}

static size_t first_wanted(const uint8_t *mask, size_t count)
{
    size_t first = 0;
    while (first < count - 1 && !mask[first])
        first++;
    return first;
}

uint64_t cli_score_work(const struct cli_policies *policies,
                        const uint8_t *mask, size_t count)
{
    size_t first = first_wanted(mask, count);
    return first + policies->count * (uint64_t)(count - first);
}

/* Read ids[first..count) in a fork under one policy. */
static int score_policy(struct cli_scorer *scorer, size_t policy,
                        const int32_t *ids, const uint8_t *mask, size_t first,
                        size_t count)
{
    struct target target = {ids, scorer->vocab, &scorer->loss[policy]};
    clsa_append_options how = {.want = CLSA_WANT_MASK,
                               .mask = mask + first,
                               .on_logits = add_loss,
                               .user = &target};
    clsa_session *fork;
    CLI_TRY(cli_fork(scorer->session, scorer->policies->names[policy], &fork));
    int status =
        cli_append(fork, ids + first, count - first, &how, scorer->done);
    scorer->loss[policy].rows += cli_output_rows(fork);
    clsa_session_close(fork);
    scorer->done += count - first;
    CLI_TRY(status);
    if (isnan(scorer->loss[policy].sum))
        return cli_fail(
            "policy %s: the loss is not a number: the weights of the "
            "model are damaged; get the file again",
            scorer->policies->names[policy]);
    return CLI_DONE;
}

int cli_score(struct cli_scorer *scorer, const int32_t *ids,
              const uint8_t *mask, size_t count)
{
    static const clsa_append_options only_read = {.want = CLSA_WANT_NONE};
    size_t first = first_wanted(mask, count);
    clsa_error error;
    if (clsa_session_truncate(scorer->session, 0, &error) != CLSA_OK)
        return cli_fail_error(&error);
    if (first > 0)
        CLI_TRY(
            cli_append(scorer->session, ids, first, &only_read, scorer->done));
    scorer->done += first;
    for (size_t i = 0; i < scorer->policies->count; i++)
        CLI_TRY(score_policy(scorer, i, ids, mask, first, count));
    return CLI_DONE;
}
