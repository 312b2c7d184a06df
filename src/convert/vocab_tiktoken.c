/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vocab_tiktoken: tiktoken files: a line "BASE64 RANK" for each token. There
 * are no merges in them; the two parts of a token are what merging by the lower
 * ranks leaves of its bytes. Such a file does not say its pattern, nor its
 * special tokens.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/convert/convert.h"
#include "src/convert/json.h"
#include "src/model/vocab.h"

#define FILE_LIMIT  ((size_t)64 << 20)
#define TOKEN_LIMIT 512 /* bytes of a token */

struct tiktoken_reader {
    struct clsa_checkpoint_vocab *vocab;
    const char *path;
    json_t *ranks;        /* spelling -> rank */
    char spelled[256][3]; /* a byte in the alphabet of GPT-2 */
    char *spellings;      /* of all tokens, each with a NUL */
    size_t used;
    clsa_error *error;
};

/* Printable Latin-1 stands for itself, the others for U+0100 and up. */
static void make_alphabet(char spelled[256][3])
{
    unsigned next = 256;
    for (unsigned b = 0; b < 256; b++) {
        const bool plain = (b > 32 && b < 127) || (b > 160 && b != 173);
        const unsigned c = plain ? b : next++;
        char *p = spelled[b];
        if (c >= 0x80)
            *p++ = (char)(0xc0 | c >> 6);
        *p++ = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
        *p = 0;
    }
}

static int base64_digit(char c)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Bytes of a base64 text; 0 when it is none or too long. */
static size_t decode(const char *text, size_t size, unsigned char *bytes)
{
    unsigned bits = 0, held = 0;
    size_t n = 0;
    while (size > 0 && text[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++) {
        const int digit = base64_digit(text[i]);
        if (digit < 0 || n == TOKEN_LIMIT)
            return 0;
        bits = bits << 6 | (unsigned)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[n++] = (unsigned char)(bits >> held);
        }
    }
    return n;
}

/* Rank of the spelling of bytes from..to; -1: it is no token. */
static json_int_t rank_of(const struct tiktoken_reader *r,
                          const unsigned char *bytes, size_t from, size_t to)
{
    char text[2 * TOKEN_LIMIT + 1];
    size_t used = 0;
    for (size_t i = from; i < to; i++) {
        const size_t n = strlen(r->spelled[bytes[i]]);
        memcpy(text + used, r->spelled[bytes[i]], n);
        used += n;
    }
    text[used] = 0;
    const json_t *rank = json_object_get(r->ranks, text);
    return rank ? json_integer_value(rank) : -1;
}

/* Merges n bytes by the ranks below `rank` and returns where the second part
   begins; 0 when not exactly two are left. */
static size_t halve(const struct tiktoken_reader *r, const unsigned char *bytes,
                    size_t n, json_int_t rank)
{
    size_t at[TOKEN_LIMIT + 1], parts = n;
    for (size_t i = 0; i <= n; i++)
        at[i] = i;
    for (;;) {
        json_int_t best = rank;
        size_t where = 0;
        for (size_t i = 0; i + 2 <= parts; i++) {
            const json_int_t each = rank_of(r, bytes, at[i], at[i + 2]);
            if (each >= 0 && each < best) {
                best = each;
                where = i;
            }
        }
        if (best == rank)
            return parts == 2 ? at[1] : 0;
        memmove(at + where + 1, at + where + 2,
                (parts - where - 1) * sizeof *at);
        parts--;
    }
}

/* The next line as bytes and rank; false at the end. */
static bool next_line(const char **text, unsigned char *bytes, size_t *n,
                      json_int_t *rank)
{
    const char *line = *text, *space = strchr(line, ' ');
    const char *end = line + strcspn(line, "\n");
    if (!*line)
        return false;
    *text = *end ? end + 1 : end;
    *n = space && space < end ? decode(line, (size_t)(space - line), bytes) : 0;
    *rank = *n ? (json_int_t)strtol(space + 1, NULL, 10) : -1;
    return true;
}

