/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sampler: the state that the stages of sampling share. penalties.c changes
 * the logits, by what came before; sampler.c ranks, filters and draws.
 */
#ifndef CLSA_ENGINE_SAMPLER_H
#define CLSA_ENGINE_SAMPLER_H

#include "simd/simd.h"
#include "src/base/status.h"

struct clsa_sampler {
    clsa_sampler_options options;
    clsa_sampler_filters filters; /* its lists are owned */
    uint64_t state[4];            /* xoshiro256** */
    uint64_t *ranks;  /* [capacity] tokens by clsa_rank; owns all five */
    uint64_t *copy;   /* [capacity] scratch of the selection */
    float *logits;    /* [capacity] after biases and penalties */
    float *p;         /* [capacity] of ranks */
    uint32_t *counts; /* [capacity] zeros between two calls */
    size_t capacity;
    size_t *repeats; /* [repeat_capacity] of DRY */
    size_t repeat_capacity;
};

/* sampler->logits = the logits of the choice after biases, the allowed tokens
   and all penalties. A token that is not allowed has NaN. */
clsa_status clsa_sampler_load(struct clsa_sampler *s, size_t vocab,
                              const clsa_choice *choice, clsa_error *error);

#endif /* CLSA_ENGINE_SAMPLER_H */
