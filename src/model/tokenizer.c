/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer: what a vocabulary says, and texts with added tokens in them.
 *
 * Added tokens are cut out from left to right, the longest first: user-defined
 * ones always, control and unknown ones with CLSA_TOKENIZE_SPECIAL; otherwise
 * their text is text as any other.
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/chars.h"
#include "src/model/encode.h"
#include "src/model/scan.h"
#include "src/model/tokenizer.h"

struct clsa_tokenizer {
    struct clsa_vocab vocab;
};

clsa_status clsa_tokenizer_open(struct clsa_tokenizer **tokenizer,
                                const struct clsa_gguf *gguf, size_t vocab,
                                clsa_error *error)
{
    struct clsa_tokenizer *t = clsa_mem_calloc(1, sizeof *t);
    if (!t)
        return clsa_fail_memory(error, "the tokenizer", sizeof *t);
    clsa_status status = clsa_vocab_open(&t->vocab, gguf, vocab, error);
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
    clsa_vocab_close(&tokenizer->vocab);
    clsa_mem_free(tokenizer);
}

const struct clsa_vocab *
clsa_tokenizer_vocab(const struct clsa_tokenizer *tokenizer)
{
    return &tokenizer->vocab;
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

const int32_t *clsa_tokenizer_ends(const struct clsa_tokenizer *tokenizer,
                                   size_t *count)
{
    *count = tokenizer->vocab.end_count;
    return tokenizer->vocab.ends;
}

const char *clsa_tokenizer_bytes(const struct clsa_tokenizer *tokenizer,
                                 int32_t id, size_t *size)
{
    if (id < 0 || (size_t)id >= tokenizer->vocab.count)
        return NULL;
    return clsa_vocab_bytes(&tokenizer->vocab, (size_t)id, size);
}

int32_t clsa_tokenizer_id(const struct clsa_tokenizer *tokenizer,
                          const char *text)
{
    const struct clsa_vocab *vocab = &tokenizer->vocab;
    const size_t length = strlen(text);
    int32_t found = -1;
    for (size_t id = 0; id < vocab->count; id++) {
        size_t size;
        const char *bytes = clsa_vocab_bytes(vocab, id, &size);
        if (size != length || memcmp(bytes, text, size) != 0)
            continue;
        if (vocab->kind[id] != CLSA_TOKEN_NORMAL)
            return (int32_t)id;
        if (found < 0)
            found = (int32_t)id;
    }
    return found;
}

int clsa_tokenizer_special(const struct clsa_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && (size_t)id < tokenizer->vocab.count &&
           tokenizer->vocab.kind[id] == CLSA_TOKEN_CONTROL;
}

/* ---------------------------------------------------------------- encoding */

static clsa_status encode_all(struct clsa_encoder *e, const char *text,
                              size_t size, bool special)
{
    struct clsa_scan scan = {.vocab = e->vocab,
                             .added = &e->vocab->added,
                             .text = text,
                             .size = size,
                             .special = special};
    struct clsa_scan_match match;
    size_t start = 0;
    e->special = special;
    for (; clsa_scan_next(&scan, &match); start = match.stop) {
        if (match.start > start)
            CLSA_TRY(clsa_encode_fragment(e, text + start, match.start - start,
                                          start));
        CLSA_TRY(clsa_encoder_put(e, match.id, match.start));
    }
    return clsa_encode_fragment(e, text + start, size - start, start);
}

static clsa_status encode(struct clsa_encoder *e, const char *text, size_t size,
                          unsigned flags)
{
    const struct clsa_vocab *vocab = e->vocab;
    /* Positions in a piece have 32 bits. */
    if ((uint64_t)size > INT32_MAX)
        return clsa_fail(e->error, CLSA_ERR_ARGUMENT,
                         "the text has %zu bytes: cut it into texts of less "
                         "than 2 GiB",
                         size);
    CLSA_TRY(clsa_encoder_reserve(e, size / 3 + 16));
    if ((flags & CLSA_TOKENIZE_BOS) && vocab->add_bos)
        CLSA_TRY(clsa_encoder_put(e, vocab->bos, 0));
    CLSA_TRY(encode_all(e, text, size, flags & CLSA_TOKENIZE_SPECIAL));
    if ((flags & CLSA_TOKENIZE_EOS) && vocab->add_eos)
        CLSA_TRY(clsa_encoder_put(e, vocab->eos, size));
    return CLSA_OK;
}

clsa_status clsa_tokenizer_encode(const struct clsa_tokenizer *tokenizer,
                                  const char *text, size_t size, unsigned flags,
                                  struct clsa_tokens *tokens, clsa_error *error)
{
    struct clsa_encoder e = {
        .vocab = &tokenizer->vocab,
        .places = flags & CLSA_TOKENIZE_PLACES,
        .error = error,
    };
    clsa_status status = encode(&e, text, size, flags);
    clsa_bpe_scratch_free(&e.scratch);
    if (status != CLSA_OK) {
        clsa_mem_free(e.ids);
        clsa_mem_free(e.starts);
        return status;
    }
    int32_t *fitting = clsa_mem_resize(e.ids, e.count, sizeof *e.ids);
    tokens->ids = fitting ? fitting : e.ids;
    tokens->starts = e.starts;
    tokens->count = e.count;
    return CLSA_OK;
}

/* ---------------------------------------------------------- whole texts */

clsa_status clsa_tokenizer_join(const struct clsa_tokenizer *tokenizer,
                                const int32_t *ids, size_t count, char **bytes,
                                size_t *size, clsa_error *error)
{
    const struct clsa_vocab *vocab = &tokenizer->vocab;
    size_t total = 0, n, used = 0;
    for (size_t i = 0; i < count; i++) {
        if (!clsa_tokenizer_bytes(tokenizer, ids[i], &n))
            return clsa_fail(error, CLSA_ERR_ARGUMENT, "%d is not a token",
                             (int)ids[i]);
        if (!clsa_size_add(total, n, &total))
            return clsa_fail_memory(error, "text", SIZE_MAX);
    }
    char *out = total < SIZE_MAX ? clsa_mem_calloc(total + 1, 1) : NULL;
    if (!out)
        return clsa_fail_memory(error, "text", total);
    for (size_t i = 0; i < count; i++) {
        const char *token = clsa_vocab_bytes(vocab, (size_t)ids[i], &n);
        const bool added = vocab->kind[ids[i]] != CLSA_TOKEN_NORMAL &&
                           vocab->kind[ids[i]] != CLSA_TOKEN_BYTE;
        const bool prefix =
            i == 0 && vocab->add_space && !added && n > 0 && *token == ' ';
        memcpy(out + used, token + prefix, n - prefix);
        used += n - prefix;
    }
    *bytes = out;
    *size = used;
    return CLSA_OK;
}
