/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sampler: from logits to a token. Order of the filters: penalties
 * (penalties.c), top-k, temperature, typical, top-p, min-p, XTC; then one draw.
 * Called by programs between steps.
 *
 * top-p: "The Curious Case of Neural Text Degeneration" (arXiv 1904.09751);
 * typical: "Locally Typical Sampling" (arXiv 2202.00666); min-p: "Turning Up
 * the Heat" (arXiv 2407.01082); XTC: "exclude top choices" (p-e-w 2024).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/simd.h"
#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/base/structs.h"
#include "src/engine/sampler.h"
#include "src/engine/session.h"

void clsa_sampler_options_init(clsa_sampler_options *options)
{
    *options = (clsa_sampler_options){
        .temperature = 0.8f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .repeat_penalty = 1.0f,
        .repeat_last = 64,
    };
}

/* splitmix64 (Steele, Lea, Flood 2014): spreads a seed over the state. */
static uint64_t spread(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* xoshiro256** (Blackman, Vigna 2018), as a number in [0, 1). */
static double draw(uint64_t s[4])
{
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

static clsa_status check_range(const char *name, double value, double low,
                               double high, clsa_error *error)
{
    if (value >= low && value <= high)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_ARGUMENT, "%s %g: use %g to %g", name,
                     value, low, high);
}

clsa_status clsa_sampler_open(clsa_sampler **sampler,
                              const clsa_sampler_options *options,
                              clsa_error *error)
{
    clsa_sampler_options o;
    clsa_sampler_options_init(&o);
    if (options)
        o = *options;
    CLSA_CHECK_RESERVED(&o, "clsa_sampler_options", error);
    CLSA_TRY(check_range("temperature", (double)o.temperature, 0, 100, error));
    CLSA_TRY(check_range("top-p", (double)o.top_p, 0, 1, error));
    CLSA_TRY(check_range("min-p", (double)o.min_p, 0, 1, error));
    CLSA_TRY(check_range("repeat penalty", (double)o.repeat_penalty, 1e-3, 1e3,
                         error));
    struct clsa_sampler *s = clsa_mem_calloc(1, sizeof *s);
    if (!s)
        return clsa_fail_memory(error, "a sampler", sizeof *s);
    s->options = o;
    clsa_sampler_filters_init(&s->filters);
    for (int i = 0; i < 4; i++)
        s->state[i] = spread(&o.seed);
    *sampler = s;
    return CLSA_OK;
}

static void close_lists(const clsa_sampler_filters *f)
{
    clsa_mem_free((void *)f->dry_breakers);
    clsa_mem_free((void *)f->biases);
}

void clsa_sampler_close(clsa_sampler *sampler)
{
    if (!sampler)
        return;
    close_lists(&sampler->filters);
    clsa_mem_free(sampler->ranks);
    clsa_mem_free(sampler->repeats);
    clsa_mem_free(sampler);
}

void clsa_sampler_filters_init(clsa_sampler_filters *filters)
{
    *filters = (clsa_sampler_filters){
        .typical_p = 1.0f,
        .xtc_threshold = 0.1f,
        .dry_base = 1.75f,
        .dry_allowed = 2,
    };
}

static clsa_status check_filters(const clsa_sampler_filters *f,
                                 clsa_error *error)
{
    const struct {
        const char *name;
        float value;
        double low, high;
    } ranges[] = {
        {"presence penalty", f->presence_penalty, -100, 100},
        {"frequency penalty", f->frequency_penalty, -100, 100},
        {"typical-p", f->typical_p, 0, 1},
        {"XTC probability", f->xtc_probability, 0, 1},
        {"XTC threshold", f->xtc_threshold, 0, 1},
        {"DRY multiplier", f->dry_multiplier, 0, 100},
        {"DRY base", f->dry_base, 1, 100},
    };
    CLSA_CHECK_RESERVED(f, "clsa_sampler_filters", error);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        CLSA_TRY(check_range(ranges[i].name, (double)ranges[i].value,
                             ranges[i].low, ranges[i].high, error));
    for (size_t i = 0; i < f->bias_count; i++)
        if (!(f->biases[i].bias < INFINITY))
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "bias %zu: use a number, or minus infinity", i);
    return CLSA_OK;
}

