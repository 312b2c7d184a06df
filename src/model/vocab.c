/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the vocabulary: tokens, their kinds, merge rules, special ids. The
 * file is hostile input; whatever is wrong is named by file, key and index.
 *
 * While reading, an index from the spelling of a token to its id finds
 * duplicates and the parts and results of merge rules.
 */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/vocab.h"

#define KEY_MODEL  "tokenizer.ggml.model"
#define KEY_PRE    "tokenizer.ggml.pre"
#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES  "tokenizer.ggml.token_type"
#define KEY_MERGES "tokenizer.ggml.merges"

/* Arguments for %.*s: strings of the file may be of any length. */
#define SHOW(s) ((s).size < 48 ? (int)(s).size : 48), (s).text

/* What clsa_vocab_open works on. */
struct reader {
    struct clsa_vocab *vocab;
    const struct clsa_gguf *gguf;
    struct clsa_gguf_string *tokens; /* [vocab->count] as spelled */
    uint32_t *slots; /* [mask + 1]: id + 1, 0: free; open addressing */
    size_t mask;
    clsa_error *error;
};

static uint64_t hash(uint64_t h, struct clsa_gguf_string s)
{
    for (size_t i = 0; i < s.size; i++)
        h = (h ^ (unsigned char)s.text[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

/* Whether a token is spelled `a` followed by `b`. */
static bool spelled(struct clsa_gguf_string token, struct clsa_gguf_string a,
                    struct clsa_gguf_string b)
{
    return token.size == a.size + b.size &&
           memcmp(token.text, a.text, a.size) == 0 &&
           memcmp(token.text + a.size, b.text, b.size) == 0;
}

/* The slot of the token spelled `a` followed by `b`, or the free one where it
   would go. */
static uint32_t *find(const struct reader *r, struct clsa_gguf_string a,
                      struct clsa_gguf_string b)
{
    uint64_t h = hash(hash(0xcbf29ce484222325u, a), b);
    size_t i = (size_t)(h ^ h >> 32) & r->mask;
    while (r->slots[i] && !spelled(r->tokens[r->slots[i] - 1], a, b))
        i = (i + 1) & r->mask;
    return &r->slots[i];
}

static const struct clsa_gguf_string nothing = {"", 0};

static clsa_status read_spellings(struct reader *r)
{
    const char *path = r->gguf->path;
    size_t count, slots = 16;
    CLSA_TRY(
        clsa_gguf_strings(r->gguf, KEY_TOKENS, &r->tokens, &count, r->error));
    if (count != r->vocab->count)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_TOKENS " has %zu tokens, but the "
                         "embedding has %zu",
                         path, count, r->vocab->count);
    if (count == 0 || count > INT32_MAX || count > SIZE_MAX / 4)
        return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                         "%s: " KEY_TOKENS " has %zu tokens: from 1 to "
                         "2147483647 are supported",
                         path, count);
    while (slots < count + count / 2)
        slots *= 2;
    r->slots = clsa_mem_calloc(slots, sizeof *r->slots);
    if (!r->slots)
        return clsa_fail_memory(r->error, "the vocabulary", slots);
    r->mask = slots - 1;
    for (size_t i = 0; i < count; i++) {
        struct clsa_gguf_string token = r->tokens[i];
        uint32_t *slot = find(r, token, nothing);
        if (token.size == 0)
            return clsa_fail(r->error, CLSA_ERR_FORMAT,
                             "%s: " KEY_TOKENS "[%zu] is empty", path, i);
        if (*slot)
            return clsa_fail(r->error, CLSA_ERR_FORMAT,
                             "%s: " KEY_TOKENS "[%zu] '%.*s' is the same as "
                             "[%u]",
                             path, i, SHOW(token), (unsigned)(*slot - 1));
        *slot = (uint32_t)i + 1;
    }
    return CLSA_OK;
}

static clsa_status check_kinds(struct reader *r, const int32_t *kinds,
                               size_t count)
{
    if (count != r->vocab->count)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_TYPES " has %zu entries for %zu tokens",
                         r->gguf->path, count, r->vocab->count);
    for (size_t i = 0; i < count; i++) {
        if (kinds[i] < CLSA_TOKEN_NORMAL || kinds[i] > CLSA_TOKEN_UNUSED)
            return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                             "%s: " KEY_TYPES "[%zu] is %d: a byte-level "
                             "vocabulary has types 1 to 5 only",
                             r->gguf->path, i, (int)kinds[i]);
        r->vocab->kind[i] = (uint8_t)kinds[i];
    }
    return CLSA_OK;
}

