/* SPDX-License-Identifier: Apache-2.0 */
/* Trials of policies, in forks of a session that has read a text. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clsa_train.h"
#include "src/cli/calibrate/trials.h"
#include "src/cli/eval/score.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

double cli_trial_loss(const struct cli_trial *trial)
{
    return trial->tokens ? trial->loss / (double)trial->tokens : 0;
}

/* What logits are compared with. */
struct target {
    const clsa_model *model;
    const int32_t *next; /* the ids that should follow */
    size_t count, at;    /* how many; logits that came */
    uint32_t vocab;
    double loss;
    bool right; /* so far */
};

static int32_t likeliest(const float *logits, uint32_t vocab)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

/* Whether a token goes on with a letter or a digit of ASCII. */
static bool goes_on(const clsa_model *model, int32_t id)
{
    size_t size;
    const char *bytes = clsa_token_bytes(model, id, &size);
    if (!bytes || size == 0)
        return false;
    const char c = *bytes;
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

static void add_loss(void *user, uint64_t position, const float *logits)
{
    struct target *t = user;
    (void)position;
    t->loss += cli_token_loss(logits, t->vocab, t->next[t->at++]);
}

static void compare(void *user, uint64_t position, const float *logits)
{
    struct target *t = user;
    (void)position;
    const int32_t best = likeliest(logits, t->vocab);
    t->right &=
        t->at < t->count ? best == t->next[t->at] : !goes_on(t->model, best);
    t->at++;
}

/* A fork under the policy of a trial. */
static int fork_under(const struct cli_trial *trial,
                      const clsa_session *session, clsa_session **fork)
{
    clsa_error error;
    if (clsa_session_fork(session, fork, &error) != CLSA_OK)
        return cli_fail_error(&error);
    const clsa_status status =
        trial->window
            ? clsa_session_set_first_window(*fork, trial->window, trial->policy,
                                            &error)
            : clsa_session_set_attention(*fork, trial->policy, &error);
    if (status == CLSA_OK)
        return CLI_DONE;
    clsa_session_close(*fork);
    return cli_fail_error(&error);
}

/* Read ids under the policy of a trial, in a fork. */
static int read_under(const struct cli_trial *trial,
                      const clsa_session *session, const int32_t *ids,
                      size_t count, clsa_append_options *how)
{
    clsa_session *fork;
    uint8_t *mask = malloc(count);
    if (!mask)
        return cli_fail_memory();
    memset(mask, 1, count);
    how->want = CLSA_WANT_MASK;
    how->mask = mask;
    int status = fork_under(trial, session, &fork);
    if (!status) {
        status = cli_append(fork, ids, count, how, CLI_QUIET);
        clsa_session_close(fork);
    }
    free(mask);
    return status;
}

static int cut(clsa_session *session, uint64_t length)
{
    clsa_error error;
    if (clsa_session_truncate(session, length, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

/* The tokens of a model, which logits are of. */
static uint32_t vocab_of(const clsa_model *model)
{
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    return info.vocab;
}

/* The loss of the end of the text. The session is cut before it. */
static int measure_loss(struct cli_trials *trials, const clsa_session *session,
                        const struct cli_facts_text *text)
{
    const size_t n = text->end - text->loss;
    const int32_t *ids = text->ids.ids + text->loss;
    for (size_t i = 0; i < trials->count; i++) {
        struct cli_trial *trial = &trials->list[i];
        struct target target = {
            .next = ids, .count = n, .vocab = vocab_of(trials->model)};
        clsa_append_options how = {.on_logits = add_loss, .user = &target};
        CLI_TRY(read_under(trial, session, ids - 1, n, &how));
        trial->loss += target.loss;
        trial->tokens += n;
        cli_progress_update(++trials->done);
    }
    return CLI_DONE;
}

/* One question, which a fork has read densely but for its last token. */
static int ask(struct cli_trials *trials, const clsa_session *fork,
               const struct cli_facts_text *text, const struct cli_fact *fact)
{
    const int32_t *answer = text->ids.ids + fact->answer;
    const size_t n = fact->end - fact->answer;
    for (size_t i = 0; i < trials->count; i++) {
        struct cli_trial *trial = &trials->list[i];
        struct target target = {.model = trials->model,
                                .next = answer,
                                .count = n,
                                .vocab = vocab_of(trials->model),
                                .right = true};
        clsa_append_options how = {.on_logits = compare, .user = &target};
        CLI_TRY(read_under(trial, fork, answer - 1, n + 1, &how));
        trial->asked++;
        trial->recalled += target.right;
        cli_progress_update(++trials->done);
    }
    return CLI_DONE;
}

static int ask_all(struct cli_trials *trials, const clsa_session *session,
                   const struct cli_facts_text *text)
{
    static const clsa_append_options only_read = {.want = CLSA_WANT_NONE};
    for (size_t i = 0; i < text->count; i++) {
        const struct cli_fact *fact = &text->facts[i];
        clsa_session *fork;
        clsa_error error;
        if (clsa_session_fork(session, &fork, &error) != CLSA_OK)
            return cli_fail_error(&error);
        int status =
            cli_append(fork, text->ids.ids + fact->begin,
                       fact->answer - 1 - fact->begin, &only_read, CLI_QUIET);
        if (!status)
            status = ask(trials, fork, text, fact);
        clsa_session_close(fork);
        CLI_TRY(status);
    }
    return CLI_DONE;
}

int cli_trials_run(struct cli_trials *trials, clsa_session *session,
                   const struct cli_facts_text *text)
{
    clsa_session *before;
    clsa_error error;
    CLI_TRY(cut(session, text->end));
    CLI_TRY(ask_all(trials, session, text));
    if (clsa_session_fork(session, &before, &error) != CLSA_OK)
        return cli_fail_error(&error);
    int status = cut(before, text->loss - 1);
    if (!status)
        status = measure_loss(trials, before, text);
    clsa_session_close(before);
    return status;
}

uint64_t cli_trials_work(const struct cli_trials *trials,
                         const struct cli_facts_text *text)
{
    return trials->count * (text->count + 1);
}
