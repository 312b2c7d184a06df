/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_vocab: which tokenizer a folder has, and the tokenizer.ggml.* keys
 * of its vocabulary. Whether they make a vocabulary is checked where the
 * finished file is opened.
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

void clsa_checkpoint_vocab_merge(struct clsa_checkpoint_vocab *vocab,
                                 const char *a, size_t m, const char *b,
                                 size_t n)
{
    const uint64_t size = (uint64_t)m + 1 + n;
    clsa_bytes_add(&vocab->merges, &size, sizeof size);
    clsa_bytes_add(&vocab->merges, a, m);
    clsa_bytes_add(&vocab->merges, " ", 1);
    clsa_bytes_add(&vocab->merges, b, n);
    vocab->merge_count++;
}

static void put_pipeline(struct clsa_keys *keys,
                         const struct clsa_checkpoint_vocab *vocab)
{
    const struct clsa_json_pipeline *p = &vocab->pipeline;
    const struct clsa_pretoken *pre =
        clsa_pretoken_find(p->pre, strlen(p->pre));
    clsa_keys_text(keys, "tokenizer.ggml.model", p->model, strlen(p->model));
    if (*p->pre)
        clsa_keys_text(keys, "tokenizer.ggml.pre", p->pre, strlen(p->pre));
    else
        clsa_keys_bool(keys, "tokenizer.ggml.add_space_prefix", p->add_space);
    if (p->metaspace) {
        clsa_keys_text(keys, "tokenizer.ggml.metaspace", p->metaspace,
                       strlen(p->metaspace));
        clsa_keys_bool(keys, "tokenizer.ggml.metaspace_split", p->cut_each);
    }
    if (p->nfc || (pre && pre->nfc))
        clsa_keys_bool(keys, "tokenizer.ggml.nfc", p->nfc);
    if (p->ignore_merges != (pre && pre->ignore_merges))
        clsa_keys_bool(keys, "tokenizer.ggml.ignore_merges", p->ignore_merges);
}

/* The list of tokens with a flag, if there are any. */
static void put_flag(struct clsa_keys *keys,
                     const struct clsa_checkpoint_vocab *vocab, const char *key,
                     unsigned flag)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < vocab->count; i++)
        count += (vocab->flags[i] & flag) != 0;
    if (count == 0)
        return;
    clsa_keys_array(keys, key, CLSA_GGUF_I32, count);
    for (uint32_t i = 0; i < vocab->count; i++)
        if (vocab->flags[i] & flag)
            clsa_bytes_add(&keys->bytes, &i, sizeof i);
}

/* Tokens that take blanks beside them, or are cut out between words only, make
   a text other tokens than a reader of the vocabulary alone expects. */
static void note_flags(const struct clsa_checkpoint_vocab *vocab,
                       const clsa_write_options *options)
{
    const unsigned flags =
        CLSA_ADDED_LSTRIP | CLSA_ADDED_RSTRIP | CLSA_ADDED_WORD;
    uint32_t i = 0;
    while (i < vocab->count && !(vocab->flags[i] & flags))
        i++;
    if (i < vocab->count)
        clsa_note(options,
                  "the flags lstrip, rstrip and single_word of added tokens, "
                  "such as '%.60s', are kept in the file",
                  vocab->text[i]);
}

static void put_flags(struct clsa_keys *keys,
                      const struct clsa_checkpoint_vocab *vocab,
                      const clsa_write_options *options)
{
    note_flags(vocab, options);
    put_flag(keys, vocab, "tokenizer.ggml.rstrip_token_ids", CLSA_ADDED_RSTRIP);
    put_flag(keys, vocab, "tokenizer.ggml.lstrip_token_ids", CLSA_ADDED_LSTRIP);
    put_flag(keys, vocab, "tokenizer.ggml.single_word_token_ids",
             CLSA_ADDED_WORD);
    put_flag(keys, vocab, "tokenizer.ggml.normalized_token_ids",
             CLSA_ADDED_NORMAL);
}

/* A token. User-defined ones of U+2581 only are spaces: that is what they add
   to a text. */
static void put_token(struct clsa_keys *keys,
                      const struct clsa_checkpoint_vocab *vocab, uint32_t i,
                      const char *text)
{
    static const char spaces[CLSA_SPACES + 1] =
        "                                                                ";
    size_t n = 0;
    if (!*vocab->pipeline.pre && vocab->kind[i] == CLSA_TOKEN_USER)
        while (strncmp(text + 3 * n, "\342\226\201", 3) == 0)
            n++;
    if (n > 0 && n <= CLSA_SPACES && text[3 * n] == 0)
        clsa_keys_string(keys, spaces, n);
    else
        clsa_keys_string(keys, text, strlen(text));
}

