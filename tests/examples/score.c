/* SPDX-License-Identifier: Apache-2.0 */
/*
 * score: how likely a model finds a text. Prints the mean loss per token
 * under a policy:
 *
 *     score MODEL.gguf POLICY TEXT
 *
 * Shows CLSA_WANT_MASK with on_logits, which gives the logits of many tokens
 * in one append. It is part of libclsa(3). To build it:
 *
 *     cc score.c $(pkg-config --cflags --libs libclsa) -lm
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa.h"

struct score {
    const int32_t *ids;
    uint32_t vocab;
    double sum;
};

static void check(clsa_status status, const clsa_error *error)
{
    if (status != CLSA_OK) {
        fprintf(stderr, "score: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
}

/* Adds -log softmax(logits)[next token]. */
static void add_loss(void *user, uint64_t position, const float *logits)
{
    struct score *score = user;
    double best = logits[0], sum = 0;
    uint32_t i;

    for (i = 1; i < score->vocab; i++)
        best = fmax(best, logits[i]);
    for (i = 0; i < score->vocab; i++)
        sum += exp(logits[i] - best);
    score->sum += log(sum) + best - logits[score->ids[position + 1]];
}

/* Mean loss of all tokens but the first. */
static double score_ids(clsa_session *session, const int32_t *ids, size_t count,
                        uint32_t vocab)
{
    struct score score = {ids, vocab, 0};
    clsa_append_options how = {
        .want = CLSA_WANT_MASK, .on_logits = add_loss, .user = &score};
    uint8_t *mask = malloc(count);
    clsa_error error;

    if (mask == NULL)
        exit(EXIT_FAILURE);
    memset(mask, 1, count);
    how.mask = mask;
    check(clsa_session_append(session, ids, count - 1, &how, &error), &error);
    free(mask);
    return score.sum / (double)(count - 1);
}

int main(int argc, char **argv)
{
    clsa_session_options options;
    clsa_model_info info;
    clsa_model *model;
    clsa_session *session;
    clsa_error error;
    int32_t *ids;
    size_t count;

    if (argc != 4) {
        fputs("usage: score MODEL.gguf POLICY TEXT\n", stderr);
        return EXIT_FAILURE;
    }
    check(clsa_model_open(&model, argv[1], NULL, &error), &error);
    clsa_model_get_info(model, &info, sizeof info);
    check(
        clsa_tokenize(model, argv[3], strlen(argv[3]), 0, &ids, &count, &error),
        &error);
    clsa_session_options_init(&options);
    options.attention = argv[2];
    check(clsa_session_open(&session, model, &options, &error), &error);
    if (count < 2)
        fputs("score: the text has less than two tokens\n", stderr);
    else
        printf("%.4f\n", score_ids(session, ids, count, info.vocab));

    clsa_free(ids);
    clsa_session_close(session);
    clsa_model_close(model);
    return count < 2 ? EXIT_FAILURE : EXIT_SUCCESS;
}