static clsa_status read_tokens(struct tiktoken_reader *r, const char *text)
{
    unsigned char bytes[TOKEN_LIMIT];
    json_int_t rank;
    size_t n, line = 1;
    for (; next_line(&text, bytes, &n, &rank); line++) {
        char *spelling = r->spellings + r->used;
        if (n == 0 || rank < 0 || rank >= (json_int_t)r->vocab->count ||
            r->vocab->text[rank])
            return clsa_fail(r->error, CLSA_ERR_FORMAT,
                             "%s: line %zu is not a token in base64 and a "
                             "rank of its own below %" PRIu32,
                             r->path, line, r->vocab->count);
        for (size_t i = 0; i < n; i++) {
            const size_t size = strlen(r->spelled[bytes[i]]);
            memcpy(r->spellings + r->used, r->spelled[bytes[i]], size);
            r->used += size;
        }
        r->spellings[r->used++] = 0;
        r->vocab->text[rank] = spelling;
        r->vocab->kind[rank] = CLSA_TOKEN_NORMAL;
        if (json_object_set_new(r->ranks, spelling, json_integer(rank)))
            return clsa_fail_memory(r->error, "tokens", line);
    }
    return CLSA_OK;
}

/* Bytes that a spelling stands for. */
static size_t unspell(const struct tiktoken_reader *r, const char *text,
                      unsigned char *bytes)
{
    size_t n = 0;
    while (*text)
        for (unsigned b = 0; b < 256; b++) {
            const size_t size = strlen(r->spelled[b]);
            if (strncmp(text, r->spelled[b], size) == 0) {
                bytes[n++] = (unsigned char)b;
                text += size;
                break;
            }
        }
    return n;
}

static clsa_status add_merges(struct tiktoken_reader *r)
{
    unsigned char bytes[TOKEN_LIMIT];
    for (uint32_t i = 0; i < r->vocab->count; i++) {
        const char *text = r->vocab->text[i];
        const size_t n = text ? unspell(r, text, bytes) : 0;
        size_t used = 0;
        if (n < 2)
            continue;
        const size_t half = halve(r, bytes, n, i);
        if (half == 0)
            return clsa_fail(r->error, CLSA_ERR_FORMAT,
                             "%s: token %" PRIu32
                             " is not a merge of two tokens "
                             "of lower rank",
                             r->path, i);
        for (size_t k = 0; k < half; k++)
            used += strlen(r->spelled[bytes[k]]);
        clsa_checkpoint_vocab_merge(r->vocab, text, used, text + used,
                                    strlen(text + used));
    }
    return CLSA_OK;
}

clsa_status clsa_checkpoint_vocab_tiktoken(struct clsa_checkpoint_vocab *vocab,
                                           char **spellings, const char *path,
                                           const clsa_write_options *options,
                                           clsa_error *error)
{
    struct tiktoken_reader r = {.vocab = vocab, .path = path, .error = error};
    char *text;
    size_t size;
    CLSA_TRY(clsa_file_load(path, FILE_LIMIT, &text, &size, error));
    /* 3 bytes of 4 base64 digits, 2 bytes each at most when spelled */
    r.spellings = *spellings = clsa_mem_calloc(2 * size + 1, 1);
    r.ranks = json_object();
    vocab->pipeline =
        (struct clsa_json_pipeline){.model = "gpt2", .pre = "qwen2"};
    make_alphabet(r.spelled);
    clsa_status status = r.spellings && r.ranks
                             ? CLSA_OK
                             : clsa_fail_memory(error, "tokens", 2 * size);
    if (!status && strlen(text) != size)
        status = clsa_fail(error, CLSA_ERR_FORMAT, "%s: has a NUL", path);
    if (!status)
        status = read_tokens(&r, text);
    if (!status)
        status = add_merges(&r);
    if (!status)
        clsa_note(options,
                  "a tiktoken file has neither a pattern nor special tokens: "
                  "the pattern of Qwen2 and no special tokens are assumed");
    json_decref(r.ranks);
    clsa_mem_free(text);
    return status;
}