/* Ids without a token get one that no text becomes. */
static void put_vocab(struct clsa_keys *keys,
                      const struct clsa_checkpoint_vocab *vocab,
                      const clsa_write_options *options)
{
    uint32_t unused = 0;
    put_pipeline(keys, vocab);
    clsa_keys_array(keys, "tokenizer.ggml.tokens", CLSA_GGUF_STRING,
                    vocab->count);
    for (uint32_t i = 0; i < vocab->count; i++) {
        char name[32];
        const char *text = vocab->text[i];
        if (!text) {
            snprintf(name, sizeof name, "<|unused_%" PRIu32 "|>", i);
            vocab->kind[i] = CLSA_TOKEN_UNUSED;
            unused++;
            text = name;
        }
        put_token(keys, vocab, i, text);
    }
    clsa_keys_array(keys, "tokenizer.ggml.token_type", CLSA_GGUF_I32,
                    vocab->count);
    clsa_bytes_add(&keys->bytes, vocab->kind,
                   vocab->count * sizeof *vocab->kind);
    clsa_keys_array(keys, "tokenizer.ggml.merges", CLSA_GGUF_STRING,
                    vocab->merge_count);
    clsa_bytes_add(&keys->bytes, vocab->merges.data, vocab->merges.size);
    put_flags(keys, vocab, options);
    if (vocab->unknown && !*vocab->pipeline.pre) {
        const int64_t id = clsa_checkpoint_vocab_find(vocab, vocab->unknown);
        if (id >= 0)
            clsa_keys_u32(keys, "tokenizer.ggml.unknown_token_id",
                          (uint32_t)id);
    }
    if (unused)
        clsa_note(options, "%" PRIu32 " of %" PRIu32 " ids have no token",
                  unused, vocab->count);
}

int64_t clsa_checkpoint_vocab_find(const struct clsa_checkpoint_vocab *vocab,
                                   const char *text)
{
    int64_t found = -1;
    for (uint32_t i = 0; i < vocab->count; i++) {
        if (!vocab->text[i] || strcmp(vocab->text[i], text) != 0)
            continue;
        if (vocab->kind[i] != CLSA_TOKEN_NORMAL)
            return i;
        if (found < 0)
            found = i;
    }
    return found;
}

/* What is read of a tokenizer's file: texts of the vocabulary are in it. */
struct words {
    struct clsa_checkpoint_vocab vocab;
    char *path;      /* of the file */
    bool json;       /* tokenizer.json, else a tiktoken file */
    json_t *root;    /* of tokenizer.json */
    char *spellings; /* of a tiktoken file */
};

static clsa_status allocate(struct words *w, uint32_t count, clsa_error *error)
{
    w->vocab.count = count;
    w->vocab.text = clsa_mem_calloc(count, sizeof *w->vocab.text);
    w->vocab.kind = clsa_mem_calloc(count, sizeof *w->vocab.kind);
    w->vocab.flags = clsa_mem_calloc(count, 1);
    if (!w->vocab.text || !w->vocab.kind || !w->vocab.flags)
        return clsa_fail_memory(error, "tokens", count);
    return CLSA_OK;
}

/* `count`: vocab; 0: what the file has. */
static clsa_status read_words(struct words *w, const struct clsa_folder *f,
                              uint32_t count)
{
    clsa_status status;
    if (w->json) {
        CLSA_TRY(clsa_json_load(&w->root, w->path, TOKENIZER_LIMIT, f->error));
        if (count == 0)
            CLSA_TRY(clsa_vocab_json_count(w->root, w->path, &count, f->error));
        CLSA_TRY(allocate(w, count, f->error));
        status = clsa_checkpoint_vocab_json(&w->vocab, w->root, w->path,
                                            f->options, f->error);
    } else {
        if (count == 0)
            return clsa_fail(f->error, CLSA_ERR_UNSUPPORTED,
                             "%s: a tiktoken file does not say how many tokens "
                             "a model has: give a folder with config.json to "
                             "clsa convert",
                             w->path);
        CLSA_TRY(allocate(w, count, f->error));
        status = clsa_checkpoint_vocab_tiktoken(&w->vocab, &w->spellings,
                                                w->path, f->options, f->error);
    }
    if (!status && w->vocab.merges.failed)
        status = clsa_fail_memory(f->error, "merges", w->vocab.merges.size);
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

static clsa_status convert_words(struct clsa_keys *keys, struct words *w,
                                 const struct clsa_folder *folder,
                                 uint32_t count)
{
    const struct clsa_checkpoint_vocab *vocab = &w->vocab;
    struct clsa_json_source root = {NULL, NULL, folder->error};
    struct clsa_added_ends ends;
    CLSA_TRY(find_file(folder->path, &w->path, &w->json, folder->error));
    CLSA_TRY(read_words(w, folder, count));
    root.path = w->path;
    root.object = w->root;
    CLSA_TRY(clsa_added_tokens(&w->vocab, folder, &root, &ends));
    CLSA_TRY(clsa_special_ids(keys, folder, vocab, &ends));
    put_vocab(keys, vocab, folder->options);
    return clsa_chat_templates(keys, folder);
}

clsa_status clsa_convert_tokenizer(struct clsa_keys *keys,
                                   const struct clsa_folder *folder,
                                   uint32_t count)
{
    struct words w = {.json = false};
    const clsa_status status = convert_words(keys, &w, folder, count);
    clsa_bytes_free(&w.vocab.merges);
    clsa_mem_free(w.vocab.text);
    clsa_mem_free(w.vocab.kind);
    clsa_mem_free(w.vocab.flags);
    clsa_mem_free(w.path);
    json_decref(w.root);
    clsa_mem_free(w.spellings);
    return status;
}
