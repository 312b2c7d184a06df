/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the tensors of a model folder: model.safetensors, or, where the
 * bytes begin with a brace, model.safetensors.index.json beside the good file
 * a.safetensors. Configuration and tokenizer are good.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static void put(const char *name, const char *source)
{
    size_t size;
    uint8_t *data = fuzz_load(source, &size);
    fuzz_write(name, data, size);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int ready;
    clsa_write_options options;
    clsa_error error;
    if (!ready) {
        put("config.json", "../fuzz/folder/config.json");
        put("tokenizer.json", "../fuzz/folder/tokenizer.json");
        put("a.safetensors", "../fuzz/folder/model.safetensors");
        ready = 1;
    }
    const int is_index = size > 0 && data[0] == '{';
    fuzz_write("model.safetensors.index.json", is_index ? data : NULL, size);
    fuzz_write("model.safetensors", is_index ? NULL : data, size);
    clsa_write_options_init(&options);
    options.threads = 1;
    clsa_status status =
        clsa_convert(fuzz_path("."), fuzz_path("out.gguf"), &options, &error);
    if (status)
        fuzz_failed(status, &error);
    return 0;
}
