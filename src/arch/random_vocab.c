/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer of a model file of random weights. Token n of 256 is a byte;
 * then come pairs of small letters, by one merge each, then pairs of these
 * pairs; the last three are control tokens.
 */
#include <string.h>

#include "src/arch/random_like.h"

enum {
    BYTES = 256,
    LETTERS = 26,
    PAIRS = LETTERS * LETTERS,
    CONTROLS = 3,
    LEAST = BYTES + CONTROLS,
    MOST = BYTES + PAIRS + PAIRS * PAIRS + CONTROLS
};

enum { NORMAL = 1, CONTROL = 3 }; /* kinds of tokens in files */

static const char *const controls[CONTROLS] = {"<|endoftext|>", "<|im_start|>",
                                               "<|im_end|>"};

/* The character that stands for a byte: itself if it is one that can be seen,
   else one from 256 on. */
static uint32_t shown(uint32_t byte)
{
    uint32_t hidden = 0;
    for (uint32_t b = 0;; b++) {
        const bool seen = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) ||
                          (b >= 174 && b <= 255);
        if (b == byte)
            return seen ? b : BYTES + hidden;
        hidden += !seen;
    }
}

/* All are below 2048: one byte of UTF-8 or two. */
static size_t put_char(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    to[0] = (char)(0xc0 | c >> 6);
    to[1] = (char)(0x80 | (c & 0x3f));
    return 2;
}

static void put_pair(char *to, uint32_t pair)
{
    to[0] = (char)('a' + pair / LETTERS);
    to[1] = (char)('a' + pair % LETTERS);
}

/* Merge n, in two halves of equal size, which is returned. */
static size_t halves(uint32_t n, char first[2], char second[2])
{
    if (n < PAIRS) {
        first[0] = (char)('a' + n / LETTERS);
        second[0] = (char)('a' + n % LETTERS);
        return 1;
    }
    put_pair(first, (n - PAIRS) / PAIRS);
    put_pair(second, (n - PAIRS) % PAIRS);
    return 2;
}

static void put_tokens(struct clsa_keys *keys, uint32_t vocab, uint32_t merges)
{
    char text[4];
    clsa_keys_array(keys, "tokenizer.ggml.tokens", CLSA_GGUF_STRING, vocab);
    for (uint32_t b = 0; b < BYTES; b++)
        clsa_keys_string(keys, text, put_char(text, shown(b)));
    for (uint32_t n = 0; n < merges; n++) {
        const size_t half = halves(n, text, text + 2);
        if (half == 1)
            text[1] = text[2];
        clsa_keys_string(keys, text, 2 * half);
    }
    for (size_t i = 0; i < CONTROLS; i++)
        clsa_keys_string(keys, controls[i], strlen(controls[i]));
}

static void put_merges(struct clsa_keys *keys, uint32_t merges)
{
    char text[5];
    clsa_keys_array(keys, "tokenizer.ggml.merges", CLSA_GGUF_STRING, merges);
    for (uint32_t n = 0; n < merges; n++) {
        char second[2];
        const size_t half = halves(n, text, second);
        text[half] = ' ';
        memcpy(text + half + 1, second, half);
        clsa_keys_string(keys, text, 2 * half + 1);
    }
}

clsa_status clsa_like_vocab(struct clsa_keys *keys, const char *pre,
                            uint32_t vocab, clsa_error *error)
{
    if (vocab < LEAST || vocab > MOST)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "shape: a file has a tokenizer of %d to %d tokens, "
                         "vocab is %u",
                         LEAST, MOST, (unsigned)vocab);
    const uint32_t merges = vocab - LEAST;
    clsa_keys_text(keys, "tokenizer.ggml.model", "gpt2", 4);
    clsa_keys_text(keys, "tokenizer.ggml.pre", pre, strlen(pre));
    put_tokens(keys, vocab, merges);
    clsa_keys_array(keys, "tokenizer.ggml.token_type", CLSA_GGUF_I32, vocab);
    for (uint32_t i = 0; i < vocab; i++) {
        const int32_t kind = i < vocab - CONTROLS ? NORMAL : CONTROL;
        clsa_bytes_add(&keys->bytes, &kind, sizeof kind);
    }
    put_merges(keys, merges);
    clsa_keys_u32(keys, "tokenizer.ggml.bos_token_id", vocab - CONTROLS);
    clsa_keys_u32(keys, "tokenizer.ggml.eos_token_id", vocab - CONTROLS);
    clsa_keys_bool(keys, "tokenizer.ggml.add_bos_token", false);
    return CLSA_OK;
}
