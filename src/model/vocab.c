/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the vocabulary: which tokenizer it is, spellings and kinds. While
 * reading, an index from the spelling of a token to its id finds duplicates and
 * the parts and results of merge rules.
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/model/vocab_read.h"

#define KEY_MODEL "tokenizer.ggml.model"
#define KEY_PRE   "tokenizer.ggml.pre"

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
static uint32_t *find(const struct vocab_reader *r, struct clsa_gguf_string a,
                      struct clsa_gguf_string b)
{
    uint64_t h = hash(hash(0xcbf29ce484222325u, a), b);
    size_t i = (size_t)(h ^ h >> 32) & r->mask;
    while (r->slots[i] && !spelled(r->tokens[r->slots[i] - 1], a, b))
        i = (i + 1) & r->mask;
    return &r->slots[i];
}

int64_t clsa_vocab_spelled(const struct vocab_reader *r,
                           struct clsa_gguf_string a, struct clsa_gguf_string b)
{
    return (int64_t)*find(r, a, b) - 1;
}

static const struct clsa_gguf_string nothing = {"", 0};

static clsa_status check_count(struct vocab_reader *r, size_t count)
{
    const char *path = r->gguf->path;
    if (r->vocab->count == 0)
        r->vocab->count = count;
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
    return CLSA_OK;
}

static clsa_status read_spellings(struct vocab_reader *r)
{
    const char *path = r->gguf->path;
    size_t count, slots = 16;
    CLSA_TRY(
        clsa_gguf_strings(r->gguf, KEY_TOKENS, &r->tokens, &count, r->error));
    CLSA_TRY(check_count(r, count));
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

static clsa_status check_kinds(struct vocab_reader *r, const int32_t *kinds,
                               size_t count)
{
    const int last = r->vocab->chars ? CLSA_TOKEN_BYTE : CLSA_TOKEN_UNUSED;
    if (count != r->vocab->count)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_TYPES " has %zu entries for %zu tokens",
                         r->gguf->path, count, r->vocab->count);
    for (size_t i = 0; i < count; i++) {
        if (kinds[i] < CLSA_TOKEN_NORMAL || kinds[i] > last)
            return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                             "%s: " KEY_TYPES "[%zu] is %d: a vocabulary of "
                             "model %s has types 1 to %d only",
                             r->gguf->path, i, (int)kinds[i], r->vocab->model,
                             last);
        r->vocab->kind[i] = (uint8_t)kinds[i];
    }
    return CLSA_OK;
}

static clsa_status read_kinds(struct vocab_reader *r)
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

/* ------------------------------------------------------ which tokenizer */

static clsa_status read_text(const struct vocab_reader *r, const char *key,
                             bool required, char **copy)
{
    struct clsa_gguf_string text = nothing;
    CLSA_TRY(clsa_gguf_text(r->gguf, key, required, &text, r->error));
    if (memchr(text.text, 0, text.size))
        return clsa_fail(r->error, CLSA_ERR_FORMAT, "%s: %s has a NUL",
                         r->gguf->path, key);
    if (!(*copy = clsa_mem_dup(text.text, text.size)))
        return clsa_fail_memory(r->error, key, text.size);
    return CLSA_OK;
}

static clsa_status find_pretoken(struct vocab_reader *r)
{
    struct clsa_vocab *vocab = r->vocab;
    char known[300];
    vocab->pretoken = clsa_pretoken_find(vocab->pre, strlen(vocab->pre));
    if (vocab->pretoken)
        return CLSA_OK;
    clsa_pretoken_list(known, sizeof known);
    return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                     "%s: " KEY_PRE " is '%.48s', a pre-tokenizer that is not "
                     "known: supported are %s",
                     r->gguf->path, vocab->pre, known);
}

/* Files of architecture yoco have texts as they are, unless a key says
   otherwise: that is what their models were trained with. */
static clsa_status read_nfc(struct vocab_reader *r)
{
    struct clsa_gguf_string arch = nothing;
    CLSA_TRY(clsa_gguf_text(r->gguf, "general.architecture", false, &arch,
                            r->error));
    const bool yoco = arch.size == 4 && memcmp(arch.text, "yoco", 4) == 0;
    r->vocab->nfc = r->vocab->pretoken->nfc && !yoco;
    return CLSA_OK;
}

static clsa_status read_model(struct vocab_reader *r)
{
    struct clsa_vocab *vocab = r->vocab;
    CLSA_TRY(read_text(r, KEY_MODEL, true, &vocab->model));
    const bool bytes = strcmp(vocab->model, "gpt2") == 0;
    vocab->chars = strcmp(vocab->model, "llama") == 0 ||
                   strcmp(vocab->model, "gemma4") == 0;
    if (!bytes && !vocab->chars)
        return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                         "%s: " KEY_MODEL " is '%.48s': only 'gpt2', 'llama' "
                         "and 'gemma4' are supported",
                         r->gguf->path, vocab->model);
    CLSA_TRY(read_text(r, KEY_PRE, bytes, &vocab->pre));
    if (bytes) {
        CLSA_TRY(find_pretoken(r));
        vocab->ignore_merges = vocab->pretoken->ignore_merges;
        CLSA_TRY(read_nfc(r));
    }
    CLSA_TRY(clsa_gguf_bool(r->gguf, "tokenizer.ggml.ignore_merges", false,
                            &vocab->ignore_merges, r->error));
    return clsa_gguf_bool(r->gguf, "tokenizer.ggml.nfc", false, &vocab->nfc,
                          r->error);
}

/*
 * Where no token of several characters has the two sides of a place, nothing
 * merges across it: a text may be cut there first.
 */
static void find_cuts(struct clsa_vocab *vocab)
{
    vocab->cut_spaces = vocab->cut_lines = vocab->chars;
    for (size_t i = 0; i < vocab->count && vocab->chars; i++) {
        size_t size;
        const char *p = clsa_vocab_bytes(vocab, i, &size);
        if (vocab->kind[i] != CLSA_TOKEN_NORMAL &&
            vocab->kind[i] != CLSA_TOKEN_USER)
            continue;
        for (size_t k = 1; k < size; k++) {
            if (p[k] == ' ' && p[k - 1] != ' ')
                vocab->cut_spaces = false;
            if ((p[k] == '\n') != (p[k - 1] == '\n'))
                vocab->cut_lines = false;
        }
    }
}

static clsa_status read_all(struct vocab_reader *r)
{
    CLSA_TRY(read_model(r));
    CLSA_TRY(read_spellings(r));
    CLSA_TRY(read_kinds(r));
    CLSA_TRY(clsa_vocab_read_tokens(r));
    if (strcmp(r->vocab->model, "llama") == 0)
        CLSA_TRY(clsa_vocab_read_scores(r));
    else
        CLSA_TRY(clsa_vocab_read_merges(r));
    find_cuts(r->vocab);
    return clsa_vocab_read_special(r);
}

clsa_status clsa_vocab_open(struct clsa_vocab *vocab,
                            const struct clsa_gguf *gguf, size_t count,
                            clsa_error *error)
{
    struct vocab_reader r = {.vocab = vocab, .gguf = gguf, .error = error};
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
    clsa_mem_free(vocab->model);
    clsa_mem_free(vocab->pre);
    clsa_mem_free(vocab->slots);
    clsa_added_close(&vocab->added);
    clsa_added_close(&vocab->added_normal);
    clsa_mem_free(vocab->flags);
    clsa_mem_free(vocab->ends);
    clsa_bpe_close(&vocab->bpe);
}