clsa_status clsa_sampler_set_filters(clsa_sampler *sampler,
                                     const clsa_sampler_filters *filters,
                                     clsa_error *error)
{
    clsa_sampler_filters f = *filters;
    CLSA_TRY(check_filters(&f, error));
    const size_t breakers = f.dry_breaker_count * sizeof *f.dry_breakers;
    const size_t biases = f.bias_count * sizeof *f.biases;
    f.dry_breakers = (const int32_t *)(const void *)clsa_mem_dup(
        breakers ? (const char *)filters->dry_breakers : "", breakers);
    f.biases = (const clsa_logit_bias *)(const void *)clsa_mem_dup(
        biases ? (const char *)filters->biases : "", biases);
    if (!f.dry_breakers || !f.biases) {
        close_lists(&f);
        return clsa_fail_memory(error, "the lists of a sampler",
                                breakers + biases);
    }
    close_lists(&sampler->filters);
    sampler->filters = f;
    return CLSA_OK;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* The k best tokens as ranks, sorted, and their probabilities p[i] up to a
   common factor, p[0] = 1; returns their number. NaN is not a candidate. */
static size_t best_tokens(struct clsa_sampler *s, const struct clsa_simd *simd,
                          size_t vocab, size_t k)
{
    size_t n = simd->filter(s->ranks, s->logits, vocab, 0, -INFINITY);
    n = simd->topk(s->ranks, n, k, s->copy);
    qsort(s->ranks, n, sizeof *s->ranks, descending);
    for (size_t i = 0; i < n; i++)
        s->p[i] = s->logits[clsa_rank_position(s->ranks[i])];
    if (n > 0)
        simd->softmax(s->p, s->p, n,
                      fminf(1.0f / s->options.temperature, 0x1p64f));
    return n;
}

static double sum_of(const float *p, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)p[i];
    return sum;
}

/* The entropy of n candidates. */
static double entropy(const float *p, size_t n, double sum)
{
    double h = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] > 0)
            h -= (double)p[i] / sum * log((double)p[i] / sum);
    return h;
}

/* Candidates whose surprise is nearest to the entropy, until they have
   typical_p together; at least one. */
static size_t typical(struct clsa_sampler *s, size_t n)
{
    const double sum = sum_of(s->p, n), h = entropy(s->p, n, sum);
    const double most = (double)s->filters.typical_p * sum;
    double kept = 0;
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        const double surprise = -log((double)s->p[i] / sum);
        s->copy[i] = clsa_rank((float)-fabs(surprise - h), (uint32_t)i);
    }
    qsort(s->copy, n, sizeof *s->copy, descending);
    while (left < n && (left == 0 || kept < most))
        kept += (double)s->p[clsa_rank_position(s->copy[left++])];
    for (size_t i = 0; i < left; i++) /* their places, ascending */
        s->copy[i] = UINT64_MAX - clsa_rank_position(s->copy[i]);
    qsort(s->copy, left, sizeof *s->copy, descending);
    for (size_t i = 0; i < left; i++) {
        const size_t from = (size_t)(UINT64_MAX - s->copy[i]);
        s->ranks[i] = s->ranks[from];
        s->p[i] = s->p[from];
    }
    return left;
}

/* Leaves out the top choices but the least likely of them. */
static size_t exclude_top(struct clsa_sampler *s, size_t n)
{
    const clsa_sampler_filters *f = &s->filters;
    const double least = (double)f->xtc_threshold * sum_of(s->p, n);
    size_t top = 0;
    if (draw(s->state) >= (double)f->xtc_probability)
        return n;
    while (top < n && (double)s->p[top] >= least)
        top++;
    if (top < 2)
        return n;
    memmove(s->ranks, s->ranks + top - 1, (n - top + 1) * sizeof *s->ranks);
    memmove(s->p, s->p + top - 1, (n - top + 1) * sizeof *s->p);
    return n - top + 1;
}

