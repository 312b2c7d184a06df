/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a session file after one byte that says which model and policy
 * it is for, and whether it is loaded as it is. Else the fingerprint and the
 * checksum are made right first, for what follows them. What loads has to
 * go on, to be truncated and to be saved.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "tests/fuzz/fuzz.h"

#define FINGERPRINT_AT 24 /* in the header: magic, version, types, logits */
#define AS_IT_IS       0x80

static const struct {
    const char *model, *attention;
} kinds[] = {
    {"good-clsa.gguf", NULL},
    {"good-clsa.gguf", "dense"},
    {"good-clsa.gguf", "window:5"},
    {"good-retention-indexer.gguf", "clsa:3"},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Offset of the checksum, the last 8 bytes. */
static void make_right(uint8_t *data, size_t size, uint64_t fingerprint)
{
    if (size < FINGERPRINT_AT + 16)
        return;
    memcpy(data + FINGERPRINT_AT, &fingerprint, sizeof fingerprint);
    uint64_t sum = XXH3_64bits(data, size - sizeof sum);
    memcpy(data + size - sizeof sum, &sum, sizeof sum);
}

static void go_on(clsa_session *session)
{
    const int32_t ids[2] = {1, 2};
    const uint64_t length = clsa_session_length(session);
    clsa_error error;
    size_t count = 0;
    const uint32_t *rows = NULL;
    clsa_session_rows(session, &rows, &count);
    for (size_t i = 0; i < count; i++)
        fuzz_check(rows[i] < length);
    clsa_status status = clsa_session_append(session, ids, 2, NULL, &error);
    if (status)
        fuzz_failed(status, &error);
    status = clsa_session_truncate(session, length / 2, &error);
    if (!status)
        status = clsa_session_append(session, ids, 1, NULL, &error);
    if (!status)
        status = clsa_session_save(session, fuzz_path("again"), &error);
    if (status)
        fuzz_failed(status, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static clsa_model *models[KINDS];
    clsa_session *session;
    clsa_session_options options;
    clsa_error error;
    const size_t kind = size > 0 ? data[0] % KINDS : 0;
    if (!models[kind])
        models[kind] = fuzz_model(kinds[kind].model);
    uint8_t *copy = malloc(size + 1);
    fuzz_check(copy);
    memcpy(copy, data + (size > 0), size - (size > 0));
    if (size > 0 && !(data[0] & AS_IT_IS))
        make_right(copy, size - 1, clsa_model_fingerprint(models[kind]));
    clsa_session_options_init(&options);
    options.context = 64;
    options.attention = kinds[kind].attention;
    clsa_status status = clsa_session_load(
        &session, models[kind], fuzz_write("s", copy, size - (size > 0)),
        &options, &error);
    free(copy);
    if (status) {
        fuzz_failed(status, &error);
        return 0;
    }
    go_on(session);
    clsa_session_close(session);
    return 0;
}
