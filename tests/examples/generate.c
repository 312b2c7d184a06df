/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generate: the shortest useful program on libclsa. Continues a text with the
 * most likely tokens:
 *
 *     generate MODEL.gguf TEXT TOKENS
 *
 * The order of calls: open a model, tokenize, open a session, append the
 * prompt, then sample and append one token at a time. It is part of
 * libclsa(3).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa.h"

static void check(clsa_status status, const clsa_error *error)
{
    if (status != CLSA_OK) {
        fprintf(stderr, "generate: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
}

static void print_token(const clsa_model *model, clsa_detokenizer *state,
                        int32_t id)
{
    clsa_error error;
    char *text;

    check(clsa_detokenize(model, state, id, &text, NULL, &error), &error);
    fputs(text, stdout);
    fflush(stdout);
    clsa_free(text);
}

/* Whether the model says that the text ends here. */
static int is_end(const clsa_model *model, int32_t id)
{
    const int32_t *ids;
    size_t count, i;

    clsa_model_eog(model, &ids, &count);
    for (i = 0; i < count; i++)
        if (ids[i] == id)
            return 1;
    return 0;
}

/* Sample and append until the text ends, is long enough, or nothing fits. */
static void generate(const clsa_model *model, clsa_session *session,
                     clsa_sampler *sampler, long tokens)
{
    clsa_detokenizer state = {0};
    clsa_error error;
    int32_t id;

    while (tokens-- > 0) {
        check(clsa_sampler_sample(sampler, session, &id, &error), &error);
        if (is_end(model, id) ||
            clsa_session_length(session) == clsa_session_context(session))
            break;
        print_token(model, &state, id);
        check(clsa_session_append(session, &id, 1, NULL, &error), &error);
    }
    print_token(model, &state, -1);
    putchar('\n');
}

int main(int argc, char **argv)
{
    clsa_sampler_options options;
    clsa_model *model;
    clsa_session *session;
    clsa_sampler *sampler;
    clsa_error error;
    int32_t *ids;
    size_t count;

    if (argc != 4) {
        fputs("usage: generate MODEL.gguf TEXT TOKENS\n", stderr);
        return EXIT_FAILURE;
    }
    check(clsa_model_open(&model, argv[1], NULL, &error), &error);
    check(clsa_tokenize(model, argv[2], strlen(argv[2]), CLSA_TOKENIZE_BOS,
                        &ids, &count, &error),
          &error);
    check(clsa_session_open(&session, model, NULL, &error), &error);
    clsa_sampler_options_init(&options);
    options.temperature = 0;
    check(clsa_sampler_open(&sampler, &options, &error), &error);

    check(clsa_session_append(session, ids, count, NULL, &error), &error);
    generate(model, session, sampler, atol(argv[3]));

    clsa_free(ids);
    clsa_sampler_close(sampler);
    clsa_session_close(session);
    clsa_model_close(model);
    return EXIT_SUCCESS;
}
