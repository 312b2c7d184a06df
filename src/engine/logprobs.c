/* SPDX-License-Identifier: Apache-2.0 */
/* Log-probabilities of tokens, in double precision and in order of ids: the
   same for every SIMD level. */
#include <math.h>

#include "src/engine/model.h"

/* log of the sum of exp of all numbers; false: there are none. */
static bool log_sum(const float *logits, size_t n, double *sum)
{
    double most = -INFINITY, total = 0;
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        any |= !isnan(logits[i]);
        most = fmax(most, (double)logits[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (!isnan(logits[i]))
            total += logits[i] == most ? 1 : exp((double)logits[i] - most);
    *sum = most + log(total);
    return any;
}

static clsa_logprob logprob_of(const float *logits, size_t id, double sum)
{
    const bool some = !isnan(logits[id]) && logits[id] > -INFINITY;
    return (clsa_logprob){(int32_t)id,
                          some ? (float)((double)logits[id] - sum) : -INFINITY};
}

/* Insertion into a sorted list: nearly all tokens are below its last. */
static void find_best(const float *logits, size_t n, double sum,
                      clsa_logprob *best, size_t count)
{
    size_t have = 0;
    for (size_t i = 0; count > 0 && i < n; i++) {
        const clsa_logprob one = logprob_of(logits, i, sum);
        if (have == count && !(one.logprob > best[count - 1].logprob))
            continue;
        size_t at = have < count ? have++ : count - 1;
        for (; at > 0 && one.logprob > best[at - 1].logprob; at--)
            best[at] = best[at - 1];
        best[at] = one;
    }
}

clsa_status clsa_logprobs(const clsa_model *model, const float *logits,
                          clsa_logprob *given, size_t count, clsa_logprob *best,
                          size_t best_count, clsa_error *error)
{
    const size_t vocab = model->net.vocab;
    double sum;
    for (size_t i = 0; i < count; i++)
        if (given[i].id < 0 || (size_t)given[i].id >= vocab)
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "token %zu: id %ld is not in the vocabulary "
                             "(0 to %zu)",
                             i, (long)given[i].id, vocab - 1);
    if (best_count > vocab)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "%zu best tokens: the vocabulary has %zu", best_count,
                         vocab);
    if (!log_sum(logits, vocab, &sum))
        return clsa_fail(error, CLSA_ERR_FORMAT, "all logits are NaN");
    for (size_t i = 0; i < count; i++)
        given[i] = logprob_of(logits, (size_t)given[i].id, sum);
    find_best(logits, vocab, sum, best, best_count);
    return CLSA_OK;
}
