/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of tokens, from the two ways of spelling them, and the index from
 * bytes to a token.
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/vocab_read.h"

/*
 * The alphabet of GPT-2: printable Latin-1 characters stand for their own
 * byte, U+0100.. stand for the bytes that are left, in order.
 */
#define ALPHABET 324

static void make_alphabet(int16_t byte_of[ALPHABET])
{
    int next = 256;
    for (int i = 0; i < ALPHABET; i++)
        byte_of[i] = -1;
    for (int byte = 0; byte < 256; byte++) {
        bool own = (byte >= 33 && byte <= 126) ||
                   (byte >= 161 && byte <= 172) || byte >= 174;
        byte_of[own ? byte : next++] = (int16_t)byte;
    }
}

/* Writes the bytes that a spelling stands for; returns their number, 0 for a
   character that is not of the alphabet. */
static size_t from_alphabet(const int16_t byte_of[ALPHABET],
                            struct clsa_gguf_string s, char *bytes)
{
    const unsigned char *p = (const unsigned char *)s.text;
    size_t count = 0;
    for (size_t i = 0, n; i < s.size; i += n) {
        n = clsa_utf8_length(p + i, s.size - i);
        unsigned c = n == 1 ? p[i] : (p[i] & 0x1fu) << 6 | (p[i + 1] & 0x3fu);
        if (n == 0 || n > 2 || c >= ALPHABET || byte_of[c] < 0)
            return 0;
        bytes[count++] = (char)byte_of[c];
    }
    return count;
}

size_t clsa_vocab_from_spaced(struct clsa_gguf_string s, char *bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < s.size;) {
        const bool space =
            s.size - i >= 3 && memcmp(s.text + i, "\xe2\x96\x81", 3) == 0;
        bytes[count++] = space ? ' ' : s.text[i];
        i += space ? 3 : 1;
    }
    return count;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789ABCDEF0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) % 16 : -1;
}

