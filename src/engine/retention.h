/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention: the self-decoder layers of classic YOCO, which take the place of
 * windowed attention, and the state that they carry from token to token. In
 * the way of a token: the first line, instead of the windows.
 *
 * Per head, R_t = exp(a_t) R_(t-1) + k_t v_t^T / sqrt(e) and out_t = q_t R_t.
 * Positions are cut into chunks of CLSA_CHUNK, at multiples of it: R is kept
 * as it was where the chunk began, and the rows of the chunk beside it. With A
 * the running sum of a since then,
 *
 *   out_t = exp(A_t) q_t R + sum over s <= t of
 *                            exp(A_t - A_s) (q_t . k_s) / sqrt(e) v_s
 *
 * which is the same for a token alone and for one of many. R moves on when the
 * chunk is full.
 *
 *   per layer and head:  sum [CHUNK] f64, R^T [e][e], k [CHUNK][e],
 *                        v^T [e][CHUNK] f32
 */
#ifndef CLSA_ENGINE_RETENTION_H
#define CLSA_ENGINE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/model/hparams.h"

#define CLSA_CHUNK 64 /* positions; a multiple of 8 */

struct clsa_retention {
    uint32_t layers, h, e; /* layers 0: the model has windows instead */
    unsigned char *state;  /* [layers][h][clsa_retention_head_bytes] */
    size_t bytes;
};

static inline size_t clsa_retention_head_bytes(size_t e)
{
    return CLSA_CHUNK * sizeof(double) +
           (e * e + 2 * e * CLSA_CHUNK) * sizeof(float);
}

/* Floats that a thread needs for the columns of a chunk. */
static inline size_t clsa_retention_scratch(size_t e)
{
    return 3 * e * CLSA_CHUNK + CLSA_CHUNK * CLSA_CHUNK + e * e;
}

clsa_status clsa_retention_open(struct clsa_retention *retention,
                                const struct clsa_hparams *hp,
                                clsa_error *error);
void clsa_retention_close(struct clsa_retention *retention);
void clsa_retention_copy(struct clsa_retention *to,
                         const struct clsa_retention *from);

/*
 * Forget positions from `length` on, `end` having been read. False when that
 * reaches back into a chunk that R holds already: the state then is that of no
 * token at all.
 */
bool clsa_retention_truncate(struct clsa_retention *retention, uint64_t end,
                             uint64_t length);

/* What `tokens` random tokens may leave in the state of none: for fill.c. */
void clsa_retention_fill(struct clsa_retention *retention, uint64_t tokens,
                         uint64_t seed);

#endif /* CLSA_ENGINE_RETENTION_H */
