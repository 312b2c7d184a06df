/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention: the state that a layer of gated retention (arXiv 2405.05254,
 * section 3.1) carries from token to token.
 *
 * Per head, R_t = exp(a_t) R_(t-1) + c k_t v_t^T and out_t = q_t R_t, where c
 * is the scale of the layer, 1 / sqrt(e).
 * Positions are cut into chunks of CLSA_CHUNK, at multiples of it: R is kept
 * as it was where the chunk began, and the rows of the chunk beside it. With A
 * the running sum of a since then,
 *
 *   out_t = exp(A_t) q_t R + sum over s <= t of
 *                            c exp(A_t - A_s) (q_t . k_s) v_s
 *
 * which is the same for a token alone and for one of many. R moves on when the
 * chunk is full.
 *
 *   per head:  sum [CHUNK] f64, R^T [e][e], k [CHUNK][e],
 *              v^T [e][CHUNK] f32
 */
#ifndef CLSA_ENGINE_RETENTION_H
#define CLSA_ENGINE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/model/network.h"

#define CLSA_CHUNK 64 /* positions; a multiple of 8 */

struct clsa_state {
    uint32_t heads, head_dim;
    uint64_t end;          /* positions that it has seen */
    unsigned char *memory; /* [heads][clsa_retention_head_bytes] */
    size_t bytes;
};

static inline size_t clsa_retention_head_bytes(size_t e)
{
    return CLSA_CHUNK * sizeof(double) +
           (e * e + 2 * e * CLSA_CHUNK) * sizeof(float);
}

/* Floats that a thread needs for the tokens of a chunk. */
static inline size_t clsa_retention_scratch(size_t e)
{
    return 3 * e * CLSA_CHUNK + CLSA_CHUNK * CLSA_CHUNK + e * e;
}

/* The state before the first token: zeros. */
clsa_status clsa_state_open(struct clsa_state *state,
                            const struct clsa_store_plan *plan,
                            clsa_error *error);
void clsa_state_close(struct clsa_state *state);
void clsa_state_copy(struct clsa_state *to, const struct clsa_state *from);

/* Whether positions from `length` on can be forgotten: not if R holds some of
   them already. */
static inline bool clsa_state_reaches(const struct clsa_state *state,
                                      uint64_t length)
{
    return length >= state->end / CLSA_CHUNK * CLSA_CHUNK;
}

/* Forget them, or with `kept` false all positions; then `end` is 0. */
void clsa_state_cut(struct clsa_state *state, uint64_t end, bool kept);

/* What `tokens` random tokens may leave in an empty state of a layer: for
   fill.c. Values are of heads `first`, `first` + 1, ... of a seed. */
void clsa_state_fill(struct clsa_state *state, const struct clsa_layer *layer,
                     uint64_t tokens, uint64_t seed, uint64_t first);

#endif /* CLSA_ENGINE_RETENTION_H */