static clsa_status read_kinds(struct reader *r)
{
    int32_t *kinds = NULL;
    size_t count;
    r->vocab->kind = clsa_mem_calloc(r->vocab->count, 1);
    if (!r->vocab->kind)
        return clsa_fail_memory(r->error, "token types", r->vocab->count);
    CLSA_TRY(
        clsa_gguf_ints(r->gguf, KEY_TYPES, true, &kinds, &count, r->error));
    clsa_status status = check_kinds(r, kinds, count);
    clsa_mem_free(kinds);
    return status;
}

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
static size_t to_bytes(const int16_t byte_of[ALPHABET],
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

/* Bytes of token i to where `bytes` is, which has room for its spelling. */
static clsa_status read_token(struct reader *r, size_t i,
                              const int16_t byte_of[ALPHABET], char *bytes,
                              size_t *size)
{
    struct clsa_gguf_string token = r->tokens[i];
    if (r->vocab->kind[i] != CLSA_TOKEN_NORMAL) {
        memcpy(bytes, token.text, token.size);
        *size = token.size;
        return CLSA_OK;
    }
    *size = to_bytes(byte_of, token, bytes);
    if (*size == 0)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_TOKENS "[%zu] '%.*s' is not in the byte "
                         "alphabet of GPT-2",
                         r->gguf->path, i, SHOW(token));
    if (*size == 1)
        r->vocab->byte_id[(unsigned char)*bytes] = (int32_t)i;
    return CLSA_OK;
}

static clsa_status read_tokens(struct reader *r)
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
    return CLSA_OK;
}

/* The id of the normal token spelled `a` followed by `b`. */
static clsa_status find_part(const struct reader *r, size_t merge,
                             struct clsa_gguf_string a,
                             struct clsa_gguf_string b, uint32_t *id)
{
    uint32_t slot = *find(r, a, b);
    if (!slot || r->vocab->kind[slot - 1] != CLSA_TOKEN_NORMAL)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_MERGES "[%zu]: '%.*s%.*s' is no normal "
                         "token",
                         r->gguf->path, merge, SHOW(a), SHOW(b));
    *id = slot - 1;
    return CLSA_OK;
}

static clsa_status read_merge(struct reader *r, size_t i,
                              struct clsa_gguf_string merge)
{
    struct clsa_gguf_string a = merge, b = merge;
    uint32_t left, right, merged;
    const char *space = memchr(merge.text, ' ', merge.size);
    a.size = space ? (size_t)(space - merge.text) : 0;
    b.size = merge.size - a.size;
    if (a.size == 0 || b.size < 2)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_MERGES "[%zu] '%.*s' is not two tokens "
                         "with a space between",
                         r->gguf->path, i, SHOW(merge));
    b.text = space + 1;
    b.size--;
    CLSA_TRY(find_part(r, i, a, nothing, &left));
    CLSA_TRY(find_part(r, i, b, nothing, &right));
    CLSA_TRY(find_part(r, i, a, b, &merged));
    if (!clsa_bpe_add(&r->vocab->bpe, left, right, merged))
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_MERGES "[%zu] '%.*s' is there twice",
                         r->gguf->path, i, SHOW(merge));
    return CLSA_OK;
}

static clsa_status read_merges(struct reader *r)
{
    struct clsa_gguf_string *merges = NULL;
    size_t count;
    CLSA_TRY(clsa_gguf_strings(r->gguf, KEY_MERGES, &merges, &count, r->error));
    clsa_status status = clsa_bpe_open(&r->vocab->bpe, count, r->error);
    for (size_t i = 0; i < count && status == CLSA_OK; i++)
        status = read_merge(r, i, merges[i]);
    clsa_mem_free(merges);
    return status;
}

/* A special token while they are being sorted. */
struct special {
    struct clsa_gguf_string token;
    int32_t id;
};

static int by_bytes(const void *left, const void *right)
{
    const struct special *a = left, *b = right;
    size_t n = a->token.size < b->token.size ? a->token.size : b->token.size;
    int order = memcmp(a->token.text, b->token.text, n);
    return order ? order : a->token.size < b->token.size ? -1 : 1;
}

static bool is_special(const struct clsa_vocab *vocab, size_t i)
{
    return vocab->kind[i] == CLSA_TOKEN_CONTROL ||
           vocab->kind[i] == CLSA_TOKEN_USER;
}

static clsa_status sort_specials(struct reader *r)
{
    struct clsa_vocab *vocab = r->vocab;
    size_t count = 0;
    for (size_t i = 0; i < vocab->count; i++)
        count += is_special(vocab, i);
    struct special *specials = clsa_mem_calloc(count, sizeof *specials);
    vocab->special = clsa_mem_calloc(count, sizeof *vocab->special);
    if (!specials || !vocab->special) {
        clsa_mem_free(specials);
        return clsa_fail_memory(r->error, "special tokens", count);
    }
    for (size_t i = 0, n = 0; i < vocab->count; i++)
        if (is_special(vocab, i))
            specials[n++] = (struct special){r->tokens[i], (int32_t)i};
    qsort(specials, count, sizeof *specials, by_bytes);
    for (size_t i = 0; i < count; i++) {
        vocab->special[i] = specials[i].id;
        vocab->special_start[(unsigned char)*specials[i].token.text] = true;
    }
    vocab->special_count = count;
    clsa_mem_free(specials);
    return CLSA_OK;
}

