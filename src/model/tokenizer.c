/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer: a vocabulary, a pattern, and the way of a text through them.
 *
 *   text -> special tokens cut out -> runs of valid UTF-8 -> pieces of the
 *   pattern -> one token per byte -> merged
 *
 * Special tokens are control and user-defined ones. They are cut out from
 * left to right, the longest first, when CLSA_TOKENIZE_SPECIAL is given;
 * otherwise their text is text as any other. Each byte that is not part of a
 * valid UTF-8 character becomes the token of that byte and merges with
 * nothing; what stands on its two sides is cut as if it were two texts.
 */
#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/pretoken.h"
#include "src/model/tokenizer.h"
#include "src/model/vocab.h"

struct clsa_tokenizer {
    struct clsa_vocab vocab;
    struct clsa_pretoken *pretoken;
};

clsa_status clsa_tokenizer_open(struct clsa_tokenizer **tokenizer,
                                const struct clsa_gguf *gguf, size_t vocab,
                                clsa_error *error)
{
    struct clsa_tokenizer *t = clsa_mem_calloc(1, sizeof *t);
    if (!t)
        return clsa_fail_memory(error, "the tokenizer", sizeof *t);
    clsa_status status = clsa_vocab_open(&t->vocab, gguf, vocab, error);
    if (status == CLSA_OK)
        status = clsa_pretoken_open(&t->pretoken, error);
    if (status != CLSA_OK) {
        clsa_tokenizer_close(t);
        return status;
    }
    *tokenizer = t;
    return CLSA_OK;
}

void clsa_tokenizer_close(struct clsa_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    clsa_pretoken_close(tokenizer->pretoken);
    clsa_vocab_close(&tokenizer->vocab);
    clsa_mem_free(tokenizer);
}

int32_t clsa_tokenizer_bos(const struct clsa_tokenizer *tokenizer)
{
    return tokenizer->vocab.bos;
}

int32_t clsa_tokenizer_eos(const struct clsa_tokenizer *tokenizer)
{
    return tokenizer->vocab.eos;
}

int clsa_tokenizer_add_bos(const struct clsa_tokenizer *tokenizer)
{
    return tokenizer->vocab.add_bos;
}

const char *clsa_tokenizer_bytes(const struct clsa_tokenizer *tokenizer,
                                 int32_t id, size_t *size)
{
    if (id < 0 || (size_t)id >= tokenizer->vocab.count)
        return NULL;
    return clsa_vocab_bytes(&tokenizer->vocab, (size_t)id, size);
}

int clsa_tokenizer_special(const struct clsa_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && (size_t)id < tokenizer->vocab.count &&
           tokenizer->vocab.kind[id] == CLSA_TOKEN_CONTROL;
}

/* One call of clsa_tokenizer_encode. */
struct encoder {
    const struct clsa_vocab *vocab;
    const struct clsa_pretoken *pretoken;
    struct clsa_pretoken_match *match;
    struct clsa_bpe_scratch scratch;
    const char *text;
    int32_t *ids; /* [count] of [capacity] */
    size_t count, capacity;
    clsa_error *error;
};

/* Room for n more ids. */
static clsa_status reserve(struct encoder *e, size_t n)
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
    e->capacity = capacity;
    return CLSA_OK;
}

static clsa_status put(struct encoder *e, int32_t id)
{
    CLSA_TRY(reserve(e, 1));
    e->ids[e->count++] = id;
    return CLSA_OK;
}

/* The tokens of `size` bytes, one each, to ids[0..size). */
static clsa_status put_bytes(struct encoder *e, const char *bytes, size_t size,
                             int32_t *ids)
{
    for (size_t i = 0; i < size; i++) {
        ids[i] = e->vocab->byte_id[(unsigned char)bytes[i]];
        if (ids[i] < 0)
            return clsa_fail(e->error, CLSA_ERR_ARGUMENT,
                             "byte 0x%02x at %zu of the text has no token in "
                             "this vocabulary",
                             (unsigned char)bytes[i],
                             (size_t)(bytes + i - e->text));
    }
    return CLSA_OK;
}

static clsa_status encode_piece(struct encoder *e, const char *bytes,
                                size_t size)
{
    size_t count = size;
    CLSA_TRY(reserve(e, size));
    int32_t *ids = e->ids + e->count;
    CLSA_TRY(put_bytes(e, bytes, size, ids));
    CLSA_TRY(
        clsa_bpe_merge(&e->vocab->bpe, &e->scratch, ids, &count, e->error));
    e->count += count;
    return CLSA_OK;
}

/* A run of valid UTF-8. */
static clsa_status encode_run(struct encoder *e, const char *text, size_t size)
{
    for (size_t i = 0, n; i < size; i += n) {
        CLSA_TRY(clsa_pretoken_next(e->pretoken, e->match, text, size, i, &n,
                                    e->error));
        CLSA_TRY(encode_piece(e, text + i, n));
    }
    return CLSA_OK;
}

/* Text without special tokens. */
static clsa_status encode_text(struct encoder *e, const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t start = 0, i = 0;
    while (i < size) {
        size_t n = clsa_utf8_length(p + i, size - i);
        if (n == 0) {
            CLSA_TRY(encode_run(e, text + start, i - start));
            CLSA_TRY(encode_piece(e, text + i, 1));
            start = ++i;
        }
        i += n;
    }
    return encode_run(e, text + start, size - start);
}

static clsa_status encode_special(struct encoder *e, const char *text,
                                  size_t size)
{
    size_t start = 0, i = 0;
    while (i < size) {
        int32_t id = clsa_vocab_special(e->vocab, text + i, size - i);
        if (id < 0) {
            i++;
            continue;
        }
        CLSA_TRY(encode_text(e, text + start, i - start));
        CLSA_TRY(put(e, id));
        size_t length;
        clsa_vocab_bytes(e->vocab, (size_t)id, &length);
        start = i += length;
    }
    return encode_text(e, text + start, size - start);
}

static clsa_status encode(struct encoder *e, size_t size, unsigned flags)
{
    /* Positions in a piece have 32 bits. */
    if ((uint64_t)size > INT32_MAX)
        return clsa_fail(e->error, CLSA_ERR_ARGUMENT,
                         "the text has %zu bytes: cut it into texts of less "
                         "than 2 GiB",
                         size);
    e->match = clsa_pretoken_match_open(e->pretoken);
    if (!e->match)
        return clsa_fail_memory(e->error, "the pattern", 1);
    CLSA_TRY(reserve(e, size / 3 + 16));
    if ((flags & CLSA_TOKENIZE_BOS) && e->vocab->add_bos)
        CLSA_TRY(put(e, e->vocab->bos));
    return flags & CLSA_TOKENIZE_SPECIAL ? encode_special(e, e->text, size)
                                         : encode_text(e, e->text, size);
}

clsa_status clsa_tokenizer_encode(const struct clsa_tokenizer *tokenizer,
                                  const char *text, size_t size, unsigned flags,
                                  int32_t **ids, size_t *count,
                                  clsa_error *error)
{
    struct encoder e = {
        .vocab = &tokenizer->vocab,
        .pretoken = tokenizer->pretoken,
        .text = text,
        .error = error,
    };
    clsa_status status = encode(&e, size, flags);
    clsa_pretoken_match_close(e.match);
    clsa_bpe_scratch_free(&e.scratch);
    if (status != CLSA_OK) {
        clsa_mem_free(e.ids);
        return status;
    }
    int32_t *fitting = clsa_mem_resize(e.ids, e.count, sizeof *e.ids);
    *ids = fitting ? fitting : e.ids;
    *count = e.count;
    return CLSA_OK;
}
