/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logits before the filters: biases, allowed tokens, and penalties for what
 * came before.
 *
 * Repeat penalty: CTRL (arXiv 1909.05858). Presence and frequency: as the API
 * of OpenAI defines them. DRY ("don't repeat yourself", p-e-w 2024): a token
 * that would go on with a repeat of n tokens loses multiplier * base^(n -
 * allowed).
 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/engine/sampler.h"

static clsa_status add_biases(struct clsa_sampler *s, size_t vocab,
                              clsa_error *error)
{
    const clsa_sampler_filters *f = &s->filters;
    for (size_t i = 0; i < f->bias_count; i++) {
        const int32_t id = f->biases[i].id;
        if (id < 0 || (size_t)id >= vocab)
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "bias %zu: id %ld is not in the vocabulary "
                             "(0 to %zu)",
                             i, (long)id, vocab - 1);
        s->logits[id] = f->biases[i].bias == -INFINITY
                            ? NAN
                            : s->logits[id] + f->biases[i].bias;
    }
    return CLSA_OK;
}

static clsa_status mask(struct clsa_sampler *s, size_t vocab,
                        const uint32_t *allowed, clsa_error *error)
{
    size_t left = 0;
    for (size_t i = 0; allowed && i < vocab; i++) {
        const bool one = allowed[i / 32] >> i % 32 & 1;
        left += one;
        if (!one)
            s->logits[i] = NAN;
    }
    if (!allowed || left > 0)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "no token is allowed: set a bit of the mask");
}

/* Whether the last n tokens before the choice are tokens. */
static clsa_status check_tokens(const clsa_choice *choice, size_t n,
                                size_t vocab, clsa_error *error)
{
    for (size_t i = choice->count - n; i < choice->count; i++)
        if (choice->tokens[i] < 0 || (size_t)choice->tokens[i] >= vocab)
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "token %zu before the choice: id %ld is not in "
                             "the vocabulary (0 to %zu)",
                             i, (long)choice->tokens[i], vocab - 1);
    return CLSA_OK;
}

/* Once for each token that came, however often. */
static void penalize(struct clsa_sampler *s, int32_t id, uint32_t times)
{
    const float repeat = s->options.repeat_penalty;
    float *logit = &s->logits[id];
    if (repeat != 1.0f)
        *logit = *logit > 0 ? *logit / repeat : *logit * repeat;
    *logit -= s->filters.presence_penalty +
              s->filters.frequency_penalty * (float)times;
}

static clsa_status penalize_recent(struct clsa_sampler *s, size_t vocab,
                                   const clsa_choice *choice, clsa_error *error)
{
    const clsa_sampler_filters *f = &s->filters;
    const size_t back = clsa_min(s->options.repeat_last, choice->count);
    const int32_t *ids = choice->tokens + choice->count - back;
    if (back == 0 || (s->options.repeat_penalty == 1.0f &&
                      f->presence_penalty == 0 && f->frequency_penalty == 0))
        return CLSA_OK;
    CLSA_TRY(check_tokens(choice, back, vocab, error));
    for (size_t i = 0; i < back; i++)
        s->counts[ids[i]]++;
    for (size_t i = 0; i < back; i++)
        if (s->counts[ids[i]] > 0) {
            penalize(s, ids[i], s->counts[ids[i]]);
            s->counts[ids[i]] = 0;
        }
    return CLSA_OK;
}

/* --------------------------------------------------------------------- DRY */

static bool breaks(const clsa_sampler_filters *f, int32_t id)
{
    for (size_t i = 0; i < f->dry_breaker_count; i++)
        if (f->dry_breakers[i] == id)
            return true;
    return false;
}

/* Tokens from the end up to the last one that breaks, at most n. */
static size_t unbroken(const clsa_sampler_filters *f, const int32_t *last,
                       size_t n)
{
    size_t length = 0;
    while (length < n && !breaks(f, *(last - length)))
        length++;
    return length;
}

/* z[i] = how many tokens before and with the i-th last one are those at the
   end, for i >= 1 (the Z function of the text read backward). */
static void match_ends(size_t *z, const int32_t *last, size_t n)
{
    size_t left = 0, right = 0;
    z[0] = n;
    for (size_t i = 1; i < n; i++) {
        z[i] = i < right ? clsa_min(right - i, z[i - left]) : 0;
        while (i + z[i] < n && *(last - z[i]) == *(last - i - z[i]))
            z[i]++;
        if (i + z[i] > right) {
            left = i;
            right = i + z[i];
        }
    }
}

static clsa_status reserve_repeats(struct clsa_sampler *s, size_t n,
                                   clsa_error *error)
{
    if (s->repeat_capacity >= n)
        return CLSA_OK;
    size_t *grown = clsa_mem_resize(s->repeats, n, sizeof *grown);
    if (!grown)
        return clsa_fail_memory(error, "the repeats of a text",
                                n * sizeof *grown);
    s->repeats = grown;
    s->repeat_capacity = n;
    return CLSA_OK;
}

/* The longest repeat that each token would go on with, in counts. */
static void penalize_repeats(struct clsa_sampler *s, const int32_t *last,
                             size_t n)
{
    const clsa_sampler_filters *f = &s->filters;
    const size_t most = unbroken(f, last, n);
    match_ends(s->repeats, last, n);
    for (size_t i = 1; i < n; i++) {
        const size_t length = clsa_min(s->repeats[i], most);
        uint32_t *longest = &s->counts[*(last - i + 1)];
        if (length >= clsa_max(f->dry_allowed, 1) && length > *longest)
            *longest = (uint32_t)length;
    }
    for (size_t i = 1; i < n; i++) {
        const int32_t id = *(last - i + 1);
        if (s->counts[id] == 0)
            continue;
        const float more = (float)s->counts[id] - (float)f->dry_allowed;
        s->logits[id] -=
            f->dry_multiplier * fminf(powf(f->dry_base, more), 1e30f);
        s->counts[id] = 0;
    }
}

static clsa_status apply_dry(struct clsa_sampler *s, size_t vocab,
                             const clsa_choice *choice, clsa_error *error)
{
    const clsa_sampler_filters *f = &s->filters;
    const size_t n =
        clsa_min(f->dry_last ? f->dry_last : SIZE_MAX, choice->count);
    if (f->dry_multiplier <= 0 || n < 2)
        return CLSA_OK;
    CLSA_TRY(check_tokens(choice, n, vocab, error));
    CLSA_TRY(reserve_repeats(s, n, error));
    penalize_repeats(s, choice->tokens + choice->count - 1, n);
    return CLSA_OK;
}

clsa_status clsa_sampler_load(struct clsa_sampler *s, size_t vocab,
                              const clsa_choice *choice, clsa_error *error)
{
    memcpy(s->logits, choice->logits, vocab * sizeof *s->logits);
    CLSA_TRY(add_biases(s, vocab, error));
    CLSA_TRY(mask(s, vocab, choice->allowed, error));
    CLSA_TRY(penalize_recent(s, vocab, choice, error));
    return apply_dry(s, vocab, choice, error);
}
