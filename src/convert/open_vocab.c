/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_vocab: the text part of a model, of a GGUF file or of a model folder,
 * whose tokenizer becomes the keys of a GGUF file in memory.
 */
#include <string.h>
#include <sys/stat.h>

#include "src/convert/convert.h"
#include "src/engine/model.h"

/* A GGUF file of keys alone. */
static clsa_status make_file(struct clsa_gguf **gguf,
                             const struct clsa_folder *folder,
                             const struct clsa_keys *keys)
{
    static const unsigned char padding[CLSA_GGUF_ALIGNMENT];
    static const char magic[] = "GGUF";
    const uint32_t version = 3;
    const uint64_t tensors = 0;
    struct clsa_bytes file = {.data = NULL};
    clsa_bytes_add(&file, magic, 4);
    clsa_bytes_add(&file, &version, sizeof version);
    clsa_bytes_add(&file, &tensors, sizeof tensors);
    clsa_bytes_add(&file, &keys->count, sizeof keys->count);
    clsa_bytes_add(&file, keys->bytes.data, keys->bytes.size);
    clsa_bytes_add(&file, padding, sizeof padding);
    clsa_status status;
    if (file.failed || keys->bytes.failed)
        status = clsa_fail_memory(folder->error, "keys", file.size);
    else
        status = clsa_gguf_open_bytes(gguf, folder->path, file.data, file.size,
                                      folder->error);
    clsa_bytes_free(&file);
    return status;
}

static clsa_status read_folder(struct clsa_gguf **gguf, const char *path,
                               clsa_error *error)
{
    clsa_write_options options;
    clsa_write_options_init(&options);
    struct clsa_folder folder = {
        .path = path, .options = &options, .error = error};
    struct clsa_keys keys = {.count = 0};
    clsa_status status = clsa_folder_open_text(&folder);
    if (!status)
        status = clsa_convert_tokenizer(&keys, &folder, 0);
    if (!status)
        status = make_file(gguf, &folder, &keys);
    clsa_bytes_free(&keys.bytes);
    clsa_folder_close(&folder);
    return status;
}

clsa_status clsa_model_open_vocab(clsa_model **model, const char *path,
                                  clsa_error *error)
{
    struct clsa_gguf *gguf;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        CLSA_TRY(read_folder(&gguf, path, error));
    else
        CLSA_TRY(clsa_gguf_open(&gguf, path, error));
    return clsa_model_open_text(model, gguf, error);
}
