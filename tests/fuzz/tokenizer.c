/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a text in a vocabulary. The first byte, modulo the number of
 * vocabularies and one, says which: one of the small ones below, with each
 * pre-tokenizer and kind of model; or, 0, a vocabulary that follows, with its
 * size in four bytes before it, the lowest first: tokenizer.json if it begins
 * with a brace, else a GGUF file. The rest is the text.
 *
 * Tokens are of the vocabulary and begin in order within the text, the text of
 * all of them one by one is that of the list, and a vocabulary that has all
 * bytes gives the text again, normalized.
 */
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/gguf_write.h"
#include "src/model/normalize.h"
#include "src/model/tokenizer.h"
#include "tests/fuzz/fuzz.h"

/* ---------------------------------------------------- small vocabularies */

static const char *const pres[] = {
    "llama-bpe", "smaug-bpe",    "gpt-2",          "smollm",      "qwen2",
    "qwen35",    "deepseek-llm", "deepseek-coder", "deepseek-v3", "gpt-4o",
    "llama",     "gemma4", /* models without one */
};

enum { PRES = sizeof pres / sizeof *pres, BYTES = 10 };

/* Tokens and kinds of a small vocabulary, as they are spelled. */
struct words {
    char text[400][8];
    int32_t kind[400];
    float score[400];
    uint32_t count;
};

static void add(struct words *w, const char *text, int32_t kind)
{
    strcpy(w->text[w->count], text);
    w->score[w->count] = -(float)w->count / 2; /* some are equal */
    w->kind[w->count++] = kind;
}

/* The bytes, in the alphabet of GPT-2. */
static void add_alphabet(struct words *w)
{
    unsigned next = 256;
    for (unsigned b = 0; b < 256; b++) {
        const bool own = (b > 32 && b < 127) || (b > 160 && b != 173);
        const unsigned c = own ? b : next++;
        char text[3] = {(char)(c < 0x80 ? c : 0xc0 | c >> 6),
                        (char)(c < 0x80 ? 0 : 0x80 | (c & 0x3f)), 0};
        add(w, text, CLSA_TOKEN_NORMAL);
    }
}

static void add_bytes(struct words *w)
{
    for (unsigned b = 0; b < 256; b++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", b);
        add(w, text, CLSA_TOKEN_BYTE);
    }
}

static const char *const merges[] = {"a b",   "b a", "ab a", "a a",
                                     "aa aa", "e r", "1 2",  "ab ab"};

static void fill(struct words *w, bool chars)
{
    static const char *const letters[] = {
        "a",
        "b",
        "e",
        "r",
        "1",
        "2",
        "\xe2\x96\x81",
        "\n",
        "\xc3\xa9",
        "ab",
        "ba",
        "aba",
        "aa",
        "aaaa",
        "er",
        "12",
        "abab",
        "\xe2\x96\x81"
        "a",
    };
    add(w, "<unk>", CLSA_TOKEN_UNKNOWN);
    add(w, "<s>", CLSA_TOKEN_CONTROL);
    add(w, "</s>", CLSA_TOKEN_CONTROL);
    add(w, "</s>a", CLSA_TOKEN_CONTROL);
    if (chars)
        add_bytes(w);
    else
        add_alphabet(w);
    for (size_t i = chars ? 0 : 9; i < sizeof letters / sizeof *letters; i++)
        if (chars || i < 17)
            add(w, letters[i], CLSA_TOKEN_NORMAL);
    if (chars) {
        add(w, "  ", CLSA_TOKEN_USER);
        add(w, "   ", CLSA_TOKEN_USER);
    }
    add(w, "<u>", CLSA_TOKEN_USER);
    add(w, "[pad]", CLSA_TOKEN_UNUSED);
}

static void put_words(struct clsa_keys *keys, const struct words *w)
{
    clsa_keys_array(keys, "tokenizer.ggml.tokens", CLSA_GGUF_STRING, w->count);
    for (uint32_t i = 0; i < w->count; i++)
        clsa_keys_string(keys, w->text[i], strlen(w->text[i]));
    clsa_keys_array(keys, "tokenizer.ggml.token_type", CLSA_GGUF_I32, w->count);
    clsa_bytes_add(&keys->bytes, w->kind, w->count * sizeof *w->kind);
    clsa_keys_array(keys, "tokenizer.ggml.scores", CLSA_GGUF_F32, w->count);
    clsa_bytes_add(&keys->bytes, w->score, w->count * sizeof *w->score);
}

