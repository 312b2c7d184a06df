/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments of a text: pieces, their symbols, and merging. */
#include <string.h>

#include "src/base/mem.h"
#include "src/model/chars.h"
#include "src/model/encode.h"
#include "src/model/scan.h"

clsa_status clsa_encoder_reserve(struct clsa_encoder *e, size_t n)
{
    size_t wanted, capacity = e->capacity;
    if (n <= capacity - e->count)
        return CLSA_OK;
    if (!clsa_size_add(e->count, n, &wanted))
        return clsa_fail_memory(e->error, "tokens", SIZE_MAX);
    if (!clsa_size_add(capacity, capacity / 2, &capacity) || capacity < wanted)
        capacity = wanted;
    int32_t *ids = clsa_mem_resize(e->ids, capacity, sizeof *ids);
    if (!ids)
        return clsa_fail_memory(e->error, "tokens", capacity);
    e->ids = ids;
    if (e->places) {
        size_t *starts = clsa_mem_resize(e->starts, capacity, sizeof *starts);
        if (!starts)
            return clsa_fail_memory(e->error, "places of tokens", capacity);
        e->starts = starts;
    }
    e->capacity = capacity;
    return CLSA_OK;
}

clsa_status clsa_encoder_put(struct clsa_encoder *e, int32_t id, size_t start)
{
    CLSA_TRY(clsa_encoder_reserve(e, 1));
    if (e->places)
        e->starts[e->count] = start;
    e->ids[e->count++] = id;
    return CLSA_OK;
}

/* Notes that token i begins at byte `at` of the normalized fragment. */
static void put_start(struct clsa_encoder *e, size_t i, size_t at)
{
    e->starts[i] = e->base + clsa_normal_origin(&e->normal, &e->mark, at);
}

/* Merges the symbols that were written after the tokens so far. */
static clsa_status merge(struct clsa_encoder *e, size_t symbols, size_t *count)
{
    *count = symbols;
    return clsa_bpe_merge(&e->vocab->bpe, &e->scratch, e->ids + e->count, count,
                          e->error);
}

/* --------------------------------------------------------------- of bytes */

/* The tokens of `size` bytes, to ids; returns their number. Bytes that have
   none are left out. */
static size_t byte_ids(const struct clsa_vocab *vocab, const char *bytes,
                       size_t size, int32_t *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        ids[n] = vocab->byte_id[(unsigned char)bytes[i]];
        n += ids[n] >= 0;
    }
    return n;
}

/* Notes where `count` tokens of a piece begin. */
static void put_byte_starts(struct clsa_encoder *e, size_t at, size_t count)
{
    const char *text = e->normal.text;
    for (size_t i = e->count; i < e->count + count; i++) {
        size_t n;
        put_start(e, i, at);
        clsa_vocab_bytes(e->vocab, (size_t)e->ids[i], &n);
        for (; n > 0; at++)
            n -= e->vocab->byte_id[(unsigned char)text[at]] >= 0;
    }
}

/* A piece at byte `at` of the fragment. */
static clsa_status encode_bytes(struct clsa_encoder *e, size_t at, size_t size)
{
    const struct clsa_vocab *vocab = e->vocab;
    const char *bytes = e->normal.text + at;
    size_t count = 1;
    CLSA_TRY(clsa_encoder_reserve(e, size));
    int32_t *ids = e->ids + e->count;
    ids[0] = vocab->ignore_merges ? clsa_vocab_find(vocab, bytes, size) : -1;
    if (ids[0] < 0)
        CLSA_TRY(merge(e, byte_ids(vocab, bytes, size, ids), &count));
    if (e->places)
        put_byte_starts(e, at, count);
    e->count += count;
    return CLSA_OK;
}

/* Bytes [from, to) of the fragment. */
static clsa_status encode_byte_pieces(struct clsa_encoder *e, size_t from,
                                      size_t to)
{
    const char *text = e->normal.text + from;
    struct clsa_pretoken_cursor cursor = {{0}};
    for (size_t at = 0, n; at < to - from; at += n) {
        n = clsa_pretoken_next(e->vocab->pretoken, &cursor, text, to - from,
                               at);
        CLSA_TRY(encode_bytes(e, from + at, n));
    }
    return CLSA_OK;
}

/* ---------------------------------------------------------- of characters */

#define SPACE_CODE 0x2581 /* what stands for a space in vocabularies */

/* Symbols for the bytes of a character that is no token, to ids; returns their
   number: how many bytes it has, or 1 if it is unknown, or 0. */
static size_t fall_back(const struct clsa_vocab *vocab, const char *bytes,
                        size_t size, int32_t *ids)
{
    for (size_t i = 0; i < size; i++) {
        ids[i] = vocab->byte_id[(unsigned char)bytes[i]];
        if (ids[i] < 0) {
            ids[0] = vocab->unknown;
            return vocab->unknown >= 0;
        }
    }
    return size;
}

/* Symbols of the characters of a piece; returns their number. Characters that
   have none are left out. `prefix`: a space before them. */
