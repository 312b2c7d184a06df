/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sampler: from logits to a token. Order of the filters: repeat penalty, top-k,
 * temperature, top-p, min-p; then one draw. Called by programs between steps.
 *
 * top-p: "The Curious Case of Neural Text Degeneration" (arXiv 1904.09751);
 * min-p: "Turning Up the Heat" (arXiv 2407.01082); repeat penalty: CTRL
 * (arXiv 1909.05858).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/simd.h"
#include "src/base/mem.h"
#include "src/engine/session.h"

struct clsa_sampler {
    clsa_sampler_options options;
    uint64_t state[4]; /* xoshiro256** */
    uint64_t *ranks;   /* [capacity] tokens by clsa_rank; owns all four */
    uint64_t *copy;    /* [capacity] scratch of the selection */
    float *logits;     /* [capacity] after the penalty */
    float *p;          /* [capacity] of ranks */
    size_t capacity;
};

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
    CLSA_TRY(check_range("temperature", (double)o.temperature, 0, 100, error));
    CLSA_TRY(check_range("top-p", (double)o.top_p, 0, 1, error));
    CLSA_TRY(check_range("min-p", (double)o.min_p, 0, 1, error));
    CLSA_TRY(check_range("repeat penalty", (double)o.repeat_penalty, 1e-3, 1e3,
                         error));
    struct clsa_sampler *s = clsa_mem_calloc(1, sizeof *s);
    if (!s)
        return clsa_fail_memory(error, "a sampler", sizeof *s);
    s->options = o;
    for (int i = 0; i < 4; i++)
        s->state[i] = spread(&o.seed);
    *sampler = s;
    return CLSA_OK;
}

void clsa_sampler_close(clsa_sampler *sampler)
{
    if (!sampler)
        return;
    clsa_mem_free(sampler->ranks);
    clsa_mem_free(sampler);
}

/* The session's logits, penalised where their tokens came lately. */
static void load_logits(struct clsa_sampler *s,
                        const struct clsa_session *session, size_t vocab)
{
    const clsa_sampler_options *o = &s->options;
    memcpy(s->logits, session->logits, vocab * sizeof *s->logits);
    if (o->repeat_penalty == 1.0f)
        return;
    uint64_t back =
        o->repeat_last < session->length ? o->repeat_last : session->length;
    for (uint64_t i = session->length - back; i < session->length; i++) {
        int32_t id = session->tokens[i];
        float logit = session->logits[id]; /* once, however often it came */
        s->logits[id] =
            logit > 0 ? logit / o->repeat_penalty : logit * o->repeat_penalty;
    }
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* The k best tokens as ranks, sorted, and p[i], their probabilities but for a
   factor, p[0] = 1; returns how many there are: NaN is no candidate. */
static size_t best_tokens(struct clsa_sampler *s, const struct clsa_simd *simd,
                          size_t vocab, size_t k)
{
    size_t n = simd->filter(s->ranks, s->logits, vocab, 0, -INFINITY);
    n = simd->select(s->ranks, n, k, s->copy);
    qsort(s->ranks, n, sizeof *s->ranks, descending);
    for (size_t i = 0; i < n; i++)
        s->p[i] = s->logits[clsa_rank_position(s->ranks[i])];
    if (n > 0)
        simd->softmax(s->p, s->p, n,
                      fminf(1.0f / s->options.temperature, 0x1p64f));
    return n;
}

/* How many of n sorted candidates top-p and min-p leave: at least one. */
static size_t filter(const clsa_sampler_options *o, const float *p, size_t n)
{
    double sum = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)p[i];
    size_t left = 0;
    while (left < n) {
        if (left > 0 && (kept >= (double)o->top_p * sum || p[left] < o->min_p))
            break;
        kept += (double)p[left++];
    }
    return left;
}

static int32_t choose(struct clsa_sampler *s, size_t n)
{
    double total = 0, at;
    size_t i = 0;
    for (size_t j = 0; j < n; j++)
        total += (double)s->p[j];
    at = draw(s->state) * total;
    while (i + 1 < n && (at -= (double)s->p[i]) >= 0)
        i++;
    return (int32_t)clsa_rank_position(s->ranks[i]);
}

static clsa_status reserve(struct clsa_sampler *s, size_t vocab,
                           clsa_error *error)
{
    size_t bytes = vocab * (2 * sizeof *s->ranks + 2 * sizeof *s->logits);
    if (s->capacity >= vocab)
        return CLSA_OK;
    uint64_t *memory = clsa_mem_resize(s->ranks, 1, bytes);
    if (!memory)
        return clsa_fail_memory(error, "the sampler", bytes);
    s->ranks = memory;
    s->copy = s->ranks + vocab;
    s->logits = (float *)(s->copy + vocab);
    s->p = s->logits + vocab;
    s->capacity = vocab;
    return CLSA_OK;
}

clsa_status clsa_sampler_sample(clsa_sampler *sampler,
                                const clsa_session *session, int32_t *id,
                                clsa_error *error)
{
    const struct clsa_model *model = session->model;
    const clsa_sampler_options *o = &sampler->options;
    size_t vocab = model->hp.vocab, n;
    if (!session->has_logits)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "nothing to sample from: the session has no logits; "
                         "append a token first");
    CLSA_TRY(reserve(sampler, vocab, error));
    load_logits(sampler, session, vocab);
    if (o->temperature <= 0) {
        *id = (int32_t)model->simd->argmax(sampler->logits, vocab);
        return CLSA_OK;
    }
    n = best_tokens(sampler, model->simd, vocab,
                    o->top_k && o->top_k < vocab ? o->top_k : vocab);
    if (n == 0)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "no logit is a number: the weights of the model are "
                         "damaged; get the file again");
    *id = choose(sampler, filter(o, sampler->p, n));
    return CLSA_OK;
}