static void put_keys(struct clsa_keys *keys, unsigned which)
{
    const char *pre = pres[which];
    const bool chars = which >= BYTES;
    const char *model = chars ? pre : "gpt2";
    const size_t count = sizeof merges / sizeof *merges;
    struct words words = {.count = 0};
    fill(&words, chars);
    clsa_keys_text(keys, "tokenizer.ggml.model", model, strlen(model));
    if (!chars)
        clsa_keys_text(keys, "tokenizer.ggml.pre", pre, strlen(pre));
    put_words(keys, &words);
    clsa_keys_array(keys, "tokenizer.ggml.merges", CLSA_GGUF_STRING, count);
    for (size_t i = 0; i < count; i++)
        clsa_keys_string(keys, merges[i], strlen(merges[i]));
    clsa_keys_u32(keys, "tokenizer.ggml.bos_token_id", 1);
    clsa_keys_u32(keys, "tokenizer.ggml.eos_token_id", 2);
    clsa_keys_text(keys, "general.name", "Phi-3", which % 2 ? 5 : 1);
}

/* One of the small vocabularies, open to the end of the process. */
static const struct clsa_tokenizer *small(unsigned which)
{
    static struct clsa_tokenizer *open[PRES];
    struct clsa_keys keys = {.count = 0};
    struct clsa_bytes file = {.data = NULL};
    struct clsa_gguf *gguf;
    const uint32_t version = 3;
    const uint64_t tensors = 0;
    if (open[which])
        return open[which];
    put_keys(&keys, which);
    clsa_bytes_add(&file, "GGUF", 4);
    clsa_bytes_add(&file, &version, sizeof version);
    clsa_bytes_add(&file, &tensors, sizeof tensors);
    clsa_bytes_add(&file, &keys.count, sizeof keys.count);
    clsa_bytes_add(&file, keys.bytes.data, keys.bytes.size);
    clsa_bytes_add(&file, (const char[32]){0}, 32);
    fuzz_check(
        !clsa_gguf_open_bytes(&gguf, "small", file.data, file.size, NULL));
    fuzz_check(!clsa_tokenizer_open(&open[which], gguf, 0, NULL));
    clsa_gguf_close(gguf);
    clsa_bytes_free(&file);
    clsa_bytes_free(&keys.bytes);
    return open[which];
}

/* ---------------------------------------------------------------- texts */

/* The stream of tokens is the text of the list, with U+FFFD. */
static void check_stream(const struct clsa_tokenizer *t,
                         const struct clsa_tokens *tokens, const char *bytes,
                         size_t size, size_t skipped)
{
    clsa_detokenizer state = {0};
    struct clsa_normal normal;
    size_t at = 0;
    fuzz_check(!clsa_normal_open(&normal, bytes, size, false, NULL));
    for (size_t i = 0; i <= tokens->count; i++) {
        char *text, *part;
        size_t n;
        const int32_t id = i < tokens->count ? tokens->ids[i] : -1;
        fuzz_check(!clsa_tokenizer_decode(t, &state, id, &text, &n, NULL));
        fuzz_check(clsa_utf8_valid(text, n));
        part = text;
        if (i == 0 && n > 0 && skipped) {
            fuzz_check(*text == ' ');
            part++;
            n--;
        }
        fuzz_check(n <= normal.size - at &&
                   memcmp(normal.text + at, part, n) == 0);
        at += n;
        clsa_mem_free(text);
    }
    fuzz_check(at == normal.size);
    clsa_normal_close(&normal);
}

static void check_list(const struct clsa_tokenizer *t,
                       const struct clsa_tokens *tokens)
{
    size_t total = 0, n, size;
    char *bytes;
    fuzz_check(!clsa_tokenizer_join(t, tokens->ids, tokens->count, &bytes,
                                    &size, NULL));
    for (size_t i = 0; i < tokens->count; i++) {
        fuzz_check(clsa_tokenizer_bytes(t, tokens->ids[i], &n));
        total += n;
    }
    fuzz_check(total == size || total == size + 1);
    check_stream(t, tokens, bytes, size, total - size);
    clsa_mem_free(bytes);
}