static size_t char_ids(const struct clsa_encoder *e, size_t from, size_t to,
                       bool prefix, int32_t *ids)
{
    const struct clsa_vocab *vocab = e->vocab;
    const char *text = e->normal.text;
    size_t n = 0;
    if (prefix) {
        ids[0] = clsa_vocab_find(vocab, " ", 1);
        n += ids[0] >= 0 ? 1 : fall_back(vocab, " ", 1, ids);
    }
    for (size_t i = from; i < to;) {
        const struct clsa_char c = clsa_char_at(text + i);
        const bool space = c.code == SPACE_CODE;
        const char *bytes = space ? " " : text + i;
        const size_t size = space ? 1 : c.size;
        ids[n] = clsa_vocab_find(vocab, bytes, size);
        n += ids[n] >= 0 ? 1 : fall_back(vocab, bytes, size, ids + n);
        i += c.size;
    }
    return n;
}

/* Bytes of the fragment at `at` that a token stands for; `prefix`: the space
   before the fragment is its first character. */
static size_t source_size(const struct clsa_encoder *e, int32_t id, size_t at,
                          bool prefix)
{
    size_t size, used = 0;
    const char *bytes = clsa_vocab_bytes(e->vocab, (size_t)id, &size);
    if (e->vocab->kind[id] == CLSA_TOKEN_BYTE)
        return !prefix;
    if (id == e->vocab->unknown)
        size = 1;
    for (size_t i = prefix ? 1 : 0; i < size && at + used < e->normal.size;) {
        used += clsa_char_at(e->normal.text + at + used).size;
        i += id == e->vocab->unknown ? 1 : clsa_char_at(bytes + i).size;
    }
    return used;
}

/* A piece of the fragment. */
static clsa_status encode_chars(struct clsa_encoder *e, size_t from, size_t to,
                                bool prefix)
{
    size_t count;
    CLSA_TRY(clsa_encoder_reserve(e, to - from + 1));
    int32_t *ids = e->ids + e->count;
    CLSA_TRY(merge(e, char_ids(e, from, to, prefix, ids), &count));
    for (size_t i = 0; e->places && i < count; i++) {
        put_start(e, e->count + i, from);
        from += source_size(e, ids[i], from, prefix && i == 0);
    }
    e->count += count;
    return CLSA_OK;
}

/* Whether nothing merges across the place between two characters. */
static bool is_cut(const struct clsa_vocab *vocab, uint32_t before,
                   uint32_t after)
{
    const bool space = before == ' ' || before == SPACE_CODE;
    if (vocab->cut_each && (after == ' ' || after == SPACE_CODE))
        return true;
    if (vocab->cut_spaces && !space && (after == ' ' || after == SPACE_CODE))
        return true;
    return vocab->cut_lines && (before == '\n') != (after == '\n');
}

/* Whether a space is put before the fragment from byte `from` on. */
static bool has_prefix(const struct clsa_encoder *e, size_t from)
{
    const enum clsa_prefix prefix = e->vocab->prefix;
    const uint32_t first = clsa_char_at(e->normal.text + from).code;
    if (prefix == CLSA_PREFIX_NONE || prefix == CLSA_PREFIX_ALWAYS)
        return prefix == CLSA_PREFIX_ALWAYS;
    return first != ' ' && first != SPACE_CODE &&
           (prefix == CLSA_PREFIX_MISSING || (e->base == 0 && from == 0));
}

/* Bytes [from, to) of the fragment, at least one. */
static clsa_status encode_char_pieces(struct clsa_encoder *e, size_t from,
                                      size_t to)
{
    const char *text = e->normal.text;
    bool prefix = has_prefix(e, from);
    uint32_t before = prefix ? ' ' : 0;
    for (size_t at = from; at < to;) {
        const struct clsa_char c = clsa_char_at(text + at);
        if (at > from && is_cut(e->vocab, before, c.code)) {
            CLSA_TRY(encode_chars(e, from, at, prefix));
            prefix = false;
            from = at;
        }
        before = c.code;
        at += c.size;
    }
    return encode_chars(e, from, to, prefix);
}

static clsa_status encode_pieces(struct clsa_encoder *e, size_t from, size_t to)
{
    if (from >= to)
        return CLSA_OK;
    return e->vocab->chars ? encode_char_pieces(e, from, to)
                           : encode_byte_pieces(e, from, to);
}

/* The normalized fragment, whose added tokens are cut out first. */
static clsa_status encode_normal(struct clsa_encoder *e)
{
    const struct clsa_normal *text = &e->normal;
    struct clsa_scan scan = {.vocab = e->vocab,
                             .added = &e->vocab->added_normal,
                             .text = text->text,
                             .size = text->size,
                             .special = e->special};
    struct clsa_scan_match match;
    size_t from = 0;
    if (scan.added->count == 0)
        return encode_pieces(e, 0, text->size);
    for (; clsa_scan_next(&scan, &match); from = match.stop) {
        CLSA_TRY(encode_pieces(e, from, match.start));
        CLSA_TRY(clsa_encoder_reserve(e, 1));
        if (e->places)
            put_start(e, e->count, match.start);
        e->ids[e->count++] = match.id;
    }
    return encode_pieces(e, from, text->size);
}

clsa_status clsa_encode_fragment(struct clsa_encoder *e, const char *text,
                                 size_t size, size_t base)
{
    if (size == 0)
        return CLSA_OK;
    e->base = base;
    e->mark = 0;
    clsa_status status =
        clsa_normal_open(&e->normal, text, size, e->vocab->nfc, e->error);
    if (!status)
        status = encode_normal(e);
    clsa_normal_close(&e->normal);
    return status;
}
