/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linear: the only door for y = W x. All threads of a team call it with the
 * same arguments; each computes its share of the rows of W for all columns,
 * or with x->form (products.h) any part of y: a barrier has to be between
 * this and the next that reads y.
 */
#ifndef CLSA_ENGINE_LINEAR_H
#define CLSA_ENGINE_LINEAR_H

#include "src/base/team.h"
#include "src/model/weights.h"

/* Columns that kernels take at once; with more, rows are multiplied this many
   at a time, 272 KiB of Q8_0 at 2048 columns of W. */
#define CLSA_LINEAR_FEW  16
#define CLSA_LINEAR_STAY 128

/* True when W reads the quantised form of its activations. */
static inline bool clsa_linear_quantised(const struct clsa_matrix *w)
{
    return clsa_format_block(w->format) > 1;
}

/* y[c * ldy + i] for this worker's rows i and all columns c of x. */
void clsa_linear(const struct clsa_worker *worker, const struct clsa_simd *simd,
                 const struct clsa_matrix *w, const struct clsa_act *x,
                 float *y, size_t ldy);

/* The same, added to sum[c * lds + i]; y is scratch of the same shape. */
void clsa_linear_add(const struct clsa_worker *worker,
                     const struct clsa_simd *simd, const struct clsa_matrix *w,
                     const struct clsa_act *x, float *y, size_t ldy, float *sum,
                     size_t lds);

#endif /* CLSA_ENGINE_LINEAR_H */
