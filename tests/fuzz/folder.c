/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the texts of a model folder, with a NUL between them: the
 * configuration, the tokenizer (tokenizer.json where it begins with a brace,
 * else tokenizer.tiktoken) and tokenizer_config.json. The tensors are good;
 * since few configurations fit them, the tokenizer is read by itself, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/convert/convert.h"
#include "tests/fuzz/fuzz.h"

static void on_note(void *user, const char *text)
{
    (void)user;
    fuzz_check(*text && !strchr(text, '\n'));
}

/* The next part of the bytes; NULL and 0 when there is none. */
static const uint8_t *part(const uint8_t **at, const uint8_t *end, size_t *size)
{
    const uint8_t *start = *at;
    *size = 0;
    if (!start)
        return NULL;
    const uint8_t *nul = memchr(start, 0, (size_t)(end - start));
    *size = (size_t)((nul ? nul : end) - start);
    *at = nul ? nul + 1 : NULL;
    return start;
}

static int has(const uint8_t *text, size_t n, const char *word)
{
    const size_t size = strlen(word);
    for (size_t i = 0; i + size <= n; i++)
        if (memcmp(text + i, word, size) == 0)
            return 1;
    return 0;
}

/* Tensors that fit the kind of network which the configuration names. */
static void put_tensors(const uint8_t *config, size_t n)
{
    static const char *const kinds[] = {
        "gemma4_text", "gemma3_text", "gemma2", "qwen3", "qwen2",
        "smollm3",     "mistral",     "phi3",   "llama", NULL};
    static const char *const *ready;
    const char *const *kind = kinds;
    char name[80] = "../fuzz/folder/model.safetensors";
    size_t size;
    while (*kind && !has(config, n, *kind))
        kind++;
    if (ready == kind)
        return;
    if (*kind)
        snprintf(name, sizeof name, "../fuzz/tensors/%s", *kind);
    uint8_t *data = fuzz_load(name, &size);
    fuzz_write("model.safetensors", data, size);
    free(data);
    ready = kind;
}

static void read_tokenizer(const clsa_write_options *options)
{
    struct clsa_keys keys = {.count = 0};
    clsa_error error;
    struct clsa_folder folder = {
        .path = fuzz_path("."), .options = options, .error = &error};
    clsa_status status = clsa_folder_load(&folder, "tokenizer_config.json",
                                          CLSA_FOLDER_JSON, &folder.settings);
    if (!status)
        status = clsa_convert_tokenizer(&keys, &folder, 300);
    if (status)
        fuzz_failed(status, &error);
    clsa_folder_close(&folder);
    clsa_bytes_free(&keys.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size, *text;
    clsa_write_options options;
    clsa_error error;
    size_t n;
    text = part(&at, end, &n);
    put_tensors(text, n);
    fuzz_write("config.json", text, n);
    text = part(&at, end, &n);
    const int is_json = n > 0 && text[0] == '{';
    fuzz_write("tokenizer.json", is_json ? text : NULL, n);
    fuzz_write("tokenizer.tiktoken", is_json ? NULL : text, n);
    text = part(&at, end, &n);
    fuzz_write("tokenizer_config.json", text, n);
    clsa_write_options_init(&options);
    options.threads = 1;
    options.on_note = on_note;
    clsa_status status =
        clsa_convert(fuzz_path("."), fuzz_path("out.gguf"), &options, &error);
    if (status)
        fuzz_failed(status, &error);
    read_tokenizer(&options);
    return 0;
}
