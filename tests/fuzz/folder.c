/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the texts of a model folder, with a NUL between them: the
 * configuration, the tokenizer (tokenizer.json where it begins with a brace,
 * else tokenizer.tiktoken) and tokenizer_config.json. The tensors are good;
 * since few configurations fit them, the tokenizer is read by itself, too.
 */
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

static void put_tensors(void)
{
    static int ready;
    size_t size;
    if (ready)
        return;
    uint8_t *data = fuzz_load("../fuzz/folder/model.safetensors", &size);
    fuzz_write("model.safetensors", data, size);
    free(data);
    ready = 1;
}

static void read_tokenizer(const clsa_write_options *options)
{
    struct clsa_keys keys = {.count = 0};
    clsa_error error;
    clsa_status status = clsa_convert_tokenizer(&keys, fuzz_path("."), 300, 0,
                                                1, options, &error);
    if (status)
        fuzz_failed(status, &error);
    clsa_bytes_free(&keys.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size, *text;
    clsa_write_options options;
    clsa_error error;
    size_t n;
    put_tensors();
    text = part(&at, end, &n);
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
