/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden suite of the tokenizer: every text of tokens.json in the shared
 * folder gives the ids of an independent tokenizer, special tokens cut out,
 * and the ids give the text again. Skipped where the folder is absent.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/model/tokenizer.h"

#define SKIPPED 77

static bool same_ids(const int32_t *ids, size_t count, const json_t *expected)
{
    if (count != json_array_size(expected))
        return false;
    for (size_t i = 0; i < count; i++)
        if (json_integer_value(json_array_get(expected, i)) != ids[i])
            return false;
    return true;
}

static bool same_text(const struct clsa_tokenizer *tokenizer,
                      const int32_t *ids, size_t count, const char *text,
                      size_t size)
{
    clsa_detokenizer state = {0};
    bool same = true;
    size_t at = 0;
    for (size_t i = 0; i <= count && same; i++) {
        char *part;
        size_t n;
        if (clsa_tokenizer_decode(tokenizer, &state, i < count ? ids[i] : -1,
                                  &part, &n, NULL) != CLSA_OK)
            return false;
        same = n <= size - at && memcmp(text + at, part, n) == 0;
        at += n;
        clsa_mem_free(part);
    }
    return same && at == size;
}

static bool check_entry(const struct clsa_tokenizer *tokenizer,
                        const json_t *entry)
{
    const json_t *text = json_object_get(entry, "text");
    const char *bytes = json_string_value(text);
    size_t size = json_string_length(text);
    struct clsa_tokens tokens;
    if (clsa_tokenizer_encode(tokenizer, bytes, size, CLSA_TOKENIZE_SPECIAL,
                              &tokens, NULL) != CLSA_OK)
        return false;
    bool good =
        same_ids(tokens.ids, tokens.count, json_object_get(entry, "ids")) &&
        same_text(tokenizer, tokens.ids, tokens.count, bytes, size);
    clsa_mem_free(tokens.ids);
    return good;
}

static int check_all(const struct clsa_tokenizer *tokenizer,
                     const json_t *entries)
{
    size_t failed = 0, total = json_array_size(entries);
    for (size_t i = 0; i < total; i++) {
        if (check_entry(tokenizer, json_array_get(entries, i)))
            continue;
        printf("golden tokens: text %zu differs\n", i);
        failed++;
    }
    printf("golden tokens: %zu of %zu texts equal\n", total - failed, total);
    return failed > 0 || total == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static clsa_status open_tokenizer(struct clsa_tokenizer **tokenizer,
                                  const char *top, clsa_error *error)
{
    const char *model = getenv("CLSA_TEST_MODEL");
    char path[4096];
    struct clsa_gguf *gguf;
    snprintf(path, sizeof path, "%s/models/clsa-tiny-q8_0.gguf", top);
    CLSA_TRY(clsa_gguf_open(&gguf, model ? model : path, error));
    clsa_status status = clsa_tokenizer_open(tokenizer, gguf, 8192, error);
    clsa_gguf_close(gguf);
    return status;
}

int main(void)
{
    const char *top = getenv("srcdir"), *shared = getenv("CLSA_SHARED");
    char path[4096];
    struct clsa_tokenizer *tokenizer;
    clsa_error error = {CLSA_OK, ""};
    top = top ? top : ".";
    snprintf(path, sizeof path, "%s%s/golden/tokens.json",
             shared ? shared : top, shared ? "" : "/../shared");
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("SKIP check_tokens: there is no %s\n", path);
        return SKIPPED;
    }
    json_t *entries = json_loadf(file, JSON_ALLOW_NUL, NULL);
    fclose(file);
    if (!entries || open_tokenizer(&tokenizer, top, &error) != CLSA_OK) {
        printf("golden tokens: %s\n", entries ? error.message : "bad JSON");
        json_decref(entries);
        return EXIT_FAILURE;
    }
    int result = check_all(tokenizer, entries);
    json_decref(entries);
    clsa_tokenizer_close(tokenizer);
    return result;
}