/* A vocabulary of all bytes has said the text again. */
static void check_text(const struct clsa_tokenizer *t,
                       const struct clsa_tokens *tokens, const char *text,
                       size_t size)
{
    struct clsa_normal normal;
    char *bytes;
    size_t n;
    const bool nfc = clsa_tokenizer_vocab(t)->nfc;
    fuzz_check(!clsa_normal_open(&normal, text, size, nfc, NULL));
    fuzz_check(
        !clsa_tokenizer_join(t, tokens->ids, tokens->count, &bytes, &n, NULL));
    fuzz_check(n == normal.size && memcmp(bytes, normal.text, n) == 0);
    clsa_mem_free(bytes);
    clsa_normal_close(&normal);
}

static void check_places(const struct clsa_tokenizer *t,
                         const struct clsa_tokens *tokens, size_t size)
{
    for (size_t i = 0; i < tokens->count; i++) {
        const int32_t id = tokens->ids[i];
        fuzz_check(id >= 0 && (size_t)id < clsa_tokenizer_vocab(t)->count);
        fuzz_check(tokens->starts[i] <= size);
        fuzz_check(i == 0 || tokens->starts[i] >= tokens->starts[i - 1]);
    }
}

/* Whether a text has the user-defined token, which is cut out of any. Its text
   stays, but combining marks do not combine with it. */
static bool has_user(const char *text, size_t size)
{
    for (size_t i = 0; i + 3 <= size; i++)
        if (memcmp(text + i, "<u>", 3) == 0)
            return true;
    return false;
}

static void encode(const struct clsa_tokenizer *t, bool bytes, const char *text,
                   size_t size)
{
    static const unsigned flags[] = {0, CLSA_TOKENIZE_SPECIAL,
                                     CLSA_TOKENIZE_SPECIAL | CLSA_TOKENIZE_BOS |
                                         CLSA_TOKENIZE_EOS};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        struct clsa_tokens tokens;
        clsa_error error;
        const clsa_status status = clsa_tokenizer_encode(
            t, text, size, flags[i] | CLSA_TOKENIZE_PLACES, &tokens, &error);
        if (status) {
            fuzz_failed(status, &error);
            continue;
        }
        check_places(t, &tokens, size);
        check_list(t, &tokens);
        if (bytes && flags[i] == 0 && !has_user(text, size))
            check_text(t, &tokens, text, size);
        clsa_mem_free(tokens.ids);
        clsa_mem_free(tokens.starts);
    }
}

/* ----------------------------------------------------- other vocabularies */

static void encode_model(const char *path, const char *text, size_t size)
{
    clsa_model *model;
    clsa_error error;
    clsa_token_place *places;
    size_t count;
    const clsa_status status = clsa_model_open_vocab(&model, path, &error);
    if (status) {
        fuzz_failed(status, &error);
        return;
    }
    clsa_vocab_info info;
    fuzz_check(!clsa_model_vocab_info(model, &info, sizeof info, &error));
    for (unsigned flags = 0; flags < 8; flags++) {
        if (clsa_tokenize_places(model, text, size, flags, &places, &count,
                                 &error))
            continue;
        for (size_t i = 0; i < count; i++)
            fuzz_check(places[i].id >= 0 &&
                       (uint32_t)places[i].id < info.tokens &&
                       places[i].start <= size);
        clsa_free(places);
    }
    clsa_model_close(model);
}

static void own_vocabulary(const uint8_t *data, size_t size)
{
    if (size < 4)
        return;
    const size_t left = size - 4;
    size_t n = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
    n = n < left ? n : left;
    const char *text = (const char *)data + 4 + n;
    if (n > 0 && data[4] == '{') {
        fuzz_write("tokenizer.json", data + 4, n);
        encode_model(fuzz_path("."), text, left - n);
    } else {
        encode_model(fuzz_write("vocab", data + 4, n), text, left - n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const unsigned which = data[0] % (PRES + 1);
    if (which == 0)
        own_vocabulary(data + 1, size - 1);
    else
        encode(small(which - 1), which - 1 < BYTES, (const char *)data + 1,
               size - 1);
    return 0;
}
