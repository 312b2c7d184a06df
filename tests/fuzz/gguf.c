/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a model file. What opens is described, tokenizes and spells,
 * and runs a few tokens by each of its policies, saved and loaded in between.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static void describe(const clsa_model *model)
{
    const char *key;
    char value[64];
    clsa_tensor_info tensor;
    for (size_t i = 0; i < clsa_model_metadata_count(model); i++)
        clsa_model_metadata(model, i, &key, value, sizeof value);
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_model_tensor(model, i, &tensor, sizeof tensor);
        fuzz_check(tensor.name && *tensor.name);
    }
}

static void spell(const clsa_model *model, const int32_t *ids, size_t count)
{
    clsa_detokenizer state = {0};
    clsa_error error;
    char *text;
    size_t size;
    for (size_t i = 0; i < count; i++) {
        clsa_status status =
            clsa_detokenize(model, &state, ids[i], &text, &size, &error);
        if (status)
            fuzz_failed(status, &error);
        else
            clsa_free(text);
    }
}

static void tokenize(const clsa_model *model)
{
    static const char text[] = "The thing, in the inner\n ring <|im_end|>; \xff"
                               "\xc3\xa9 12\t\t\r\n  x";
    int32_t *ids;
    size_t count;
    clsa_error error;
    clsa_status status = clsa_tokenize(
        model, text, sizeof text, CLSA_TOKENIZE_SPECIAL | CLSA_TOKENIZE_BOS,
        &ids, &count, &error);
    if (status) {
        fuzz_failed(status, &error);
        return;
    }
    spell(model, ids, count);
    clsa_free(ids);
}

/* Saves the session and goes on with what was saved. */
static clsa_session *reopened(clsa_model *model, clsa_session *session,
                              const clsa_session_options *options)
{
    clsa_session *loaded;
    clsa_error error;
    const char *path = fuzz_path("session");
    clsa_status status = clsa_session_save(session, path, &error);
    if (!status)
        status = clsa_session_load(&loaded, model, path, options, &error);
    if (status) {
        fuzz_failed(status, &error);
        return session;
    }
    fuzz_check(clsa_session_length(loaded) == clsa_session_length(session));
    clsa_session_close(session);
    return loaded;
}

static void run(clsa_model *model, const char *attention)
{
    clsa_session_options options;
    clsa_session *session;
    clsa_error error;
    const int32_t ids[7] = {0, 0, 0};
    clsa_session_options_init(&options);
    options.context = 16;
    options.prefill_block = 3;
    options.attention = attention;
    clsa_status status = clsa_session_open(&session, model, &options, &error);
    if (status) {
        fuzz_failed(status, &error);
        return;
    }
    status = clsa_session_append(session, ids, 7, NULL, &error);
    if (!status) {
        session = reopened(model, session, &options);
        status = clsa_session_append(session, ids, 1, NULL, &error);
    }
    if (status)
        fuzz_failed(status, &error);
    clsa_session_close(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clsa_model *model;
    clsa_model_options options;
    clsa_model_info info;
    clsa_error error;
    fuzz_options(&options);
    clsa_status status = clsa_model_open(
        &model, fuzz_write("model", data, size), &options, &error);
    if (status) {
        fuzz_failed(status, &error);
        return 0;
    }
    clsa_model_get_info(model, &info, sizeof info);
    describe(model);
    tokenize(model);
    run(model, NULL);
    run(model, "sink:5");
    clsa_model_close(model);
    return 0;
}