/* The byte of a token spelled "<0x0A>"; -1: it is not spelled so. */
static int byte_of_name(struct clsa_gguf_string s)
{
    if (s.size != 6 || memcmp(s.text, "<0x", 3) != 0 || s.text[5] != '>')
        return -1;
    const int high = hex_digit(s.text[3]), low = hex_digit(s.text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static clsa_status wrong(const struct vocab_reader *r, size_t i,
                         const char *what)
{
    return clsa_fail(r->error, CLSA_ERR_FORMAT,
                     "%s: " KEY_TOKENS "[%zu] '%.*s' is not %s", r->gguf->path,
                     i, SHOW(r->tokens[i]), what);
}

static clsa_status read_byte(struct vocab_reader *r, size_t i, char *bytes,
                             size_t *size)
{
    const int byte = byte_of_name(r->tokens[i]);
    if (byte < 0)
        return wrong(r, i, "a byte such as <0x0A>");
    *bytes = (char)byte;
    *size = 1;
    r->vocab->byte_id[byte] = (int32_t)i;
    return CLSA_OK;
}

/* Bytes of token i to where `bytes` is, which has room for its spelling. */
static clsa_status read_token(struct vocab_reader *r, size_t i,
                              const int16_t byte_of[ALPHABET], char *bytes,
                              size_t *size)
{
    const struct clsa_gguf_string token = r->tokens[i];
    struct clsa_vocab *vocab = r->vocab;
    *size = 0;
    if (vocab->kind[i] == CLSA_TOKEN_UNUSED)
        return CLSA_OK;
    if (vocab->kind[i] == CLSA_TOKEN_BYTE)
        return read_byte(r, i, bytes, size);
    if (vocab->kind[i] != CLSA_TOKEN_NORMAL) {
        memcpy(bytes, token.text, token.size);
        *size = token.size;
        return CLSA_OK;
    }
    if (vocab->chars) {
        *size = clsa_vocab_from_spaced(token, bytes);
        return CLSA_OK;
    }
    *size = from_alphabet(byte_of, token, bytes);
    if (*size == 0)
        return wrong(r, i, "in the byte alphabet of GPT-2");
    if (*size == 1)
        vocab->byte_id[(unsigned char)*bytes] = (int32_t)i;
    return CLSA_OK;
}

/* ------------------------------------------------------------- the index */

static uint32_t hash(const char *bytes, size_t size)
{
    uint64_t h = size * 0x9e3779b97f4a7c15u, word;
    for (; size >= 8; bytes += 8, size -= 8) {
        memcpy(&word, bytes, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, bytes, size);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    return (uint32_t)(h ^ h >> 29 ^ h >> 43);
}

/* The slot of the token with these bytes, or the free one for it. */
static struct clsa_vocab_slot *slot_of(const struct clsa_vocab *vocab,
                                       const char *bytes, size_t size,
                                       uint32_t h)
{
    for (size_t i = h & vocab->mask;; i = (i + 1) & vocab->mask) {
        struct clsa_vocab_slot *slot = &vocab->slots[i];
        if (slot->token == 0)
            return slot;
        if (slot->hash != h)
            continue;
        size_t n;
        const char *token = clsa_vocab_bytes(vocab, slot->token - 1, &n);
        if (n == size && memcmp(token, bytes, n) == 0)
            return slot;
    }
}

int32_t clsa_vocab_find(const struct clsa_vocab *vocab, const char *bytes,
                        size_t size)
{
    return (int32_t)slot_of(vocab, bytes, size, hash(bytes, size))->token - 1;
}

/* Merging gives normal tokens; tokens of characters may be user-defined too,
   and normal ones of the same bytes come first. */
static void fill_index(struct clsa_vocab *vocab, uint8_t kind)
{
    for (size_t i = 0; i < vocab->count; i++) {
        size_t size;
        const char *bytes = clsa_vocab_bytes(vocab, i, &size);
        if (vocab->kind[i] != kind)
            continue;
        const uint32_t h = hash(bytes, size);
        struct clsa_vocab_slot *slot = slot_of(vocab, bytes, size, h);
        if (slot->token == 0)
            *slot = (struct clsa_vocab_slot){(uint32_t)i + 1, h};
    }
}

static clsa_status make_index(struct vocab_reader *r)
{
    struct clsa_vocab *vocab = r->vocab;
    size_t slots = 16;
    while (slots < vocab->count + vocab->count / 2)
        slots *= 2;
    vocab->slots = clsa_mem_calloc(slots, sizeof *vocab->slots);
    if (!vocab->slots)
        return clsa_fail_memory(r->error, "the vocabulary", slots);
    vocab->mask = slots - 1;
    fill_index(vocab, CLSA_TOKEN_NORMAL);
    if (vocab->chars)
        fill_index(vocab, CLSA_TOKEN_USER);
    return CLSA_OK;
}

clsa_status clsa_vocab_read_tokens(struct vocab_reader *r)
{
    struct clsa_vocab *vocab = r->vocab;
    int16_t byte_of[ALPHABET];
    size_t total = 0;
    for (size_t i = 0; i < vocab->count; i++)
        if (!clsa_size_add(total, r->tokens[i].size, &total))
            return clsa_fail_memory(r->error, "tokens", SIZE_MAX);
    vocab->bytes = clsa_mem_calloc(total, 1);
    vocab->offset = clsa_mem_calloc(vocab->count + 1, sizeof *vocab->offset);
    if (!vocab->bytes || !vocab->offset)
        return clsa_fail_memory(r->error, "tokens", total);
    for (int i = 0; i < 256; i++)
        vocab->byte_id[i] = -1;
    make_alphabet(byte_of);
    for (size_t i = 0, size; i < vocab->count; i++) {
        size_t at = vocab->offset[i];
        CLSA_TRY(read_token(r, i, byte_of, vocab->bytes + at, &size));
        vocab->offset[i + 1] = at + size;
    }
    return make_index(r);
}