/* How many of n sorted candidates top-p and min-p leave: at least one. */
static size_t filter(const clsa_sampler_options *o, const float *p, size_t n)
{
    const double sum = sum_of(p, n);
    double kept = 0;
    size_t left = 0;
    while (left < n) {
        if (left > 0 &&
            (kept >= (double)o->top_p * sum || p[left] < o->min_p * p[0]))
            break;
        kept += (double)p[left++];
    }
    return left;
}

static int32_t choose(struct clsa_sampler *s, size_t n)
{
    double at = draw(s->state) * sum_of(s->p, n);
    size_t i = 0;
    while (i + 1 < n && (at -= (double)s->p[i]) >= 0)
        i++;
    return (int32_t)clsa_rank_position(s->ranks[i]);
}

static clsa_status no_candidate(clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_FORMAT,
                     "all logits are NaN: the weights of the model are "
                     "damaged; get the file again");
}

/* The best token. With NaN among the logits argmax is any token: what is not
   worse than that token, and then what is no NaN, has the best one. */
static clsa_status greedy(struct clsa_sampler *s, const struct clsa_simd *simd,
                          size_t vocab, int32_t *id, clsa_error *error)
{
    const float least = s->logits[simd->argmax(s->logits, vocab)];
    uint64_t best = 0;
    size_t n = simd->filter(s->ranks, s->logits, vocab, 0, least);
    if (n == 0)
        n = simd->filter(s->ranks, s->logits, vocab, 0, -INFINITY);
    if (n == 0)
        return no_candidate(error);
    for (size_t i = 0; i < n; i++)
        best = clsa_max_u64(best, s->ranks[i]);
    *id = (int32_t)clsa_rank_position(best);
    return CLSA_OK;
}

static clsa_status reserve(struct clsa_sampler *s, size_t vocab,
                           clsa_error *error)
{
    const size_t bytes = vocab * (2 * sizeof *s->ranks + 2 * sizeof *s->logits +
                                  sizeof *s->counts);
    if (s->capacity >= vocab)
        return CLSA_OK;
    uint64_t *memory = clsa_mem_resize(s->ranks, 1, bytes);
    if (!memory)
        return clsa_fail_memory(error, "the sampler", bytes);
    s->ranks = memory;
    s->copy = s->ranks + vocab;
    s->logits = (float *)(s->copy + vocab);
    s->p = s->logits + vocab;
    s->counts = (uint32_t *)(void *)(s->p + vocab);
    memset(s->counts, 0, vocab * sizeof *s->counts);
    s->capacity = vocab;
    return CLSA_OK;
}

/* What top-k leaves, after the other filters. */
static size_t apply_filters(struct clsa_sampler *s, size_t n)
{
    if (s->filters.typical_p < 1)
        n = typical(s, n);
    n = filter(&s->options, s->p, n);
    return s->filters.xtc_probability > 0 ? exclude_top(s, n) : n;
}

clsa_status clsa_sampler_choose(clsa_sampler *sampler, const clsa_model *model,
                                const clsa_choice *choice, int32_t *id,
                                clsa_error *error)
{
    const clsa_sampler_options *o = &sampler->options;
    const size_t vocab = model->net.vocab;
    CLSA_CHECK_RESERVED(choice, "clsa_choice", error);
    CLSA_TRY(reserve(sampler, vocab, error));
    CLSA_TRY(clsa_sampler_load(sampler, vocab, choice, error));
    if (o->temperature <= 0)
        return greedy(sampler, model->simd, vocab, id, error);
    const size_t n =
        best_tokens(sampler, model->simd, vocab,
                    o->top_k && o->top_k < vocab ? o->top_k : vocab);
    if (n == 0)
        return no_candidate(error);
    *id = choose(sampler, apply_filters(sampler, n));
    return CLSA_OK;
}

clsa_status clsa_sampler_sample(clsa_sampler *sampler,
                                const clsa_session *session, int32_t *id,
                                clsa_error *error)
{
    const clsa_choice choice = {.logits = session->logits,
                                .tokens = session->tokens,
                                .count = (size_t)session->length};
    if (!session->has_logits)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "nothing to sample from: the session has no logits; "
                         "append a token first");
    return clsa_sampler_choose(sampler, session->model, &choice, id, error);
}
