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

#include "src/base/mem.h"
#include "src/engine/session.h"

struct candidate {
    float logit;
    int32_t id;
    double p;
};

struct clsa_sampler {
    clsa_sampler_options options;
    uint64_t state[4]; /* xoshiro256** */
    struct candidate *candidates;
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
    clsa_mem_free(sampler->candidates);
    clsa_mem_free(sampler);
}

/* All tokens with their logits, penalised where they came lately. */
static void load_logits(struct clsa_sampler *s,
                        const struct clsa_session *session, size_t vocab)
{
    const clsa_sampler_options *o = &s->options;
    struct candidate *c = s->candidates;
    for (size_t i = 0; i < vocab; i++)
        c[i] = (struct candidate){session->logits[i], (int32_t)i, 0};
    if (o->repeat_penalty == 1.0f)
        return;
    uint64_t back =
        o->repeat_last < session->length ? o->repeat_last : session->length;
    for (uint64_t i = session->length - back; i < session->length; i++) {
        int32_t id = session->tokens[i];
        float logit = session->logits[id]; /* once, however often it came */
        c[id].logit =
            logit > 0 ? logit / o->repeat_penalty : logit * o->repeat_penalty;
    }
}

static int by_logit(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit < y->logit ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool better(const struct candidate *a, const struct candidate *b)
{
    return by_logit(a, b) < 0;
}

/* Restores the heap whose root is the worst of c[0..n). */
static void sift_down(struct candidate *c, size_t n, size_t i)
{
    for (;;) {
        size_t worst = i, left = 2 * i + 1, right = left + 1;
        if (left < n && better(&c[worst], &c[left]))
            worst = left;
        if (right < n && better(&c[worst], &c[right]))
            worst = right;
        if (worst == i)
            return;
        struct candidate t = c[i];
        c[i] = c[worst];
        c[worst] = t;
        i = worst;
    }
}

/* The k best to the front, sorted; the rest behind in any order. */
static void sort_best(struct candidate *c, size_t n, size_t k)
{
    if (k < n) {
        for (size_t i = k / 2; i-- > 0;)
            sift_down(c, k, i);
        for (size_t i = k; i < n; i++) {
            if (!better(&c[i], &c[0]))
                continue;
            struct candidate t = c[0];
            c[0] = c[i];
            c[i] = t;
            sift_down(c, k, 0);
        }
    }
    qsort(c, k < n ? k : n, sizeof *c, by_logit);
}

/* Probabilities of n sorted candidates; returns how many top-p and min-p
   leave, at least one. */
static size_t filter(const clsa_sampler_options *o, struct candidate *c,
                     size_t n)
{
    double sum = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        sum += c[i].p =
            exp((double)(c[i].logit - c[0].logit) / (double)o->temperature);
    size_t left = 0;
    while (left < n) {
        if (left > 0 &&
            (kept >= (double)o->top_p * sum || c[left].p < (double)o->min_p))
            break;
        kept += c[left++].p;
    }
    return left;
}

static int32_t choose(struct clsa_sampler *s, size_t n)
{
    struct candidate *c = s->candidates;
    double total = 0, at;
    for (size_t i = 0; i < n; i++)
        total += c[i].p;
    at = draw(s->state) * total;
    for (size_t i = 0; i + 1 < n; i++)
        if ((at -= c[i].p) < 0)
            return c[i].id;
    return c[n - 1].id;
}

clsa_status clsa_sampler_sample(clsa_sampler *sampler,
                                const clsa_session *session, int32_t *id,
                                clsa_error *error)
{
    size_t vocab = session->model->hp.vocab;
    const clsa_sampler_options *o = &sampler->options;
    if (!session->has_logits)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "nothing to sample from: the session has no logits; "
                         "append a token first");
    if (sampler->capacity < vocab) {
        struct candidate *c =
            clsa_mem_resize(sampler->candidates, vocab, sizeof *c);
        if (!c)
            return clsa_fail_memory(error, "the sampler", vocab * sizeof *c);
        sampler->candidates = c;
        sampler->capacity = vocab;
    }
    load_logits(sampler, session, vocab);
    size_t k = o->top_k && o->top_k < vocab ? o->top_k : vocab;
    sort_best(sampler->candidates, vocab, o->temperature > 0 ? k : 1);
    *id = o->temperature > 0
              ? choose(sampler, filter(o, sampler->candidates, k))
              : sampler->candidates[0].id;
    return CLSA_OK;
}
