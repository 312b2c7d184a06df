/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tokenizer a folder has, and the tokenizer.ggml.* keys of its words.
 * Whether they make a vocabulary is checked where the finished file is opened.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/convert/convert.h"
#include "src/convert/json.h"
#include "src/model/vocab.h"

#define TOKENIZER_LIMIT ((size_t)256 << 20)
#define SETTINGS_LIMIT  ((size_t)16 << 20)

void clsa_words_merge(struct clsa_words *words, const char *a, size_t m,
                      const char *b, size_t n)
{
    const uint64_t size = (uint64_t)m + 1 + n;
    clsa_bytes_add(&words->merges, &size, sizeof size);
    clsa_bytes_add(&words->merges, a, m);
    clsa_bytes_add(&words->merges, " ", 1);
    clsa_bytes_add(&words->merges, b, n);
    words->merge_count++;
}

/* Ids without a token get one that no text becomes. */
static void put_words(struct clsa_keys *keys, const struct clsa_words *words,
                      const clsa_write_options *options)
{
    uint32_t unused = 0;
    clsa_keys_text(keys, "tokenizer.ggml.model", "gpt2", 4);
    clsa_keys_text(keys, "tokenizer.ggml.pre", "qwen2", 5);
    clsa_keys_array(keys, "tokenizer.ggml.tokens", CLSA_GGUF_STRING,
                    words->count);
    for (uint32_t i = 0; i < words->count; i++) {
        char name[32];
        const char *text = words->text[i];
        if (!text) {
            snprintf(name, sizeof name, "<|unused_%" PRIu32 "|>", i);
            words->kind[i] = CLSA_TOKEN_UNUSED;
            unused++;
            text = name;
        }
        clsa_keys_string(keys, text, strlen(text));
    }
    clsa_keys_array(keys, "tokenizer.ggml.token_type", CLSA_GGUF_I32,
                    words->count);
    clsa_bytes_add(&keys->bytes, words->kind,
                   words->count * sizeof *words->kind);
    clsa_keys_array(keys, "tokenizer.ggml.merges", CLSA_GGUF_STRING,
                    words->merge_count);
    clsa_bytes_add(&keys->bytes, words->merges.data, words->merges.size);
    if (unused)
        clsa_note(options, "%" PRIu32 " of %" PRIu32 " ids have no token",
                  unused, words->count);
}

static clsa_status read_words(struct clsa_keys *keys, struct clsa_words *words,
                              const char *path, bool json,
                              const clsa_write_options *options,
                              clsa_error *error)
{
    json_t *root = NULL;
    char *room = NULL;
    clsa_status status;
    if (json) {
        status = clsa_json_load(&root, path, TOKENIZER_LIMIT, error);
        if (!status)
            status = clsa_words_json(words, root, path, options, error);
    } else {
        status = clsa_words_tiktoken(words, &room, path, options, error);
    }
    if (!status && words->merges.failed)
        status = clsa_fail_memory(error, "merges", words->merges.size);
    if (!status)
        put_words(keys, words, options);
    json_decref(root);
    clsa_mem_free(room);
    return status;
}

/* The tokenizer's file in the folder; *path is to be released. */
static clsa_status find_file(const char *folder, char **path, bool *json,
                             clsa_error *error)
{
    static const struct {
        const char *name, *refused;
        bool json;
    } files[] = {
        {"tokenizer.json", NULL, true},
        {"tokenizer.tiktoken", NULL, false},
        {"qwen.tiktoken", NULL, false},
        {"cl100k_base.tiktoken", NULL, false},
        {"tokenizer.model", "a SentencePiece model", false},
        {"vocab.json", "a vocabulary in parts", false},
        {"vocab.txt", "a WordPiece vocabulary", false},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *each = clsa_path_join(folder, files[i].name);
        if (!each)
            return clsa_fail_memory(error, "a path", strlen(folder));
        if (clsa_path_exists(each)) {
            *path = each;
            *json = files[i].json;
            if (!files[i].refused)
                return CLSA_OK;
            return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                             "%s: is %s: only byte-level BPE in a "
                             "tokenizer.json or a tiktoken file is supported",
                             each, files[i].refused);
        }
        clsa_mem_free(each);
    }
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "%s: has no tokenizer.json and no tokenizer.tiktoken",
                     folder);
}

/* add_bos_token and chat_template of tokenizer_config.json, if it is there. */
static clsa_status put_settings(struct clsa_keys *keys, const char *folder,
                                clsa_error *error)
{
    char *path = clsa_path_join(folder, "tokenizer_config.json");
    json_t *settings = NULL;
    bool add_bos = false;
    clsa_status status = CLSA_OK;
    if (!path)
        return clsa_fail_memory(error, "a path", strlen(folder));
    if (clsa_path_exists(path))
        status = clsa_json_load(&settings, path, SETTINGS_LIMIT, error);
    if (!status && settings) {
        const struct clsa_json_source s = {path, settings, error};
        const json_t *chat = json_object_get(settings, "chat_template");
        status = clsa_json_bool(&s, "add_bos_token", &add_bos);
        if (json_is_string(chat))
            clsa_keys_text(keys, "tokenizer.chat_template",
                           json_string_value(chat), json_string_length(chat));
    }
    clsa_keys_bool(keys, "tokenizer.ggml.add_bos_token", add_bos);
    json_decref(settings);
    clsa_mem_free(path);
    return status;
}

clsa_status clsa_convert_tokenizer(struct clsa_keys *keys, const char *folder,
                                   uint32_t vocab, int64_t bos, int64_t eos,
                                   const clsa_write_options *options,
                                   clsa_error *error)
{
    struct clsa_words words = {.count = vocab};
    char *path = NULL;
    bool json = false;
    words.text = clsa_mem_calloc(vocab, sizeof *words.text);
    words.kind = clsa_mem_calloc(vocab, sizeof *words.kind);
    clsa_status status = CLSA_OK;
    if (!words.text || !words.kind)
        status = clsa_fail_memory(error, "tokens", vocab);
    if (!status)
        status = find_file(folder, &path, &json, error);
    if (!status)
        status = read_words(keys, &words, path, json, options, error);
    if (!status && bos >= 0)
        clsa_keys_u32(keys, "tokenizer.ggml.bos_token_id", (uint32_t)bos);
    if (!status && eos >= 0)
        clsa_keys_u32(keys, "tokenizer.ggml.eos_token_id", (uint32_t)eos);
    if (!status)
        status = put_settings(keys, folder, error);
    clsa_bytes_free(&words.merges);
    clsa_mem_free(words.text);
    clsa_mem_free(words.kind);
    clsa_mem_free(path);
    return status;
}
