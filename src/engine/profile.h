/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile: the time of a model's steps by operation, for clsa_bench.h. Worker 0
 * books the time since the last operation after each one, less what it waited
 * at the ends of loops for other threads, which is an entry of its own, as are
 * the start and the end of a region. So the entries add up to the time of the
 * steps. While a profile is off, a step looks at one flag per operation and at
 * one pointer per loop, and at no clock.
 */
#ifndef CLSA_ENGINE_PROFILE_H
#define CLSA_ENGINE_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

/* In the order of the forward pass. */
enum clsa_op {
    CLSA_OP_EMBED,     /* embedding, angles, layers' own inputs, outputs */
    CLSA_OP_NORM,      /* RMSNorm, and activations quantized */
    CLSA_OP_QKV,       /* products: Q, K, V, index keys, gates of retention */
    CLSA_OP_STORE,     /* heads normed and rotated, rows to the store */
    CLSA_OP_INDEX,     /* index queries */
    CLSA_OP_SCAN,      /* scores of index keys, or what a policy ranks by */
    CLSA_OP_SELECT,    /* the k best, slots of the working set */
    CLSA_OP_GATHER,    /* new rows to the working set */
    CLSA_OP_ATTENTION, /* attention, or retention */
    CLSA_OP_ATTN_OUT,  /* output projection of attention */
    CLSA_OP_FFN,       /* three products and the gate */
    CLSA_OP_INPUT,     /* what a layer adds of its own input */
    CLSA_OP_LOGITS,    /* output matrix */
    CLSA_OP_WAIT,      /* barriers: start and end of the step, ends of loops */
    CLSA_OPS
};

/* Of the steps since it was switched on. */
struct clsa_profile_times {
    bool on;
    uint64_t steps, ns[CLSA_OPS];
};

#endif /* CLSA_ENGINE_PROFILE_H */