/* An optional token id. */
static clsa_status read_id(const struct reader *r, const char *key, int32_t *id)
{
    uint64_t value = UINT64_MAX;
    CLSA_TRY(clsa_gguf_uint(r->gguf, key, false, 0, r->vocab->count - 1, &value,
                            r->error));
    *id = value == UINT64_MAX ? -1 : (int32_t)value;
    return CLSA_OK;
}

static clsa_status read_ids(struct reader *r)
{
    struct clsa_vocab *vocab = r->vocab;
    CLSA_TRY(read_id(r, "tokenizer.ggml.bos_token_id", &vocab->bos));
    CLSA_TRY(read_id(r, "tokenizer.ggml.eos_token_id", &vocab->eos));
    CLSA_TRY(clsa_gguf_bool(r->gguf, "tokenizer.ggml.add_bos_token", false,
                            &vocab->add_bos, r->error));
    if (vocab->add_bos && vocab->bos < 0)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: tokenizer.ggml.add_bos_token is set, but "
                         "tokenizer.ggml.bos_token_id is missing",
                         r->gguf->path);
    return CLSA_OK;
}

static clsa_status expect(struct reader *r, const char *key, const char *value)
{
    struct clsa_gguf_string text = nothing;
    CLSA_TRY(clsa_gguf_text(r->gguf, key, true, &text, r->error));
    if (text.size != strlen(value) || memcmp(text.text, value, text.size) != 0)
        return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                         "%s: %s is '%.*s': only '%s' is supported",
                         r->gguf->path, key, SHOW(text), value);
    return CLSA_OK;
}

static clsa_status read_all(struct reader *r)
{
    CLSA_TRY(expect(r, KEY_MODEL, "gpt2"));
    CLSA_TRY(expect(r, KEY_PRE, "qwen2"));
    CLSA_TRY(read_spellings(r));
    CLSA_TRY(read_kinds(r));
    CLSA_TRY(read_tokens(r));
    CLSA_TRY(read_merges(r));
    CLSA_TRY(sort_specials(r));
    return read_ids(r);
}

clsa_status clsa_vocab_open(struct clsa_vocab *vocab,
                            const struct clsa_gguf *gguf, size_t count,
                            clsa_error *error)
{
    struct reader r = {.vocab = vocab, .gguf = gguf, .error = error};
    *vocab = (struct clsa_vocab){.count = count};
    clsa_status status = read_all(&r);
    clsa_mem_free(r.tokens);
    clsa_mem_free(r.slots);
    return status;
}

void clsa_vocab_close(struct clsa_vocab *vocab)
{
    clsa_mem_free(vocab->bytes);
    clsa_mem_free(vocab->offset);
    clsa_mem_free(vocab->kind);
    clsa_mem_free(vocab->special);
    clsa_bpe_close(&vocab->bpe);
}

/* Whether special token i is shorter than `depth` + 1 bytes or has a byte
   below `byte` there; true for the first ones of a sorted range only. */
static bool before(const struct clsa_vocab *vocab, size_t i, size_t depth,
                   int byte)
{
    size_t size;
    const char *bytes =
        clsa_vocab_bytes(vocab, (size_t)vocab->special[i], &size);
    return size <= depth || (unsigned char)bytes[depth] < byte;
}

/* First special token of [low, high) that is not before `byte`. */
static size_t narrow(const struct clsa_vocab *vocab, size_t low, size_t high,
                     size_t depth, int byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (before(vocab, middle, depth, byte))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t clsa_vocab_special(const struct clsa_vocab *vocab, const char *text,
                           size_t size)
{
    int32_t longest = -1;
    size_t low = 0, high = vocab->special_count;
    if (size == 0 || !vocab->special_start[(unsigned char)*text])
        return -1;
    /* [low, high): those that begin with text[0..depth). */
    for (size_t depth = 0; depth < size; depth++) {
        int byte = (unsigned char)text[depth];
        size_t end, first = narrow(vocab, low, high, depth, byte);
        high = narrow(vocab, first, high, depth, byte + 1);
        low = first;
        if (low == high)
            break;
        clsa_vocab_bytes(vocab, (size_t)vocab->special[low], &end);
        if (end == depth + 1)
            longest = vocab->special[low];
    }
    return longest;
}
