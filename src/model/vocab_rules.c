/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of merging. A list of merges is one rule each, in order. Scores
 * make a rule of any two tokens that together are a third; the rank of a rule
 * is the number of different scores above the third one's, so that rules of
 * equal score apply from left to right.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/vocab_read.h"

#define PART_LIMIT 4096 /* bytes of a token in a rule of characters */
#define KEY_SCORES "tokenizer.ggml.scores"

static const struct clsa_gguf_string nothing = {"", 0};

/* ------------------------------------------------------------ listed ones */

/* The token of characters spelled `a` followed by `b`, by its bytes: a space is
   U+2581 in rules, and perhaps itself in a user-defined token. */
static int64_t find_chars(const struct vocab_reader *r,
                          struct clsa_gguf_string a, struct clsa_gguf_string b)
{
    char bytes[PART_LIMIT];
    if (a.size + b.size > sizeof bytes)
        return -1;
    size_t size = clsa_vocab_from_spaced(a, bytes);
    size += clsa_vocab_from_spaced(b, bytes + size);
    return clsa_vocab_find(r->vocab, bytes, size);
}

/* The id of the token spelled `a` followed by `b` that merging may have. */
static clsa_status find_part(const struct vocab_reader *r, size_t merge,
                             struct clsa_gguf_string a,
                             struct clsa_gguf_string b, uint32_t *id)
{
    const int64_t found =
        r->vocab->chars ? find_chars(r, a, b) : clsa_vocab_spelled(r, a, b);
    const int kind = found < 0 ? 0 : r->vocab->kind[found];
    if (kind != CLSA_TOKEN_NORMAL &&
        !(kind == CLSA_TOKEN_USER && r->vocab->chars))
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_MERGES "[%zu]: '%.*s%.*s' is not a normal "
                         "token",
                         r->gguf->path, merge, SHOW(a), SHOW(b));
    *id = (uint32_t)found;
    return CLSA_OK;
}

static clsa_status read_merge(struct vocab_reader *r, size_t i,
                              struct clsa_gguf_string merge)
{
    struct clsa_gguf_string a = merge, b = merge;
    uint32_t left, right, merged;
    const char *space = memchr(merge.text, ' ', merge.size);
    a.size = space ? (size_t)(space - merge.text) : 0;
    b.size = merge.size - a.size;
    if (a.size == 0 || b.size < 2)
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_MERGES
                         "[%zu] '%.*s' is not two tokens separated by a space",
                         r->gguf->path, i, SHOW(merge));
    b.text = space + 1;
    b.size--;
    CLSA_TRY(find_part(r, i, a, nothing, &left));
    CLSA_TRY(find_part(r, i, b, nothing, &right));
    CLSA_TRY(find_part(r, i, a, b, &merged));
    if (!clsa_bpe_add(&r->vocab->bpe, left, right, (uint32_t)i, merged))
        return clsa_fail(r->error, CLSA_ERR_FORMAT,
                         "%s: " KEY_MERGES "[%zu] '%.*s' appears twice",
                         r->gguf->path, i, SHOW(merge));
    return CLSA_OK;
}

clsa_status clsa_vocab_read_merges(struct vocab_reader *r)
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

/* -------------------------------------------------------------- by scores */

struct scored {
    float score;
    uint32_t id;
};

static int by_score(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* Calls of make_rules: to count the rules, then to add them. */
struct maker {
    struct clsa_vocab *vocab;
    bool add;
    size_t count;
};

/* All rules that give token `id`. */
static void make_rules(struct maker *m, uint32_t id, uint32_t rank)
{
    size_t size;
    const char *bytes = clsa_vocab_bytes(m->vocab, id, &size);
    if (size == 0 || clsa_vocab_find(m->vocab, bytes, size) != (int32_t)id)
        return;
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) == 0x80) /* inside of a character */
            continue;
        const int32_t left = clsa_vocab_find(m->vocab, bytes, i);
        if (left < 0)
            continue;
        const int32_t right = clsa_vocab_find(m->vocab, bytes + i, size - i);
        if (right < 0)
            continue;
        m->count++;
        if (m->add)
            clsa_bpe_add(&m->vocab->bpe, (uint32_t)left, (uint32_t)right, rank,
                         id);
    }
}

static void make_all(struct maker *m, const struct scored *scored)
{
    uint32_t rank = 0;
    for (size_t i = 0; i < m->vocab->count; i++) {
        if (i > 0 && scored[i].score != scored[i - 1].score)
            rank++;
        make_rules(m, scored[i].id, rank);
    }
}

static clsa_status add_rules(struct vocab_reader *r,
                             const struct scored *scored)
{
    struct maker m = {.vocab = r->vocab};
    make_all(&m, scored);
    CLSA_TRY(clsa_bpe_open(&r->vocab->bpe, m.count, r->error));
    m.add = true;
    make_all(&m, scored);
    return CLSA_OK;
}

static clsa_status read_scores(struct vocab_reader *r, struct scored *scored)
{
    float *scores = NULL;
    size_t count;
    CLSA_TRY(clsa_gguf_floats(r->gguf, KEY_SCORES, &scores, &count, r->error));
    clsa_status status = CLSA_OK;
    if (count != r->vocab->count)
        status = clsa_fail(r->error, CLSA_ERR_FORMAT,
                           "%s: " KEY_SCORES " has %zu entries for %zu tokens",
                           r->gguf->path, count, r->vocab->count);
    for (size_t i = 0; i < r->vocab->count && !status; i++) {
        if (isnan(scores[i]))
            status = clsa_fail(r->error, CLSA_ERR_FORMAT,
                               "%s: " KEY_SCORES "[%zu] is not a number",
                               r->gguf->path, i);
        scored[i] = (struct scored){scores[i], (uint32_t)i};
    }
    clsa_mem_free(scores);
    return status;
}

clsa_status clsa_vocab_read_scores(struct vocab_reader *r)
{
    const size_t count = r->vocab->count;
    struct scored *scored = clsa_mem_calloc(count, sizeof *scored);
    if (!scored)
        return clsa_fail_memory(r->error, "scores", count);
    clsa_status status = read_scores(r, scored);
    if (!status) {
        qsort(scored, count, sizeof *scored, by_score);
        status = add_rules(r, scored);
    }
    clsa_mem_free(scored);
    return status;
}
